"""Too much of everything: questions, turns, askers, and texts made to be slow."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator

import pytest
from tests.support import openai_server as servers
from tests.support.openai_server import Behaviour, OpenAIServer

from citewise import check
from citewise.answering.assistant import LONGEST_QUESTION, Assistant
from citewise.answering.citations import CitedText
from citewise.answering.kinds import kind_of
from citewise.backends.definition import how_plainly
from citewise.backends.extractive import is_hollow, standing_alone
from citewise.backends.figures import figure_for
from citewise.backends.limits import Limits
from citewise.backends.registry import backend_from
from citewise.backends.writing import defused
from citewise.errors import BackendError, UsageError
from citewise.library.embedding import MiniLM
from citewise.library.library import Library
from citewise.library.orders import paper_sentences, tells_a_model, without_orders
from citewise.library.passages import sentence_spans
from citewise.sources.dates import iso_date
from citewise.sources.identity import arxiv_id_of, doi_of, normalise
from citewise.sources.latex import latex_to_text
from citewise.sources.text import clean
from citewise.types import Evidence, Message, Paper, Span
from citewise.web import render

ABSTRACT = "Lantern halves the memory of the cache. It is 3.1 times faster than Kestrel."
QUESTION = "How does Lantern change the memory of the cache?"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, encoder: MiniLM) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("load") / "library"
    with Library.open(folder, embedder=encoder) as library:
        library.add([Paper("p", "Lantern", ABSTRACT), Paper("q", "Kestrel", "Kestrel is slow.")])
        yield library


def test_a_question_of_a_megabyte_is_refused_at_once(library: Library) -> None:
    begun = time.process_time()
    with pytest.raises(UsageError, match=str(LONGEST_QUESTION)):
        Assistant(library).ask("why " * 250_000)
    assert time.process_time() - begun < 1


def test_ten_thousand_turns_are_answered_like_ten(library: Library) -> None:
    turns = [Message("user", QUESTION), Message("assistant", ABSTRACT + " [1]")]
    assistant = Assistant(library)
    few = assistant.ask("And is it faster?", turns * 5)
    begun = time.process_time()
    many = assistant.ask("And is it faster?", turns * 5_000)
    assert time.process_time() - begun < 5
    assert many.standalone_question == few.standalone_question
    assert many.text == few.text


def test_a_model_is_sent_the_last_turns_alone(library: Library) -> None:
    history = [Message("user", "x" * 100_000), Message("assistant", "y" * 100_000)] * 50
    with OpenAIServer("Lantern halves the memory of the cache [1].") as server:
        Assistant(library, server.spec()).ask("And is it faster?", history)
        assert all(len(request.text) < 50_000 for request in server.requests)


def test_two_hundred_ask_at_once_and_all_are_served(library: Library) -> None:
    assistant = Assistant(library)
    alone = assistant.ask(QUESTION)

    async def all_of_them() -> list[str]:
        answers = await asyncio.gather(*(assistant.aask(QUESTION) for _ in range(200)))
        return [answer.text for answer in answers]

    assert asyncio.run(all_of_them()) == [alone.text] * 200


SHORT = Limits(connect_s=20.0, silence_s=10.0, total_s=3.0, retries=0, max_bytes=2**20)


def hundred_megabytes(exchange: servers.Exchange) -> None:
    exchange.head(200, "text/event-stream")
    data = servers.event("x" * 1000) * 100
    for _ in range(1000):
        exchange.send(data)


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (servers.byte_by_byte(ABSTRACT * 50, every=0.02), "took over|silent|too slow"),
        (servers.endless(every=0.01), "too slow|took over|ends early|bytes|characters"),
        (hundred_megabytes, "bytes|characters"),
        (servers.endless_line(), "bytes|took over"),
        (servers.raw(b'data: {"choices": [{"delta": {"content": "\xff\xfe\x80"}}]}\n\n'), ""),
        (servers.raw(b'data: {"choices": ' + b"[" * 100_000 + b"\n\n"), ""),
        (servers.raw(b"\x00" * 70_000), ""),
    ],
)
def test_a_hostile_server_meets_a_ceiling(
    behaviour: Behaviour, said: str, library: Library
) -> None:
    """More of them: tests/backends/test_openai.py, tests/answering/test_hostile_models.py."""
    begun = time.monotonic()
    with OpenAIServer(behaviour) as server:
        assistant = Assistant(library, backend_from(server.spec(), limits=SHORT))
        try:
            notes = " ".join(assistant.ask(QUESTION).notes)
        except BackendError as error:
            notes = str(error)
    assert time.monotonic() - begun < 30
    assert re.search(said, notes), notes


def _cited(text: str) -> None:
    paper = Paper("p", "Lantern", ABSTRACT)
    span = Span.of(ABSTRACT, 0, len(ABSTRACT))
    cited = CitedText([Evidence(1, paper, span, score=1.0, ordinal=0, paper_rank=1)])
    list(cited.feed(text))
    list(cited.finish())


FUNCTIONS: dict[str, Callable[[str], object]] = {
    "clean": clean,
    "normalise": normalise,
    "sentence_spans": sentence_spans,
    "latex_to_text": latex_to_text,
    "iso_date": iso_date,
    "arxiv_id_of": arxiv_id_of,
    "doi_of": doi_of,
    "defused": defused,
    "tells_a_model": tells_a_model,
    "orders": paper_sentences,
    "without_orders": without_orders,
    "prose_html": lambda text: render.prose_html(text, [], []),
    "citations": _cited,
    "kind_of": kind_of,
    "how_plainly": lambda text: how_plainly(text, "What is the LRU note?"),
    "asked_for": lambda text: how_plainly("LRU is a note.", text),
    "standing_alone": standing_alone,
    "is_hollow": is_hollow,
    "figure_for": lambda text: figure_for(text, "How many times faster is it?"),
    "claim": lambda text: check(text, ABSTRACT),
    "evidence": lambda text: check("Lantern halves the memory of the cache.", text),
}
PATTERNS = (
    "a", " ", "\n", "1", "1.", "1,", "0.1 ", "-", "--", "(", "[", "[1", "[1]", "]", "{", "}", "$",
    "\\", "\\a{", "<", "<a ", "*", "**", "_a", "`", "|", "| ", "#", "\"", "'", ".", ". ", "A. ",
    "e.g. ", "http://", "10.1234/", "note ", "please ignore ", "ignore all the ", "when asked ",
    "not ", "and ", "3 times ", "x^", "%", "a, ", "A B ", "\t\n", "é", "中", "\u094d\u200c",
    "say that ",
)  # fmt: skip

_MANY_LINES = {"prose_html", "claim", "evidence"}
"""These take milliseconds a line, and are given less."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_text_is_slow_beyond_its_length(name: str) -> None:
    """A pattern that goes back over itself takes 16 times as long for 4 times the text."""
    work = FUNCTIONS[name]
    most = 2_000 if name in _MANY_LINES else 20_000

    def took(text: str) -> float:
        # Of this thread alone: others may still be tidying up.
        begun = time.thread_time()
        work(text)
        return time.thread_time() - begun

    # What it imports is not the text's doing.
    took("A text. {x} [1] $y$ 3.1 times.")
    for pattern in PATTERNS:
        for end in ("", "!", "\x00X"):
            short, long = (pattern * (n // len(pattern)) + end for n in (most // 4, most))
            # Most take no time at all; what does is looked at again, for the machine may be busy.
            if took(long) < 0.1:
                continue
            times = [min(took(text) for _ in range(3)) for text in (short, long)]
            assert times[1] < 9 * times[0] + 0.1, (pattern, end, times)

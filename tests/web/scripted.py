"""An assistant that follows a script, for what a real one cannot be made to do on demand.

It stands at the page's own seam (``citewise.web.context.Asks``): slow answers to be stopped,
errors, hostile text, long answers with every verdict. Run as a script it serves the page.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from citewise.errors import BackendUnavailableError
from citewise.types import (
    Answer,
    Citation,
    Done,
    Effort,
    Event,
    Filters,
    Hit,
    Message,
    Paper,
    Retrieved,
    SearchResult,
    Sentence,
    SentenceReady,
    Span,
    Usage,
    Verdict,
    Working,
)
from citewise.web.context import Asks
from citewise.web.server import make_server, serve

HOSTILE = (
    "<script>window.hacked=1</script>"
    '<img src="http://evil.example/a.png" onerror="window.hacked=1">'
    '<svg onload="window.hacked=1"><iframe src="http://evil.example"></iframe>'
    " ![x](http://evil.example/b.png) [go](JaVaScRiPt:window.hacked=1) ${window.hacked=1}"
    " {{constructor.constructor('window.hacked=1')()}} <style>*{display:none}</style>"
)

PAPERS = (
    Paper(
        id="p-draft",
        title="Drafting Without a Draft: $3\\times$ Faster Decoding by Reading Ahead",
        abstract=(
            "Large language models write one token at a time, which leaves most of an accelerator "
            "idle. Speculative decoding helps, but asks for a second, smaller model that must be "
            "trained and kept in memory. We show that the model's own early layers can propose the "
            "next tokens. Our method needs no draft model and no training. It decodes "
            "$3.1\\times$ faster on summarisation and $2.4\\times$ faster on dialogue, while the "
            "output distribution stays exactly the same. The gain shrinks to $1.2\\times$ at batch "
            "sizes above 64, where the accelerator is busy already. We release kernels and "
            "measurements for four families of models between 1B and 70B parameters."
        ),
        authors=("Ada Brandt", "Keiko Mori", "Luis Ortega", "Wen Zhao", "Tom Reed"),
        published="2025-04-11",
        url="https://arxiv.org/abs/0000.00001",
        source="daily-papers",
        organization="Institute for Patient Machines",
    ),
    Paper(
        id="p-cache",
        title="Shared Shelves: A Key-Value Cache That Several Requests Read Together",
        abstract=(
            "Serving systems recompute the same document for every request that mentions it. "
            "Shared Shelves stores key-value blocks per document and corrects their positions when "
            "they are joined. On retrieval workloads the time to the first token falls by 62%, and "
            "accuracy on four question-answering sets drops by at most 0.3 points. Blocks that are "
            "rarely read are kept at four bits."
        ),
        author_count=9,
        date_text="Aug 25",
        source="daily-papers",
    ),
    Paper(
        id="p-prune",
        title="How Much of a Layer Is Needed? Structured Pruning of H$_2$O-Style Attention",
        abstract=(
            "We ask which attention heads matter for long documents. Removing the least used "
            "third of all heads costs 0.4 points on average and makes decoding 1.3 times faster. "
            "Heads that attend to the first tokens must stay. The ranking of heads is stable "
            "across languages, but not across context lengths."
        ),
        authors=("Nora Lind",),
        published="2025-03",
        url="https://example.org/pruning",
        source="bibtex",
    ),
)
_BY_ID = {paper.id: paper for paper in PAPERS}


def quote(paper_id: str, words: str) -> Span:
    abstract = _BY_ID[paper_id].abstract
    start = abstract.index(words)
    return Span.of(abstract, start, start + len(words))


@dataclass(frozen=True)
class Line:
    markdown: str
    sentence: Sentence | None
    cited: tuple[tuple[str, str], ...] = ()


def _speed() -> list[Line]:
    def said(text: str, n: tuple[int, ...], verdict: Verdict, *why: str) -> Sentence:
        return Sentence(text, n, 0.95 if verdict is Verdict.SUPPORTED else 0.4, verdict, why)

    draft, cache, prune = "p-draft", "p-cache", "p-prune"
    return [
        Line(
            "One paper drafts with the model's own early layers, so that it needs no draft model "
            "and no training [1].",
            said(
                "One paper drafts with the model's own early layers, so that it needs no draft "
                "model and no training.",
                (1,),
                Verdict.SUPPORTED,
            ),
            (
                (draft, "We show that the model's own early layers can propose the next tokens."),
                (draft, "Our method needs no draft model and no training."),
            ),
        ),
        Line(
            " It decodes $3.1\\times$ faster on summarisation, with an output distribution that "
            "stays exactly the same [1].",
            said(
                "It decodes $3.1\\times$ faster on summarisation, with an output distribution that "
                "stays exactly the same.",
                (1,),
                Verdict.SUPPORTED,
            ),
            (
                (
                    draft,
                    "It decodes $3.1\\times$ faster on summarisation and $2.4\\times$ faster on "
                    "dialogue, while the output distribution stays exactly the same.",
                ),
            ),
        ),
        Line(
            "\n\nOthers save the work before the first token: sharing key-value blocks between "
            "requests cuts that time by 62%, without any loss of accuracy [2].",
            said(
                "Others save the work before the first token: sharing key-value blocks between "
                "requests cuts that time by 62%, without any loss of accuracy.",
                (2,),
                Verdict.PARTLY,
                "the cited words say 'drops by at most 0.3 points' where the sentence says "
                "'without any loss'",
            ),
            (
                (
                    cache,
                    "On retrieval workloads the time to the first token falls by 62%, and "
                    "accuracy on four question-answering sets drops by at most 0.3 points.",
                ),
            ),
        ),
        Line(
            " Pruning a third of the attention heads makes decoding 1.3 times faster [3].",
            said(
                "Pruning a third of the attention heads makes decoding 1.3 times faster.",
                (3,),
                Verdict.SUPPORTED,
            ),
            (
                (
                    prune,
                    "Removing the least used third of all heads costs 0.4 points on average and "
                    "makes decoding 1.3 times faster.",
                ),
            ),
        ),
        Line(
            "\n\nThe three can probably be combined.",
            said("The three can probably be combined.", (), Verdict.UNCITED),
        ),
    ]


def answer_of(lines: Sequence[Line], question: str) -> Answer:
    spans: dict[str, list[Span]] = {}
    sentences: list[Sentence] = []
    for line in lines:
        own = []
        for paper_id, words in line.cited:
            spans.setdefault(paper_id, []).append(quote(paper_id, words))
            own.append((list(spans).index(paper_id) + 1, len(spans[paper_id]) - 1))
        if line.sentence:
            sentences.append(replace(line.sentence, spans=tuple(own)))
    return Answer(
        id="a1",
        question=question,
        standalone_question=question,
        text="".join(line.markdown for line in lines),
        answered=True,
        sentences=tuple(sentences),
        citations=tuple(
            Citation(n, _BY_ID[paper_id], tuple(found))
            for n, (paper_id, found) in enumerate(spans.items(), 1)
        ),
        retrieved=tuple(Retrieved(i, p.id, p.title, 1 / i) for i, p in enumerate(PAPERS, 1)),
        confidence=0.87,
        backend="scripted",
        effort=Effort.NORMAL,
        usage=Usage(),
        timings_ms={"total": 840.0},
        library="f00d",
        suggestions=(
            "Which of them need no training?",
            "What happens at large batch sizes?",
        ),
    )


def speed_answer(question: str = "Which papers make decoding faster?") -> Answer:
    return answer_of(_speed(), question)


def no_answer(question: str = "How long should bread rise?") -> Answer:
    return replace(
        speed_answer(question),
        text="The papers in this library do not say how long bread should rise.",
        answered=False,
        sentences=(),
        citations=(),
        confidence=0.03,
        reason="no abstract comes near the question: the closest one shares only the word 'time'",
        suggestions=("Which papers make decoding faster?",),
    )


def hostile_answer(question: str) -> Answer:
    base = speed_answer(question)
    paper = replace(
        PAPERS[0],
        id="p-evil",
        title=HOSTILE,
        abstract=HOSTILE,
        url="javascript:window.hacked=1",
        authors=(HOSTILE,),
    )
    return replace(
        base,
        text=f"{HOSTILE} said here [1].",
        sentences=(Sentence(f"{HOSTILE} said here.", (1,), 0.1, Verdict.UNSUPPORTED, (HOSTILE,)),),
        citations=(Citation(1, paper, (Span.of(HOSTILE, 0, 60),)),),
        suggestions=(HOSTILE,),
        notes=(HOSTILE,),
        backend=HOSTILE,
    )


class ScriptedLibrary:
    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="citewise-scripted-")
        self.path = Path(self._folder.name) / "reading-room"
        self.path.mkdir()
        self.filters: list[Filters | None] = []

    def papers_by_id(self, ids: Sequence[str], /) -> dict[str, Paper]:
        return {i: _BY_ID[i] for i in ids if i in _BY_ID}

    def info(self) -> SimpleNamespace:
        return SimpleNamespace(
            papers=475, sources={"daily-papers": 475}, earliest="2023-12", latest="2025-04-11"
        )

    def find(
        self, query: str, k: int = 10, filters: Filters | None = None, /, *, effort: str = "normal"
    ) -> SearchResult:
        self.filters.append(filters)
        # Whatever is looked for is there: the page opens with the sample papers' questions.
        paper = Paper(id="found", title=f"{query} and more", abstract="We propose a way.")
        hit = Hit(rank=1, paper=paper, score=1.0, passage=Span.of(paper.abstract, 0, 17))
        return SearchResult(query, (hit,), {})

    def warm(self) -> None:
        pass


class ScriptedAssistant:
    """Chooses its script by a word of the question: bread, refuse, crash, slow, evil."""

    def __init__(self, pause: float = 0.05) -> None:
        self.library = ScriptedLibrary()
        self.backend = SimpleNamespace(name="scripted")
        self.pause = pause
        self.closed = 0
        self.histories: list[tuple[Message, ...]] = []
        self.asked: list[tuple[str, str, Filters]] = []

    def stream(
        self,
        question: str,
        history: Sequence[Message] = (),
        /,
        *,
        effort: str = "normal",
        filters: Filters | None = None,
    ) -> Iterator[Event]:
        self.histories.append(tuple(history))
        self.asked.append((question, effort, filters or Filters()))
        try:
            yield Working("search", "searching 475 papers")
            time.sleep(self.pause)
            if "refuse" in question:
                raise BackendUnavailableError(
                    "the server at http://127.0.0.1:9/v1 refuses the connection; start it, or "
                    "choose --backend extractive, which needs none"
                )
            if "crash" in question:
                raise ZeroDivisionError("secret detail")
            if "bread" in question:
                yield Done(no_answer(question))
                return
            if "evil" in question:
                yield Done(hostile_answer(question))
                return
            lines = _speed()
            yield Working("write", "writing from 4 passages")
            for count, line in enumerate(lines, 1):
                time.sleep(self.pause * (40 if "slow" in question else 1))
                citations = answer_of(lines[:count], question).citations
                yield SentenceReady(line.markdown, line.sentence, citations)
            yield Done(answer_of(lines, question))
        finally:
            self.closed += 1

    def ask(
        self,
        question: str,
        history: Sequence[Message] = (),
        /,
        *,
        effort: str = "normal",
        filters: Filters | None = None,
    ) -> Answer:
        for event in self.stream(question, history, effort=effort, filters=filters):
            if isinstance(event, Done):
                return event.answer
        raise RuntimeError("unfinished script")


@contextmanager
def serving(assistant: Asks, **options: Any) -> Iterator[str]:
    """The page of ``assistant`` on a free port of the loopback; yields its address."""
    addresses: list[str] = []
    server, sock = make_server(assistant, port=0, ready=addresses.append, **options)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not addresses:
        assert thread.is_alive(), "the server ended before it was ready"
        assert time.monotonic() < deadline, "the server was not ready within a minute"
        time.sleep(0.02)
    try:
        yield addresses[0]
    finally:
        server.should_exit = True
        thread.join(15)


if __name__ == "__main__":
    serve(
        ScriptedAssistant(pause=float(sys.argv[2]) if len(sys.argv) > 2 else 0.05),
        port=int(sys.argv[1]),
        ready=lambda url: print(url, flush=True),
    )

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from citewise.answering.assistant import Assistant
from citewise.library.library import Library
from citewise.types import Message, Paper

LANTERN = Paper(
    "lantern",
    "Lantern: a cache for long texts",
    "We present Lantern, a cache which forgets what nobody reads. It halves the memory.",
    authors=("Ada Example", "Bo Example"),
    published="2024-03-05",
    url="https://example.org/lantern",
    doi="10.5555/lantern",
)
HARBOR = Paper(
    "harbor",
    "Harbor: caches that share what they hold",
    "We present Harbor, caches that share what they hold, as Lantern does. It runs on phones.",
    authors=("Cy Harbour",),
    author_count=3,
    published="2025-01",
    arxiv_id="2501.00001",
)
UNDATED = Paper("reef", "Reef: fish in water", "We present Reef, which counts fish in cold water.")


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    with Library.open(tmp_path_factory.mktemp("record") / "library") as library:
        library.add([LANTERN, HARBOR, UNDATED])
        yield Assistant(library)


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("When was Lantern published?", "'Lantern: a cache for long texts' does: 2024-03-05"),
        ("what year did lantern come out", "2024-03-05"),
        ("What's the publication date of the Harbor paper?", "2025-01"),
        ("What is the DOI of 'Lantern: a cache for long texts'?", "10.5555/lantern"),
        ("Harbor's arXiv id?", "arXiv:2501.00001"),
        ("Where can I read Lantern?", "https://example.org/lantern"),
        ("Give me a link to Lantern", "https://example.org/lantern"),
        ("How many authors does Lantern have?", "does: 2"),
        ("How many people wrote Harbor?", "does: 3"),
        ("Who is the first author of Harbor?", "Cy Harbour"),
        ("Who is the last author of Lantern?", "does: Bo Example"),
        ("What is the DOI of Harbor?", "here does not either"),
        ("Who is the last author of Harbor?", "here does not either"),
        ("When was Reef published?", "here does not either"),
    ],
)
def test_what_a_record_holds_is_told_from_it_and_not_as_an_answer(
    assistant: Assistant, question: str, told: str
) -> None:
    answer = assistant.ask(question)
    assert not answer.answered
    assert not answer.citations
    assert answer.reason is not None
    assert answer.reason.startswith("no abstract ")
    assert told in answer.reason


@pytest.mark.parametrize(
    "question",
    [
        "When was Beacon published?",
        "What is the link between Lantern and memory?",
        "When does Lantern forget what nobody reads?",
        "How many phones does Harbor run on?",
        "Where can I read about fish in cold water?",
    ],
)
def test_what_asks_for_more_than_a_record_is_left_to_the_abstracts(
    assistant: Assistant, question: str
) -> None:
    assert "record" not in (assistant.ask(question).reason or "")


def test_the_record_is_told_of_the_paper_that_was_talked_of(assistant: Assistant) -> None:
    talk = [Message("user", "What is Lantern?")]
    talk.append(Message("assistant", assistant.ask("What is Lantern?").text))
    for question, told in (
        ("When was it published?", "2024-03-05"),
        ("What is its DOI?", "10.5555/lantern"),
        ("How many authors does that paper have?", "does: 2"),
    ):
        answer = assistant.ask(question, talk)
        assert told in (answer.reason or "")
        assert answer.retrieved[0].paper_id == "lantern"


def test_the_newest_and_the_oldest_papers_are_told_by_their_dates(
    assistant: Assistant, tmp_path: Path
) -> None:
    assert (
        "'Harbor: caches that share what they hold' (2025-01)"
        in assistant.ask("Which is the newest paper in the library?").text
    )
    oldest = assistant.ask("oldest papers").text
    assert oldest.index("Lantern") < oldest.index("Harbor")
    assert "Reef" not in oldest, "nobody knows how old it is"
    assert "records" not in assistant.ask("What is the newest paper on caches?").text
    with Library.open(tmp_path / "undated") as library:
        library.add([UNDATED])
        assert "says when" in Assistant(library).ask("What is the latest paper?").text

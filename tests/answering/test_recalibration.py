"""How sure an answer must be is learnt from a library's own papers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from citewise import Assistant
from citewise.answering.recalibration import (
    FEWEST_PAPERS,
    OF_THE_SAMPLE,
    halfway,
    own_questions,
    recalibrate,
)
from citewise.errors import LibraryError
from citewise.grounding.abstention import RULE
from citewise.library.embedding import MiniLM
from citewise.library.filling import Progress
from citewise.library.library import Calibration, Library
from citewise.library.papers import PaperStore

QUESTION = "Which papers speed up speculative decoding?"


@pytest.fixture
def library(sample_library: Library, encoder: MiniLM, tmp_path: Path) -> Iterator[Library]:
    """The sample papers in a library that may be changed."""
    shutil.copytree(sample_library.path, tmp_path / "library")
    with Library.open(tmp_path / "library", embedder=encoder) as copy:
        yield copy


def asked(library: Library) -> int:
    """How many questions recalibrating asks of a library."""
    steps: list[Progress] = []
    recalibrate(library, on_progress=steps.append)
    return len(steps)


def test_the_sample_papers_are_the_measure(sample_library: Library) -> None:
    middle = halfway(sample_library)
    assert middle is not None
    assert abs(middle - OF_THE_SAMPLE) < 0.15


def test_every_question_is_made_of_words_of_its_paper(sample_library: Library) -> None:
    questions = own_questions(sample_library)
    assert len(questions) >= 35
    assert questions == own_questions(sample_library)
    for paper, question in questions:
        words = set(question.removeprefix("How does ").removesuffix("?").split()) - {"affect"}
        assert len(words) >= 4
        assert all(word in paper.abstract for word in words)


def test_a_stricter_library_declines_what_another_answers(library: Library) -> None:
    assistant = Assistant(library)
    before = assistant.ask(QUESTION)
    library.calibrate(Calibration(2.0, 475, RULE))
    after = assistant.ask(QUESTION)
    assert before.answered
    assert after.answered
    assert after.confidence < before.confidence
    library.calibrate(Calibration(12.0, 475, RULE))
    assert not assistant.ask(QUESTION).answered
    library.calibrate(Calibration(12.0, 475, "another"))
    assert assistant.ask(QUESTION).confidence == before.confidence


def test_it_is_learnt_once_and_again_of_a_library_that_has_grown(library: Library) -> None:
    assert asked(library) >= 35
    learnt = library.calibration
    assert learnt is not None
    assert (learnt.papers, learnt.rule) == (475, RULE)
    assert asked(library) == 0
    with Library.open(library.path, embedder=library.embedder) as again:
        assert again.calibration == learnt
    library.calibrate(Calibration(0.0, 300, RULE))
    assert asked(library) >= 35
    assert library.calibration == learnt


def test_what_is_stopped_leaves_nothing(library: Library) -> None:
    recalibrate(library, lambda: True)
    assert library.calibration is None


def test_a_few_papers_teach_nothing(encoder: MiniLM, tmp_path: Path) -> None:
    papers = tmp_path / "papers.jsonl"
    papers.write_text(
        "\n".join(
            f'{{"title": "On the {n}th matter", "abstract": "We look at matter {n} for a while."}}'
            for n in range(FEWEST_PAPERS - 1)
        ),
        encoding="utf-8",
    )
    with Library.open(tmp_path / "library", embedder=encoder) as library:
        library.ingest(papers)
        assert asked(library) == 0
        assert library.calibration is None


def test_a_library_that_cannot_be_written_learns_for_itself(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder without the right to write is no hindrance to root, who may run the tests.
    monkeypatch.setattr(PaperStore, "set_meta", _refuse)
    assert asked(library) >= 35
    assert library.calibration is not None
    assert asked(library) == 0


def _refuse(_store: PaperStore, _key: str, _value: str) -> None:
    raise LibraryError("The library cannot be written.")

"""Mistyped words of a question."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewise.answering.assistant import Assistant
from citewise.answering.spelling import respelled
from citewise.library.library import Library
from citewise.types import Paper


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder: Path = tmp_path_factory.mktemp("spelling")
    with Library.open(folder / "library") as opened:
        opened.add(
            [
                Paper(
                    f"{n}",
                    f"Aspirin and the heart {n}",
                    f"Aspirin prevented strokes in cohort {n}. A randomized trial of smoking and "
                    "protein intake is stated to follow.",
                )
                for n in range(4)
            ]
        )
        yield opened


@pytest.mark.parametrize(
    ("question", "meant"),
    [
        ("does asprin prevent strokes?", "does aspirin prevent strokes?"),
        ("does smokng harm protien intake", "does smoking harm protein intake"),
        ("wich papers are on aspirin?", "which papers are on aspirin?"),
        ("randomised trials of aspirin", "randomized trials of aspirin"),
    ],
)
def test_a_mistyped_word_is_read_as_the_papers_write_it(
    library: Library, question: str, meant: str
) -> None:
    text, notes = respelled(question, library)
    assert text == meant
    changed = [one for one in question.split() if one not in meant.split()]
    assert len(notes) == len(changed)
    assert all(
        f"'{word}' looks mistyped" in note for word, note in zip(changed, notes, strict=True)
    )


@pytest.mark.parametrize(
    "question",
    [
        "do statins prevent strokes?",  # 'stated' is another word
        "does Asprin prevent strokes?",  # perhaps a name
        "is proteon a beam of light waves?",  # no paper has the rest
        "how do strokes of a brush look?",
        "what is kriging?",
    ],
)
def test_what_may_be_meant_stays(library: Library, question: str) -> None:
    assert respelled(question, library) == (question, ())


def test_an_answer_says_what_was_searched(library: Library) -> None:
    answer = Assistant(library).ask("does asprin prevent strokes?")
    assert answer.answered
    assert "Searched for 'aspirin': 'asprin' looks mistyped." in answer.notes
    assert answer.question == "does asprin prevent strokes?"


@settings(max_examples=40)
@given(st.text(alphabet="aspirnxké '-.?7", max_size=30))
def test_any_text_can_be_read(library: Library, question: str) -> None:
    text, notes = respelled(question, library)
    assert bool(notes) == (text != question)

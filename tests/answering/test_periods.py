"""Wishes in a question about when papers were published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewise.answering.assistant import Assistant
from citewise.answering.periods import wished_period
from citewise.library.library import Library
from citewise.types import Filters, Paper

TODAY = "2026-07-20"
DATES = ("2015-03-01", "2023", "2025-05", "2025-11-30", "2026-03-09", "2026-06-15", "2026-07-01")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder: Path = tmp_path_factory.mktemp("periods")
    with Library.open(folder / "library") as opened:
        opened.add(
            [
                Paper(date, f"Caches for texts {n}", f"Cache {n} halves memory.", published=date)
                for n, date in enumerate(DATES)
            ]
        )
        yield opened


@pytest.mark.parametrize(
    ("question", "left", "since", "until"),
    [
        ("papers in 2026 about caches", "Papers about caches", "2026", "2026"),
        ("work on text caches in 2026", "Work on text caches", "2026", "2026"),
        ("2025 papers on caches", "Papers on caches", "2025", "2025"),
        ("March 2026 papers on caches", "Papers on caches", "2026-03", "2026-03"),
        ("cache papers 2026 only", "Cache papers", "2026", "2026"),
        ("Which surveys on caches appeared in 2025?", "Which surveys on caches?", "2025", "2025"),
        (
            "Which caches were proposed in March 2026?",
            "Which caches were proposed?",
            "2026-03",
            "2026-03",
        ),
        ("In 2026, which papers study caches?", "Which papers study caches?", "2026", "2026"),
        ("papers from 2025 on long texts", "Papers on long texts", "2025", "2025"),
        ("papers from 2025 onwards on texts", "Papers on texts", "2025", None),
        ("caches since June 2026", "Caches", "2026-06", None),
        ("caches after June 2026", "Caches", "2026-07", None),
        ("caches before January 2026", "Caches", None, "2025-12"),
        ("papers on caches until 2025", "Papers on caches", None, "2025"),
        ("papers on caches, 2023-2025", "Papers on caches", "2023", "2025"),
        (
            "caches between May 2025 and 15 June 2026",
            "Caches",
            "2025-05",
            "2026-06-15",
        ),
        ("this year's papers on caches", "Papers on caches", "2026", "2026"),
        ("papers published last month on caches", "Papers on caches", "2026-06", "2026-06"),
        ("What was published in 2026?", "What was published in 2026?", "2026", "2026"),
    ],
)
def test_a_wish_for_a_time_becomes_a_filter(
    library: Library, question: str, left: str, since: str | None, until: str | None
) -> None:
    wished = wished_period(question, Filters(), library, today=TODAY)
    assert (wished.text, wished.filters) == (left, Filters(since=since, until=until))
    assert len(wished.notes) == 1


@pytest.mark.parametrize(
    "question",
    [
        "How many people died of the flu in 2015?",
        "Which studies counted deaths in 2015?",
        "SIGIR 2025 papers on ranking",
        "How accurate are small models on AIME 2025?",
        "Which papers use data from 2015?",
        "Which papers have over 2000 participants?",
        "Which papers appeared between 2026 and 2025?",
        "rainfall of 1990-2010 in models",
    ],
)
def test_a_year_that_papers_may_speak_of_stays(library: Library, question: str) -> None:
    wished = wished_period(question, Filters(), library, today=TODAY)
    assert (wished.text, wished.filters, wished.notes) == (question, Filters(), ())


def test_a_time_without_papers_is_told_and_left_out(library: Library) -> None:
    wished = wished_period("papers on caches before 2010", Filters(), library, today=TODAY)
    assert wished.filters == Filters()
    assert "2009" in wished.notes[0]
    assert "from 2015-03-01 to 2026-07-01" in wished.notes[0]


def test_a_filter_that_was_given_stands_above_a_wish(library: Library) -> None:
    given_filters = Filters(since="2026")
    wished = wished_period("papers on caches since 2023", given_filters, library, today=TODAY)
    assert (wished.filters, wished.notes) == (given_filters, ())


def test_an_answer_comes_from_papers_of_that_time(library: Library) -> None:
    answer = Assistant(library).ask("Which papers on caches for texts appeared in 2025?")
    assert answer.answered
    assert {paper.paper_id for paper in answer.retrieved} == {"2025-05", "2025-11-30"}
    assert any("Only papers published in 2025" in note for note in answer.notes)
    assert any(note.endswith("; 2 were searched.") for note in answer.notes)


@settings(max_examples=60)
@given(
    st.lists(
        st.sampled_from(
            "papers in from since 2025 2026-13 May 31 February 2026 - between and on only caches ?"
            " this year's last month before 2026-02-30".split()
        ),
        max_size=9,
    )
)
def test_any_words_around_a_year_give_a_question(library: Library, words: list[str]) -> None:
    question = " ".join(words)
    wished = wished_period(question, Filters(), library, today=TODAY)
    assert wished.text.strip() or not question.strip()

"""Questions for what every abstract tells: its problem, its idea, its results, all in short."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.answering.assistant import Assistant
from citewise.answering.gist import Gist, gist_asked, telling
from citewise.library.library import Library
from citewise.types import Answer, Message, Paper, QuestionKind

TIDEWELL = Paper(
    id="tidewell",
    title="Tidewell: forecasting harbour water levels from ship radar",
    abstract="Harbours need forecasts of their water level. Gauges stand in few of them. However, "
    "models that are trained on one harbour fail in the next, and new gauges are expensive. We "
    "present Tidewell, which reads the level off the radar of passing ships. A small network "
    "corrects each reading by the draught of its ship. Experiments in twelve harbours show an "
    "error of 4 cm, half that of gauge models. Our code is available at https://example.org/t.",
)
MOORINGS = Paper(
    id="moorings",
    title="Where do ships wait? A study of moorings",
    abstract="Ships burn fuel while they wait. It is unclear where they wait the longest. In this "
    "study, we introduce BerthBook (a record of 9,000 moorings), built from public logs. Waiting "
    "was longest in June. BerthBook reveals that 31% of all waiting happens in three bays.",
)
LABELLED = Paper(
    id="labelled",
    title="Evening light and sleep in night nurses: a cohort study",
    abstract="BACKGROUND Night nurses sleep badly. METHODS We followed 84 nurses for a year. "
    "RESULTS Those with dim evening light slept 41 minutes longer. CONCLUSIONS Dim evening light "
    "goes with longer sleep in night nurses.",
)


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    folder: Path = tmp_path_factory.mktemp("gist")
    with Library.open(folder / "library") as opened:
        opened.add([TIDEWELL, MOORINGS, LABELLED])
        yield Assistant(opened)


def _told(answer: Answer) -> list[str]:
    return [sentence.text for sentence in answer.sentences]


@pytest.mark.parametrize(
    ("question", "told", "untold"),
    [
        ("What problem does Tidewell address?", "fail in the next", "4 cm"),
        ("Why was Tidewell developed?", "fail in the next", "4 cm"),
        ("what motivates Tidewell", "fail in the next", "4 cm"),
        ("What is the main idea of Tidewell?", "off the radar", "4 cm"),
        ("What does Tidewell propose?", "off the radar", "fail in the next"),
        ("How does Tidewell work?", "by the draught", "fail in the next"),
        ("What are the key findings of the Tidewell paper?", "4 cm", "fail in the next"),
        ("What did Tidewell show?", "4 cm", "fail in the next"),
        # A name that only the abstract gives.
        ("What gap does BerthBook fill?", "unclear where they wait", "31%"),
        ("What does BerthBook reveal?", "31%", "burn fuel"),
    ],
)
def test_tells_the_part_that_is_asked_for(
    assistant: Assistant, question: str, told: str, untold: str
) -> None:
    answer = assistant.ask(question)
    assert answer.answered
    assert told in answer.text
    assert untold not in answer.text
    assert len({citation.paper.id for citation in answer.citations}) == 1


@pytest.mark.parametrize(
    "question", ["Summarise the Tidewell paper", "Explain Tidewell in simple terms"]
)
def test_a_summary_has_problem_idea_and_result(assistant: Assistant, question: str) -> None:
    answer = assistant.ask(question)
    assert all(part in answer.text for part in ("fail in the next", "off the radar", "4 cm"))
    # The words of the wish are not looked for in the papers.
    assert "No paper here mentions" not in answer.text


def test_no_doubt_is_told_of_what_a_paper_always_tells(assistant: Assistant) -> None:
    answer = assistant.ask("What question does BerthBook ask?")
    assert answer.kind is QuestionKind.FACT
    assert answer.text.startswith("**Where do ships wait?")


def test_reads_the_labels_of_an_abstract(assistant: Assistant) -> None:
    answer = assistant.ask(f"What are the results of '{LABELLED.title}'?")
    assert "41 minutes longer" in answer.text
    assert "followed 84 nurses" not in answer.text


def test_in_a_talk(assistant: Assistant) -> None:
    history: tuple[Message, ...] = assistant.ask("Which error does Tidewell reach?").history
    answer = assistant.ask("And what problem does it solve?", history=history)
    assert "fail in the next" in answer.text


@pytest.mark.parametrize(
    "asked",
    [
        "What accuracy does reach?",
        "What are the results of on the Lantern benchmark?",
        "What idea of Marr does use?",
        "What is the problem with ?",
        "Which ships does show?",
    ],
)
def test_what_asks_for_more_is_no_gist(asked: str) -> None:
    assert gist_asked(asked) is None


@given(st.lists(st.text(min_size=1, max_size=80), max_size=12), st.sampled_from(Gist))
def test_tells_sentences_that_are_there_in_order(sentences: list[str], gist: Gist) -> None:
    places = telling(gist, sentences)
    assert list(places) == sorted(set(places))
    assert all(0 <= at < len(sentences) for at in places)
    assert bool(places) == bool(sentences)
    assert len(places) <= 4

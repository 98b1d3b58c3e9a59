"""Turns that ask nothing of the papers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewise.answering.aside import ASKS_NOTHING, aside
from citewise.answering.assistant import Assistant
from citewise.library.library import Library


@pytest.fixture(scope="module")
def assistant(sample_library: Library) -> Assistant:
    return Assistant(sample_library)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Hi!", "Hello."),
        ("good morning, how are you?", "475 papers"),
        ("Thanks a lot :)", "You are welcome."),
        ("ok great, thx", "You are welcome."),
        ("What can you do?", "each sentence of an answer"),
        ("who are you", "475 papers"),
        ("How many papers are there?", "475 papers"),
        ("what's in this library?", "475 papers"),
        ("Which papers do you have?", "475 papers"),
    ],
)
def test_a_turn_that_asks_nothing_of_the_papers_gets_a_line(
    assistant: Assistant, said: str, told: str
) -> None:
    answer = assistant.ask(said)
    assert told in answer.text
    assert not answer.answered
    assert answer.reason == ASKS_NOTHING
    assert answer.retrieved == ()
    assert "nearest papers" not in answer.text


@pytest.mark.parametrize(
    "question",
    [
        "What is this?",
        "How does this work?",
        "really?",
        "why not?",
        "Which papers are on pruning?",
        "How many papers are on pruning?",
        "Are good models small?",
        "what do you know about pruning",
        "how are you evaluating pruned models",
        "So what?",
        "",
    ],
)
def test_what_may_be_a_question_is_one(sample_library: Library, question: str) -> None:
    assert aside(question, sample_library) is None


def test_a_talk_goes_on_after_thanks(assistant: Assistant) -> None:
    first = assistant.ask("How does Superposed Decoding generate several drafts?")
    thanks = assistant.ask("thanks!", first.history)
    assert len(thanks.history) == 4
    second = assistant.ask("And how much faster is it?", thanks.history)
    assert second.answered
    assert second.citations[0].paper.id == first.citations[0].paper.id
    assert len(second.history) == 6


@settings(max_examples=50)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_may_be_said(sample_library: Library, text: str) -> None:
    said = aside(text, sample_library)
    assert said is None or said.endswith(".")

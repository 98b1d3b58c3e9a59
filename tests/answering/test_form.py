"""Turns on the last answer: its length, its sources, and what else there is."""

from __future__ import annotations

import pytest

from citewise.answering.aside import ASKS_NOTHING
from citewise.answering.assistant import NO_OTHERS, Assistant
from citewise.answering.form import NOTHING_SAID, RESTS_ON, Form, form_of, others
from citewise.library.library import Library
from citewise.types import Answer, Verdict

LISTED = "Which papers speed up speculative decoding?"


@pytest.fixture(scope="module")
def assistant(sample_library: Library) -> Assistant:
    return Assistant(sample_library)


@pytest.fixture(scope="module")
def listed(assistant: Assistant) -> Answer:
    return assistant.ask(LISTED)


def ids(answer: Answer) -> set[str]:
    return {citation.paper.id for citation in answer.citations}


@pytest.mark.parametrize(
    ("said", "form"),
    [
        ("Shorter, please", Form.SHORTER),
        ("can you say it in one sentence?", Form.SHORTER),
        ("in more detail", Form.LONGER),
        ("more", Form.LONGER),
        ("repeat that", Form.AGAIN),
        ("Where does it say that?", Form.WORDS),
        ("are you sure about that?", Form.WORDS),
        ("source?", Form.WORDS),
        ("links please", Form.LINKS),
        ("give me the BibTeX", Form.BIBTEX),
    ],
)
def test_a_turn_on_the_last_answer_is_known(said: str, form: Form) -> None:
    assert form_of(said) is form


@pytest.mark.parametrize(
    "question",
    [
        "how much shorter is the training?",
        "more on protein folding",
        "what other methods use tree search",
        "is there evidence for that in mice?",
        "source code?",
        "link prediction",
        "how sure are the models?",
        "is it really faster?",
        "what else lowers blood pressure?",
        "tell me more about the second one",
        "similar molecules",
        "more efficient methods",
    ],
)
def test_a_question_with_such_a_word_stays_a_question(question: str) -> None:
    assert form_of(question) is None
    assert others(question) is None


@pytest.mark.parametrize("said", ["Are there others?", "any more?", "Anything else on this?"])
def test_others_are_not_those_shown(assistant: Assistant, listed: Answer, said: str) -> None:
    second = assistant.ask(said, listed.history)
    assert second.answered
    assert second.citations
    assert not ids(second) & ids(listed)
    third = assistant.ask("any others?", second.history)
    assert not ids(third) & (ids(listed) | ids(second))


def test_others_may_have_to_hold_a_condition(assistant: Assistant, listed: Answer) -> None:
    answer = assistant.ask("are there others that use tree search?", listed.history)
    assert "speculative decoding that use tree search" in answer.standalone_question
    assert not ids(answer) & ids(listed)


def test_that_there_are_no_others_is_said(assistant: Assistant) -> None:
    answer = assistant.ask("Which papers run on a Raspberry Pi?")
    for _ in range(3):
        last, answer = answer, assistant.ask("any others?", answer.history)
        assert not ids(answer) & ids(last)
        if not answer.answered:
            break
    assert not answer.answered
    assert NO_OTHERS in answer.text


def test_an_answer_can_be_had_shorter_and_longer(assistant: Assistant, listed: Answer) -> None:
    for first in (listed, assistant.ask("How does Falcon draft tokens?")):
        shorter = assistant.ask("shorter", first.history)
        longer = assistant.ask("in more detail", shorter.history)
        assert shorter.standalone_question == longer.standalone_question
        assert len(shorter.sentences) < len(first.sentences) < len(longer.sentences)
        assert ids(shorter) <= ids(first)
        for answer in (shorter, longer):
            assert all(one.citations for one in answer.sentences)
            assert all(one.verdict is Verdict.SUPPORTED for one in answer.sentences)


def test_the_words_that_an_answer_rests_on_are_shown(assistant: Assistant) -> None:
    first = assistant.ask("How does Falcon draft tokens?")
    answer = assistant.ask("Are you sure?", first.history)
    assert answer.text.startswith(RESTS_ON)
    assert ids(answer) == ids(first)
    assert {one.text for one in answer.sentences} == {one.text for one in first.sentences}
    assert any("support" in note for note in answer.notes)


def test_papers_are_given_for_a_reference_manager(assistant: Assistant, listed: Answer) -> None:
    answer = assistant.ask("give me the bibtex", listed.history)
    assert answer.reason == ASKS_NOTHING
    assert answer.text.count("@misc{") == len(ids(listed))
    for citation in listed.citations:
        assert citation.paper.title in answer.text


def test_a_turn_on_the_form_leaves_the_subject_alone(assistant: Assistant) -> None:
    said = assistant.ask("How does Superposed Decoding generate several drafts?")
    first = ids(said)
    for turn in ("shorter", "really?", "links please", "in more detail"):
        said = assistant.ask(turn, said.history)
    answer = assistant.ask("And how much faster is it?", said.history)
    assert "Superposed Decoding" in answer.standalone_question
    assert answer.citations[0].paper.id in first


def test_what_was_not_answered_has_no_source(assistant: Assistant) -> None:
    declined = assistant.ask("How long should a sourdough loaf rise?")
    assert not declined.answered
    assert assistant.ask("source?", declined.history).text == NOTHING_SAID


@pytest.mark.parametrize("said", ["which is best?", "which one is fastest?"])
def test_which_one_is_one_of_the_list(assistant: Assistant, listed: Answer, said: str) -> None:
    answer = assistant.ask(said, listed.history)
    assert answer.answered
    assert ids(answer) <= ids(listed)


def test_a_new_matter_is_not_held_to_the_list(assistant: Assistant, listed: Answer) -> None:
    answer = assistant.ask("which is the best model for weather forecasts?", listed.history)
    assert not any("last answer" in note for note in answer.notes)


def test_only_those_narrows_the_list(assistant: Assistant, listed: Answer) -> None:
    answer = assistant.ask("only those from 2024", listed.history)
    assert answer.answered
    assert ids(answer) < ids(listed)
    assert all((one.paper.published or "")[:4] == "2024" for one in answer.citations)


def test_a_correction_puts_what_was_asked_right(assistant: Assistant) -> None:
    first = assistant.ask("Which papers prune vision tokens?")
    answer = assistant.ask("not vision tokens, network weights", first.history)
    assert answer.standalone_question == "Which papers prune network weights?"


def test_one_of_several_namesakes_can_be_meant(assistant: Assistant) -> None:
    first = assistant.ask("How does Dolphin work?")
    assert len(ids(first)) > 1
    answer = assistant.ask("no, I meant the auto-research one", first.history)
    assert len(ids(answer)) == 1
    assert ids(assistant.ask("what results?", answer.history)) == ids(answer)


def test_a_correction_without_asking_goes_on(assistant: Assistant) -> None:
    first = assistant.ask("Which papers deal with long contexts?")
    answer = assistant.ask("no, I mean in video", first.history)
    assert answer.standalone_question.startswith("In video (")

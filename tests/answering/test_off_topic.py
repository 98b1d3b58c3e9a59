from __future__ import annotations

from pathlib import Path

import pytest

from citewise.answering.assistant import Assistant
from citewise.backends.extractive import MAY_MISS
from citewise.library.library import Library
from citewise.sample import sample_folder

FORMS = (
    "{}",
    "Give me an overview of {}.",
    "which papers are about {}?",
    "Compare approaches to {}.",
    "what do people do about {} nowadays",
)
OF_ONE_PAPER = ("{} rates", "What is the average price of {}?", "Why did {} become popular?")


@pytest.fixture(scope="module")
def assistant(sample_library: Library) -> Assistant:
    return Assistant(sample_library)


@pytest.mark.parametrize(
    "matter", ["beekeeping", "the Battle of Hastings", "tooth decay", "sailing knots", "glaciers"]
)
@pytest.mark.parametrize("form", FORMS + OF_ONE_PAPER)
def test_a_theme_that_no_paper_touches_is_declined(
    form: str, matter: str, assistant: Assistant
) -> None:
    answer = assistant.ask(form.format(matter))
    assert not answer.answered, answer.text


@pytest.mark.parametrize(
    "matter", ["speculative decoding", "pruning", "image segmentation", "spiking networks"]
)
@pytest.mark.parametrize("form", FORMS)
def test_a_theme_of_the_papers_is_answered(form: str, matter: str, assistant: Assistant) -> None:
    assert assistant.ask(form.format(matter)).answered


@pytest.mark.parametrize(
    "form",
    [
        "Is there a dataset for {} agents?",
        "Which datasets exist for {} agents?",
        "Give me an overview of {} agents.",
    ],
)
def test_a_short_name_is_not_found_inside_of_other_words(form: str, assistant: Assistant) -> None:
    answer = assistant.ask(form.format("GUI"))
    assert not answer.answered, answer.text
    assert "'GUI'" in answer.text
    assert assistant.ask(form.format("LLM")).answered


def test_what_only_comes_near_says_that_it_may_miss(assistant: Assistant) -> None:
    near = assistant.ask("Do chains of thought tell the truth?")
    assert near.answered
    assert near.text.startswith(MAY_MISS)
    clear = assistant.ask("Does SlimSAM need much training data?")
    assert clear.answered
    assert MAY_MISS not in clear.text


@pytest.mark.parametrize(
    "asked", ["which papers study energy use of LLMs", "what is done about energy use of LLMs"]
)
def test_a_question_of_common_words_does_not_lean_on_one_that_was_declined(
    asked: str, assistant: Assistant
) -> None:
    declined = assistant.ask("does sourdough rise")
    assert not declined.answered
    after = assistant.ask(asked, declined.history)
    assert after.answered
    assert "sourdough" not in after.standalone_question + after.text


@pytest.mark.parametrize(
    "asked",
    [
        "speculative decoders meant to be quicker than whoever drafted them",
        "compression schemes that really beat whatever bakers and tailors do with caches",
    ],
)
def test_everyday_words_that_no_paper_has_do_not_decide(asked: str, assistant: Assistant) -> None:
    assert assistant.ask(asked).answered


def test_before_papers_have_vectors_their_words_decide(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library") as library:
        library.ingest(sample_folder(), embed=False)
        assistant = Assistant(library)
        assert assistant.ask("Which papers prune language models?").answered
        assert assistant.ask("Give me an overview of speculative decoding.").answered
        assert not assistant.ask("Give me an overview of beekeeping.").answered

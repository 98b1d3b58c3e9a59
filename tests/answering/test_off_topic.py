from __future__ import annotations

import pytest

from citewise.answering.assistant import Assistant
from citewise.library.library import Library

FORMS = (
    "{}",
    "Give me an overview of {}.",
    "which papers are about {}?",
    "Compare approaches to {}.",
    "what do people do about {} nowadays",
)


@pytest.fixture(scope="module")
def assistant(sample_library: Library) -> Assistant:
    return Assistant(sample_library)


@pytest.mark.parametrize(
    "matter", ["beekeeping", "the Battle of Hastings", "tooth decay", "sailing knots", "glaciers"]
)
@pytest.mark.parametrize("form", FORMS)
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

"""What is asked of a whole matter: the sentences that say it are told, and the papers that do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from citewise.answering.assistant import Assistant
from citewise.backends.facets import facet_asked
from citewise.library.embedding import MiniLM
from citewise.library.library import Library
from citewise.types import Paper

PAPERS = (
    Paper(
        id="a",
        title="Warden: federated learning with fewer rounds",
        abstract="Federated learning suffers from slow convergence when clients differ. We propose "
        "Warden, a new method for federated learning. It keeps what is typed on the phone.",
    ),
    Paper(
        id="b",
        title="A measurement of federated learning on phones",
        abstract="We measure federated learning on ten thousand phones. Models are trained at "
        "night. The communication overhead of federated learning grows with every client.",
    ),
    Paper(
        id="c",
        title="Federated learning for keyboards",
        abstract="We present federated learning for the keyboards of phones. Three languages are "
        "predicted word by word. Federated learning helps to keep private what is typed.",
    ),
)


@pytest.fixture(scope="module")
def assistant(tmp_path_factory: pytest.TempPathFactory, encoder: MiniLM) -> Iterator[Assistant]:
    with Library.open(tmp_path_factory.mktemp("facets") / "shelf", embedder=encoder) as library:
        library.add(PAPERS)
        yield Assistant(library)


@pytest.mark.parametrize(
    "question",
    [
        "What are the drawbacks of federated learning?",
        "limitations of federated learning",
        "What problems does federated learning have?",
        "What is the main challenge of federated learning?",
    ],
)
def test_drawbacks_of_a_matter_are_told_and_no_proposals(
    question: str, assistant: Assistant
) -> None:
    text = assistant.ask(question).text
    assert "suffers from slow convergence" in text
    assert "communication overhead of federated learning" in text
    assert "propose Warden" not in text
    assert "for the keyboards" not in text


def test_what_a_matter_is_good_for_is_told(assistant: Assistant) -> None:
    text = assistant.ask("What are the benefits of federated learning?").text
    assert "helps to keep private" in text
    assert "for the keyboards" not in text


@pytest.mark.parametrize(
    "question",
    [
        "Which papers address the limitations of federated learning?",
        "What problem does Warden solve?",
        "How does federated learning work?",
        "What is the limit of detection of the assay?",
        "causes",
    ],
)
def test_other_questions_ask_for_nothing_of_the_kind(question: str) -> None:
    assert facet_asked(question) is None


def test_that_a_drawback_was_dealt_with_does_not_say_it() -> None:
    facet = facet_asked("What are the limitations of federated learning?")
    assert facet is not None
    assert facet.said_in("Federated learning is limited by the slowest of the clients.")
    assert not facet.said_in("Federated learning was made to overcome the limits of one machine.")
    assert not facet.said_in("Federated learning runs with negligible accuracy degradation.")
    assert not facet.said_in("To study these limitations, we train ten models.")

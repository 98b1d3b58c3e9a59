from __future__ import annotations

import pytest

from citewise.answering.kinds import kind_of
from citewise.backends.definition import defines, thing_defined
from citewise.types import QuestionKind


@pytest.mark.parametrize(
    ("question", "thing"),
    [
        ("What is pruning?", "pruning"),
        ("whats a Lantern cache", "Lantern cache"),
        ("What’s meant by pruning?", "pruning"),
        ("what does LRU stand for", "LRU"),
        ("Lantern meaning", "Lantern"),
        ("Lantern - what is it?", "Lantern"),
        ("explain the Lantern rule", "Lantern rule"),
        ("What is latency?", "latency"),
        # A fact of something else is no definition.
        ("What is the aim of Lantern?", None),
        ("Is Lantern a cache?", None),
    ],
)
def test_what_is_to_be_defined_is_seen_however_it_is_typed(
    question: str, thing: str | None
) -> None:
    assert thing_defined(question) == thing
    assert (kind_of(question) is QuestionKind.DEFINITION) == (thing is not None)


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("Pruning is a way to drop weights.", "What is pruning?"),
        ("We see that coverage - the share of solved problems - grows.", "What is coverage?"),
        ("We see that coverage - the share of solved tasks - grows.", "What is coverage in tests?"),
        ("Years of life lost (YLLs) fell.", "What does YLL stand for?"),
        ("We present Lantern, which adapts its rule.", "What is Lantern?"),
        ("Lantern consists of two stages.", "whats Lantern"),
    ],
)
def test_a_sentence_that_says_what_it_is_is_known(sentence: str, question: str) -> None:
    assert defines(sentence, question)


@pytest.mark.parametrize(
    "sentence",
    ["We use pruning after training.", "Pruning hurts.", "Pruning masks are a burden."],
)
def test_a_sentence_that_only_names_it_defines_nothing(sentence: str) -> None:
    assert not defines(sentence, "What is pruning?")

from __future__ import annotations

import pytest

from citewise.answering.kinds import kind_of
from citewise.backends.definition import defines, how_plainly, thing_defined
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
        ("Moon halos are pale, low-light rings in the sky.", "What are moon halos?"),
        ("BACKGROUND: Moon halos are rings.", "What is a moon halo?"),
        ("At night, moon halos (MHs) are thin ice-crystal bows.", "What are moon halos?"),
    ],
)
def test_a_sentence_that_says_what_it_is_is_known(sentence: str, question: str) -> None:
    assert defines(sentence, question)


@pytest.mark.parametrize(
    "said",
    [
        "important in cold places", "used as signs", "common across seasons", "less bright",
        "two orders darker", "known to fade", "always there", "not rings", "continuous",
        "larger than rings", "making rings", "visible, and these rings fade",
    ],
)  # fmt: skip
def test_what_things_are_like_or_used_for_defines_nothing(said: str) -> None:
    assert not defines(f"Moon halos are {said}.", "What are moon halos?")
    assert not defines("The edges of moon halos are bright bands.", "What are moon halos?")


@pytest.mark.parametrize(
    "sentence",
    ["We use pruning after training.", "Pruning hurts.", "Pruning masks are a burden."],
)
def test_a_sentence_that_only_names_it_defines_nothing(sentence: str) -> None:
    assert not defines(sentence, "What is pruning?")


@pytest.mark.parametrize(
    ("question", "plainer", "less"),
    [
        (
            "What is pruning?",
            "Pruning is a method that drops weights.",
            "Pruning is a promising method that drops weights.",
        ),
        (
            "What is pruning?",
            "Pruning has become a popular way to shrink networks.",
            "Pruning is a major challenge in compression.",
        ),
        (
            "What are moon halos?",
            "Moon halos are rings of light.",
            "Moon halos are key topics.",
        ),
        (
            "What is pruning?",
            "Network pruning is a method that drops weights.",
            "We introduce Deep Federated Pruning, a method that drops weights.",
        ),
        ("What is LRU?", "We introduce LRU, a rule for caches.", "We introduce Quick LRU (QLRU)."),
        (
            "What does LRU stand for?",
            "The rule drops what was least recently used (LRU).",
            "LRU is a rule that all caches follow.",
        ),
    ],
)
def test_what_says_it_more_plainly_counts_more(question: str, plainer: str, less: str) -> None:
    assert how_plainly(plainer, question) > how_plainly(less, question)

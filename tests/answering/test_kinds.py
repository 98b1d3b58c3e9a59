from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from citewise.answering.kinds import KINDS, by_rule, features, kind_of
from citewise.types import QuestionKind


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("I'd like to get a feeling for where glass caches stand by now", QuestionKind.OVERVIEW),
        ("glass caches: where does the field stand, what is broken?", QuestionKind.OVERVIEW),
        ("trying to understand why towers sway and what can be done", QuestionKind.OVERVIEW),
        ("In the tower study, roughly what share of sensors failed?", QuestionKind.NUMBER),
        ("A model is trained on wind alone: where does the wind come from?", QuestionKind.FACT),
        ("Lantern vs Harbor", QuestionKind.COMPARISON),
        # Whether something holds, not which things there are.
        ("does Lantern beat existing methods?", QuestionKind.YES_NO),
        ("can towers replace other systems?", QuestionKind.YES_NO),
        ("do glass caches help in all trials?", QuestionKind.YES_NO),
        ("are there other methods?", QuestionKind.LIST),
        ("do you have papers about caching?", QuestionKind.LIST),
        ("How many of the tower papers put glass in walls, and which are they?", QuestionKind.LIST),
        ("how many use a cache? name them", QuestionKind.LIST),
        # A measure that has a short name.
        ("what PSNR does Lantern achieve?", QuestionKind.NUMBER),
        ("what Dice did the tower model get?", QuestionKind.NUMBER),
        ("what recall did the detector reach?", QuestionKind.NUMBER),
        ("what results did the trial get?", QuestionKind.FACT),
        ("what role does IL-6 have?", QuestionKind.FACT),
        ("anything that stores glass without heating it? which papers?", QuestionKind.LIST),
        # Whatever is of a sort, of no one paper; and what one paper has of it.
        ("which caches outlast SteelBox", QuestionKind.LIST),
        ("what sensors survive a storm", QuestionKind.LIST),
        ("what are alternatives to steel towers", QuestionKind.LIST),
        ("has anyone built a tower out of glass", QuestionKind.LIST),
        ("best ways to keep towers from swaying", QuestionKind.OVERVIEW),
        ("which coolers beat HarborX?", QuestionKind.LIST),
        ("what does HarborX beat?", QuestionKind.FACT),
        ("which sensors does Lantern read?", QuestionKind.FACT),
        ("which sensors were used in the tower study?", QuestionKind.FACT),
        ("what causes the sway of towers?", QuestionKind.FACT),
    ],
)  # fmt: skip
def test_forms_that_no_rule_knows_are_told_apart(question: str, kind: QuestionKind) -> None:
    assert kind_of(question) is kind


def test_rules_alone_would_not_do() -> None:
    assert by_rule("I'd like to get a feeling for how far caches have come") is QuestionKind.NUMBER


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_has_a_kind(text: str) -> None:
    assert kind_of(text) in KINDS
    assert features(text) == features(f" {text}\n")


def test_a_megabyte_is_not_read_to_its_end() -> None:
    begun = time.process_time()
    kind_of("what is the weight of it? " * 40_000)
    assert time.process_time() - begun < 2

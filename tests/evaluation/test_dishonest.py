from __future__ import annotations

import pytest
from eval.dishonest import (
    HONEST,
    LIES,
    Case,
    Result,
    honest_by_hand,
    honest_by_rule,
    lies,
    lies_by_hand,
    page,
    rate,
    wilson,
)

from citewise.answering import citations
from citewise.library.library import Library
from citewise.types import Support, Verdict


@pytest.fixture(scope="module")
def told(sample_library: Library) -> list[Case]:
    return lies(sample_library, 40, seed=3)


def test_lies_of_a_model_do_not_reach_the_reader_as_supported(told: list[Case]) -> None:
    assert {case.said.kind for case in told} == set(LIES)
    assert len(told) == 40
    # A floor that 40 lies hold through chance; the target of 95 % is for the whole command.
    assert 1 - rate(told) >= 0.85


@pytest.mark.parametrize(
    "kind",
    ["number changed", "negation added or removed", "true, cited to another paper",
     "invented paper"],
)  # fmt: skip
def test_of_the_plain_lies_none_gets_through(told: list[Case], kind: str) -> None:
    through = [case for case in told if case.said.kind == kind and case.outcome == "supported"]
    assert not through, through[0].said


def test_each_lie_differs_from_what_it_was_made_from(told: list[Case]) -> None:
    for case in told:
        if case.said.how != "cites another paper":
            assert case.said.text != case.said.source
        else:
            assert case.said.titles != ("",)


def test_honest_rewordings_reach_the_reader(sample_library: Library) -> None:
    ruled = honest_by_rule(sample_library, 16, seed=3)
    assert {case.said.kind for case in ruled} == set(HONEST)
    hand = honest_by_hand(sample_library, most=12)
    assert len(hand) == 12
    assert rate([*ruled, *hand]) >= 0.85


def test_a_checker_that_believes_everything_is_found_out(
    sample_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(citations, "check", lambda *_, **__: Support(0.99, Verdict.SUPPORTED))
    told = lies(sample_library, 16, seed=3)
    real = [case for case in told if "no such number" not in case.said.how]
    assert rate(real) >= 0.9
    assert rate(lies_by_hand(sample_library, seed=3, most=6)) >= 0.9


def test_the_same_seed_tells_the_same_lies(sample_library: Library) -> None:
    first, again = (lies(sample_library, 8, seed=5) for _ in range(2))
    assert first == again
    assert first != lies(sample_library, 8, seed=6)


def test_the_page_names_what_it_is_and_lists_what_got_through(told: list[Case]) -> None:
    text = page(Result(told, (), (), ()), "python eval/dishonest.py", "kept by hand\n")
    assert "scripted" in text
    for case in told:
        assert (case.said.text in text) is (case.outcome == "supported")
    assert text.endswith("kept by hand\n")


def test_wilson_interval_by_hand() -> None:
    # 9 of 10: (0.9 + 0.192) / 1.384 -+ 1.96 sqrt(0.009 + 0.0096) / 1.384
    low, high = wilson(9, 10)
    assert (round(low, 3), round(high, 3)) == (0.596, 0.982)
    assert wilson(0, 0) == (0.0, 1.0)

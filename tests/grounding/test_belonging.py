from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from citewise.grounding.belonging import (
    BARELY,
    BESIDE_BEST,
    Closeness,
    chance,
    chances,
    likeliest_first,
    told_of,
)
from citewise.types import Hit, Paper, Question, QuestionKind, Span

NEAR = Closeness(cosine=0.5, covered=0.5, standing=0.6)
DETECTOR = (
    "Telling machine prose from human prose",
    "We present a detector for passages that a language model wrote. It reads the odds of each "
    "word and finds 94 % of generated essays at a false alarm rate of 1 %.",
)
COMPRESSOR = (
    "Reading compressed prose",
    "We train language models on text that was compressed by an arithmetic coder. Perplexity gets "
    "worse, but sequences are shorter and inference is faster.",
)
SHARES = st.floats(0, 1)


def _question(text: str) -> Question:
    return Question(text, text, QuestionKind.LIST)


def test_of_papers_that_stand_alike_the_one_on_the_matter_belongs() -> None:
    question = _question("Which papers recognise text that a language model has written?")
    detector, compressor = chances(question, [DETECTOR, COMPRESSOR], [NEAR, NEAR])
    assert detector > 1.5 * compressor


def test_what_stands_far_below_the_likeliest_is_not_told_of() -> None:
    found = [0.7, 0.15, 0.45, 0.05]
    assert told_of(found, QuestionKind.LIST) == [True, False, True, False]
    assert told_of(found, QuestionKind.OVERVIEW) == [True, True, True, False]
    assert told_of([0.2, 0.07, 0.12], QuestionKind.LIST) == [True, False, True]
    assert told_of([0.05, 0.02], QuestionKind.LIST) == [False, False]
    assert told_of([], QuestionKind.LIST) == []


def test_papers_are_judged_one_by_one() -> None:
    question = _question("Which papers recognise text that a language model has written?")
    together = chances(question, [DETECTOR, COMPRESSOR], [NEAR, NEAR])
    alone = [chances(question, [paper], [NEAR])[0] for paper in (DETECTOR, COMPRESSOR)]
    assert [round(p, 4) for p in together] == [round(p, 4) for p in alone]
    assert chances(question, [], []) == []


@given(st.floats(-8, 8), SHARES, SHARES, SHARES)
def test_what_is_nearer_is_likelier_to_belong(odds: float, a: float, b: float, c: float) -> None:
    p = chance(odds, Closeness(a, b, c))
    assert 0 < p < 1
    assert chance(odds + 1, Closeness(a, b, c)) > p
    assert chance(odds, Closeness(1.0, 1.0, 1.0)) >= p


def test_a_paper_that_is_not_embedded_yet_is_not_taken_for_a_far_one() -> None:
    order = [0.1, None, 0.9]
    found = [chance(0.0, Closeness(cosine, 0.5, 0.5)) for cosine in order]
    assert all(a < b for a, b in pairwise(found))


@given(st.lists(SHARES, min_size=1, max_size=20), st.sampled_from(list(BESIDE_BEST)))
def test_no_likelier_paper_than_one_that_is_told_of_is_left_out(
    found: list[float], kind: QuestionKind
) -> None:
    told = told_of(found, kind)
    kept = [p for p, keep in zip(found, told, strict=True) if keep]
    assert all(p < min(kept, default=2) for p, keep in zip(found, told, strict=True) if not keep)
    assert told[found.index(max(found))] == (max(found) >= BARELY)


def _hits(count: int) -> tuple[Hit, ...]:
    papers = [Paper(f"p{at}", f"Paper {at}", "Some words.") for at in range(count)]
    span = Span.of("Some words.", 0, 11)
    return tuple(Hit(at + 1, paper, 0.9 - at / 100, span) for at, paper in enumerate(papers))


@given(st.lists(SHARES, min_size=1, max_size=12), st.integers(0, 3))
def test_papers_come_in_the_order_in_which_they_belong(found: list[float], others: int) -> None:
    hits = _hits(len(found) + others)
    by_id = {f"p{at}": value for at, value in enumerate(found)}
    ordered = likeliest_first(hits, by_id, QuestionKind.LIST)
    assert sorted(hit.paper.id for hit in ordered) == sorted(hit.paper.id for hit in hits)
    assert [(hit.rank, hit.score) for hit in ordered] == [(hit.rank, hit.score) for hit in hits]
    judged = [min(max(by_id[hit.paper.id], 1e-6), 1 - 1e-6) for hit in ordered[: len(found)]]
    assert all(one >= other for one, other in pairwise(judged))
    assert [hit.paper.id for hit in ordered[len(found) :]] == [
        hit.paper.id for hit in hits[len(found) :]
    ]


def test_of_an_overview_the_place_in_the_search_counts_too() -> None:
    nearly = {"p0": 0.5, "p1": 0.51, "p2": 0.9}
    order = [hit.paper.id for hit in likeliest_first(_hits(3), nearly, QuestionKind.OVERVIEW)]
    assert order == ["p2", "p0", "p1"]
    order = [hit.paper.id for hit in likeliest_first(_hits(3), nearly, QuestionKind.LIST)]
    assert order == ["p2", "p1", "p0"]

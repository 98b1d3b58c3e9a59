"""Measures against values worked out by hand, and rankings against ir-measures."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.evaluation.datasets import Value
from citewise.evaluation.measures import (
    Row,
    alce,
    auroc,
    balanced_accuracy,
    bootstrap,
    has_value,
    holds,
    plain,
    ranking_scores,
    spans_exact,
    summarise,
)
from citewise.types import Json, sha256_of


@pytest.mark.parametrize(
    ("text", "form", "found"),
    [
        ("It is predictability that counts.", "predictab", True),
        ("an unpredictable load", "predictab", False),
        ("It reaches 15% there.", "5%", False),
        ("It reaches 5 percent [1].", "5%", True),
        (r"reduces about 88.5\% FLOPs", "88.5 per cent", True),
        ("a factor of 1.75", "1.7", False),
        ("a factor of 11.7", "1.7", False),
        ("a factor of 1.7.", "1.7", True),
        ("It runs **2.5** times faster", "2.5x", True),
        (r"a $2.5\times$ speedup", "2.5 times", True),
        ("a 2.5 × speedup", "2.5-fold", True),
        ("12.5x faster", "2.5x", False),
        ("over 19,704 proteins", "19704", True),
        ("about 1704 proteins", "704", False),
        ("It uses the *memory access cost* [2, 3] only", "Memory Access Cost", True),
        ("the memory‐access  cost", "memory-access cost", True),
        ("see [the mask decoder](http://x.y/z)", "mask decoder", True),
        ("nothing", "", False),
    ],
)
def test_a_form_is_found_at_the_start_of_a_word(text: str, form: str, found: bool) -> None:
    assert holds(plain(text), form) is found


@pytest.mark.parametrize(
    ("text", "value", "unit", "found"),
    [
        ("reaches 27 FPS on the CPU", 27, "fps", True),
        ("reaches 27 frames per second", 27, "fps", True),
        ("reaches 27% of it", 27, "fps", False),
        ("reaches 127 fps", 27, "fps", False),
        ("in four GPU hours", 4, "GPU hours", True),
        ("in 4 GPU-hours", 4, "GPU hours", True),
        ("with 1.4k annotated samples", 1400, "samples", True),
        ("with 1,400 samples", 1400, "samples", True),
        ("with 1,400 models", 1400, "samples", False),
        ("an FID of 2.89", 2.89, "FID", True),
        ("an FID of 2.9", 2.89, "FID", False),
        (r"$100\times$ faster", 100, "x", True),
        ("100 papers", 100, "x", False),
        ("on 45B tokens", 45, "billion tokens", True),
        ("with 45 billion more tokens", 45, "billion tokens", True),
        ("three papers do", 3, "papers", True),
        ("3 do", 3, "papers", False),
        ("56.0%", 56, "%", True),
        ("24.4 tokens per second", 24.4, "token/s", True),
    ],
)
def test_a_value_needs_its_unit(text: str, value: float, unit: str, found: bool) -> None:
    assert has_value(plain(text), Value(value, unit, 0.0)) is found


def test_a_tolerance_is_kept_exactly() -> None:
    assert has_value("51%", Value(50, "%", 1))
    assert not has_value("51.1%", Value(50, "%", 1))


@given(st.from_regex(r"[a-z]{1,8}( [a-z]{1,8}| [1-9]\d?%?){0,4}", fullmatch=True), st.data())
def test_markup_does_not_hide_a_form(form: str, data: st.DataObject) -> None:
    before, after = data.draw(
        st.sampled_from(
            [("**", "**"), ("`", "`"), ("- *", "* [1]"), ("# ", ""), ("$", "$."), ("", " [1, 2].")]
        )
    )
    assert holds(plain(f"So\n\n{before}{form.upper()}{after}\n\nthen"), form)


ids = st.lists(st.sampled_from([f"p{n}" for n in range(30)]), unique=True)


@given(ids, ids.filter(bool))
def test_rankings_score_as_ir_measures_scores_them(ranked: list[str], wanted: list[str]) -> None:
    ours = ranking_scores(ranked, wanted)
    qrels = [ir_measures.Qrel("q", paper, 1) for paper in wanted]
    run = [ir_measures.ScoredDoc("q", p, float(-rank)) for rank, p in enumerate(ranked)]
    measures = {
        "hit_at_1": ir_measures.Success @ 1,
        "recall_at_5": ir_measures.R @ 5,
        "recall_at_10": ir_measures.R @ 10,
        "recall_at_100": ir_measures.R @ 100,
        "rr": ir_measures.RR,
        "ndcg_at_10": ir_measures.nDCG @ 10,
    }
    theirs = ir_measures.calc_aggregate(measures.values(), qrels, run)
    for name, measure in measures.items():
        assert ours[name] == pytest.approx(theirs[measure]), name


def test_acceptable_papers_count_neither_for_nor_against() -> None:
    assert ranking_scores(["a", "b"], ["b"], ["a"])["rr"] == 1.0
    assert ranking_scores(["a", "b"], ["b"])["rr"] == 0.5


# -- ALCE ---------------------------------------------------------------------------------------


def answer(*sentences: tuple[str, list[int]], texts: Sequence[str] = ("red", "blue")) -> Json:
    return {
        "answered": True,
        "sentences": [{"text": text, "citations": numbers} for text, numbers in sentences],
        "citations": [
            {
                "n": n,
                "paper": {"id": f"p{n}", "title": ""},
                "spans": [{"start": 0, "end": len(text), "text": text, "sha256": sha256_of(text)}],
            }
            for n, text in enumerate(texts, 1)
        ],
    }


def all_words(claim: str, evidence: Sequence[str], context: str) -> bool:
    """Backed when every word stands in the evidence."""
    return set(claim.split()) <= set(" ".join([*evidence, context]).split())


@pytest.mark.parametrize(
    ("given_answer", "recall", "precision"),
    [
        (answer(("red", [1])), 1.0, 1.0),
        (answer(("red", [2])), 0.0, 0.0),
        (answer(("red", [])), 0.0, 0.0),
        # Both are needed.
        (answer(("red blue", [1, 2])), 1.0, 1.0),
        # The second neither backs it alone nor is missed.
        (answer(("red", [1, 2])), 1.0, 0.5),
        # Half the sentences are backed, one of three citations is of use.
        (answer(("red", [1]), ("green", [1, 2])), 0.5, 1 / 3),
        # A fourth citation comes too late.
        (answer(("red", [1, 2, 3, 4]), texts=("a", "b", "c", "red")), 0.0, 0.0),
        # Both back it alone: neither is useless.
        (answer(("red", [1, 2]), texts=("red", "red")), 1.0, 1.0),
        # A number that is not there is no citation.
        (answer(("red", [9])), 0.0, 0.0),
    ],
)
def test_citations_score_as_alce_defines(
    given_answer: Json, recall: float, precision: float
) -> None:
    got = alce(given_answer, all_words)
    assert got[:2] == pytest.approx((recall, precision))
    expected = 2 * recall * precision / (recall + precision) if recall + precision else 0.0
    assert got[2] == pytest.approx(expected)


def test_a_span_must_be_its_abstracts_words() -> None:
    one = answer(("red", [1]), texts=("red",))
    assert spans_exact(one, {"p1": "red sky"}) == [True]
    assert spans_exact(one, {"p1": "a red sky"}) == [False]
    assert spans_exact(one, {}) == [False]
    one["citations"][0]["spans"][0]["sha256"] = sha256_of("blue")
    assert spans_exact(one, {"p1": "red sky"}) == [False]


# -- checkers -----------------------------------------------------------------------------------


def test_auroc_by_hand() -> None:
    assert auroc([0.9, 0.8, 0.3], [True, False, False]) == 1.0
    assert auroc([0.1, 0.8, 0.3], [True, False, False]) == 0.0
    assert auroc([0.5, 0.5, 0.5], [True, False, False]) == 0.5
    assert auroc([0.5, 0.5, 0.3], [True, False, False]) == 0.75
    assert math.isnan(auroc([0.5], [True]))


def test_a_constant_verdict_is_half_right() -> None:
    assert balanced_accuracy([True] * 10, [True] * 9 + [False]) == 0.5


# -- many questions -----------------------------------------------------------------------------


def row(
    right: bool,
    confidence: float = 0.5,
    *,
    kind: str = "fact",
    answered: bool = True,
    cluster: str | None = None,
) -> Row:
    scores: dict[str, float | None] = {
        "answered": float(answered),
        "abstained": float(not answered),
        "failed": 0.0,
        "correct": float(right),
        "confidence": confidence,
    }
    return Row(kind, cluster or f"c{random.random()}", scores)


def test_calibration_error_by_hand() -> None:
    rows = [row(True, 0.95), row(False, 0.95), row(True, 0.25), row(True, 0.25)]
    # Two bins of two: |0.95 - 0.5| and |0.25 - 1|.
    assert summarise(rows)["calibration_error"].value == pytest.approx((0.45 + 0.75) / 2)


def test_aurc_by_hand() -> None:
    rows = [row(True, 0.9), row(False, 0.8), row(True, 0.7)]
    # Risks at coverage 1/3, 2/3, 1.
    assert summarise(rows)["aurc"].value == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)


def test_ties_do_not_depend_on_the_order() -> None:
    rows = [row(True), row(False), row(True), row(False)]
    assert summarise(rows)["aurc"].value == summarise(rows[::-1])["aurc"].value == 0.5


def test_unanswered_questions_are_risk() -> None:
    good = [row(True, 0.9)] * 3
    refused = [row(False, 0.99, answered=False)]
    assert summarise(good + refused)["aurc"].value == pytest.approx(1 / 16)
    assert summarise([*good, row(False, 0.9, kind="near_miss", answered=False)])["aurc"].value == 0


def test_an_answered_near_miss_costs_precision() -> None:
    figures = summarise([row(True), row(False, kind="near_miss")])
    assert figures["precision"].value == 0.5
    assert figures["accuracy"].value == 1.0
    assert figures["abstention_recall"].value == 0.0


def test_intervals_are_wider_when_questions_share_papers() -> None:
    random.seed(1)
    right = [random.random() < 0.5 for _ in range(60)]
    apart = summarise([row(r, cluster=f"a{n}") for n, r in enumerate(right)])["accuracy"]
    together = summarise([row(right[n // 6], cluster=f"b{n // 6}") for n in range(60)])["accuracy"]
    assert apart.low <= apart.value <= apart.high
    assert together.high - together.low > 1.5 * (apart.high - apart.low)
    assert apart.high - apart.low == pytest.approx(2 * 1.96 * 0.5 / 60**0.5, abs=0.06)


def test_the_same_rows_give_the_same_intervals() -> None:
    rows = [row(n % 3 == 0, cluster=f"c{n}") for n in range(30)]
    assert summarise(rows) == summarise(rows)
    values = np.arange(10.0)
    clusters = [str(n) for n in range(10)]
    first = bootstrap(lambda at: float(values[at].mean()), clusters)
    assert first == bootstrap(lambda at: float(values[at].mean()), clusters)
    assert first[0] < 4.5 < first[1]


def test_nothing_asked_gives_no_figures() -> None:
    assert summarise([]) == {}

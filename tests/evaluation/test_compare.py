"""A difference that is there is found, one that isn't is not claimed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.errors import UsageError
from citewise.evaluation.compare import Comparison, compare, mcnemar, paired, text
from citewise.evaluation.measures import Row


def rows(values: list[float], **more: float) -> list[Row]:
    return [
        Row(
            "fact",
            f"p{at}",
            {
                "nugget_recall": v,
                "correct": float(v == 1),
                "answered": 1.0,
                "confidence": 0.5,
                **more,
            },
        )
        for at, v in enumerate(values)
    ]


def test_mcnemar_by_hand() -> None:
    # 5 questions only b got right, none only a: 2 * (1/2)^5.
    five = mcnemar([False] * 5 + [True], [True] * 6)
    assert (five.only_a, five.only_b, five.both, five.neither) == (0, 5, 1, 0)
    assert five.p == pytest.approx(2 / 32)
    assert not five.real
    # 1 against 8: 2 * (1 + 9) / 2^9.
    nine = mcnemar([True] + [False] * 8, [False] + [True] * 8)
    assert nine.p == pytest.approx(20 / 512)
    assert nine.real
    assert mcnemar([True, False], [True, False]).p == 1.0
    with pytest.raises(ValueError, match=r"shorter|longer|argument"):
        mcnemar([True], [])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_mcnemar_does_not_care_which_comes_first(pairs: list[tuple[bool, bool]]) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    there, back = mcnemar(a, b), mcnemar(b, a)
    assert there.p == pytest.approx(back.p)
    assert 0 < there.p <= 1
    assert there.only_a + there.only_b + there.both + there.neither == len(pairs)


def test_a_small_even_gain_is_real_when_paired_though_the_intervals_overlap() -> None:
    random = np.random.default_rng(3)
    base = random.uniform(0, 0.9, 60)
    gained = base + 0.05
    found = {d.name: d for d in paired(rows(list(base)), rows(list(gained)))}["nugget_recall"]
    assert found.change == pytest.approx(0.05)
    assert (found.low, found.high) == pytest.approx((0.05, 0.05))
    assert found.verdict == "better"


def test_noise_is_not_called_a_difference() -> None:
    claimed = 0
    for seed in range(20):
        random = np.random.default_rng(seed)
        a, b = random.uniform(0, 1, 60), random.uniform(0, 1, 60)
        found = {d.name: d for d in paired(rows(list(a)), rows(list(b)), resamples=200)}
        claimed += found["nugget_recall"].real
    assert claimed <= 3


def test_less_is_better_where_less_is_better() -> None:
    a, b = rows([1.0] * 20, words=100.0), rows([1.0] * 20, words=50.0)
    found = {d.name: d for d in paired(a, b)}
    assert found["words"].verdict == "better"
    assert found["nugget_recall"].verdict == "no difference shown"


def folder(path: Path, values: list[float], *, what: str = "questions", first: int = 0) -> Path:
    path.mkdir()
    lines: list[dict[str, Any]] = [
        {"id": f"q{at}", "kind": "fact", "question_sha256": f"s{at}", "cluster": f"p{at}",
         "scores": {"nugget_recall": v, "answered": 1.0, "correct": float(v == 1)}}
        for at, v in enumerate(values, first)
    ]  # fmt: skip
    (path / "results.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines), "utf-8")
    one = {"value": 1, "low": 1, "high": 1, "n": 1}
    figures = {"nugget_recall": one, "accuracy": one}
    (path / "summary.json").write_text(json.dumps({"what": what, "figures": figures}), "utf-8")
    return path


def test_folders_are_compared_on_what_they_share(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", [0.0] * 12)
    b = folder(tmp_path / "b", [1.0] * 12, first=2)
    found: Comparison = compare(a, b)
    assert (found.questions, found.left_out) == (10, 4)
    assert found.mcnemar is not None
    assert found.mcnemar.p == pytest.approx(2 / 2**10)
    assert {d.name for d in found.differences} == {"nugget_recall", "accuracy"}
    shown = text(found)
    assert "10 questions in both, 4 left out" in shown
    assert "better" in shown
    assert "p = 0.0020, a real difference at" in shown
    assert found.to_dict()["figures"]["accuracy"]["verdict"] == "better"


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    a = folder(tmp_path / "a", [0.0] * 3)
    with pytest.raises(UsageError, match="share no question"):
        compare(a, folder(tmp_path / "b", [0.0] * 3, first=5))
    with pytest.raises(UsageError, match="runs of one sort"):
        compare(a, folder(tmp_path / "c", [0.0] * 3, what="retrieval"))
    with pytest.raises(UsageError, match="no finished run"):
        compare(a, tmp_path / "nowhere")

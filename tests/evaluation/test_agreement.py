"""Cohen's kappa by hand, and disputes that name what is disputed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.errors import UsageError
from citewise.evaluation.agreement import (
    Judgement,
    agreements,
    cohen_kappa,
    disputed,
    gold_as_judge,
    load_judgements,
    main,
)
from citewise.evaluation.datasets import Question

JUDGEMENTS = Path(__file__).resolve().parents[2] / "eval" / "judgements"


def test_kappa_by_hand() -> None:
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: 0.7 the same; chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
    a = [1] * 25 + [0] * 25
    b = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert cohen_kappa(a, b) == pytest.approx(0.4)


def test_quadratic_kappa_by_hand() -> None:
    # Grades 0 1 2 2 against 0 2 2 1. Squared distances: 0 1 0 1, mean 0.5. By chance: shares of a
    # are 1/4, 1/4, 1/2 and those of b too, so 2 * (1/16 + 4/8 + 1/8) = 1.375. 1 - 0.5 / 1.375.
    assert cohen_kappa([0, 1, 2, 2], [0, 2, 2, 1], quadratic=True) == pytest.approx(7 / 11)
    # A neighbouring grade costs less than a far one; unweighted they cost the same.
    near, far = [0, 1, 2, 1], [0, 1, 2, 0]
    truth = [0, 1, 2, 2]
    assert cohen_kappa(truth, near, quadratic=True) > cohen_kappa(truth, far, quadratic=True)


def test_kappa_at_its_ends() -> None:
    assert cohen_kappa([0, 1, 1], [0, 1, 1]) == 1.0
    assert cohen_kappa([0, 1], [1, 0]) == -1.0
    assert cohen_kappa([0, 0, 1, 1], [0, 1, 0, 1]) == 0.0
    assert math.isnan(cohen_kappa([1, 1], [1, 1]))
    assert math.isnan(cohen_kappa([], []))
    with pytest.raises(ValueError, match="cannot be compared"):
        cohen_kappa([1], [1, 0])


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1), st.booleans())
def test_kappa_is_the_same_both_ways_and_at_most_one(
    pairs: list[tuple[int, int]], quadratic: bool
) -> None:
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    there, back = cohen_kappa(a, b, quadratic=quadratic), cohen_kappa(b, a, quadratic=quadratic)
    assert there == pytest.approx(back, nan_ok=True)
    assert math.isnan(there) or there <= 1.0 + 1e-12


def judged(name: str, answerable: bool = True, **labels: int) -> dict[str, Judgement]:
    return {name: Judgement(name, answerable, labels)}


def test_disputes_name_the_paper_and_the_side() -> None:
    gold = judged("q", a=2, b=1, c=0, d=2)
    one = judged("q", answerable=False, a=0, b=2, c=2, d=2)
    two = judged("q", answerable=False, a=1, b=2, c=0, d=2)
    assert disputed(gold, (one, two)) == {"q": ["answerable", "-a", "+b"]}
    assert disputed(gold, (gold, gold)) == {}
    assert disputed(gold, (one, {})) == {}


def test_gold_is_put_in_a_judges_form() -> None:
    question = Question("q", "list", "?", required=("a",), acceptable=("b",))
    found = gold_as_judge([question, Question("other", "fact", "?")], judged("q", a=0, b=0, c=2))
    assert found == judged("q", a=2, b=1, c=0)


def test_agreements_over_what_both_judged() -> None:
    one = judged("q", a=2, b=0, c=1) | judged("only", a=2)
    two = judged("q", a=2, b=2, c=0)
    needed, grades, answerable = agreements(one, two)
    assert (needed.n, grades.n, answerable.n) == (3, 3, 1)
    assert needed.share == pytest.approx(2 / 3)
    assert grades.share == pytest.approx(1 / 3)
    with pytest.raises(UsageError, match="share no"):
        agreements(one, judged("another", a=1))


def test_files_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "judge.jsonl"
    for bad in ('{"question_id": "q"}', '{"question_id":"q","answerable":1,"labels":{}}',
                '{"question_id":"q","answerable":true,"labels":{"a":3}}', "[]", "no"):  # fmt: skip
        file.write_text(bad + "\n", "utf-8")
        with pytest.raises(UsageError, match=r"judge\.jsonl, line 1"):
            load_judgements(file)


def test_the_published_table_is_what_the_files_give() -> None:
    made = main([str(JUDGEMENTS / f"judge{n}.jsonl") for n in (1, 2, 3)])
    page = (JUDGEMENTS.parent / "JUDGEMENTS.md").read_text("utf-8")
    for line in made.splitlines():
        if line.startswith("| "):
            assert line in page
    for n in (1, 2, 3):
        lines = (JUDGEMENTS / f"judge{n}.jsonl").read_text("utf-8").splitlines()
        assert len(lines) == 60
        assert {key for line in lines for key in json.loads(line)} == {
            "question_id", "answerable", "labels",
        }  # fmt: skip

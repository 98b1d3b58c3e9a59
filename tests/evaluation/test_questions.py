"""Every gold fact of the question sets is proved against the abstracts."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from citewise.evaluation.datasets import (
    SETS,
    Nugget,
    Question,
    Value,
    load,
    questions_sha256,
)
from citewise.evaluation.proof import faults, printed_in, table
from citewise.sample import sample_folder
from citewise.sources import read
from citewise.types import Paper

FOLDER = Path(__file__).resolve().parents[2] / "eval" / "questions"
SHARES = {
    "fact": 22, "number": 18, "comparison": 10, "list": 12, "overview": 12, "followup": 10,
    "near_miss": 10, "false_premise": 4, "injected": 2,
}  # fmt: skip
ALL = [question for name in SETS for question in load(name)]
SPLIT: dict[str, list[str]] = json.loads((FOLDER / "split.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def papers() -> dict[str, Paper]:
    return {p.id: p for p in read(sample_folder()) if isinstance(p, Paper)}


def split_of(question: Question) -> str:
    return "test" if question.id.startswith("test-") else "dev"


@pytest.mark.parametrize(("name", "hundreds"), [("dev", 1), ("test", 2)])
def test_the_kinds_have_their_shares(name: str, hundreds: int) -> None:
    # Questions adopted from the inbox follow with higher numbers.
    first = [q for q in load(name) if int(q.id.rpartition("-")[2]) <= 100 * hundreds]
    counts = Counter(question.kind for question in first)
    assert counts == {kind: share * hundreds for kind, share in SHARES.items()}


def test_the_first_set_is_thirty_of_dev_and_five_off_topic() -> None:
    first, dev = load("first"), {question.id: question for question in load("dev")}
    assert len(first) == 30
    assert Counter(q.kind for q in first if not q.answerable) == {"near_miss": 5, "off_topic": 5}
    assert all(dev[q.id] == q for q in first if q.kind != "off_topic")


def test_no_question_stands_twice() -> None:
    for name in ("dev", "test"):
        questions = load(name)
        assert len({q.id for q in questions}) == len(questions)
        assert len({q.question.lower() for q in questions}) == len(questions)


def test_the_split_is_whole(papers: dict[str, Paper]) -> None:
    assert not set(SPLIT["dev"]) & set(SPLIT["test"])
    assert set(SPLIT["dev"]) | set(SPLIT["test"]) == papers.keys()


def test_every_gold_fact_is_proved(papers: dict[str, Paper]) -> None:
    printed = printed_in(papers.values())
    for q in ALL:
        found = faults(q, papers, allowed=SPLIT[split_of(q)], printed=printed)
        assert not found, (q.id, found)


NEVER = "zebra quagga okapi gnu"
GOOD = Question(
    id="dev-900", kind="number", question="How fast is the small one?", required=("a",),
    nuggets=(Nugget(("27 fps",), "a", "It runs at 27 fps"),), value=Value(27.0, "fps", 0.0),
)  # fmt: skip
SMALL = {
    "a": Paper("a", "Small networks", "We halve memory. It runs at 27 fps on the oldest phone."),
    "b": Paper("b", "Large networks", "They take more."),
}
BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"required": ("nosuch",)}, "there is no paper nosuch"),
    ({"acceptable": ("b",)}, "other side of the split: b"),
    ({"acceptable": ("a",)}, "required and acceptable at once"),
    ({"kind": "riddle"}, "there is no kind 'riddle'"),
    ({"kind": "near_miss"}, "an unanswerable question has no gold"),
    ({"required": ()}, "no paper is required"),
    ({"nuggets": ()}, "each required paper needs a fact"),
    ({"kind": "overview", "value": None}, "overview: such a question has 2 to 4 facts"),
    ({"value": None}, "needs its value"),
    ({"kind": "injected"}, "must not be said"),
    ({"kind": "followup", "value": None}, "has a history"),
    ({"nuggets": (Nugget(("27 fps",), "a", "It runs at 28 fps"),)}, "not in the abstract"),
    ({"nuggets": (Nugget((NEVER,), "a", "It runs at 27 fps"),)}, "no form stands in its span"),
    ({"value": Value(28.0, "fps", 0.0)}, "the value is not in its span: 28 fps"),
    ({"kind": "list", "value": Value(2.0, "papers", 0.0)}, "the count is 2, the papers are 1"),
    ({"question": "Does it run at 27 fps on the oldest phone?"}, "copied from a paper"),
    ({"question": "Is 27 fps right?"}, "gives its answer away: '27 fps'"),
    ({"question": " "}, "there is no question"),
]


@pytest.mark.parametrize(("change", "fault"), BROKEN)
def test_each_fault_is_found(change: dict[str, Any], fault: str) -> None:
    assert faults(GOOD, SMALL, allowed=["a"]) == []
    found = faults(replace(GOOD, **change), SMALL, allowed=["a"])
    assert any(fault in one for one in found), found


def test_the_sets_are_shown_side_by_side(papers: dict[str, Paper]) -> None:
    text, wrong = table({name: load(name) for name in SETS}, papers)
    assert wrong == 0
    assert "| near miss | 5 (17%) | 10 (10%) | 20 (10%) |" in text
    assert "Papers that dev and test both name: 0." in text


def test_a_faulty_set_is_counted_and_named() -> None:
    broken = replace(GOOD, value=Value(28.0, "fps", 0.0))
    text, wrong = table({"dev": [GOOD], "test": [broken]}, SMALL)
    # One wrong value, and one paper on both sides.
    assert wrong == 2
    assert "- test: dev-900: the value is not in its span: 28 fps" in text


def test_the_recorded_checksums_are_those_of_the_files() -> None:
    lines = (FOLDER / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    recorded = {line.split()[1]: line.split()[0] for line in lines}
    assert recorded == {f"{name}.jsonl": questions_sha256(name) for name in SETS}


def test_a_package_carries_the_sets_and_never_the_inbox() -> None:
    build = tomllib.loads((FOLDER.parents[1] / "pyproject.toml").read_text("utf-8"))["tool"][
        "hatch"
    ]
    carried = build["build"]["targets"]["wheel"]["force-include"]
    ours = {place for place in carried if place.startswith("eval/questions")}
    # A folder would carry whatever lies in it.
    assert ours == {f"eval/questions/{name}.jsonl" for name in SETS}
    assert "eval/questions/inbox*" in build["build"]["targets"]["sdist"]["exclude"]


def test_a_question_survives_being_written(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps(q.to_dict()) + "\n" for q in load("first")), "utf-8")
    assert load(str(file)) == load("first")

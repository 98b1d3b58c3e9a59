"""Every gold fact of the question sets is proved against the abstracts."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from citewise.evaluation.datasets import SETS, Question, load, questions_sha256
from citewise.evaluation.measures import has_nugget, has_value, plain
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


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def five(text: str) -> set[tuple[str, ...]]:
    w = words(text)
    return {tuple(w[at : at + 5]) for at in range(len(w) - 4)}


def split_of(question: Question) -> str:
    return "test" if question.id.startswith("test-") else "dev"


@pytest.mark.parametrize(("name", "hundreds"), [("dev", 1), ("test", 2)])
def test_the_kinds_have_their_shares(name: str, hundreds: int) -> None:
    counts = Counter(question.kind for question in load(name))
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


def test_the_papers_are_on_their_side_of_the_split(papers: dict[str, Paper]) -> None:
    assert not set(SPLIT["dev"]) & set(SPLIT["test"])
    assert set(SPLIT["dev"]) | set(SPLIT["test"]) == papers.keys()
    for q in ALL:
        side = set(SPLIT[split_of(q)])
        assert side >= {*q.required, *q.acceptable, *(n.paper for n in q.nuggets)}, q.id
        assert not set(q.required) & set(q.acceptable), q.id


def test_every_span_stands_in_its_abstract(papers: dict[str, Paper]) -> None:
    for q in ALL:
        for nugget in q.nuggets:
            assert nugget.span in papers[nugget.paper].abstract, (q.id, nugget.span)


def test_every_nugget_can_be_found(papers: dict[str, Paper]) -> None:
    """Each form is found in itself, and the span or (in a list) the paper holds what is asked."""
    for q in ALL:
        for nugget in q.nuggets:
            assert nugget.forms
            assert all(has_nugget(plain(form), nugget) for form in nugget.forms), q.id
            span, paper = plain(nugget.span), papers[nugget.paper]
            if has_nugget(span, nugget):
                continue
            if q.kind == "list":
                assert has_nugget(plain(f"{paper.title} {paper.abstract}"), nugget), q.id
                continue
            # A form may write out what the span says in another way (1.4k for 1,400).
            numbers = set(re.findall(r"\d+", " ".join(nugget.forms)))
            assert numbers & set(re.findall(r"\d+", span)), (q.id, nugget.forms, nugget.span)


def test_every_value_stands_in_its_span() -> None:
    for q in ALL:
        if q.value is None:
            assert q.kind != "number", q.id
        elif q.kind == "list":
            assert q.value.value == len(q.required), q.id
        else:
            assert has_value(plain(q.nuggets[0].span), q.value), (q.id, q.value)


def test_gold_is_whole() -> None:
    for q in ALL:
        if not q.answerable:
            assert (*q.required, *q.nuggets, q.value) == (None,), q.id
            continue
        assert q.required, q.id
        assert {n.paper for n in q.nuggets} == set(q.required), q.id
        if q.kind in ("fact", "number"):
            assert len(q.nuggets) == 1, q.id
        if q.kind in ("comparison", "overview"):
            assert 2 <= len(q.nuggets) <= 4, q.id
        if q.kind == "injected":
            assert q.must_not, q.id
        assert (q.kind == "followup") == bool(q.history) == bool(q.whole), q.id


def test_no_five_words_are_copied(papers: dict[str, Paper]) -> None:
    printed = {
        gram for p in papers.values() for text in (p.title, p.abstract) for gram in five(text)
    }
    for q in ALL:
        asked = [q.question, q.whole, *(turn.content for turn in q.history if turn.role == "user")]
        for text in asked:
            copied = five(text) & printed
            assert not copied, (q.id, copied)


def test_no_answer_stands_in_its_question() -> None:
    for q in load("dev"):
        for nugget in q.nuggets:
            given = [f for f in nugget.forms if len(f) > 3 and f.lower() in q.question.lower()]
            assert not given, (q.id, given)


def test_the_recorded_checksums_are_those_of_the_files() -> None:
    lines = (FOLDER / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    recorded = {line.split()[1]: line.split()[0] for line in lines}
    assert recorded == {f"{name}.jsonl": questions_sha256(name) for name in SETS}


def test_a_question_survives_being_written(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text("".join(json.dumps(q.to_dict()) + "\n" for q in load("first")), "utf-8")
    assert load(str(file)) == load("first")

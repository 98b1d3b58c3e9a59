"""Drafts ask for what their sentence says, and wait for a person."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from citewise.errors import UsageError
from citewise.evaluation.datasets import load
from citewise.evaluation.drafts import draft, draft_all, write_drafts
from citewise.evaluation.proof import faults
from citewise.library.library import Library
from citewise.types import Paper


def paper(abstract: str, title: str = "Slimmer: Networks for Small Boards") -> Paper:
    return Paper("p1", title, abstract)


def test_a_change_is_asked_for_its_size() -> None:
    (question,) = draft(
        paper("Boards are small. Slimmer reduces peak memory by up to 38.5\\% here.")
    )
    assert question.question == "By how much does Slimmer reduce peak memory?"
    assert question.value is not None
    assert (question.value.value, question.value.unit) == (38.5, "%")
    assert question.nuggets[0].span == "Slimmer reduces peak memory by up to 38.5\\% here."
    assert faults(question, {"p1": paper(question.nuggets[0].span)}) == []


def test_a_reached_figure_and_a_proposal_are_asked_for() -> None:
    text = "We propose a two-stage pruning schedule to keep quality. It achieves 27 fps inference."
    number, fact = sorted(draft(paper(text)), key=lambda q: q.kind, reverse=True)
    assert number.question == "What inference does Slimmer reach?"
    assert fact.question == "What does Slimmer propose?"
    assert fact.nuggets[0].forms == ("two-stage pruning schedule",)


@pytest.mark.parametrize(
    "abstract",
    ["", "There are 12 sections.", "We thank 3 people.", "Memory is small in 2024."],
)
def test_sentences_without_such_a_fact_give_nothing(abstract: str) -> None:
    assert draft(paper(abstract)) == ()


@given(st.text(max_size=300), st.text(max_size=60))
def test_any_text_can_be_drafted_from(abstract: str, title: str) -> None:
    for question in draft(Paper("p1", title, abstract)):
        assert question.nuggets[0].span in abstract


def test_drafts_of_the_sample_papers_hold_their_gold(sample_library: Library) -> None:
    papers = {p.id: p for p in sample_library.papers()}
    rows = draft_all(papers.values(), limit=60)
    assert len(rows) == 60
    assert {row["kind"] for row in rows} == {"number", "fact"}
    assert len({row["id"] for row in rows}) == 60
    # What a person has to mend is a copied run of the title at most, never the gold.
    for row in rows:
        assert all("copied" in fault or "gives its answer" in fault for fault in row["check"]), row
    assert rows == draft_all(papers.values(), limit=60)


def test_a_draft_counts_when_it_is_accepted(tmp_path: Path, sample_library: Library) -> None:
    file = tmp_path / "own" / "questions.jsonl"
    write_drafts(draft_all(sample_library.papers(), limit=4), file)
    assert load(str(file)) == ()
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    rows[1]["accepted"] = True
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    assert [question.id for question in load(str(file))] == ["own-002"]
    with pytest.raises(UsageError, match="there already"):
        write_drafts([], file)

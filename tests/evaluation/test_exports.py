"""What other tools read must say what our own figures say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from citewise.errors import UsageError
from citewise.evaluation import exports

GOLD = {
    "id": "q-1", "kind": "number", "question": "And how fast?", "whole": "How fast is it?",
    "history": [], "answerable": True, "required": ["p1", "p2"], "acceptable": [],
    "nuggets": [{"forms": ["27 fps"], "paper": "p1", "span": "It runs at 27 fps"}],
    "value": {"value": 27, "unit": "fps", "tolerance": 0}, "must_not": [], "note": "",
}  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {
        "id": "q-1",
        "scores": {},
        "gold": GOLD,
        "answer": {
            "answer": "27 fps [1]",
            "citations": [{"n": 1, "spans": [{"text": "It runs at 27 fps"}]}],
            "retrieved": [
                {"rank": 1, "paper_id": "p9", "score": 0.75},
                {"rank": 2, "paper_id": "p1", "score": 0.5},
            ],
        },
    },
    {"id": "q-2", "scores": {}, "answer": None,
     "gold": {"id": "q-2", "kind": "near_miss", "question": "How heavy?"}},
]  # fmt: skip


def test_a_run_and_its_judgements_are_those_of_trec() -> None:
    assert exports.trec_run(ROWS).splitlines() == [
        "q-1 Q0 p9 1 0.750000 citewise",
        "q-1 Q0 p1 2 0.500000 citewise",
    ]
    assert exports.qrels(ROWS).splitlines() == ["q-1 0 p1 1", "q-1 0 p2 1"]


def test_rows_hold_what_ragas_and_deepeval_take(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(r) + "\n" for r in ROWS), "utf-8")
    files = exports.export(tmp_path, tmp_path / "out")
    rows = json.loads(files[2].read_text("utf-8"))
    assert rows[0] == {
        "id": "q-1",
        "question": "How fast is it?",
        "contexts": ["It runs at 27 fps"],
        "answer": "27 fps [1]",
        "ground_truth": "It runs at 27 fps 27 fps",
    }
    assert (rows[1]["answer"], rows[1]["contexts"]) == ("", [])
    assert "do not answer" in rows[1]["ground_truth"]


def test_contexts_can_be_the_retrieved_abstracts_in_their_order() -> None:
    rows = exports.rag_rows(ROWS, {"p1": "first", "p9": "ninth", "p3": "other"})
    assert rows[0]["contexts"] == ["ninth", "first"]


def test_a_run_without_gold_cannot_be_exported(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text('{"id": "a", "scores": {}}\n', "utf-8")
    with pytest.raises(UsageError, match="a run of questions"):
        exports.export(tmp_path, tmp_path)
    with pytest.raises(UsageError, match="holds no results"):
        exports.export(tmp_path / "nowhere", tmp_path)

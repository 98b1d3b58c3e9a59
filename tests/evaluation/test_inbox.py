"""A thumbs-down is kept with all that is needed to judge it, and adopted only when it is right."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from citewise.answering.assistant import Assistant
from citewise.errors import UsageError
from citewise.evaluation.datasets import load, question_of
from citewise.evaluation.inbox import add_to_inbox, adopt, waiting
from citewise.library.library import Library
from citewise.types import Answer, Json, Message, Paper

QUESTIONS = Path(__file__).resolve().parents[2] / "eval" / "questions"


@pytest.fixture(scope="module")
def answer(sample_library: Library) -> Answer:
    return Assistant(sample_library).ask("Which papers prune language models?")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("dev.jsonl", "split.json", "SHA256SUMS"):
        shutil.copy(QUESTIONS / name, tmp_path / name)
    return tmp_path


def test_a_draft_holds_what_is_needed_to_judge_it(answer: Answer, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "inbox.jsonl"
    made = datetime(2025, 1, 31, 12, tzinfo=UTC)
    name = add_to_inbox(answer.question, answer, "two are missing", file=file, now=lambda: made)
    (row,) = waiting(file)
    assert row["id"] == name
    assert row["inbox"] == {
        "made": "2025-01-31T12:00:00+00:00",
        "reason": "two are missing",
        "answer": answer.to_dict(),
    }
    draft = question_of(row)
    assert draft.question == answer.question
    assert draft.acceptable == tuple(c.paper.id for c in answer.citations)
    assert draft.required == ()


def test_the_same_complaint_is_kept_once_with_its_latest_reason(
    answer: Answer, tmp_path: Path
) -> None:
    file = tmp_path / "inbox.jsonl"
    first = add_to_inbox("q", answer, "a", file=file)
    assert add_to_inbox("q", answer, "b", file=file) == first
    other = add_to_inbox("another", answer, "c", file=file)
    assert [(row["id"], row["inbox"]["reason"]) for row in waiting(file)] == [
        (first, "b"), (other, "c"),
    ]  # fmt: skip


def test_many_at_once_lose_nothing(answer: Answer, tmp_path: Path) -> None:
    file = tmp_path / "inbox.jsonl"
    threads = [
        threading.Thread(target=add_to_inbox, args=(f"q{n}", answer), kwargs={"file": file})
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row["question"] for row in waiting(file)} == {f"q{n}" for n in range(12)}


def test_a_follow_up_keeps_its_conversation(sample_library: Library, tmp_path: Path) -> None:
    history = (Message("user", "Which papers prune?"), Message("assistant", "Several [1]."))
    answer = Assistant(sample_library).ask("And which of them need no training?", history)
    add_to_inbox(answer.question, answer, file=tmp_path / "inbox.jsonl")
    draft = question_of(waiting(tmp_path / "inbox.jsonl")[0])
    assert (draft.kind, draft.history) == ("followup", history)
    assert draft.whole


def mended(row: Json, paper: Paper) -> Json:
    span = paper.abstract[:80].strip()
    return {
        **row,
        "kind": "fact",
        "question": "Zebras asked what?",
        "required": [paper.id],
        "acceptable": [],
        "nuggets": [{"forms": [span.split()[0]], "paper": paper.id, "span": span}],
    }


def test_a_mended_draft_becomes_a_dev_question(
    answer: Answer, folder: Path, sample_library: Library
) -> None:
    inbox = folder / "inbox.jsonl"
    name = add_to_inbox(answer.question, answer, "wrong", file=inbox)
    kept = add_to_inbox("another", answer, "wrong", file=inbox)
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.suffix != ".lock"}
    with pytest.raises(UsageError, match=r"cannot be adopted[\s\S]*no paper is required"):
        adopt(name, questions=folder)
    assert before == {f.name: f.read_bytes() for f in folder.iterdir() if f.suffix != ".lock"}

    split = json.loads((folder / "split.json").read_text("utf-8"))
    right, wrong = (sample_library.paper(split[side][0]) for side in ("dev", "test"))
    rows = {row["id"]: row for row in waiting(inbox)}

    def mend(paper: Paper) -> None:
        lines = [mended(rows[name], paper), rows[kept]]
        inbox.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

    mend(wrong)
    with pytest.raises(UsageError, match="other side of the split"):
        adopt(name, questions=folder)
    mend(right)
    fresh = adopt(name, questions=folder)
    questions = load(str(folder / "dev.jsonl"))
    assert (questions[-1].id, questions[-1].required) == (fresh, (right.id,))
    assert fresh == f"dev-{len(questions):03d}"
    assert "inbox" not in (folder / "dev.jsonl").read_text("utf-8").splitlines()[-1]
    assert [row["id"] for row in waiting(inbox)] == [kept]
    # The rest of the file and the other checksums stand as they were.
    assert (folder / "dev.jsonl").read_bytes().startswith(before["dev.jsonl"])
    sums = (folder / "SHA256SUMS").read_text("utf-8").splitlines()
    changed = set(sums) ^ set(before["SHA256SUMS"].decode().splitlines())
    assert len(sums) == 3
    assert {line.split()[1] for line in changed} == {"dev.jsonl"}
    with pytest.raises(UsageError, match="holds no draft"):
        adopt(name, questions=folder)


def test_a_torn_inbox_is_said(tmp_path: Path) -> None:
    (tmp_path / "inbox.jsonl").write_text('{"id": "a"}\n{"id"\n', "utf-8")
    with pytest.raises(UsageError, match="line 2: no JSON"):
        waiting(tmp_path / "inbox.jsonl")
    assert waiting(tmp_path / "nowhere.jsonl") == ()

"""Questions on their way into the evaluation: answers that a person found wanting, and drafts.

A line of ``eval/questions/inbox.jsonl`` is a draft question: the fields of a question file, so that
it can be mended where it stands, and ``inbox`` with what is needed to judge it::

    {"id": "in-3f2a...", "kind": "fact", "question": "...", "history": [], "required": [...], ...,
     "inbox": {"made": "2025-01-31T12:00:00+00:00", "reason": "...", "answer": ANSWER}}

A person reads the answer, writes the gold, and adopts it: ``citewise eval adopt ID`` proves it
against the abstracts and moves it into the dev questions. The file stays on this machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import platformdirs
from filelock import FileLock

from citewise.errors import UsageError
from citewise.evaluation.datasets import Question, eval_folder, question_of
from citewise.evaluation.proof import faults
from citewise.sample import sample_folder
from citewise.sources import read
from citewise.types import Answer, Json, Paper, QuestionKind, sha256_of

_KINDS: Mapping[QuestionKind, str] = {
    QuestionKind.NUMBER: "number",
    QuestionKind.COMPARISON: "comparison",
    QuestionKind.LIST: "list",
    QuestionKind.OVERVIEW: "overview",
}


def inbox_file() -> Path:
    """``eval/questions/inbox.jsonl`` in a checkout, else ``inbox.jsonl`` in the user's data."""
    folder = eval_folder()
    if folder is not None:
        return folder / "questions" / "inbox.jsonl"
    return Path(platformdirs.user_data_dir("citewise", False)) / "inbox.jsonl"


def add_to_inbox(
    question: str,
    answer: Answer,
    reason: str = "",
    *,
    file: Path | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> str:
    """Keep an answer that a person found wanting as a draft question; returns the draft's id.

    ``question`` as typed, ``reason`` what the person says is wrong. What the answer cited becomes
    the first guess at ``acceptable``; the gold is for a person to write. The same question with the
    same answer is kept once, with the latest reason. Raises UsageError when it cannot be written.
    """
    name = "in-" + sha256_of(f"{question}\n{answer.id}\n{answer.text}")[:12]
    history = answer.prior_history
    draft = Question(
        id=name,
        kind="followup" if history else _KINDS.get(answer.kind, "fact"),
        question=question,
        history=history,
        whole=answer.standalone_question if history else "",
        acceptable=tuple(citation.paper.id for citation in answer.citations),
        note="",
    )
    entry: Json = {
        **draft.to_dict(),
        "inbox": {
            "made": now().isoformat(timespec="seconds"),
            "reason": reason,
            "answer": answer.to_dict(),
        },
    }
    place = file or inbox_file()
    with _held(place):
        kept = [row for row in _rows(place) if row.get("id") != name]
        _write(place, [*kept, entry])
    return name


def waiting(file: Path | None = None) -> tuple[Json, ...]:
    """The drafts in the inbox, oldest first; none when there is no inbox yet.

    Raises UsageError for a line that is not JSON.
    """
    return tuple(_rows(file or inbox_file()))


def adopt(
    name: str,
    *,
    inbox: Path | None = None,
    questions: Path | None = None,
    papers: Mapping[str, Paper] | None = None,
) -> str:
    """Move a draft into the dev questions if nothing is wrong with it; returns its new id.

    ``questions`` is the folder of dev.jsonl, split.json and SHA256SUMS (eval/questions unless
    given), ``papers`` the sample papers unless given. The checksum is recorded anew. Raises
    UsageError, naming every fault, when the draft cannot be adopted; nothing is changed then.
    """
    checkout = eval_folder()
    folder = questions or (checkout / "questions" if checkout else None)
    if folder is None or not (folder / "dev.jsonl").is_file():
        raise UsageError(
            "Questions are adopted in a checkout of citewise: eval/questions is not here."
        )
    place = inbox or (folder / "inbox.jsonl")
    known = papers if papers is not None else _sample_papers()
    with _held(place):
        rows = _rows(place)
        found = next((row for row in rows if row.get("id") == name), None)
        if found is None:
            there = ", ".join(str(row.get("id")) for row in rows) or "none"
            raise UsageError(f"The inbox {place} holds no draft {name!r}; there are: {there}.")
        try:
            draft = question_of(found)
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"The draft {name} is no question ({error}).") from error
        dev = folder / "dev.jsonl"
        lines = dev.read_text(encoding="utf-8").splitlines()
        asked = {str(json.loads(line)["question"]).lower() for line in lines if line.strip()}
        split = json.loads((folder / "split.json").read_text(encoding="utf-8"))
        wrong = faults(draft, known, allowed=split["dev"])
        if draft.kind == "off_topic":
            wrong.append("off topic questions stand in the first set alone")
        if draft.question.lower() in asked:
            wrong.append("the question is there already")
        if wrong:
            listed = "".join(f"\n- {fault}" for fault in wrong)
            raise UsageError(
                f"The draft {name} cannot be adopted:{listed}\nMend its line in {place}; "
                "eval/GUIDELINE.md says how questions are written."
            )
        taken = [int(json.loads(line)["id"].rpartition("-")[2]) for line in lines if line.strip()]
        fresh = f"dev-{max(taken, default=0) + 1:03d}"
        row = {**draft.to_dict(), "id": fresh}
        text = "\n".join([*lines, json.dumps(row, ensure_ascii=False)]) + "\n"
        _replace(dev, text)
        _record(folder / "SHA256SUMS", "dev.jsonl", text)
        _write(place, [row for row in rows if row.get("id") != name])
    return fresh


def _sample_papers() -> dict[str, Paper]:
    return {paper.id: paper for paper in read(sample_folder()) if isinstance(paper, Paper)}


def _record(sums: Path, name: str, text: str) -> None:
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    kept = [f"{digest}  {name}" if line.split()[-1:] == [name] else line for line in lines]
    if f"{digest}  {name}" not in kept:
        kept.append(f"{digest}  {name}")
    _replace(sums, "\n".join(kept) + "\n")


def _rows(place: Path) -> list[Json]:
    if not place.is_file():
        return []
    rows = []
    for number, line in enumerate(place.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{place}, line {number}: no JSON ({error})") from error
        if not isinstance(row, dict):
            raise UsageError(f"{place}, line {number}: no JSON object")
        rows.append(row)
    return rows


def _write(place: Path, rows: Sequence[Json]) -> None:
    _replace(place, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def _replace(place: Path, text: str) -> None:
    try:
        fresh = place.with_name(place.name + ".tmp")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(place)
    except OSError as error:
        raise UsageError(f"{place} cannot be written to ({error.strerror}).") from error


def _held(place: Path) -> FileLock:
    # Two people may press the thumb at once.
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{place.parent} cannot be made ({error.strerror}).") from error
    return FileLock(str(place) + ".lock", timeout=20)

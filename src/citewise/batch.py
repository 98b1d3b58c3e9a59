"""Many questions, claims or queries from a file, and their results into one.

Results are in the order of the input, one JSON object a line. A run that was interrupted goes on
where it stopped: what the output file already holds is kept, and errors in it are tried again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citewise.answering.assistant import Assistant
from citewise.errors import AnswerFileError, CitewiseError, UsageError
from citewise.grounding.checker import check_batch
from citewise.library.library import Library
from citewise.types import Effort, Filters, Json

_LINE_START = b'{"id": "'
"""How every line of a result begins."""
_LONE_SURROGATES = "backslashreplace"
"""UTF-8 has no place for them; written so, they are JSON's own escapes."""

_TOGETHER = 16
"""Pairs checked in one go: the model reads them together."""

OnDone = Callable[[int, int], None]
"""Called with how many are done and how many there are."""


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What a batch did."""

    done: int
    """Results written by this run."""
    resumed: int
    """Results that an earlier run had written."""
    failed: int
    """Results of this run that are errors."""

    def to_dict(self) -> Json:
        """The fields by name."""
        return {"done": self.done, "resumed": self.resumed, "failed": self.failed}


def read_objects(path: Path, required: Sequence[str]) -> list[dict[str, Any]]:
    """The JSON objects of a file, one a line; raises UsageError naming file, line and fault."""
    try:
        lines = path.read_text("utf-8-sig").split("\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: {error.reason}.") from error
    objects: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path}:{number}: not valid JSON ({error}).") from error
        missing = [name for name in required if not isinstance(value, dict) or name not in value]
        if missing:
            raise UsageError(f"{path}:{number}: lacks {', '.join(missing)}.")
        objects.append(value)
    return objects


def _already(out: Path, ids: Sequence[str]) -> list[Json]:
    """The complete lines of an output file for ``ids``; a half last line is cut off.

    Raises UsageError, and leaves the file as it is, when it holds anything else.
    """
    if not out.exists():
        return []
    data = out.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    half = data[len(whole) :]
    results = []
    for number, line in enumerate(whole.decode("utf-8", "replace").split("\n")[:-1], 1):
        try:
            results.append(json.loads(line))
            str(results[-1]["id"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UsageError(
                f"{out}:{number} is no result of this command; name another --out, or remove it."
            ) from error
    ours = half.startswith(_LINE_START) or _LINE_START.startswith(half)
    if not ours or ids[: len(results)] != [str(result["id"]) for result in results]:
        raise UsageError(
            f"{out} holds results of other input; name another --out, or remove the file."
        )
    if half:
        with out.open("r+b") as file:
            file.truncate(len(whole))
    return results


def _line(item: dict[str, Any], result: Json) -> str:
    return json.dumps({"id": str(item["id"]), **result}, ensure_ascii=False) + "\n"


def _run(
    items: Sequence[dict[str, Any]],
    out: Path,
    work: Callable[[Sequence[dict[str, Any]]], Sequence[Json]],
    on_done: OnDone | None,
    *,
    together: int = 1,
) -> BatchReport:
    """Work through ``items``, ``together`` at a time, each result a line of ``out`` at once."""
    ids = [str(item["id"]) for item in items]
    if len(set(ids)) != len(ids):
        twice = next(name for name in ids if ids.count(name) > 1)
        raise UsageError(f"The id {twice!r} stands twice in the input; ids must differ.")
    before = _already(out, ids)
    out.parent.mkdir(parents=True, exist_ok=True)
    again = [at for at, result in enumerate(before) if "error" in result]
    if again:
        for at in again:
            [before[at]] = work([items[at]])
        _replace(out, [_line(*pair) for pair in zip(items, before, strict=False)])
    failed = sum("error" in before[at] for at in again)
    with out.open("a", encoding="utf-8", errors=_LONE_SURROGATES) as file:
        for start in range(len(before), len(items), together):
            some = items[start : start + together]
            for item, result in zip(some, work(some), strict=True):
                failed += "error" in result
                file.write(_line(item, result))
            file.flush()
            if on_done:
                on_done(start + len(some), len(items))
        os.fsync(file.fileno())
    kept = len(before) - len(again)
    return BatchReport(len(items) - kept, kept, failed)


def _replace(out: Path, lines: Sequence[str]) -> None:
    """Write a file anew; killed meanwhile, the old one stands."""
    beside = out.with_name(f"{out.name}.new")
    with beside.open("w", encoding="utf-8", errors=_LONE_SURROGATES) as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(out)


def ask_batch(
    assistant: Assistant,
    questions: Path,
    out: Path,
    *,
    effort: Effort | str = Effort.NORMAL,
    filters: Filters | None = None,
    on_done: OnDone | None = None,
) -> BatchReport:
    """Answer ``{"id", "question", "history"}`` lines; each result is an answer under that id.

    A question that fails gives ``{"id", "question", "error"}``, and the others go on; a later run
    asks it again. Raises UsageError for an unreadable input or an output of something else.
    """

    items = read_objects(questions, ("id", "question"))
    for item in items:
        if not isinstance(item["question"], str):
            raise UsageError(f"{questions}: in {item['id']!r} the question must be a text.")

    def answer(some: Sequence[dict[str, Any]]) -> list[Json]:
        [item] = some
        try:
            found = assistant.ask(
                item["question"], item.get("history") or (), effort=effort, filters=filters
            )
        except CitewiseError as error:
            return [{"id": str(item["id"]), "question": item["question"], "error": str(error)}]
        return [{**found.to_dict(), "id": str(item["id"])}]

    return _run(items, out, answer, on_done)


def check_pairs(pairs: Path, out: Path, *, on_done: OnDone | None = None) -> BatchReport:
    """Check ``{"id", "claim", "evidence"}`` lines; evidence is a text or a list of them.

    Each result is ``{"id", "support", "supported", "verdict", "reasons"}``. Raises UsageError.
    """
    items = read_objects(pairs, ("id", "claim", "evidence"))
    for item in items:
        texts = item["evidence"]
        good = isinstance(texts, str) or (
            isinstance(texts, list) and all(isinstance(text, str) for text in texts)
        )
        if not good or not isinstance(item["claim"], str):
            raise UsageError(
                f"{pairs}: in {item['id']!r} the claim must be a text, the evidence a text or a "
                "list of texts."
            )

    def scores(some: Sequence[dict[str, Any]]) -> list[Json]:
        supports = check_batch([(item["claim"], item["evidence"]) for item in some])
        return [
            {
                "id": str(item["id"]),
                "support": round(support.support, 6),
                "supported": support.supported,
                "verdict": support.verdict.value,
                "reasons": list(support.reasons),
            }
            for item, support in zip(some, supports, strict=True)
        ]

    return _run(items, out, scores, on_done, together=_TOGETHER)


def search_batch(
    library: Library,
    queries: Path,
    run: Path,
    *,
    k: int = 100,
    filters: Filters | None = None,
    effort: str = Effort.DEEP,
    on_done: OnDone | None = None,
) -> BatchReport:
    """Search ``{"_id", "text"}`` lines into a TREC run of paper ids; raises UsageError.

    A line is ``query-id Q0 paper-id rank score citewise``. White space in ids becomes ``_``. With
    effort deep the best papers are read and ranked anew: nobody waits for one query.
    """
    items = read_objects(queries, ("_id", "text"))
    if k < 1:
        raise UsageError(f"k is {k}; ask for at least 1 paper.")
    run.parent.mkdir(parents=True, exist_ok=True)
    with run.open("w", encoding="utf-8", errors="replace") as file:
        for place, item in enumerate(items, 1):
            name = "_".join(str(item["_id"]).split())
            found = library.find(str(item["text"]), k, filters, effort=effort, explain=False)
            for hit in found.hits:
                paper = "_".join(hit.paper.id.split())
                file.write(f"{name} Q0 {paper} {hit.rank} {hit.score:.6f} citewise\n")
            if on_done:
                on_done(place, len(items))
    return BatchReport(len(items), 0, 0)


def read_answers(path: Path) -> Iterator[dict[str, Any]]:
    """Saved answers: a JSONL file, or one JSON object.

    Raises AnswerFileError when the file cannot be read as such.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AnswerFileError(f"{path} cannot be read: {error}.") from error
    try:
        whole = json.loads(text)
        lines = [whole] if isinstance(whole, dict) else whole
    except ValueError:
        lines = []
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    lines.append(json.loads(line))
                except ValueError as error:
                    raise AnswerFileError(f"{path}:{number}: not valid JSON ({error}).") from error
    if not isinstance(lines, list) or not lines:
        raise AnswerFileError(f"{path} holds no answers.")
    for number, value in enumerate(lines, 1):
        if not isinstance(value, dict) or not ({"sentences", "error"} & value.keys()):
            raise AnswerFileError(f"{path}: object {number} is not an answer of citewise.")
        yield value

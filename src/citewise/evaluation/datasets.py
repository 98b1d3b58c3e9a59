"""The evaluation's questions with their gold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from citewise.errors import UsageError
from citewise.types import Json, Message, messages_of

SETS = ("first", "dev", "test")
"""Question sets by name: 30 to look at quickly, 100 to tune on, 200 to run rarely."""

UNANSWERABLE = frozenset({"near_miss", "off_topic"})
"""Kinds of questions that the papers do not answer; abstaining is right for these alone."""

_CHECKOUT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Nugget:
    """A fact that a right answer holds."""

    forms: tuple[str, ...]
    """Accepted wordings; one of them is enough."""
    paper: str
    """Id of the paper that states it."""
    span: str
    """Words of its abstract that prove it, verbatim."""


@dataclass(frozen=True, slots=True)
class Value:
    """A number that a right answer holds."""

    value: float
    unit: str
    """Such as ``%``, ``x``, ``GPU hours``; empty for a bare number."""
    tolerance: float
    """Greatest difference that still counts as equal, in the value's unit."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what a right answer to it holds; eval/GUIDELINE.md explains each field."""

    id: str
    kind: str
    question: str
    """As typed."""
    history: tuple[Message, ...] = ()
    whole: str = ""
    """Follow-ups only: the question as it is understood with its history."""
    required: tuple[str, ...] = ()
    """Ids of the papers that a right answer cites."""
    acceptable: tuple[str, ...] = ()
    """Ids of papers that may be cited too without harm."""
    nuggets: tuple[Nugget, ...] = ()
    value: Value | None = None
    must_not: tuple[str, ...] = ()
    """What must not be said as true."""
    note: str = ""

    @property
    def answerable(self) -> bool:
        """Whether the papers hold the answer."""
        return self.kind not in UNANSWERABLE

    @property
    def standalone(self) -> str:
        """The question that can be understood without its history."""
        return self.whole or self.question

    @property
    def cluster(self) -> str:
        """What it shares with other questions: its first required paper, else itself."""
        return self.required[0] if self.required else self.id

    def to_dict(self) -> Json:
        """The fields as they stand in a question file."""
        value = self.value
        return {
            "id": self.id,
            "kind": self.kind,
            "question": self.question,
            "history": [{"role": turn.role, "content": turn.content} for turn in self.history],
            "whole": self.whole,
            "answerable": self.answerable,
            "required": list(self.required),
            "acceptable": list(self.acceptable),
            "nuggets": [
                {"forms": list(n.forms), "paper": n.paper, "span": n.span} for n in self.nuggets
            ],
            "value": None
            if value is None
            else {"value": value.value, "unit": value.unit, "tolerance": value.tolerance},
            "must_not": list(self.must_not),
            "note": self.note,
        }


def load(name: str) -> tuple[Question, ...]:
    """The questions of a set in SETS, or of a question file when ``name`` is a path to one.

    A line whose ``accepted`` is not true is a draft and left out. Raises UsageError when there is
    none, or when it is malformed.
    """
    source = _source(name)
    return tuple(_parse(source.read_text(encoding="utf-8"), source.name))


def renamed(question: Question, ids: Mapping[str, str]) -> Question:
    """The question with its papers under the ids that ``ids`` has for them; others stay."""
    return replace(
        question,
        required=tuple(ids.get(paper, paper) for paper in question.required),
        acceptable=tuple(ids.get(paper, paper) for paper in question.acceptable),
        nuggets=tuple(replace(n, paper=ids.get(n.paper, n.paper)) for n in question.nuggets),
    )


def questions_sha256(name: str) -> str:
    """Hex SHA-256 of a set's file, as recorded in eval/questions/SHA256SUMS."""
    return hashlib.sha256(_source(name).read_bytes().replace(b"\r\n", b"\n")).hexdigest()


def eval_folder() -> Path | None:
    """The checkout's ``eval`` folder; None where citewise is installed without its checkout."""
    folder = _CHECKOUT / "eval"
    return folder if (folder / "GUIDELINE.md").is_file() else None


def _source(name: str) -> Traversable:
    if name not in SETS:
        path = Path(name)
        if path.is_file():
            return path
        raise UsageError(
            f"there is no question set {name!r}; give {', '.join(SETS)} or a question file"
        )
    # A wheel carries the questions inside the package; an editable install leaves them in eval/.
    for folder in (resources.files("citewise") / "questions", _CHECKOUT / "eval" / "questions"):
        file = folder / f"{name}.jsonl"
        if file.is_file():
            return file
    raise UsageError(f"the question set {name!r} is missing; install citewise again")


def _parse(text: str, file: str) -> Iterator[Question]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            # A draft counts when a person has accepted it.
            if row.get("accepted", True) is True:
                yield question_of(row)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{file}, line {number}: no question ({type(error).__name__}: {error}); "
                "eval/GUIDELINE.md lists the fields"
            ) from error


def question_of(row: Mapping[str, object]) -> Question:
    """The question that one line of a question file describes.

    Raises ValueError, KeyError or TypeError for a line that is malformed.
    """
    fields: Json = dict(row)
    value = fields.get("value")
    question = Question(
        id=str(fields["id"]),
        kind=str(fields["kind"]),
        question=str(fields["question"]),
        history=messages_of(fields.get("history", ())),
        whole=fields.get("whole") or "",
        required=tuple(fields.get("required", ())),
        acceptable=tuple(fields.get("acceptable", ())),
        nuggets=tuple(
            Nugget(tuple(n["forms"]), n["paper"], n["span"]) for n in fields.get("nuggets", ())
        ),
        value=Value(float(value["value"]), value["unit"], float(value["tolerance"]))
        if value
        else None,
        must_not=tuple(fields.get("must_not", ())),
        note=fields.get("note", ""),
    )
    if fields.get("answerable", question.answerable) is not question.answerable:
        raise ValueError(f"'answerable' does not fit the kind {question.kind!r}")
    return question

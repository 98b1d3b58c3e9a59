"""The seam behind which answers are written: one generator method."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from citewise.types import Effort, Evidence, Message, Question, Usage, Verdict


class Length(StrEnum):
    """How much of an answer is wanted, as far as its writer may choose."""

    SHORT = "short"
    USUAL = "usual"
    LONG = "long"


@dataclass(frozen=True, slots=True)
class WritingTask:
    """All that a backend may know when it writes an answer."""

    question: Question
    evidence: tuple[Evidence, ...]
    """Numbered from 1; nothing else may be cited."""
    history: tuple[Message, ...] = ()
    effort: Effort = Effort.NORMAL
    parts: tuple[str, ...] = ()
    """Sub-questions that the evidence was gathered for; empty when the question is one."""
    rivals: tuple[Evidence, ...] = ()
    """Sentences of two papers that give different figures for what is most likely one thing."""
    unheard: tuple[str, ...] = ()
    """Words that say much of what is asked and stand in no paper."""
    length: Length = Length.USUAL
    unsure: bool = False
    """Whether the papers may as well miss what is asked, by what was seen of them."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A written sentence that its citations do not back."""

    text: str
    """Markdown on one line, with the evidence numbers it cites as ``[n]``."""
    verdict: Verdict
    reasons: tuple[str, ...]
    """What the checker found, in words."""


class Backend(Protocol):
    """Writes an answer from numbered evidence, as Markdown with ``[n]`` markers."""

    @property
    def name(self) -> str:
        """As given on the command line, without any secret."""
        ...

    def write(self, task: WritingTask) -> Generator[str, None, Usage]:
        """Yield the answer piece by piece; return what it cost.

        Raises BackendError when the answer cannot be had.
        """
        ...

    def standalone(self, question: str, history: Sequence[Message]) -> tuple[str | None, Usage]:
        """The question with its history folded in, or None to leave that to the rules."""
        ...


@runtime_checkable
class Reviser(Protocol):
    """A backend that can also rewrite sentences; one that cannot has them dropped or flagged."""

    def revise(self, task: WritingTask, failing: Sequence[Failing]) -> Generator[str, None, Usage]:
        """Yield new sentences piece by piece, one a line: ``S1: text [n]`` or ``S1: DROP``.

        Labels count ``failing`` from 1. Raises BackendError when there is no reply.
        """
        ...


@runtime_checkable
class Splitter(Protocol):
    """A backend that can also split a question; for one that cannot, rules do it."""

    def split(self, question: Question) -> tuple[tuple[str, ...] | None, Usage]:
        """Sub-questions, none when the question is one, or None to leave that to the rules."""
        ...

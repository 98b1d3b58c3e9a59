"""The seam behind which answers are written: one generator method."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from citewise.types import Effort, Evidence, Message, Question, Usage


@dataclass(frozen=True, slots=True)
class WritingTask:
    """All that a backend may know when it writes an answer."""

    question: Question
    evidence: tuple[Evidence, ...]
    """Numbered from 1; nothing else may be cited."""
    history: tuple[Message, ...] = ()
    effort: Effort = Effort.NORMAL


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

"""Evaluations started from the page: one at a time, for all who look.

An evaluation takes a processor for minutes; a second one beside it would slow both and everybody
who asks. What it measures and writes is :mod:`citewise.evaluation.runs`.
"""

from __future__ import annotations

import threading
from pathlib import Path

from citewise.errors import UsageError
from citewise.evaluation import runs
from citewise.library.library import Library

MOST_QUESTIONS = 1_000


class Evaluating:
    """The one evaluation of a server. Safe to use from several threads."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder`` is where runs are kept, ``runs.default_folder()`` unless given."""
        self._folder = folder
        self._lock = threading.Lock()
        self._run: runs.EvaluationRun | None = None
        self._by = ""

    @property
    def folder(self) -> Path:
        """Where runs are kept."""
        return self._folder or runs.default_folder()

    @property
    def run(self) -> runs.EvaluationRun | None:
        """The run that is going on, or the last one that was started."""
        return self._run

    @property
    def by(self) -> str:
        """Who started it; empty without login."""
        return self._by

    @property
    def going(self) -> bool:
        """Whether one is going on."""
        return self._run is not None and self._run.state == "running"

    def start(
        self,
        set_name: str,
        *,
        library: Library,
        backend: object,
        limit: int | None,
        by: str = "",
    ) -> runs.EvaluationRun:
        """Ask the questions of a set that comes with citewise; raises UsageError while one is on.

        A name that is no such set is refused: the page opens no file for anybody.
        """
        with self._lock:
            if self.going:
                raise UsageError("An evaluation is going on; wait for its end, or stop it.")
            if set_name not in {one.name for one in runs.sets(library)}:
                raise UsageError("There is no such set of questions.")
            if limit is not None and not 1 <= limit <= MOST_QUESTIONS:
                raise UsageError(f"Ask 1 to {MOST_QUESTIONS} questions, or leave it empty for all.")
            self._run = runs.start(
                set_name, library=library, backend=backend, limit=limit, folder=self._folder
            )
            self._by = by
            return self._run

    def stop(self) -> None:
        """Stop the run; what was answered is kept."""
        if self._run is not None:
            self._run.cancel()

    def close(self) -> None:
        """Stop the run and wait a little for it."""
        self.stop()
        if self._run is not None:
            self._run.wait(5)

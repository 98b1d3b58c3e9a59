"""Evaluations that go on beside other work: started, followed, stopped, kept, listed, compared.

For the page and for notebooks; ``citewise eval`` does the same in the foreground. Everything here
may be called from any thread::

    from citewise.evaluation import runs

    run = runs.start("first", library=library, backend="extractive", on_progress=print)
    run.progress                      # RunProgress(state="running", done=7, total=30)
    run.cancel()                      # ends within a moment; what was answered is kept
    run.wait()                        # "done", "cancelled" or "failed" (run.error says why)
    runs.start("first", library=library, backend="extractive", name=run.name)     # goes on

    for info in runs.listed():        # newest first, unfinished ones too
        info.name, info.state, info.figures["accuracy"]
    one = runs.load(info.name)        # summary, a row a question, and report.html
    found = runs.compare(a.name, b.name)   # paired; found.to_dict(), and runs.as_text(found)

A run has a folder of its own inside ``folder`` (``default_folder()`` unless given): ``asked.json``
says what was asked for, the rest is written by ``citewise.evaluation.runner``. ``report.html`` in
it is one file that needs nothing else. ``sets(library)`` says which questions fit a library.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

import platformdirs

from citewise.backends.registry import backend_from
from citewise.errors import CitewiseError, EvaluationStoppedError, UsageError
from citewise.evaluation import compare as comparing
from citewise.evaluation import page, report, runner
from citewise.evaluation.compare import Comparison
from citewise.evaluation.datasets import SETS
from citewise.evaluation.datasets import load as load_set
from citewise.library.library import Library
from citewise.types import Json

logger = logging.getLogger("citewise")

State: TypeAlias = Literal["running", "done", "cancelled", "failed", "unfinished"]
"""``unfinished``: found on disk, cut off at some time; ``start`` with its name goes on."""

ASKED_FILE = "asked.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TITLES = {
    "first": "a first look: 30 questions",
    "dev": "100 questions to tune on",
}
_active: set[Path] = set()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class SetInfo:
    """A set of questions that ``start`` takes."""

    name: str
    title: str
    """For people."""
    questions: int
    fitting: int
    """Questions whose papers are all in the library; what cannot be answered fits every library."""

    @property
    def fits(self) -> bool:
        """Whether every question can be asked of the library."""
        return self.fitting == self.questions


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is."""

    state: State
    done: int
    """Questions answered."""
    total: int


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run in a folder, as far as a list needs it."""

    name: str
    """Of its folder; ``load``, ``compare`` and ``start`` take it."""
    folder: Path
    state: State
    """``done``, ``unfinished``, or ``running`` where this process is at it."""
    set: str
    backend: str
    limit: int | None
    """How many of the first questions were asked; None for all."""
    made: str
    """When it ended, or was started if it did not; ISO 8601, UTC."""
    done: int
    """Questions answered so far."""
    total: int
    figures: Json = field(default_factory=dict)
    """By name: value, low, high, n; empty while unfinished. ``report.title_of`` names them."""
    report: Path | None = None
    """The page of the run, once there is one."""


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A finished run with everything in it."""

    info: RunInfo
    summary: Json
    """``summary.json``: figures, kinds, and what it was made with."""
    rows: tuple[Json, ...]
    """``results.jsonl``: id, kind, answer, scores, error and gold of each question."""

    @property
    def text(self) -> str:
        """The figures as a table of plain text."""
        return report.text_table(self.summary)

    @property
    def markdown(self) -> str:
        """The same as Markdown."""
        return report.markdown([self.summary])


OnProgress: TypeAlias = Callable[[RunProgress], None]
"""Called from the run's own thread after each question and at its end."""


class EvaluationRun:
    """One evaluation in a thread of its own; made by ``start``."""

    def __init__(
        self,
        folder: Path,
        total: int,
        work: Callable[[EvaluationRun], Json],
        on_progress: OnProgress | None,
    ) -> None:
        self.folder = folder
        self.error: str | None = None
        """Why it failed, for people."""
        self.summary: Json | None = None
        """What was measured, once it is done."""
        self._work = work
        self._on_progress = on_progress
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._progress = RunProgress("running", 0, total)
        # A page that is closed must not wait for an evaluation.
        self._thread = threading.Thread(
            target=self._go, name=f"evaluation-{self.name}", daemon=True
        )

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.folder.name

    @property
    def progress(self) -> RunProgress:
        """How far it is now."""
        return self._progress

    @property
    def state(self) -> State:
        """``running``, ``done``, ``cancelled`` or ``failed``."""
        return self._progress.state

    def cancel(self) -> None:
        """Stop it: the answer that is being written is given up. Returns at once."""
        self._stop.set()

    def wait(self, timeout_s: float | None = None) -> State:
        """Wait until it has ended, or for ``timeout_s`` seconds; its state then."""
        self._ended.wait(timeout_s)
        return self.state

    def stopping(self) -> bool:
        """Whether somebody has cancelled it."""
        return self._stop.is_set()

    def done(self, done: int, total: int) -> None:
        """Say that so many questions are answered."""
        self._say(RunProgress("running", done, total))

    def begin(self) -> None:
        """Set the thread going."""
        self._thread.start()

    def _go(self) -> None:
        state: State = "failed"
        try:
            self.summary = self._work(self)
            state = "done"
        except EvaluationStoppedError:
            state = "cancelled"
        except CitewiseError as error:
            self.error = str(error)
        except Exception as error:
            # A thread has nobody to raise to.
            logger.exception("the evaluation %s failed", self.name)
            self.error = f"{type(error).__name__}: {error}"
        finally:
            with _lock:
                _active.discard(self.folder)
            self._say(RunProgress(state, self._progress.done, self._progress.total))
            self._ended.set()

    def _say(self, progress: RunProgress) -> None:
        self._progress = progress
        if self._on_progress is None:
            return
        try:
            self._on_progress(progress)
        except Exception:
            # Who looks on must not end the run.
            logger.exception("the callback of the evaluation %s failed", self.name)


def default_folder() -> Path:
    """Where runs are kept when nothing names a folder: ``evaluations`` in the user's data."""
    return Path(platformdirs.user_data_dir("citewise", False)) / "evaluations"


def sets(library: Library) -> tuple[SetInfo, ...]:
    """The question sets that come with citewise, and how many questions of each fit a library.

    The test questions are left out: they are for ``citewise eval``, seldom, and every run of them
    is logged.
    """
    found = []
    for name, title in _TITLES.items():
        questions = load_set(name)
        # Only these are looked up: a library may hold a hundred thousand.
        required = {paper for question in questions for paper in question.required}
        known = library.papers_by_id(sorted(required)).keys()
        fitting = sum(known >= set(question.required) for question in questions)
        found.append(SetInfo(name, title, len(questions), fitting))
    return tuple(found)


def start(
    set_name: str,
    *,
    library: Library,
    backend: str | object = "extractive",
    limit: int | None = None,
    folder: Path | None = None,
    name: str | None = None,
    on_progress: OnProgress | None = None,
) -> EvaluationRun:
    """Ask the questions of a set, or of a question file, in a thread of its own.

    ``backend`` as for ``Assistant``; ``limit`` takes the first questions only; ``folder`` is where
    runs are kept. ``name``: of the run's folder, made from time, set and backend unless given; a
    run of that name that was cut off goes on if nothing that shapes it has changed, and a finished
    one is made anew. Raises UsageError for a set, backend, limit or name that cannot be, or where
    that very run is going on already; BackendAuthError when a key is missing. What goes wrong later
    is the run's ``error``.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"The limit is {limit}; give at least 1.")
    questions = load_set(set_name)[:limit]
    if not questions:
        raise UsageError(f"{set_name} holds no accepted question.")
    writer = backend_from(backend)
    place = (folder or default_folder()) / (name or _fresh_name(set_name, writer.name))
    if not _NAME.fullmatch(place.name):
        raise UsageError(
            f"A run cannot be called {place.name!r}: give letters, digits, '.', '_' and '-'."
        )
    with _lock:
        if place in _active:
            raise UsageError(f"The run {place.name} is going on already.")
        _active.add(place)

    def work(run: EvaluationRun) -> Json:
        return runner.evaluate(
            "questions",
            split=set_name,
            backend=writer,
            out=place,
            limit=limit,
            library=library,
            on_done=run.done,
            stop=run.stopping,
        ).summary

    try:
        asked = {
            "set": set_name if set_name in SETS else Path(set_name).name,
            "backend": writer.name,
            "limit": limit,
            "total": len(questions),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        place.mkdir(parents=True, exist_ok=True)
        (place / ASKED_FILE).write_text(json.dumps(asked, indent=1) + "\n", encoding="utf-8")
        run = EvaluationRun(place, len(questions), work, on_progress)
        run.begin()
    except OSError as error:
        with _lock:
            _active.discard(place)
        raise UsageError(f"The folder {place} cannot be written to ({error.strerror}).") from error
    return run


def listed(folder: Path | None = None) -> tuple[RunInfo, ...]:
    """The runs of questions in a folder, newest first; folders that hold none are passed over."""
    place = folder or default_folder()
    found = []
    for inside in sorted(place.iterdir()) if place.is_dir() else ():
        info = _info(inside)
        if info is not None:
            found.append(info)
    return tuple(sorted(found, key=lambda info: (info.made, info.name), reverse=True))


def load(name: str, folder: Path | None = None) -> LoadedRun:
    """A finished run by its name; raises UsageError when there is none."""
    place = _place(name, folder)
    summary, rows = report.read_summary(place), report.read_results(place)
    info = _info(place)
    if info is None:
        raise UsageError(f"{place} holds no run of questions")
    return LoadedRun(info, summary, rows)


def compare(a: str, b: str, folder: Path | None = None) -> Comparison:
    """Two finished runs, question by question; raises UsageError when they share none."""
    return comparing.compare(_place(a, folder), _place(b, folder))


def as_text(found: Comparison) -> str:
    """A comparison as a table of plain text."""
    return comparing.text(found)


def _place(name: str, folder: Path | None) -> Path:
    if not _NAME.fullmatch(name):
        raise UsageError(f"There is no run called {name!r}.")
    place = (folder or default_folder()) / name
    if not place.is_dir():
        raise UsageError(f"There is no run {name} in {place.parent}.")
    return place


def _fresh_name(set_name: str, backend: str) -> str:
    made = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")[:-3]
    words = re.sub(r"[^A-Za-z0-9.]+", "-", f"{Path(set_name).stem} {backend.partition('@')[0]}")
    return f"{made}-{words}"[:100].strip("-.")


def _info(place: Path) -> RunInfo | None:
    summary, asked = _object(place / "summary.json"), _object(place / ASKED_FILE)
    if summary is not None and summary.get("what") == "questions" and "figures" in summary:
        page_file = place / page.REPORT_FILE
        count = int(summary["questions"])
        return RunInfo(
            place.name, place, "running" if place in _active else "done", str(summary.get("set")),
            str(summary.get("backend")), summary.get("limit"), str(summary.get("made")), count,
            count, summary["figures"], page_file if page_file.is_file() else None,
        )  # fmt: skip
    if asked is None or "total" not in asked:
        return None
    try:
        text = (place / "results.jsonl").read_text(encoding="utf-8")
    except OSError:
        text = ""
    return RunInfo(
        place.name, place, "running" if place in _active else "unfinished", str(asked.get("set")),
        str(asked.get("backend")), asked.get("limit"), str(asked.get("started")),
        text.count("\n"), int(asked["total"]),
    )  # fmt: skip


def _object(file: Path) -> Json | None:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None

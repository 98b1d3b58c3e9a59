"""Files that people drop into the page: kept for a moment, read in the background, one lot at a
time, while questions go on being answered.

Nothing here knows Gradio or HTTP. A lot is received file by file (:meth:`Adding.receive`), then
begun; what becomes of it stands in a :class:`Job`. The files are deleted when they have been read.
"""

from __future__ import annotations

import logging
import re
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from citewise.errors import CitewiseError, UsageError
from citewise.library.library import Library, Progress
from citewise.sources import read
from citewise.types import IngestReport, Paper, Rejection

log = logging.getLogger("citewise")

MOST_BYTES = 512 * 2**20
"""Of one file; a larger one is for ``citewise ingest``."""
MOST_FILES = 100
"""Of one lot."""
MOST_LOT_BYTES = 2 * 2**30
_MOST_LOTS = 20
"""Lots being received or waiting at one time."""
_ABANDONED_S = 3600.0
"""A lot to which nothing was added for so long is thrown away."""
_SHOWN_JOBS = 5
"""Reports kept until somebody has closed them."""
_LOT = re.compile(r"[A-Za-z0-9-]{8,64}")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\\ud800-\udfff]")

JobState: TypeAlias = Literal["waiting", "reading", "done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Job:
    """What became of a lot of files, or how far it is."""

    number: int
    """Counts up; tells one job from the next."""
    files: tuple[str, ...]
    """Their names, as the person's machine calls them."""
    by: str
    """The user who sent them; empty without login."""
    state: JobState = "waiting"
    done: int = 0
    """Records read."""
    report: IngestReport | None = None
    error: str | None = None
    """Why it failed, for people."""

    @property
    def going(self) -> bool:
        """Whether something is still to come."""
        return self.state in ("waiting", "reading")


@dataclass(slots=True)
class _Lot:
    folder: Path
    files: list[Path]
    bytes: int
    touched: float


class Adding:
    """Adds dropped files to one library. Safe to use from several threads; close it after use."""

    def __init__(self, library: Library, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._library = library
        self._clock = clock
        self._root = Path(tempfile.mkdtemp(prefix="citewise-files-"))
        self._lots: dict[tuple[str, str], _Lot] = {}
        self._queue: deque[tuple[Job, _Lot]] = deque()
        self._job: Job | None = None
        self._ended: deque[Job] = deque(maxlen=_SHOWN_JOBS)
        self._count = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._worker: threading.Thread | None = None
        self._closed = False

    @property
    def job(self) -> Job | None:
        """The lot at work, or the last one that was."""
        return self._job

    @property
    def going(self) -> bool:
        """Whether anybody's lot is at work or waits."""
        return any(job.going for job in self._all())

    def jobs(self, by: str = "") -> tuple[Job, ...]:
        """A user's last lots that have ended, the one at work, and those that wait, in order."""
        return tuple(job for job in self._all() if job.by == by)

    def _all(self) -> tuple[Job, ...]:
        with self._lock:
            now = () if self._job is None else (self._job,)
            later = tuple(
                job for job, _ in self._queue if job.number not in {j.number for j in now}
            )
            return (*self._ended, *now, *later)

    # -- files come in -------------------------------------------------------------------------

    def receive(self, lot: str, name: str, by: str = "") -> Path:
        """Where to write the next file of a user's lot, whose word the browser has made up.

        The name is kept for the report, without any folder. Another user's lot is another one,
        even under the same word. Raises UsageError for a word that is
        none, for too many files, or while too much is waiting.
        """
        if not _LOT.fullmatch(lot):
            raise UsageError("The lot of files has no proper name.")
        with self._lock:
            self._throw_away_abandoned()
            if (by, lot) not in self._lots:
                if self._closed or len(self._lots) + len(self._queue) >= _MOST_LOTS:
                    raise UsageError("Many files are waiting already; try again in a while.")
                folder = Path(tempfile.mkdtemp(dir=self._root))
                self._lots[by, lot] = _Lot(folder, [], 0, self._clock())
            held = self._lots[by, lot]
            if len(held.files) >= MOST_FILES:
                raise UsageError(f"At most {MOST_FILES} files are taken at once.")
            held.touched = self._clock()
            # Each in a folder of its own: two files may have one name.
            inside = held.folder / str(len(held.files))
            inside.mkdir(exist_ok=True)
            path = inside / _tidy(name)
            held.files.append(path)
            return path

    def room_for(self, lot: str, size: int, by: str = "") -> bool:
        """Count ``size`` more bytes of a lot; False when that is more than it may hold."""
        with self._lock:
            held = self._lots.get((by, lot))
            if held is None:
                return False
            held.bytes += size
            held.touched = self._clock()
            return held.bytes <= MOST_LOT_BYTES

    def drop(self, lot: str, by: str = "") -> None:
        """Throw a lot away that is not begun."""
        with self._lock:
            held = self._lots.pop((by, lot), None)
        if held is not None:
            shutil.rmtree(held.folder, ignore_errors=True)

    def begin(self, lot: str, by: str = "") -> Job:
        """Read the files of a lot, after those that came before; raises UsageError without any."""
        with self._lock:
            held = self._lots.pop((by, lot), None)
            if held is None or not held.files or self._closed:
                raise UsageError("No file has come in.")
            self._count += 1
            job = Job(self._count, tuple(path.name for path in held.files), by)
            self._queue.append((job, held))
            if self._worker is None:
                self._worker = threading.Thread(
                    target=self._work, name="citewise-adding", daemon=True
                )
                self._worker.start()
        return job

    def stop(self, by: str = "") -> None:
        """Stop the lot at work if it is this user's; what it has added stays, all is whole."""
        with self._lock:
            if self._job is not None and self._job.by == by:
                self._stop.set()

    def forget(self, by: str = "") -> None:
        """Let go of the reports of a user's lots that have ended."""
        with self._lock:
            others = [job for job in self._ended if job.by != by]
            self._ended.clear()
            self._ended.extend(others)
            if self._job is not None and not self._job.going and self._job.by == by:
                self._job = None

    def close(self) -> None:
        """Stop everything and delete the files."""
        with self._lock:
            self._closed = True
            self._queue.clear()
            worker = self._worker
        self._stop.set()
        if worker is not None:
            worker.join(30)
        shutil.rmtree(self._root, ignore_errors=True)

    def _throw_away_abandoned(self) -> None:
        now = self._clock()
        for word in [w for w, lot in self._lots.items() if now - lot.touched > _ABANDONED_S]:
            shutil.rmtree(self._lots.pop(word).folder, ignore_errors=True)

    # -- the worker ----------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._queue:
                    self._worker = None
                    return
                job, lot = self._queue.popleft()
                if self._job is not None and self._job.number != job.number:
                    self._ended.append(self._job)
                self._stop.clear()
                if self._closed:
                    self._stop.set()
                self._job = replace(job, state="reading")
            try:
                self._add(lot.files)
            except CitewiseError as error:
                self._say(state="failed", error=str(error))
            except Exception:
                log.exception("adding %s failed", job.files)
                self._say(
                    state="failed",
                    error="Something inside citewise failed; the details are in the log of the "
                    "server. What was added before it is whole.",
                )
            finally:
                shutil.rmtree(lot.folder, ignore_errors=True)

    def _add(self, files: list[Path]) -> None:
        # Found by their words at once; vectors are the background's, which gives way to questions.
        report = self._library.add(
            self._until_stopped(files), embed=False, on_progress=self._progress
        )
        self._say(report=report, state="stopped" if self._stop.is_set() else "done")

    def _until_stopped(self, files: list[Path]) -> Iterator[Paper | Rejection]:
        for record in read(list(files)):
            if self._stop.is_set():
                # What has been read so far is still written.
                return
            yield record

    def _progress(self, progress: Progress) -> None:
        self._say(done=progress.done)

    def _say(self, **fields: object) -> None:
        with self._lock:
            assert self._job is not None
            self._job = replace(self._job, **fields)  # type: ignore[arg-type]  # fields of Job


def _tidy(name: str) -> str:
    """A file's name without folders or characters that no file can have, at most 150 of them."""
    last = _UNSAFE.sub("_", re.split(r"[/\\]", name)[-1]).strip()
    while len(last.encode()) > 150:
        last = last[:-1]
    return last if last.strip(". ") else "file"

"""Who may write to a library: one process at a time, and a dead one holds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from citewise.errors import LibraryError, LibraryLockedError

PATIENCE_SECONDS = 10.0
"""How long a writer waits for another: long enough for one that embeds to write its batch."""


class WriterLock:
    """Two locks of a library's folder, between processes as well as between threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer = FileLock(str(folder / "writer.lock"))
        self._embedder = FileLock(str(folder / "embedding.lock"))

    @contextmanager
    def writing(self, patience: float | None = None) -> Iterator[None]:
        """Be the one that writes.

        Raises LibraryLockedError when another still does after ``patience`` seconds.
        """
        wait = PATIENCE_SECONDS if patience is None else patience
        try:
            self._acquire(self._writer, wait)
        except Timeout as error:
            raise LibraryLockedError(
                f"Another process is writing to {self._folder}. Wait until it is done; reading "
                "goes on."
            ) from error
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def embedding(self) -> Iterator[bool]:
        """Whether it is our turn to embed: two at it would do the same work twice."""
        try:
            self._acquire(self._embedder, 0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            self._embedder.release()

    def _acquire(self, lock: FileLock, wait: float) -> None:
        try:
            lock.acquire(timeout=wait)
        except Timeout:
            # It is an OSError as well.
            raise
        except OSError as error:
            raise LibraryError(
                f"The library folder {self._folder} cannot be written to ({error.strerror}). Mend "
                "its permissions, or name another one with --library."
            ) from error

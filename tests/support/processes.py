"""Processes to be killed, or to write beside a test, that need not import anything first.

Each is forked from a process that has imported citewise and what it stands on, and has opened
nothing: starting one takes a hundredth of the time of a Python that starts anew.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import citewise

_CONTEXT: Any = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["citewise.library.library", "chromadb", "onnxruntime", "tokenizers", __name__]
)


class Python:
    """Runs code in a process of its own, as ``python -c CODE ARGUMENTS`` would, with pipes."""

    def __init__(self, code: str, *arguments: object) -> None:
        reads, writes = _CONTEXT.Pipe(duplex=False), _CONTEXT.Pipe(duplex=False)
        words = ["-c", *map(str, arguments)]
        self._process = _CONTEXT.Process(
            target=_run, args=(code, words, reads[0], writes[1], citewise.__file__), daemon=True
        )
        self._process.start()
        self.stdin = os.fdopen(os.dup(reads[1].fileno()), "w", encoding="utf-8")
        self.stdout = os.fdopen(os.dup(writes[0].fileno()), encoding="utf-8")
        for end in (*reads, *writes):
            end.close()

    @property
    def returncode(self) -> int | None:
        """None while it runs; minus the number of the signal that ended it."""
        code: int | None = self._process.exitcode
        return code

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()

    def wait(self, timeout: float = 100.0) -> int:
        """Its exit status."""
        self._process.join(timeout)
        assert self.returncode is not None, "the process does not end"
        return self.returncode

    def finish(self, words: str = "") -> str:
        """Write ``words`` to it, close its input, wait for its end; what it wrote meanwhile."""
        # One that was killed does not read.
        with suppress(BrokenPipeError):
            self.stdin.write(words)
        with suppress(BrokenPipeError):
            self.stdin.close()
        with self.stdout:
            told = self.stdout.read()
        self.wait()
        return told


def _run(code: str, words: list[str], reads: Connection, writes: Connection, where: str) -> None:
    assert citewise.__file__ == where, "the process runs another citewise than the test"
    os.dup2(reads.fileno(), 0)
    os.dup2(writes.fileno(), 1)
    reads.close()
    writes.close()
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.argv = words
    try:
        exec(code, {"__name__": "__main__"})  # noqa: S102 - the test's own code
    finally:
        sys.stdout.flush()

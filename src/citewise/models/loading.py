"""Opens the models in the package: verified bytes in, a session or a tokenizer out."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from citewise.errors import CitewiseError

if TYPE_CHECKING:
    from tokenizers import Tokenizer


_Item = TypeVar("_Item")
_Found = TypeVar("_Found")


class ModelFileError(CitewiseError):
    """A model's file is missing or is not the one that citewise ships."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A folder with a model's files and, in ``checksums.json``, the SHA-256 of each."""

    path: Path | Traversable

    @classmethod
    def packaged(cls, name: str) -> ModelFolder:
        """The folder of that name in the package."""
        return cls(files("citewise") / "models" / name)

    def checksums(self, names: Sequence[str]) -> dict[str, str]:
        """SHA-256 of these files by name; raises ModelFileError."""
        content = self._bytes("checksums.json")
        try:
            sums = json.loads(content)["files"]
            return {name: str(sums[name]) for name in names}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelFileError(
                f"{self.path / 'checksums.json'} does not hold a model's checksums. "
                "Install citewise again."
            ) from error

    def verified(self, name: str) -> bytes:
        """A file's content; raises ModelFileError when it has not its checksum.

        The bytes that were checked are the bytes that are used: the file is read once.
        """
        content = self._bytes(name)
        wanted = self.checksums([name])[name]
        found = hashlib.sha256(content).hexdigest()
        if found != wanted:
            raise ModelFileError(
                f"{self.path / name} has sha256 {found}, not {wanted}: the file is damaged or "
                "not the one citewise ships. Install citewise again."
            )
        return content

    def _bytes(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise ModelFileError(
                f"The model's file {self.path / name} cannot be read ({error.strerror}). "
                "Install citewise again."
            ) from error


class Session:
    """A model that is ready to run, a pass on the thread that asks. Safe to use from several.

    Over all models of the process as many passes run at a time as it may use processors; the others
    wait. More at once are no faster, and each of them would need room for its intermediate values,
    some 12 MiB, that the process never gives back.
    """

    def __init__(self, session: Any) -> None:
        """``session``: of onnxruntime."""
        self._session = session

    def run(self, outputs: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:
        """One pass over the inputs by name; the values of ``outputs``, in their order."""
        with _passes():
            found: list[Any] = self._session.run(outputs, inputs)
            return found


@lru_cache(maxsize=1)
def _passes() -> threading.Semaphore:
    return threading.Semaphore(available_processors())


@lru_cache(maxsize=1)
def _beside() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, available_processors() - 1), "citewise-passes")


def _forget_threads() -> None:
    _beside.cache_clear()
    _passes.cache_clear()


if hasattr(os, "register_at_fork"):
    # A forked process has none of the threads, and passes that ran there never end here.
    os.register_at_fork(after_in_child=_forget_threads)


def side_by_side(
    work: Callable[[_Item], _Found], items: Sequence[_Item], share: bool = True
) -> list[_Found]:
    """``work`` of each item, in their order, by this thread and by others that are free.

    A pass on two threads takes a third more processor time than on one: several passes at once are
    quicker than one after the other on all processors. Without ``share`` this thread does all.
    ``work`` may use this itself; it must change nothing, for where no thread can begin an item may
    be done twice.
    """
    begun: dict[int, Future[_Found]] = {}
    found: dict[int, _Found] = {}
    try:
        if share and available_processors() > 1:
            try:
                for at in range(len(items) - 1):
                    begun[at] = _beside().submit(work, items[at])
            except RuntimeError:
                # The interpreter ends, or this process may begin no more threads.
                pass
        # From the end, while the others go on from the beginning.
        for at in reversed(range(len(items))):
            if at not in begun or begun[at].cancel():
                found[at] = work(items[at])
        return [found[at] if at in found else begun[at].result() for at in range(len(items))]
    finally:
        for one in begun.values():
            one.cancel()


def in_passes(
    read: Callable[[list[int]], Sequence[_Found]],
    lengths: Sequence[int],
    most: int,
    share: bool = True,
) -> list[_Found]:
    """What ``read`` finds for each of the texts of these ``lengths`` in tokens, in their order.

    It is given the places of texts of similar length, the longest first; they, padded to the
    longest, have at most ``most`` tokens, unless it is a single text. Passes go
    ``side_by_side``, and few texts are cut into about as many as there are processors.
    """
    budget = min(most, -(-sum(lengths) // (available_processors() if share else 1)))
    batches: list[list[int]] = []
    for at in sorted(range(len(lengths)), key=lambda at: -lengths[at]):
        if not batches or lengths[batches[-1][0]] * (len(batches[-1]) + 1) > budget:
            batches.append([])
        batches[-1].append(at)
    found: dict[int, _Found] = {}
    for batch, ours in zip(batches, side_by_side(read, batches, share), strict=True):
        found |= zip(batch, ours, strict=True)
    return [found[at] for at in range(len(lengths))]


def open_session(content: bytes) -> Session:
    """A model on the CPU, on one thread a pass; see ``side_by_side``."""
    # Imported late: `import citewise` stays fast.
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # The graph is fused where it pays; what the optimiser would fuse further is slower.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return Session(
        onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    )


def open_tokenizer(content: bytes) -> Tokenizer:
    """A tokenizer that neither cuts nor pads."""
    # Imported late: `import citewise` stays fast.
    from tokenizers import Tokenizer  # noqa: PLC0415

    tokenizer = Tokenizer.from_buffer(content)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def available_processors() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1

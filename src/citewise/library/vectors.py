"""Vectors of the passages in Chroma; Chroma's types stop here.

What Chroma 1.5 does otherwise than one expects, and what is done about it: the default space is
L2 (cosine is asked for), ``add`` ignores an id that exists (``upsert`` is used), a call takes at
most 5,461 rows (batches), a filter of more than 32,766 values fails (it is applied here instead),
a client that has queried never sees another process's additions in ``query`` (``reload`` opens
anew), and all clients of a process on one path share one engine that outlives them (each index
takes an engine of its own, and stops it).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from citewise.errors import LibraryError

if TYPE_CHECKING:
    from chromadb.api.models.Collection import Collection
    from chromadb.config import System

_COLLECTION = "passages"
_MOST_ROWS_A_CALL = 5_000
_MOST_VALUES_A_FILTER = 10_000
"""Above this the neighbours are filtered here: Chroma binds each value to an SQL variable."""
_OPENING = threading.Lock()


class VectorIndex:
    """Approximate nearest passages by cosine."""

    def __init__(self, folder: Path) -> None:
        """Open or create the index in ``folder``; Chroma is imported only at first use."""
        self._folder = folder
        self._lock = threading.RLock()
        self._engine: System | None = None
        self._passages: Collection | None = None

    def _collection(self) -> Collection:
        with self._lock:
            if self._passages is None:
                with self._explained("opened"):
                    self._folder.mkdir(parents=True, exist_ok=True)
                    self._engine, self._passages = _open(self._folder)
            return self._passages

    @contextmanager
    def _explained(self, deed: str) -> Iterator[None]:
        try:
            yield
        except LibraryError:
            raise
        # Chroma raises bare and foreign errors.
        except Exception as error:
            cause: BaseException = error
            while cause.__context__ is not None:
                # Its cleaning up after a failure fails as well, and would hide the failure.
                cause = cause.__context__
            if "disk is full" in str(cause) or "No space left" in str(cause):
                raise LibraryError(
                    f"The disk that holds {self._folder} is full ({cause}). What was acknowledged "
                    "is kept; free some space and run the same command again."
                ) from error
            raise LibraryError(
                f"The vector index in {self._folder} cannot be {deed} ({str(cause)[:300]}). "
                "`citewise doctor --repair` makes it again from the papers."
            ) from error

    def warm(self) -> None:
        """Import Chroma and open the index now."""
        self._collection()

    def update(
        self,
        ids: Sequence[str],
        paper_ids: Sequence[str],
        vectors: NDArray[np.float32],
        forget: Sequence[str] = (),
    ) -> None:
        """Add or replace passages (n ids, n papers, an n by d matrix) and forget others."""
        passages = self._collection()
        with self._explained("written to"):
            for begin in range(0, len(forget), _MOST_ROWS_A_CALL):
                passages.delete(ids=list(forget[begin : begin + _MOST_ROWS_A_CALL]))
            for begin in range(0, len(ids), _MOST_ROWS_A_CALL):
                end = begin + _MOST_ROWS_A_CALL
                passages.upsert(
                    ids=list(ids[begin:end]),
                    embeddings=vectors[begin:end],
                    metadatas=[{"paper_id": paper_id} for paper_id in paper_ids[begin:end]],
                )

    def reload(self) -> None:
        """See what another process has written."""
        with self._lock:
            # Not stopped: another thread may be in the middle of a query. It ends with its last
            # reference.
            self._engine = None
            self._passages = None

    def search(
        self, vector: NDArray[np.float32], limit: int, allowed: Sequence[str] | None = None
    ) -> list[tuple[str, str, float]]:
        """Nearest passages to a unit vector as (passage id, paper id, cosine), best first.

        ``allowed`` restricts to those papers.
        """
        passages = self._collection()
        if limit < 1 or (allowed is not None and not allowed):
            return []
        with self._explained("read"):
            if allowed is None or len(allowed) <= _MOST_VALUES_A_FILTER:
                return _query(passages, vector, limit, allowed)
            within = set(allowed)
            total = passages.count()
            asked = 4 * limit
            while True:
                asked = min(asked, total)
                nearest = _query(passages, vector, asked, None)
                found = [row for row in nearest if row[1] in within]
                if len(found) >= limit or asked >= total:
                    return found[:limit]
                asked *= 4

    def count(self) -> int:
        """Passages in the index."""
        passages = self._collection()
        with self._explained("read"):
            return int(passages.count())

    def close(self) -> None:
        """Stop Chroma's engine and let go of its files; a later call opens it again."""
        with self._lock:
            engine, self._engine, self._passages = self._engine, None, None
        if engine is not None:
            engine.stop()


def _open(folder: Path) -> tuple[System, Collection]:
    # 1.4 s of import: reading a library's books must not pay for it.
    import chromadb  # noqa: PLC0415
    from chromadb.api.shared_system_client import SharedSystemClient  # noqa: PLC0415
    from chromadb.config import Settings  # noqa: PLC0415

    path = str(folder)
    with _OPENING:
        try:
            client = chromadb.PersistentClient(
                path=path, settings=Settings(anonymized_telemetry=False, allow_reset=False)
            )
        finally:
            # Out of Chroma's register, so that no other client of this process gets this engine:
            # it would see no other process's additions, would be stopped together with this one,
            # and one that could not be opened would stay so.
            engine = SharedSystemClient._identifier_to_system.pop(path, None)
            SharedSystemClient._identifier_to_refcount.pop(path, None)
    assert engine is not None
    passages = client.get_or_create_collection(
        _COLLECTION, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
    )
    return engine, passages


def _query(
    passages: Collection, vector: NDArray[np.float32], limit: int, allowed: Sequence[str] | None
) -> list[tuple[str, str, float]]:
    found = passages.query(
        query_embeddings=cast("Any", [vector]),
        n_results=limit,
        where=cast("Any", {"paper_id": {"$in": list(allowed)}}) if allowed is not None else None,
        include=["distances", "metadatas"],
    )
    ids = found["ids"][0]
    distances = (found["distances"] or [[]])[0]
    metadatas = (found["metadatas"] or [[]])[0]
    return [
        (passage_id, str(metadata["paper_id"]), 1.0 - float(distance))
        for passage_id, metadata, distance in zip(ids, metadatas, distances, strict=True)
        # None where another thread has just removed the passage.
        if metadata is not None and distance is not None
    ]

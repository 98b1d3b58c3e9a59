"""Vectors of the passages in Chroma; Chroma's types stop here.

What Chroma 1.5 does otherwise than one expects, and what is done about it: the default space is
L2 (cosine is asked for), ``add`` ignores an id that exists (``upsert`` is used), a call takes at
most 5,461 rows (batches), and a client that has queried never sees another process's additions in
``query`` (``reload`` opens anew).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from citewise.errors import LibraryError

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

_COLLECTION = "passages"
_MOST_ROWS_A_CALL = 5_000


class VectorIndex:
    """Approximate nearest passages by cosine."""

    def __init__(self, folder: Path) -> None:
        """Open or create the index in ``folder``; Chroma is imported only at first use."""
        self._folder = folder
        self._lock = threading.RLock()
        self._client: ClientAPI | None = None
        self._passages: Collection | None = None

    def _collection(self) -> Collection:
        with self._lock:
            if self._passages is None:
                # 1.4 s of import: reading a library's books must not pay for it.
                import chromadb  # noqa: PLC0415
                from chromadb.config import Settings  # noqa: PLC0415

                try:
                    self._folder.mkdir(parents=True, exist_ok=True)
                    self._client = chromadb.PersistentClient(
                        path=str(self._folder),
                        settings=Settings(anonymized_telemetry=False, allow_reset=False),
                    )
                    self._passages = self._client.get_or_create_collection(
                        _COLLECTION,
                        configuration={"hnsw": {"space": "cosine"}},
                        embedding_function=None,
                    )
                # Chroma raises bare and foreign errors.
                except Exception as error:
                    raise LibraryError(
                        f"The vector index in {self._folder} cannot be read ({error}). "
                        "`citewise doctor --repair` makes it again from the papers."
                    ) from error
            return self._passages

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
            if self._client is None:
                return
            from chromadb.api.shared_system_client import (  # noqa: PLC0415 - see _collection
                SharedSystemClient,
            )

            SharedSystemClient.clear_system_cache()
            self._client = None
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
        found = passages.query(
            query_embeddings=cast("Any", [vector]),
            n_results=limit,
            where=cast("Any", {"paper_id": {"$in": list(allowed)}})
            if allowed is not None
            else None,
            include=["distances", "metadatas"],
        )
        ids = found["ids"][0]
        distances = (found["distances"] or [[]])[0]
        metadatas = (found["metadatas"] or [[]])[0]
        return [
            (passage_id, str(metadata["paper_id"]), 1.0 - float(distance))
            for passage_id, metadata, distance in zip(ids, metadatas, distances, strict=True)
        ]

    def count(self) -> int:
        """Passages in the index."""
        return int(self._collection().count())

    def close(self) -> None:
        """Let go of Chroma's client."""
        with self._lock:
            self._client = None
            self._passages = None

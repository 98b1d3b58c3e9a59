"""Searching goes on by words where vectors or embedder are on a server that is away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from citewise.errors import VectorsAwayError
from citewise.library.embedding import (
    Embedder,
    EmbedderAwayError,
    PassageInput,
    PassageVectors,
    Vectors,
    quickest,
)
from citewise.library.papers import Ids
from citewise.library.vectors import VectorIndex

_NO_DIMENSIONS = 2
"""Length of a vector of zeros where there is no other to compare it with."""


class Remarks:
    """What was done without during one search, for the person who searches."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """Collects the remarks of this thread."""
        remarks: list[str] = []
        self._local.remarks = remarks
        yield remarks

    def add(self, remark: str) -> None:
        """Say something to whoever listens in this thread."""
        remarks: list[str] = getattr(self._local, "remarks", [])
        if remark not in remarks:
            remarks.append(remark)


class PatientVectors:
    """The vectors for searching; none where their server is away."""

    def __init__(self, vectors: VectorIndex, remarks: Remarks) -> None:
        self._vectors = vectors
        self._remarks = remarks

    def search(
        self, vector: NDArray[np.float32], limit: int, allowed: Ids | None = None
    ) -> list[tuple[str, str, float]]:
        """As ``VectorIndex.search``; nothing, and a remark, where it cannot be asked."""
        if not vector.any():
            # The query could not be embedded.
            return []
        try:
            return self._vectors.search(vector, limit, allowed)
        except VectorsAwayError as error:
            self._remarks.add(f"Found by words alone: {error}")
            return []


class PatientEmbedder:
    """The embedder for searching; zeros, which are similar to nothing, where it is away."""

    def __init__(
        self, embedder: Embedder, remarks: Remarks, dimensions: Callable[[], int | None]
    ) -> None:
        """``dimensions``: length of the vectors that the library holds, None without any."""
        self._embedder = embedder
        self._read = quickest(embedder)
        self._remarks = remarks
        self._held = dimensions

    @property
    def fingerprint(self) -> str:
        """The embedder's."""
        return self._embedder.fingerprint

    @property
    def dimensions(self) -> int:
        """Of the vectors that the library holds, else the embedder's; some number where it is away.

        One that is away cannot be asked, and the vectors that are there can be read without it.
        """
        held = self._held()
        if held is not None:
            return held
        try:
            return self._embedder.dimensions
        except EmbedderAwayError:
            return _NO_DIMENSIONS

    @property
    def max_tokens(self) -> int:
        """The embedder's."""
        return self._embedder.max_tokens

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """The embedder's."""
        return self._embedder.count_tokens(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """As quickly as the embedder can; zeros, and a remark, where it does not answer."""
        try:
            return self._read(texts)
        except EmbedderAwayError as error:
            self._remarks.add(f"Found by words alone: {error}")
            return np.zeros((len(texts), self._held() or _NO_DIMENSIONS), np.float32)

    def embed_passages(self, passages: Iterable[PassageInput]) -> Iterator[PassageVectors]:
        """The embedder's."""
        return self._embedder.embed_passages(passages)

"""A static encoder: a vector a word piece, added up. Many times as fast, and less exact.

For libraries that the six layers of ``citewise.library.embedding`` would take hours over. Its table
was trained to give their vectors (``training/STATIC.md``); it knows no order of words.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.abc import Traversable
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from citewise.library.embedding import (
    PassageInput,
    PassageVectors,
    Vectors,
    packaged_encoder,
)
from citewise.models.loading import ModelFolder

STATIC = "static"
"""Its name for ``--embedder``."""
FINGERPRINTS = f"citewise-{STATIC}/"
"""What the fingerprints of every static encoder begin with."""
_TABLE = "table.npz"
_AHEAD = 128
"""Passages whose words are looked up together."""


class StaticEncoder:
    """Means of word pieces' vectors: shipped with the package, English, 384 dimensions.

    A sentence's vector is the mean of its own pieces and, with a fixed share, of its passage's.
    Nothing is loaded before it is needed. Raises ModelFileError when the table is missing or is not
    the one in ``checksums.json``.
    """

    dimensions: int = 384

    def __init__(self, folder: Path | Traversable | None = None) -> None:
        self._folder = ModelFolder.packaged(STATIC) if folder is None else ModelFolder(folder)
        self._words = packaged_encoder()
        self._lock = threading.Lock()
        self._table: tuple[NDArray[np.int8], Vectors, float] | None = None
        self.max_tokens: int = self._words.max_tokens
        digest = hashlib.sha256(self._folder.checksums([_TABLE])[_TABLE].encode()).hexdigest()
        self.fingerprint: str = f"{FINGERPRINTS}{self.max_tokens}:{digest[:12]}"

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones not counted; a blank text has none."""
        return self._words.count_tokens(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of questions, shape (n, 384), in the order given; (0, 384) for none."""
        found = [item.passage for item in self.embed_passages(PassageInput(text) for text in texts)]
        return np.stack(found) if found else np.zeros((0, self.dimensions), np.float32)

    def embed_passages(self, passages: Iterable[PassageInput]) -> Iterator[PassageVectors]:
        """Vectors of passages and their sentences, in the order given.

        A text without a word has a vector of zeros, which is similar to nothing. Raises ValueError
        for a span outside its text.
        """
        waiting = iter(passages)
        while ahead := list(islice(waiting, _AHEAD)):
            pieces = self._words.pieces([passage.text for passage in ahead])
            for passage, (ids, starts) in zip(ahead, pieces, strict=True):
                yield self._embed(passage, ids, starts)

    def _embed(
        self, passage: PassageInput, ids: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> PassageVectors:
        rows, scales, whole = self._loaded()
        read, places = ids[: self.max_tokens], starts[: self.max_tokens]
        sums = np.zeros((len(read) + 1, self.dimensions), np.float32)
        np.cumsum(rows[read] * scales[read, None], axis=0, out=sums[1:])
        mean = _unit(sums[-1:])
        sentences = np.zeros((len(passage.sentences), self.dimensions), np.float32)
        if passage.sentences:
            spans = np.array(passage.sentences, np.int64)
            if (
                (spans < 0).any()
                or (spans > len(passage.text)).any()
                or (spans[:, 0] > spans[:, 1]).any()
            ):
                raise ValueError(
                    f"a sentence lies outside a text of {len(passage.text)} characters"
                )
            low, high = np.searchsorted(places, spans).T
            own = _unit(sums[high] - sums[low])
            sentences = np.where(
                (high > low)[:, None], _unit(own + np.float32(whole) * mean), sentences
            )
        return PassageVectors(mean[0], sentences, len(ids), len(ids) > self.max_tokens)

    def _loaded(self) -> tuple[NDArray[np.int8], Vectors, float]:
        with self._lock:
            if self._table is None:
                with np.load(io.BytesIO(self._folder.verified(_TABLE))) as table:
                    self._table = table["rows"], table["scales"], float(table["whole"])
            return self._table


@lru_cache(maxsize=1)
def static_encoder() -> StaticEncoder:
    """The one static encoder of this process."""
    return StaticEncoder()


def _unit(rows: Vectors) -> Vectors:
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))[:, None]
    return np.asarray(rows / np.where(lengths > 0, lengths, np.float32(1)), np.float32)

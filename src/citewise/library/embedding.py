"""Text to vectors: the seam for embedders, and the encoder that citewise ships.

One forward pass over a passage gives a vector for each of its tokens. Their mean is the passage's
vector; the mean over a sentence's tokens is that sentence's vector, which therefore knows the
words around it (late chunking, Günther et al. 2024, arXiv:2409.04701).
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.abc import Traversable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from citewise.errors import CitewiseError
from citewise.models.loading import ModelFolder, in_passes, open_session, open_tokenizer

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

logger = logging.getLogger("citewise")

Vectors: TypeAlias = NDArray[np.float32]

_MODEL, _QUESTIONS, _TOKENIZER = "model.onnx", "questions.onnx", "tokenizer.json"
_SPECIAL = 2
"""Tokens that the model wants around every text: [CLS] before it, [SEP] after it."""
_CLS, _SEP = 101, 102
"""Their numbers in the model's vocabulary."""
_POSITIONS = 512
"""Places the model has learned (config.json of all-MiniLM-L6-v2)."""
_AHEAD = 128
"""Passages read ahead to sort by length, against padding; bounded, so that memory stays small."""
_BATCH_TOKENS = 512
"""Tokens in one forward pass: 256 to 1024 cost the same processor time, 2048 a third more."""
_SHORTEST_QUESTION, _LONGEST_QUESTION = 2, 62
"""Tokens of a question that the question reader was trained with, special ones not counted."""
_KEPT_QUESTIONS = 32
"""Questions whose vectors are kept, by either model: 1.5 KB each."""
_SURROGATES = re.compile("[\ud800-\udfff]")


class EmbedderError(CitewiseError):
    """The embedder cannot be used, or gives no vectors."""


class EmbedderAwayError(EmbedderError):
    """The server that embeds does not answer; papers can still be found by their words."""


@dataclass(frozen=True, slots=True)
class PassageInput:
    """A text to embed, and the sentences in it that want vectors of their own."""

    text: str
    sentences: tuple[tuple[int, int], ...] = ()
    """Half-open spans of Unicode code points inside ``text``, in any order, possibly none."""


@dataclass(frozen=True, slots=True, eq=False)
class PassageVectors:
    """The vectors of one passage."""

    passage: Vectors
    """Shape (d,), unit length."""
    sentences: Vectors
    """Shape (number of spans, d), in the order of the spans. Unit length, except that a span
    without a token of its own (blank, or beyond what the model reads) has a row of zeros, which
    is similar to nothing."""
    tokens: int
    """Tokens of the text, the model's special ones not counted, before anything was cut off."""
    truncated: bool
    """Whether the text was longer than ``max_tokens`` and its end was left unread."""


class Embedder(Protocol):
    """Turns texts into unit vectors. Safe to use from several threads."""

    @property
    def fingerprint(self) -> str:
        """Names the vector space: two embedders with one fingerprint give the same vectors."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of every vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are read, as ``count_tokens`` counts them; the rest is left out."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones not counted.

        Texts joined by a blank have the sum of their counts, so whole sentences can be packed
        into passages of ``max_tokens``.
        """
        ...

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of questions, shape (n, d), in the order given."""
        ...

    def embed_passages(self, passages: Iterable[PassageInput]) -> Iterator[PassageVectors]:
        """Vectors of passages and their sentences, in the order given.

        Reads ahead a bounded number of passages only, so that any number can stream through.
        """
        ...


@runtime_checkable
class QuickReader(Protocol):
    """An embedder that can also read questions in less time, a little less exactly."""

    def embed_quickly(self, texts: Sequence[str]) -> Vectors:
        """Nearly what ``embed_queries`` gives."""
        ...


def quickest(embedder: Embedder) -> Callable[[Sequence[str]], Vectors]:
    """How an embedder reads questions that are searched for."""
    return embedder.embed_quickly if isinstance(embedder, QuickReader) else embedder.embed_queries


def read_once(embedder: Embedder) -> None:
    """Read a text with every model that an embedder reads texts with, which loads them."""
    for read in {embedder.embed_queries, quickest(embedder)}:
        # Not a single word: that is none of the questions that are read quickly.
        read(["a few words"])


class MiniLM:
    """all-MiniLM-L6-v2 in eight bits on the CPU: shipped with the package, English, 384 dimensions.

    Its six layers read everything; three others, which were trained to give nearly the same
    vectors, read what is searched for in half the time (training/QUESTIONS.md).
    Nothing is loaded before it is needed; ``load`` does it at once. Raises ModelFileError when the
    model's files are missing or are not the ones in ``checksums.json``.
    """

    dimensions: int = 384

    def __init__(
        self,
        folder: Path | Traversable | None = None,
        *,
        window: int = 256,
        alone: bool = False,
    ) -> None:
        """Reads the checksums of ``folder`` (the packaged model unless given).

        ``window``: tokens of one forward pass, special ones included, 3 to 512; the model's
        authors cut at 256 and fine-tuned with 128. ``alone``: all passes run on the thread that
        asks, and none beside it. Raises ValueError for another window.
        """
        if not _SPECIAL < window <= _POSITIONS:
            raise ValueError(f"window must be {_SPECIAL + 1} to {_POSITIONS}, not {window}")
        self._window = window
        self._folder = ModelFolder.packaged("minilm") if folder is None else ModelFolder(folder)
        self._alone = alone
        sums = self._folder.checksums([_MODEL, _TOKENIZER])
        self._lock = threading.Lock()
        self._tokenizer: Tokenizer | None = None
        self._sessions: dict[str, Any] = {}
        # People ask again, and a conversation searches for one thing several times.
        self._question = lru_cache(_KEPT_QUESTIONS)(self._embed_question)
        self.max_tokens: int = window - _SPECIAL
        digest = hashlib.sha256("".join(sorted(sums.values())).encode()).hexdigest()
        self.fingerprint: str = f"all-MiniLM-L6-v2-int8/{window}:{digest[:12]}"

    def load(self) -> None:
        """Loads models and tokenizer now, so that the first question does not wait for them."""
        self._opened(_MODEL)
        self._opened(_QUESTIONS)
        self._words()

    def on_one_thread(self) -> MiniLM:
        """The same encoder on the thread that calls it alone: the same vectors, beside others."""
        return MiniLM(self._folder.path, window=self._window, alone=True)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, special ones not counted; a blank text has none."""
        codes = self._words().encode_batch_fast(
            [_encodable(text) for text in texts], add_special_tokens=False
        )
        return [len(code.ids) for code in codes]

    def token_offsets(self, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Half-open spans of code points of every token of each text, special ones left out."""
        return [list(code.offsets) for code in self._codes(texts)]

    def pieces(self, texts: Sequence[str]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Of each text the ids of its tokens and where each begins, special ones left out."""
        return [
            (
                np.array(code.ids, np.int64),
                np.array([start for start, _ in code.offsets], np.int64),
            )
            for code in self._codes(texts)
        ]

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of questions, shape (n, 384), in the order given; (0, 384) for none."""
        if len(texts) == 1:
            return np.stack([self._question(texts[0], _MODEL)])
        found = [item.passage for item in self.embed_passages(PassageInput(text) for text in texts)]
        return np.stack(found) if found else np.zeros((0, self.dimensions), np.float32)

    def embed_quickly(self, texts: Sequence[str]) -> Vectors:
        """Nearly the vectors of ``embed_queries``, one by one, each in half the time."""
        found = [self._question(text, _QUESTIONS) for text in texts]
        return np.stack(found) if found else np.zeros((0, self.dimensions), np.float32)

    def _embed_question(self, text: str, model: str) -> NDArray[np.float32]:
        (code,) = self._codes([text])
        if not _SHORTEST_QUESTION <= len(code.ids) <= _LONGEST_QUESTION:
            model = _MODEL
        read = _Text(PassageInput(text), code.ids, code.offsets)
        return self._forward([read], model)[0].passage

    def embed_passages(self, passages: Iterable[PassageInput]) -> Iterator[PassageVectors]:
        """Vectors of passages and their sentences, in the order given.

        A sentence's vector is the mean of the tokens that begin inside its span. An empty text
        has the vector of the model's special tokens. Raises ValueError for a span outside its
        text.
        """
        waiting = iter(passages)
        while ahead := list(islice(waiting, _AHEAD)):
            yield from self._embed(ahead)

    def _embed(self, passages: Sequence[PassageInput]) -> list[PassageVectors]:
        codes = self._codes([passage.text for passage in passages])
        texts = [
            _Text(passage, code.ids, code.offsets)
            for passage, code in zip(passages, codes, strict=True)
        ]
        lengths = [min(len(text.ids), self.max_tokens) + _SPECIAL for text in texts]
        return in_passes(
            lambda places: self._forward([texts[at] for at in places]),
            lengths,
            _BATCH_TOKENS,
            share=not self._alone,
        )

    def _forward(self, batch: Sequence[_Text], model: str = _MODEL) -> list[PassageVectors]:
        rows = [[_CLS, *text.ids[: self.max_tokens], _SEP] for text in batch]
        width = max(len(row) for row in rows)
        ids = np.zeros((len(rows), width), np.int64)
        mask = np.zeros((len(rows), width), np.int64)
        for at, row in enumerate(rows):
            ids[at, : len(row)] = row
            mask[at, : len(row)] = 1
        (tokens,) = self._opened(model).run(
            ["token_embeddings"], {"input_ids": ids, "attention_mask": mask}
        )
        return [
            PassageVectors(
                passage=_unit(vectors[: len(row)].mean(axis=0)),
                sentences=self._pool_sentences(text, vectors[1 : len(row) - 1]),
                tokens=len(text.ids),
                truncated=len(text.ids) > self.max_tokens,
            )
            for text, row, vectors in zip(batch, rows, tokens, strict=True)
        ]

    def _pool_sentences(self, text: _Text, tokens: Vectors) -> Vectors:
        pooled = np.zeros((len(text.passage.sentences), self.dimensions), np.float32)
        starts = np.array([start for start, _ in text.offsets[: len(tokens)]], np.int64)
        for at, (start, end) in enumerate(text.passage.sentences):
            if not 0 <= start <= end <= len(text.passage.text):
                raise ValueError(
                    f"sentence {start}:{end} lies outside a text of "
                    f"{len(text.passage.text)} characters"
                )
            low, high = np.searchsorted(starts, [start, end])
            if low < high:
                pooled[at] = _unit(tokens[low:high].mean(axis=0))
        return pooled

    def _codes(self, texts: Sequence[str]) -> list[Encoding]:
        given = [_encodable(text) for text in texts]
        if len(given) == 1:
            # A batch wakes the tokenizer's threads, which takes a busy machine 0.8 ms.
            return [self._words().encode(given[0], add_special_tokens=False)]
        return self._words().encode_batch(given, add_special_tokens=False)

    def _words(self) -> Tokenizer:
        with self._lock:
            if self._tokenizer is None:
                self._tokenizer = open_tokenizer(self._folder.verified(_TOKENIZER))
            return self._tokenizer

    def _opened(self, model: str) -> Any:
        with self._lock:
            if model not in self._sessions:
                self._sessions[model] = open_session(self._folder.verified(model))
                logger.debug("encoder %s: %s", self.fingerprint, model)
            return self._sessions[model]


@lru_cache(maxsize=1)
def packaged_encoder() -> MiniLM:
    """The one encoder of this process: libraries and the checker share it."""
    return MiniLM()


@dataclass(frozen=True, slots=True)
class _Text:
    passage: PassageInput
    ids: list[int]
    offsets: list[tuple[int, int]] = field(repr=False)


def _unit(vector: Vectors) -> Vectors:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else vector


def _encodable(text: str) -> str:
    # A lone surrogate has no UTF-8 form; one character for another keeps every offset true.
    return _SURROGATES.sub("\ufffd", text)

"""Other embedders than the one that is shipped: OpenAI-compatible servers and llama-index objects.

They give one vector a text, so a sentence's vector is that of the sentence by itself, and embedding
takes about ten times as many texts. Passages are cut by the shipped tokenizer, which all of them
can read: 254 of its tokens.
"""

from __future__ import annotations

import importlib
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

import numpy as np

from citewise.config import DEFAULT_EMBEDDER
from citewise.errors import UsageError
from citewise.library.embedding import (
    Embedder,
    EmbedderAwayError,
    EmbedderError,
    PassageInput,
    PassageVectors,
    Vectors,
    packaged_encoder,
)
from citewise.library.static import FINGERPRINTS, STATIC, static_encoder

FORMS: Mapping[str, str] = {
    "minilm": "the encoder that is shipped, on this machine",
    "static": "a table that is shipped: many times as fast, less exact",
    "openai:MODEL": "OpenAI, with OPENAI_API_KEY",
    "openai-compatible:MODEL@URL": "any server with /v1/embeddings, with CITEWISE_API_KEY",
    "llama-index:IMPORT.PATH": "an embedding object or class of llama-index",
}
_MODEL_AT_URL = re.compile(r"(?P<model>.+)@(?P<url>https?://\S+)")
_TEXTS_A_REQUEST = 64
_PASSAGES_AHEAD = 16


def embedder_from(name: str, env: Mapping[str, str] | None = None) -> Embedder:
    """The embedder of that name, one of ``FORMS``; asks no server. Raises UsageError for others."""
    values = os.environ if env is None else env
    kind, _, rest = name.strip().partition(":")
    if kind == DEFAULT_EMBEDDER and not rest:
        return packaged_encoder()
    if kind == STATIC and not rest:
        return static_encoder()
    if kind == "openai" and rest:
        key = values.get("OPENAI_API_KEY")
        if not key:
            raise UsageError(f"The embedder {kind}:{rest} needs your key in OPENAI_API_KEY.")
        return ForeignEmbedder(OpenAITexts(rest, values.get("OPENAI_BASE_URL") or None, key))
    if kind == "openai-compatible" and (match := _MODEL_AT_URL.fullmatch(rest)):
        # OPENAI_API_KEY is not for strangers.
        key = values.get("CITEWISE_API_KEY")
        return ForeignEmbedder(OpenAITexts(match["model"], match["url"], key))
    if kind == "llama-index" and rest:
        return ForeignEmbedder(LlamaIndexTexts(_loaded(rest), rest))
    raise UsageError(
        f"There is no embedder {_public(name)!r}. Write one of {', '.join(FORMS)} "
        "(--embedder, or $CITEWISE_EMBEDDER)."
    )


def shipped_embedder(made_with: str | None) -> Embedder:
    """The shipped embedder that a library was made with, by its fingerprint; else the usual one."""
    if made_with and made_with.startswith(FINGERPRINTS):
        return static_encoder()
    return packaged_encoder()


class Texts(Protocol):
    """Something that gives a vector for a text."""

    @property
    def name(self) -> str:
        """Names the vector space: what has one name gives the same vectors."""
        ...

    def passages(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector a text that is to be found. Raises EmbedderError."""
        ...

    def queries(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector a text to find others with. Raises EmbedderError."""
        ...


class ForeignEmbedder:
    """An embedder made of something that knows texts alone."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._tokens = packaged_encoder()
        self._dimensions: int | None = None
        self.max_tokens: int = self._tokens.max_tokens

    @property
    def fingerprint(self) -> str:
        """The name of the vector space."""
        return f"{self._texts.name}/{self.max_tokens}"

    @property
    def dimensions(self) -> int:
        """Length of every vector; asks for one where none is known yet."""
        if self._dimensions is None:
            self.embed_queries(["length"])
        assert self._dimensions is not None
        return self._dimensions

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens as the shipped encoder counts them."""
        return self._tokens.count_tokens(texts)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors of questions. Raises EmbedderError, EmbedderAwayError."""
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        return self._units(self._texts.queries(list(texts)), len(texts))

    def embed_passages(self, passages: Iterable[PassageInput]) -> Iterator[PassageVectors]:
        """Vectors of passages and, each by itself, of their sentences."""
        waiting = iter(passages)
        while ahead := list(islice(waiting, _PASSAGES_AHEAD)):
            texts: list[str] = []
            for passage in ahead:
                texts.append(passage.text)
                texts += [passage.text[start:end] for start, end in passage.sentences]
            # A blank text has no meaning, and servers refuse it.
            asked = [at for at, text in enumerate(texts) if text.strip()]
            found: list[Vectors] = []
            for begin in range(0, len(asked), _TEXTS_A_REQUEST):
                part = [texts[at] for at in asked[begin : begin + _TEXTS_A_REQUEST]]
                found.append(self._units(self._texts.passages(part), len(part)))
            vectors = np.zeros((len(texts), self.dimensions), np.float32)
            if asked:
                vectors[asked] = np.concatenate(found)
            counts = self.count_tokens([passage.text for passage in ahead])
            at = 0
            for passage, tokens in zip(ahead, counts, strict=True):
                end = at + 1 + len(passage.sentences)
                yield PassageVectors(
                    vectors[at], vectors[at + 1 : end], tokens, tokens > self.max_tokens
                )
                at = end

    def _units(self, found: Sequence[Sequence[float]], wanted: int) -> Vectors:
        try:
            vectors = np.array(found, np.float32)
        except (ValueError, TypeError):
            vectors = np.zeros(0, np.float32)
        good = vectors.ndim == 2 and len(vectors) == wanted and bool(np.isfinite(vectors).all())
        if not good or vectors.shape[1] < 2:
            raise EmbedderError(
                f"{self._texts.name} was asked for {wanted} vectors and gave something else. "
                "Is it a model that embeds?"
            )
        known = self._dimensions or vectors.shape[1]
        if vectors.shape[1] != known:
            raise EmbedderError(
                f"{self._texts.name} gives vectors of {vectors.shape[1]} numbers, and gave {known} "
                "before. Is it one model?"
            )
        self._dimensions = known
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


class OpenAITexts:
    """A server with ``/v1/embeddings``."""

    def __init__(self, model: str, url: str | None, key: str | None) -> None:
        self.name = f"openai:{model}" if url is None else f"openai-compatible:{model}"
        self._model = model
        self._url = url
        self._key = key
        self._made: Any = None
        self._lock = threading.Lock()

    def passages(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector a text, asked for once more where the server fails for a moment."""
        # Takes 1.3 s to import.
        import openai  # noqa: PLC0415

        where = _public(self._url) if self._url else "OpenAI"
        try:
            answer = self._client().embeddings.create(
                model=self._model, input=list(texts), encoding_format="float"
            )
            rows = sorted(answer.data, key=lambda row: int(row.index))
            return [row.embedding for row in rows]
        except (openai.APIConnectionError, openai.InternalServerError) as error:
            raise EmbedderAwayError(
                f"the embedder {self.name} at {where} does not answer "
                f"({type(error).__name__}). Start it, or correct --embedder."
            ) from error
        except openai.AuthenticationError as error:
            raise EmbedderError(
                f"{where} refuses the key for {self.name}. Correct "
                f"{'CITEWISE_API_KEY' if self._url else 'OPENAI_API_KEY'}."
            ) from error
        except (openai.OpenAIError, AttributeError, TypeError, ValueError) as error:
            said = getattr(error, "status_code", None) or type(error).__name__
            raise EmbedderError(
                f"{where} gives no embeddings with {self._model} ({said}). Correct --embedder."
            ) from error

    def queries(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """As passages: the protocol knows no difference."""
        return self.passages(texts)

    def _client(self) -> Any:
        import openai  # noqa: PLC0415 - see passages

        with self._lock:
            if self._made is None:
                self._made = openai.OpenAI(
                    api_key=self._key or "none",
                    base_url=self._url,
                    max_retries=2,
                    timeout=openai.Timeout(60.0, connect=5.0),
                    http_client=openai.DefaultHttpxClient(follow_redirects=False),
                )
            return self._made


@runtime_checkable
class LlamaIndexEmbedding(Protocol):
    """What is needed of a llama-index ``BaseEmbedding``; named here so that it is not imported."""

    def get_text_embedding_batch(self, texts: list[str], /) -> list[list[float]]:
        """A vector a text."""
        ...

    def get_query_embedding(self, query: str, /) -> list[float]:
        """A vector of a question."""
        ...


class LlamaIndexTexts:
    """An embedding object of llama-index."""

    def __init__(self, model: LlamaIndexEmbedding, path: str) -> None:
        self.name = f"llama-index:{path}:{getattr(model, 'model_name', type(model).__name__)}"
        self._model = model

    def passages(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Its text embeddings."""
        return self._asked(lambda: self._model.get_text_embedding_batch(list(texts)))

    def queries(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Its query embeddings."""
        return self._asked(lambda: [self._model.get_query_embedding(text) for text in texts])

    def _asked(self, ask: Any) -> Sequence[Sequence[float]]:
        try:
            return list(ask())
        except Exception as error:  # foreign code runs here and may raise anything
            raise EmbedderAwayError(
                f"the embedder {self.name} failed ({type(error).__name__}). Mend it, or name "
                "another one with --embedder."
            ) from error


def as_embedder(model: Embedder | LlamaIndexEmbedding) -> Embedder:
    """An embedder for a llama-index embedding object, or the embedder itself."""
    if isinstance(model, LlamaIndexEmbedding):
        return ForeignEmbedder(LlamaIndexTexts(model, type(model).__module__))
    return model


def _loaded(path: str) -> Any:
    module_name, _, attribute = path.replace(":", ".").rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
        value = found() if isinstance(found, type) else found
    except Exception as error:
        raise UsageError(
            f"llama-index:{path} cannot be loaded ({type(error).__name__}). Is its package "
            "installed, and its folder on PYTHONPATH?"
        ) from error
    if not hasattr(value, "get_text_embedding_batch"):
        raise UsageError(f"llama-index:{path} is a {type(value).__name__}, which does not embed.")
    return value


def _public(text: str) -> str:
    """An address without user, password and query."""
    match = _MODEL_AT_URL.search(text)
    url = match["url"] if match else text
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "..."
    if not host:
        return text
    shown = f"{parts.scheme}://{host}{port}{parts.path}"
    return f"{text[: match.start('url')]}{shown}" if match else shown

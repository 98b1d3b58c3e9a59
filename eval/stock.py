"""The stock way to ingest and find abstracts, to measure ours against: llama-index's
SentenceSplitter into Chroma with its default embedding function.

That function fetches its model at first use, which works nowhere without a network. It is Chroma's
own here, with its model looked for in another place: a folder that ``training/build_encoder.py
--stock DIR`` makes from the published weights, in 32 bits as Chroma's own file, or the encoder that
citewise ships, which holds the same model in eight bits and is faster.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citewise.types import Paper

_SHIPPED = Path(__file__).resolve().parents[1] / "src" / "citewise" / "models" / "minilm"
_UNREAD = ("config.json", "special_tokens_map.json", "tokenizer_config.json", "vocab.txt")
"""Files that Chroma looks for and never reads."""
_READ = 254
"""Tokens of a text that Chroma's default embedding function reads, special ones not counted."""


@dataclass(frozen=True, slots=True, eq=False)
class StockIndex:
    """Chroma's collection of chunks."""

    chunks: int
    collection: Any

    def read(self, model: Path) -> float:
        """Share of the chunks' tokens that the embedding function reads, 0 to 1."""
        pieces = _word_pieces(model)
        sizes = [len(pieces(chunk)) for chunk in self.collection.get()["documents"]]
        return sum(min(size, _READ) for size in sizes) / max(1, sum(sizes))

    def search(self, query: str, k: int) -> list[str]:
        """Ids of papers, nearest first: of the best ``2 k`` chunks, for a paper may have two."""
        found = self.collection.query(
            query_texts=[query], n_results=min(2 * k, self.chunks), include=["distances"]
        )
        papers = (chunk.rpartition("-")[0] for chunk in found["ids"][0])
        return list(dict.fromkeys(papers))[:k]


class _Untyped:
    """A session for a model that has no input for the types of tokens, which are all 0."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, names: object, feed: Mapping[str, object]) -> Any:
        return self._session.run(
            names, {name: value for name, value in feed.items() if name != "token_type_ids"}
        )


def shipped_model(folder: Path) -> Path:
    """Lays the shipped encoder out in ``folder`` as Chroma wants it; the folder to name."""
    files = folder / "onnx"
    files.mkdir(parents=True)
    for name in ("model.onnx", "tokenizer.json"):
        shutil.copyfile(_SHIPPED / name, files / name)
    for name in _UNREAD:
        (files / name).touch()
    return folder


def _word_pieces(model: Path) -> Callable[[str], list[int]]:
    from tokenizers import Tokenizer  # noqa: PLC0415

    tokenizer = Tokenizer.from_file(str(model / "onnx" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def ingest(
    papers: Sequence[Paper], folder: Path, model: Path, *, whole: bool = False
) -> StockIndex:
    """Splits, embeds and stores the abstracts into ``folder``.

    ``model``: what ``training/build_encoder.py --stock`` or ``shipped_model`` has made. As it
    comes, the splitter makes one chunk of nearly every abstract, and the embedding function reads
    the first 256 tokens of it. With ``whole`` the splitter counts as the model does and cuts where
    the model would stop reading, without overlap: the least that has all of the text embedded.
    """
    # All of this is imported before the clock starts.
    import chromadb  # noqa: PLC0415
    from chromadb.utils.embedding_functions import ONNXMiniLM_L6_V2  # noqa: PLC0415
    from llama_index.core.node_parser import SentenceSplitter  # noqa: PLC0415

    class Default(ONNXMiniLM_L6_V2):
        @property
        def model(self) -> Any:
            session = super().model
            typed = any(given.name == "token_type_ids" for given in session.get_inputs())
            return session if typed else _Untyped(session)

    Default.DOWNLOAD_PATH = model
    splitter = (
        SentenceSplitter(chunk_size=_READ, chunk_overlap=0, tokenizer=_word_pieces(model))
        if whole
        else SentenceSplitter()
    )
    client = chromadb.PersistentClient(path=str(folder))
    collection = client.create_collection("papers", embedding_function=Default())  # type: ignore[arg-type]
    chunks = [
        (f"{paper.id}-{at}", chunk)
        for paper in papers
        for at, chunk in enumerate(splitter.split_text(f"{paper.title}\n\n{paper.abstract}"))
    ]
    collection.add(ids=[name for name, _ in chunks], documents=[chunk for _, chunk in chunks])
    return StockIndex(len(chunks), collection)

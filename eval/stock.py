"""The stock way to ingest and find abstracts, to measure ours against: llama-index's
SentenceSplitter into Chroma with its default embedding function.

That function fetches its model at first use, which works nowhere without a network. It is Chroma's
own here, with its model looked for in another place: a folder that ``training/build_encoder.py
--stock DIR`` makes from the published weights, in 32 bits as Chroma's own file, or the encoder that
citewise ships, which holds the same model in eight bits and is faster.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from citewise.types import Paper

_SHIPPED = Path(__file__).resolve().parents[1] / "src" / "citewise" / "models" / "minilm"
_UNREAD = ("config.json", "special_tokens_map.json", "tokenizer_config.json", "vocab.txt")
"""Files that Chroma looks for and never reads."""


@dataclass(frozen=True, slots=True, eq=False)
class StockIndex:
    """Chroma's collection of chunks."""

    chunks: int
    collection: Any

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


def ingest(papers: Sequence[Paper], folder: Path, model: Path) -> StockIndex:
    """Splits, embeds and stores the abstracts into ``folder``.

    ``model``: what ``training/build_encoder.py --stock`` or ``shipped_model`` has made.
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
    splitter = SentenceSplitter()
    client = chromadb.PersistentClient(path=str(folder))
    collection = client.create_collection("papers", embedding_function=Default())  # type: ignore[arg-type]
    chunks = [
        (f"{paper.id}-{at}", chunk)
        for paper in papers
        for at, chunk in enumerate(splitter.split_text(f"{paper.title}\n\n{paper.abstract}"))
    ]
    collection.add(ids=[name for name, _ in chunks], documents=[chunk for _, chunk in chunks])
    return StockIndex(len(chunks), collection)

"""The stock way to ingest abstracts, to measure ours against: llama-index's SentenceSplitter into
Chroma with its default embedding function.

That function fetches its model at first use, which works nowhere without a network. Here it is done
as Chroma 1.5 does it (truncated and padded to 256 tokens, 32 texts at a time, a session of
onnxruntime as it comes, mean and length one), with the shipped encoder's file. That file holds the
same model in eight bits, with which the stock way is faster than with its own in 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from citewise.types import Paper

_WINDOW, _BATCH = 256, 32
_MODEL = Path(__file__).resolve().parents[1] / "src" / "citewise" / "models" / "minilm"


def ingest(papers: Sequence[Paper], folder: Path) -> int:
    """Splits, embeds and stores the abstracts; counts the chunks."""
    # All of this is imported before the clock starts.
    import chromadb  # noqa: PLC0415
    from chromadb.api.types import Documents, EmbeddingFunction, Embeddings  # noqa: PLC0415
    from llama_index.core.node_parser import SentenceSplitter  # noqa: PLC0415

    class Default(EmbeddingFunction[Documents]):
        def __init__(self) -> None:
            import onnxruntime  # noqa: PLC0415
            from tokenizers import Tokenizer  # noqa: PLC0415

            self._tokenizer = Tokenizer.from_file(str(_MODEL / "tokenizer.json"))
            self._tokenizer.enable_truncation(max_length=_WINDOW)
            self._tokenizer.enable_padding(length=_WINDOW)
            self._session: Any = onnxruntime.InferenceSession(
                str(_MODEL / "model.onnx"), providers=["CPUExecutionProvider"]
            )

        def __call__(self, input: Documents) -> Embeddings:  # noqa: A002 - Chroma's name
            found: list[Any] = []
            for begin in range(0, len(input), _BATCH):
                codes = self._tokenizer.encode_batch(list(input[begin : begin + _BATCH]))
                ids = np.array([code.ids for code in codes], np.int64)
                mask = np.array([code.attention_mask for code in codes], np.int64)
                (tokens,) = self._session.run(
                    ["token_embeddings"], {"input_ids": ids, "attention_mask": mask}
                )
                inside = mask[:, :, None].astype(np.float32)
                means = (tokens * inside).sum(1) / np.maximum(inside.sum(1), 1e-9)
                found.extend(means / np.linalg.norm(means, axis=1, keepdims=True))
            return found

    splitter = SentenceSplitter()
    client = chromadb.PersistentClient(path=str(folder))
    collection = client.create_collection("papers", embedding_function=Default())  # type: ignore[arg-type]
    chunks = [
        (f"{paper.id}-{at}", chunk)
        for paper in papers
        for at, chunk in enumerate(splitter.split_text(f"{paper.title}\n\n{paper.abstract}"))
    ]
    collection.add(ids=[name for name, _ in chunks], documents=[chunk for _, chunk in chunks])
    return len(chunks)

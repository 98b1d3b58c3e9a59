"""What citewise is measured beside: each part of it alone, and a stock pipeline.

All are run by the same harness over the same papers, with the same encoder, so that a difference is
one of method.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from citewise.answering.assistant import Assistant
from citewise.errors import UsageError
from citewise.evaluation import report
from citewise.evaluation.compare import compare
from citewise.evaluation.datasets import Question
from citewise.evaluation.runner import Asks, Finds, provenance, run_questions, run_retrieval
from citewise.library.embedding import quickest
from citewise.library.lexical import LexicalIndex
from citewise.library.library import Library
from citewise.library.vectors import VectorIndex
from citewise.types import (
    Answer,
    Citation,
    Effort,
    Hit,
    Json,
    Message,
    Retrieved,
    SearchResult,
    Sentence,
    Span,
    Usage,
    Verdict,
    sha256_of,
)

RRF_K = 60
"""Constant of reciprocal rank fusion: Cormack, Clarke & Büttcher 2009, SIGIR, doi
10.1145/1571941.1572114, section 2."""
_DEPTH = 100
_QUOTED = 3
TITLES: Mapping[str, str] = {
    "citewise": "citewise",
    "bm25": "BM25 alone",
    "dense": "dense alone",
    "fusion": "plain fusion (reciprocal rank)",
    "llama-index": "llama-index over Chroma, same encoder",
    "three-sentences": "three most similar sentences",
}


class Bm25:
    """The library's word index alone."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._index = LexicalIndex(library.path / "lexical")

    def rank(self, query: str, k: int) -> list[tuple[str, float]]:
        """The best ``k`` papers as (id, score), best first."""
        return self._index.search(query, k)

    def find(self, query: str, k: int) -> SearchResult:
        """As ``Library.find``."""
        return _result(self._library, query, self.rank(query, k))


class Dense:
    """The library's vector index alone, asked as a search asks it: the nearest passage counts."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._index = VectorIndex(library.path / "vectors")

    def rank(self, query: str, k: int) -> list[tuple[str, float]]:
        """The best ``k`` papers as (id, cosine), best first."""
        vector = quickest(self._library.embedder)([query])[0]
        best: dict[str, float] = {}
        # Papers have about two passages each.
        for _, paper, cosine in self._index.search(vector, 3 * k):
            best.setdefault(paper, cosine)
        return list(best.items())[:k]

    def find(self, query: str, k: int) -> SearchResult:
        """As ``Library.find``."""
        return _result(self._library, query, self.rank(query, k))


class Fusion:
    """Words and vectors joined by reciprocal rank fusion, the usual plain way."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._parts: tuple[Bm25, Dense] = (Bm25(library), Dense(library))

    def find(self, query: str, k: int) -> SearchResult:
        """As ``Library.find``."""
        scores: dict[str, float] = {}
        for part in self._parts:
            for rank, (paper, _) in enumerate(part.rank(query, max(k, _DEPTH)), 1):
                scores[paper] = scores.get(paper, 0.0) + 1 / (RRF_K + rank)
        ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        return _result(self._library, query, ranked[:k])


class StockLlamaIndex:
    """llama-index's VectorStoreIndex and retriever over a Chroma collection of its own.

    The stock pipeline: one document a paper, default splitter, default collection. Chroma's default
    embedding would be fetched from the network at first use; it is the same model as ours,
    all-MiniLM-L6-v2, which reads the first 256 tokens of a text. So our encoder stands in as the
    embedding (eight bits instead of 32; SciFact shows no difference). Raises UsageError where
    llama-index's Chroma store is not installed.
    """

    def __init__(self, library: Library) -> None:
        if importlib.util.find_spec("llama_index.vector_stores.chroma") is None:
            raise UsageError(
                "The llama-index baseline needs the package llama-index-vector-stores-chroma."
            )
        # These take 4 s to import, and nothing else here needs them.
        import chromadb  # noqa: PLC0415
        from llama_index.core import (  # noqa: PLC0415
            Document,
            StorageContext,
            VectorStoreIndex,
        )
        from llama_index.core.embeddings import BaseEmbedding  # noqa: PLC0415
        from llama_index.vector_stores.chroma import ChromaVectorStore  # noqa: PLC0415

        embedder = library.embedder

        class Ours(BaseEmbedding):
            def _get_query_embedding(self, query: str) -> list[float]:
                return self._get_text_embedding(query)

            async def _aget_query_embedding(self, query: str) -> list[float]:
                return self._get_text_embedding(query)

            def _get_text_embedding(self, text: str) -> list[float]:
                return [float(value) for value in embedder.embed_queries([text])[0]]

        self._library = library
        client = chromadb.EphemeralClient()
        name = f"baseline-{sha256_of(f'{id(self)}{time.time_ns()}')[:16]}"
        self._store = ChromaVectorStore(chroma_collection=client.create_collection(name))
        documents = [
            Document(
                text=f"{paper.title}\n\n{paper.abstract}", id_=paper.id, metadata={"id": paper.id},
                excluded_embed_metadata_keys=["id"],
            )
            for paper in library.papers()
        ]  # fmt: skip
        self._index: Any = VectorStoreIndex.from_documents(
            documents,
            storage_context=StorageContext.from_defaults(vector_store=self._store),
            embed_model=Ours(),
        )

    def find(self, query: str, k: int) -> SearchResult:
        """As ``Library.find``."""
        nodes = self._index.as_retriever(similarity_top_k=k).retrieve(query)
        best: dict[str, float] = {}
        for node in nodes:
            best.setdefault(str(node.node.ref_doc_id), float(node.score or 0.0))
        return _result(self._library, query, list(best.items()))


class ThreeSentences:
    """Answers with the three sentences whose vectors are nearest to the question's; never abstains.

    What any embedding of the papers gives for free: an answer that is not better than this one is
    not worth its machinery.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self._dense = Dense(library)

    def ask(self, question: str, history: Sequence[Message] = ()) -> Answer:
        """Three quotations, each cited; the history is left aside, as plain systems do."""
        ranked = self._dense.find(question, _DEPTH).hits
        vector = self.library.embedder.embed_queries([question])[0]
        nearest: list[tuple[float, Hit, Span]] = []
        rows = self.library.sentences([hit.paper.id for hit in ranked])
        for hit in ranked:
            row = rows.get(hit.paper.id)
            if row is None or row.vectors is None:
                continue
            for (start, end), cosine in zip(row.spans, row.vectors @ vector, strict=True):
                span = Span.of(hit.paper.abstract, start, end)
                nearest.append((float(cosine), hit, span))
        nearest.sort(key=lambda item: (-item[0], item[1].rank, item[2].start))
        best = nearest[:_QUOTED]
        papers = {hit.paper.id: hit.paper for _, hit, _ in best}
        number = {name: n for n, name in enumerate(papers, 1)}
        spans = {name: [s for _, hit, s in best if hit.paper.id == name] for name in papers}
        sentences = tuple(
            Sentence(
                span.text, (number[hit.paper.id],), 1.0, Verdict.SUPPORTED,
                spans=((number[hit.paper.id], spans[hit.paper.id].index(span)),),
            )
            for _, hit, span in best
        )  # fmt: skip
        return Answer(
            id=sha256_of(question)[:16],
            question=question,
            standalone_question=question,
            text=" ".join(f"{s.text} [{s.citations[0]}]" for s in sentences)
            or "There are no papers.",
            answered=bool(best),
            sentences=sentences,
            citations=tuple(
                Citation(number[name], paper, tuple(spans[name])) for name, paper in papers.items()
            ),
            retrieved=tuple(
                Retrieved(hit.rank, hit.paper.id, hit.paper.title, hit.score) for hit in ranked[:10]
            ),
            confidence=min(1.0, max(0.0, best[0][0])) if best else 0.0,
            backend="three-sentences",
            effort=Effort.NORMAL,
            usage=Usage(),
            timings_ms={},
            library=self.library.fingerprint,
        )


def _result(library: Library, query: str, ranked: Sequence[tuple[str, float]]) -> SearchResult:
    papers = library.papers_by_id([paper for paper, _ in ranked])
    known = [(papers[name], score) for name, score in ranked if name in papers]
    hits = tuple(
        Hit(rank, paper, score, Span.of(paper.abstract, 0, len(paper.abstract)))
        for rank, (paper, score) in enumerate(known, 1)
    )
    return SearchResult(query, hits, {})


_FINDERS: Mapping[str, Callable[[Library], Finds]] = {
    "bm25": Bm25,
    "dense": Dense,
    "fusion": Fusion,
    "llama-index": StockLlamaIndex,
}


def run_baselines(
    library: Library,
    questions: Sequence[Question],
    out: Path | None = None,
    *,
    systems: Sequence[str] = tuple(TITLES),
    backend: str = "extractive",
    on_progress: Callable[[int, int], None] | None = None,
    identity: Mapping[str, object] | None = None,
    fresh: bool = True,
) -> Json:
    """Run citewise and its baselines over the same questions; the summaries side by side.

    Retrieval over the answerable questions: citewise's own search, BM25, dense, fusion and, where
    it is installed, llama-index. Answers over all questions: citewise and the three most similar
    sentences. Each run is written into a folder of its own in ``out``, so that ``eval compare`` can
    take any two; what was finished before is taken as it is unless ``fresh``. Raises UsageError for
    a system that is not in TITLES.
    """
    strange = sorted(set(systems) - TITLES.keys())
    if strange:
        raise UsageError(
            f"there is no baseline {', '.join(strange)}; there are {', '.join(TITLES)}"
        )
    answerable = [question for question in questions if question.answerable]
    made: Json = {
        "what": "baselines",
        **(identity or {}),
        **provenance(),
        "questions": len(questions),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "figures": {},
        "titles": dict(TITLES),
        "retrieval": {},
        "answers": {},
    }
    notes: list[str] = []
    for name in systems:
        if name == "three-sentences":
            continue
        finds: Finds = library
        if name in _FINDERS:
            try:
                finds = _FINDERS[name](library)
            except UsageError as error:
                notes.append(str(error))
                continue
        made["retrieval"][name] = run_retrieval(
            finds,
            {q.id: q.standalone for q in answerable},
            {q.id: q.required for q in answerable},
            acceptable={q.id: q.acceptable for q in answerable},
            out=out / f"retrieval-{name}" if out else None,
            on_progress=on_progress,
            identity={**(identity or {}), "system": name},
            fresh=fresh,
        )
        _write(made["retrieval"][name], out, f"retrieval-{name}")
    for name in systems:
        if name not in ("citewise", "three-sentences"):
            continue
        asks: Asks = (
            ThreeSentences(library)
            if name == "three-sentences"
            else Assistant(library, backend=backend)
        )
        label = "three-sentences" if name == "three-sentences" else backend
        made["answers"][name] = run_questions(
            asks,
            questions,
            out / f"answers-{name}" if out else None,
            on_progress,
            identity={**(identity or {}), "backend": label},
            fresh=fresh,
        ).summary
        _write(made["answers"][name], out, f"answers-{name}")
    made["notes"] = notes
    if out is not None:
        made["differs"] = _differs(made, out)
    return made


def _differs(made: Json, out: Path) -> dict[str, dict[str, list[str]]]:
    """For each baseline, the figures that differ from citewise's, paired, at 95 %."""
    found: dict[str, dict[str, list[str]]] = {}
    for part in ("retrieval", "answers"):
        found[part] = {
            name: [
                d.name
                for d in compare(out / f"{part}-citewise", out / f"{part}-{name}").differences
                if d.real
            ]
            for name in made[part]
            if name != "citewise" and "citewise" in made[part]
        }
    return found


def _write(summary: Json, out: Path | None, name: str) -> None:
    if out is not None:
        report.write(summary, out / name)

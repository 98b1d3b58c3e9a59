"""From a query to ranked papers: words, passages and sentences, fused, and what they agree on."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from citewise.library.embedding import Embedder
from citewise.library.feedback import (
    FEEDBACK_PAPERS,
    Floats,
    relevance_terms,
    smooth,
    standardise,
)
from citewise.library.lexical import LexicalIndex
from citewise.library.papers import PaperStore
from citewise.library.passages import Offsets
from citewise.library.vectors import VectorIndex
from citewise.types import Filters, Hit, Paper, SearchResult, Span

WORDS_WEIGHT, PASSAGE_WEIGHT, SENTENCE_WEIGHT = 0.4, 0.3, 0.3
"""Shares of BM25, of the best passage's cosine and of the best sentence's, each standardised over
the candidates. Chosen by the mean of five collections, as are the next two: docs/retrieval.md."""

FEEDBACK_WEIGHT = 0.2
"""Share of the words that the best papers share. It lifts questions with many right papers most."""

SMOOTHING = 0.25
"""Share of a paper's nearest neighbours in its score."""

DEPTH = 100
"""Papers taken from each index before fusion, at least."""

_CACHED_PAPERS = 5_000
"""Papers whose sentence vectors are kept in memory: 20 MB at ten sentences of 384 dimensions."""

_LONGEST_QUERY = 2_000
"""Characters of a query that are searched; the encoder reads 256 tokens anyway."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What one index says of a paper."""

    rank: int
    score: float
    passage_id: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Meaning:
    """A paper's sentences as one unit vector each, in eight bits, and their mean."""

    sentences: NDArray[np.int8]
    mean: NDArray[np.float32]
    """Unit length, or zeros."""


class Retriever:
    """Ranks a library's papers for a query."""

    def __init__(
        self, store: PaperStore, lexical: LexicalIndex, vectors: VectorIndex, embedder: Embedder
    ) -> None:
        self._store = store
        self._lexical = lexical
        self._vectors = vectors
        self._embedder = embedder
        self._meanings: dict[str, _Meaning] = {}
        self._meanings_of = -1
        self._lock = threading.Lock()

    def search(self, query: str, k: int, filters: Filters) -> SearchResult:
        """The best ``k`` papers for ``query`` among those that pass the filters.

        Uses the indexes as far as they are filled and says in the notes what they lack.
        """
        started = time.perf_counter()
        timings: dict[str, float] = {}
        notes: list[str] = []
        words = query[:_LONGEST_QUERY].strip()
        if len(query) > _LONGEST_QUERY:
            notes.append(f"Only the first {_LONGEST_QUERY} characters were searched.")
        if not any(character.isalnum() for character in words):
            notes.append("There is nothing to search for in the question.")
            return SearchResult(query, (), {"total": _ms_since(started)}, tuple(notes))
        allowed = self._allowed(filters, notes)

        mark = time.perf_counter()
        depth = max(DEPTH, k)
        lexical = self._by_words(words, depth, allowed)
        timings["lexical"] = _ms_since(mark)

        mark = time.perf_counter()
        vector = self._embedder.embed_queries([words])[0]
        timings["embed"] = _ms_since(mark)

        mark = time.perf_counter()
        nearest = self._vectors.search(vector, 2 * depth, allowed)
        dense: dict[str, _Found] = {}
        for passage_id, paper_id, cosine in nearest:
            if paper_id not in dense and len(dense) < depth:
                dense[paper_id] = _Found(len(dense) + 1, cosine, passage_id)
        timings["dense"] = _ms_since(mark)

        mark = time.perf_counter()
        ranked = self._rank(words, vector, lexical, dense, len(lexical) >= depth)
        timings["fuse"] = _ms_since(mark)

        mark = time.perf_counter()
        hits = self._hits(words, ranked, lexical, dense, k)
        timings["read"] = _ms_since(mark)
        missing = self._store.count_missing("dense")
        if missing:
            notes.append(f"{missing} papers are not embedded yet: found by their words alone.")
        timings["total"] = _ms_since(started)
        return SearchResult(query, hits, timings, tuple(notes))

    def _allowed(self, filters: Filters, notes: list[str]) -> list[str] | None:
        if not filters:
            return None
        allowed = self._store.select_ids(filters)
        if filters.since or filters.until:
            undated = self._store.count("all") - self._store.count("dated")
            if undated:
                notes.append(f"{undated} papers without a date of publication were left out.")
        return allowed

    def _by_words(self, words: str, depth: int, allowed: Sequence[str] | None) -> dict[str, _Found]:
        if allowed is not None and not allowed:
            return {}
        found = self._lexical.search(words, depth, allowed)
        return {paper_id: _Found(rank, score) for rank, (paper_id, score) in enumerate(found, 1)}

    def _rank(
        self,
        words: str,
        vector: NDArray[np.float32],
        lexical: Mapping[str, _Found],
        dense: Mapping[str, _Found],
        cut: bool,
    ) -> list[tuple[str, float]]:
        """All candidates with their scores, 0 to 1, best first.

        ``cut`` says that more papers have the query's words than ``lexical`` holds.
        """
        ids = sorted({*lexical, *dense})
        if not ids:
            return []
        terms = dict.fromkeys(self._lexical.terms(words)[:256], 1.0)
        bm25 = {paper_id: found.score for paper_id, found in lexical.items()}
        if cut:
            bm25 |= self._lexical.scores(terms, [i for i in ids if i not in lexical])
        by_words = np.array([bm25.get(paper_id, 0.0) for paper_id in ids])

        meanings = self._read_meanings(ids)
        means = np.zeros((len(ids), len(vector)), np.float32)
        best_sentence = np.zeros(len(ids))
        embedded = np.zeros(len(ids), np.bool_)
        for at, paper_id in enumerate(ids):
            if meaning := meanings.get(paper_id):
                embedded[at] = True
                means[at] = meaning.mean
        if meanings:
            rows = [meanings[paper_id].sentences for paper_id in ids if paper_id in meanings]
            # einsum, for it takes one thread: see feedback.cosines.
            near = np.einsum("nd,d->n", np.concatenate(rows).astype(np.float32), vector)
            starts = np.cumsum([0, *map(len, rows[:-1])])
            best_sentence[embedded] = np.maximum.reduceat(near, starts) / 127.0
        # The mean of a paper's sentences stands in for passages too far to be found by themselves.
        by_passage = np.einsum("nd,d->n", means, vector).astype(np.float64)
        for at, paper_id in enumerate(ids):
            if found := dense.get(paper_id):
                by_passage[at] = found.score
        known = embedded | np.array([paper_id in dense for paper_id in ids])

        scores = (
            WORDS_WEIGHT * standardise(by_words)
            + PASSAGE_WEIGHT * standardise(by_passage, known)
            + SENTENCE_WEIGHT * standardise(best_sentence, embedded)
        )
        scores = self._with_feedback(ids, scores)
        scores = smooth(scores, means, SMOOTHING)
        shown = 1.0 / (1.0 + np.exp(-scores))
        # Ids break ties, so that the same query always gives the same order.
        return sorted(zip(ids, shown.tolist(), strict=True), key=lambda item: (-item[1], item[0]))

    def _with_feedback(self, ids: Sequence[str], scores: Floats) -> Floats:
        """Scores with a share of the words that the best papers share."""
        best = np.argsort(-scores, kind="stable")[:FEEDBACK_PAPERS]
        papers = self._store.papers([ids[at] for at in best])
        read = [
            (self._lexical.terms(f"{paper.title} {paper.abstract}"), float(scores[at]))
            for at in best
            if (paper := papers.get(ids[at]))
        ]
        texts, weights = [text for text, _ in read], [weight for _, weight in read]
        frequencies = self._lexical.document_frequencies(sorted({w for t in texts for w in t}))
        wanted = relevance_terms(texts, weights, frequencies, self._lexical.count())
        found = self._lexical.scores(wanted, ids)
        again = np.array([found.get(paper_id, 0.0) for paper_id in ids])
        return (1.0 - FEEDBACK_WEIGHT) * scores + FEEDBACK_WEIGHT * standardise(again)

    def _read_meanings(self, ids: Sequence[str]) -> dict[str, _Meaning]:
        """Sentence vectors of the embedded papers, kept in memory until the library changes."""
        version = self._store.version
        with self._lock:
            if version != self._meanings_of or len(self._meanings) > _CACHED_PAPERS:
                self._meanings, self._meanings_of = {}, version
            kept = self._meanings
        found = {paper_id: kept[paper_id] for paper_id in ids if paper_id in kept}
        for paper_id, row in self._store.sentences([i for i in ids if i not in found]).items():
            if row.vectors is None or not len(row.vectors):
                continue
            total = row.vectors.sum(axis=0)
            length = float(np.linalg.norm(total))
            mean = total / np.float32(length) if length > 0 else total
            eight_bits = np.rint(row.vectors * 127.0).astype(np.int8)
            kept[paper_id] = found[paper_id] = _Meaning(eight_bits, mean)
        return found

    def _hits(
        self,
        words: str,
        ranked: Sequence[tuple[str, float]],
        lexical: Mapping[str, _Found],
        dense: Mapping[str, _Found],
        k: int,
    ) -> tuple[Hit, ...]:
        papers = self._store.papers([paper_id for paper_id, _ in ranked[: k + 10]])
        passages = self._store.passages(
            [found.passage_id for found in dense.values() if found.passage_id]
        )
        hits: list[Hit] = []
        for paper_id, score in ranked:
            # A paper removed by another process may still stand in an index.
            paper = papers.get(paper_id)
            if paper is None:
                continue
            if len(hits) == k:
                break
            by_words, by_meaning = lexical.get(paper_id), dense.get(paper_id)
            row = passages.get(by_meaning.passage_id or "") if by_meaning else None
            inside = row is not None and row.end <= len(paper.abstract)
            offsets = (row.start, row.end) if row and inside else self._passage(paper, words)
            hits.append(
                Hit(
                    rank=len(hits) + 1,
                    paper=paper,
                    score=round(score, 6),
                    passage=Span.of(paper.abstract, *offsets),
                    dense_rank=by_meaning.rank if by_meaning else None,
                    lexical_rank=by_words.rank if by_words else None,
                    dense_score=by_meaning.score if by_meaning else None,
                    lexical_score=by_words.score if by_words else None,
                )
            )
        return tuple(hits)

    def _passage(self, paper: Paper, words: str) -> Offsets:
        """The passage that shares most words with the query, for a paper found by words alone."""
        rows = self._store.passages_of(paper.id)
        if len(rows) < 2:
            return (rows[0].start, rows[0].end) if rows else (0, len(paper.abstract))
        wanted = set(self._lexical.terms(words))
        best = max(
            rows,
            key=lambda row: len(
                wanted.intersection(self._lexical.terms(paper.abstract[row.start : row.end]))
            ),
        )
        return best.start, best.end


def _ms_since(mark: float) -> float:
    return round((time.perf_counter() - mark) * 1000, 3)

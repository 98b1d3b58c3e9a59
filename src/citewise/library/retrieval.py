"""From a query to ranked papers: words, passages and sentences, fused, and what they agree on."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from citewise.library.embedding import Embedder
from citewise.library.feedback import (
    FEEDBACK_PAPERS,
    Floats,
    smooth,
    standardise,
)
from citewise.library.lexical import TITLE_BOOST, Field, LexicalIndex, words_of
from citewise.library.orders import without_orders
from citewise.library.papers import Ids, PaperStore
from citewise.library.passages import Offsets
from citewise.library.vectors import VectorIndex
from citewise.library.wordings import (
    NO_WORDS,
    Numbers,
    Wording,
    number_of,
    shared_words,
    word_scores,
)
from citewise.models.loading import available_processors
from citewise.types import Filters, Hit, Paper, SearchResult, Span

Vector: TypeAlias = NDArray[np.float32]

WORDS_WEIGHT, PASSAGE_WEIGHT, SENTENCE_WEIGHT = 0.4, 0.3, 0.3
"""Shares of BM25, of the best passage's cosine and of the best sentence's, each standardised over
the candidates. Chosen by the mean of five collections, as are the next two: docs/retrieval.md."""

FEEDBACK_WEIGHT = 0.2
"""Share of the words that the best papers share. It lifts questions with many right papers most."""

GUESSED = 0.5
"""Of its standing by words, what a paper without vectors is taken to have by meaning: chosen, not
fitted. Taken as middling, a paper whose title was asked for could come behind embedded ones."""
SMOOTHING = 0.25
"""Share of a paper's nearest neighbours in its score."""

DEPTH = 70
"""Papers taken from each index before fusion, at least."""

_CACHED_PAPERS = 5_000
"""Papers whose sentence vectors and words are kept in memory, 23 MB at ten sentences of 384
dimensions; and found papers themselves, some 15 MB."""

_CACHED_WORDS = 100_000
"""Words whose rarity is kept in memory, and their rarity in titles: some 20 MB."""

LONGEST_QUERY = 2_000
"""Characters of a query that are searched; the encoder reads 256 tokens anyway."""

_LONGEST_WORD = 60
"""Characters of a word that the word index knows."""

_BESIDE = ThreadPoolExecutor(available_processors(), thread_name_prefix="citewise-words")
"""Looks for words while the thread that asks waits for the encoder and for Chroma."""

_WORD = re.compile(r"[^\W_]+")
_NOTHING = "There is nothing to search for in the question"


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
    mean: Vector
    """Unit length, or zeros."""


@dataclass(slots=True, eq=False)
class _Memory:
    """What was read of the papers; true as long as the library does not change."""

    version: int
    waiting: int
    """Papers that are not embedded yet."""
    undated: int | None = None
    """Papers without a date of publication, once they were counted."""
    meanings: dict[str, _Meaning] = field(default_factory=dict)
    wordings: dict[str, Wording] = field(default_factory=dict)
    rarities: Mapping[Field, dict[int, float]] = field(
        default_factory=lambda: {"body": {}, "title": {}}
    )
    stems: dict[int, str] = field(default_factory=dict)
    """What numbers of words stand for that were read here."""
    spans: dict[str, tuple[Offsets, ...]] = field(default_factory=dict)
    papers: dict[str, Paper] = field(default_factory=dict)
    """Those that were found, without their places."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sought:
    """What to rank for."""

    terms: Mapping[str, float]
    """Stemmed words and their weights."""
    typed: Mapping[str, str]
    """Stemmed words that a hit is to be explained by, each as it was typed."""
    vector: Vector | None
    feedback: bool
    """Whether the words that the best papers share count as well."""
    memory: _Memory
    """Of the library as it was when the search began."""


@dataclass(frozen=True, slots=True, eq=False)
class _ByWords:
    """What the word index says."""

    found: Mapping[str, _Found]
    """The candidates that it brings up."""
    scores: Mapping[str, float]
    """BM25 of these and perhaps of others."""
    complete: bool
    """Whether every paper that is not in ``scores`` has none of the words."""
    named: Mapping[str, int] = field(default_factory=dict)
    """Papers that hold names which few papers hold, by how many: they come first."""


class Retriever:
    """Ranks a library's papers for a query. Safe to use from several threads."""

    def __init__(
        self, store: PaperStore, lexical: LexicalIndex, vectors: VectorIndex, embedder: Embedder
    ) -> None:
        self._store = store
        self._lexical = lexical
        self._vectors = vectors
        self._embedder = embedder
        self._memory = _Memory(-1, 0)

    def search(self, query: str, k: int, filters: Filters, *, explain: bool = True) -> SearchResult:
        """The best ``k`` papers for ``query`` among those that pass the filters.

        Uses the indexes as far as they are filled and says in the notes what they lack. With
        ``explain`` each hit says which words matched and which sentence is nearest.
        """
        started = time.perf_counter()
        timings: dict[str, float] = {}
        notes: list[str] = []
        whole = query.lstrip()
        read = whole[:LONGEST_QUERY].rstrip()
        words = self._lexical.as_spelled(read)
        if len(whole) > LONGEST_QUERY:
            notes.append(f"Only the first {LONGEST_QUERY} characters were searched.")
        terms = self._lexical.weights(words)
        if why := _nothing_in(words, terms):
            return SearchResult(query, (), {"total": _ms_since(started)}, (why, *notes))
        memory = self._remembered()
        allowed = self._allowed(filters, memory, notes)
        depth = max(DEPTH, k)
        with self._words_beside(words, terms, depth, allowed, memory, timings) as found:
            mark = time.perf_counter()
            vector = self._embedder.embed_queries([words])[0]
            timings["embed"] = _ms_since(mark)
            mark = time.perf_counter()
            dense = self._by_meaning(vector, depth, allowed)
            timings["dense"] = _ms_since(mark)
            typed = {**self._typed(words), **self._typed(read)} if explain else {}
            lexical = found()
        sought = _Sought(terms, typed, vector, True, memory)
        hits = self._ranked(sought, lexical, dense, k, explain, timings)
        if hits and not any(hit.lexical_rank for hit in hits):
            notes.append(
                "None of these papers has a word of the question: ranked by meaning alone."
            )
        return self._result(query, hits, started, timings, memory, notes)

    def similar(self, paper: Paper, k: int, filters: Filters) -> SearchResult:
        """The ``k`` papers most like ``paper``, itself left out, by its vectors and rarest words.

        A paper that is not embedded yet is compared by its words, and the notes say so.
        """
        started = time.perf_counter()
        notes: list[str] = []
        timings: dict[str, float] = {}
        memory = self._remembered()
        allowed = self._allowed(filters, memory, notes)
        meaning = self._meanings([paper.id], memory).get(paper.id)
        if meaning is None:
            notes.append("The paper is not embedded yet: compared by its words alone.")
        shared = self._shared([paper.id], [0.0], memory)
        names = self._names(list(shared), memory)
        terms = {names[number]: weight for number, weight in shared.items() if number in names}
        typed = self._typed(f"{paper.title} {without_orders(paper.abstract)}")
        shown = {term: typed[term] for term in terms if term in typed}
        vector = meaning.mean if meaning else None
        depth = max(DEPTH, k) + 1
        mark = time.perf_counter()
        lexical = self._by_words(terms, depth, allowed)
        timings["lexical"] = _ms_since(mark)
        mark = time.perf_counter()
        dense = self._by_meaning(vector, depth, allowed)
        timings["dense"] = _ms_since(mark)
        found = self._ranked(
            _Sought(terms, shown, vector, False, memory),
            replace(lexical, found=_without(lexical.found, paper.id)),
            _without(dense, paper.id),
            k,
            True,
            timings,
        )
        return self._result(paper.title, found, started, timings, memory, notes)

    @contextmanager
    def _words_beside(
        self,
        words: str,
        terms: Mapping[str, float],
        depth: int,
        allowed: Ids | None,
        memory: _Memory,
        timings: dict[str, float],
    ) -> Iterator[Callable[[], _ByWords]]:
        """What words find, looked for in another thread; gives what waits for it.

        Sentence vectors and words of what is found are read there too: the ranking wants them.
        """

        def look() -> _ByWords:
            mark = time.perf_counter()
            named = self._lexical.named(words, mainly=True)
            if allowed is not None:
                named = {paper_id: n for paper_id, n in named.items() if paper_id in allowed}
            lexical = replace(self._by_words(terms, depth, allowed), named=named)
            timings["lexical"] = _ms_since(mark)
            if self._store.dimensions is not None:
                # Another embedder would have to be asked for them, from this thread.
                self._meanings(list(lexical.found), memory)
            self._wordings(list(lexical.found), memory)
            return lexical

        try:
            begun = _BESIDE.submit(look)
        except RuntimeError:
            # The interpreter ends, and begins no more threads.
            yield look
            return
        try:
            # Where others keep that thread busy, this one is the quicker.
            yield lambda: look() if begun.cancel() else begun.result()
        finally:
            # Whoever hears of an error may close the library.
            if not begun.cancel():
                wait((begun,))

    def _result(
        self,
        query: str,
        hits: tuple[Hit, ...],
        started: float,
        timings: dict[str, float],
        memory: _Memory,
        notes: list[str],
    ) -> SearchResult:
        if waiting := memory.waiting:
            notes.append(f"{waiting} papers are not embedded yet: found by their words alone.")
        timings["total"] = _ms_since(started)
        return SearchResult(query, hits, timings, tuple(notes))

    def _ranked(
        self,
        sought: _Sought,
        lexical: _ByWords,
        dense: Mapping[str, _Found],
        k: int,
        explain: bool,
        timings: dict[str, float],
    ) -> tuple[Hit, ...]:
        """The hits for what is sought, of what the indexes found; adds to the timings."""
        mark = time.perf_counter()
        ranked = self._rank(sought, lexical, dense)
        timings["fuse"] = _ms_since(mark)

        mark = time.perf_counter()
        hits = self._hits(sought, ranked, lexical.found, dense, k, explain)
        timings["read"] = _ms_since(mark)
        return hits

    def _remembered(self) -> _Memory:
        version = self._store.version
        memory = self._memory
        if memory.version != version:
            memory = self._memory = _Memory(version, self._store.count_missing("dense"))
        return memory

    def _allowed(self, filters: Filters, memory: _Memory, notes: list[str]) -> Ids | None:
        if not filters:
            return None
        allowed = self._store.select_ids(filters)
        if filters.since or filters.until:
            if memory.undated is None:
                memory.undated = self._store.count("all") - self._store.count("dated")
            if memory.undated:
                notes.append(
                    f"{memory.undated} papers without a date of publication were left out."
                )
        return allowed

    def _by_words(self, terms: Mapping[str, float], depth: int, allowed: Ids | None) -> _ByWords:
        if allowed is not None and not allowed:
            return _ByWords({}, {}, True)
        # In a small library scoring all is as quick, and what the vectors bring up is scored too.
        wanted = max(depth, self._lexical.quickly(depth))
        scores = dict(self._lexical.search(terms, wanted, allowed))
        found = {
            paper_id: _Found(rank, score)
            for rank, (paper_id, score) in enumerate(islice(scores.items(), depth), 1)
        }
        return _ByWords(found, scores, len(scores) < wanted)

    def _by_meaning(
        self, vector: Vector | None, depth: int, allowed: Ids | None
    ) -> dict[str, _Found]:
        found: dict[str, _Found] = {}
        if vector is None:
            return found
        for passage_id, paper_id, cosine in self._vectors.search(vector, 3 * depth // 2, allowed):
            if paper_id not in found and len(found) < depth:
                found[paper_id] = _Found(len(found) + 1, cosine, passage_id)
        return found

    def _rank(
        self,
        sought: _Sought,
        lexical: _ByWords,
        dense: Mapping[str, _Found],
    ) -> list[tuple[str, float]]:
        """All candidates with their scores, 0 to 1, best first."""
        ids = sorted({*lexical.found, *dense, *lexical.named})
        if not ids:
            return []
        by_words = self._by_words_of(ids, sought, lexical)

        meanings = self._meanings(ids, sought.memory)
        embedded = np.array([paper_id in meanings for paper_id in ids])
        means = np.zeros((len(ids), self._embedder.dimensions), np.float32)
        best_sentence = np.zeros(len(ids))
        by_passage = np.zeros(len(ids))
        if meanings:
            inside = [meanings[paper_id] for paper_id in ids if paper_id in meanings]
            means[embedded] = [meaning.mean for meaning in inside]
        if meanings and sought.vector is not None:
            rows = [meaning.sentences for meaning in inside]
            # einsum, for it takes one thread: see feedback.similarities.
            near = np.einsum("nd,d->n", np.concatenate(rows).astype(np.float32), sought.vector)
            starts = np.cumsum([0, *map(len, rows[:-1])])
            best_sentence[embedded] = np.maximum.reduceat(near, starts) / 127.0
            # The mean of the sentences stands in for passages too far to be found by themselves.
            by_passage = np.einsum("nd,d->n", means, sought.vector).astype(np.float64)
        for at, paper_id in enumerate(ids):
            if found := dense.get(paper_id):
                by_passage[at] = found.score
        known = embedded | np.array([paper_id in dense for paper_id in ids])

        words = standardise(by_words)
        guess = GUESSED * words
        scores = (
            WORDS_WEIGHT * words
            + PASSAGE_WEIGHT * np.where(known, standardise(by_passage, known), guess)
            + SENTENCE_WEIGHT * np.where(embedded, standardise(best_sentence, embedded), guess)
        )
        if sought.feedback:
            scores = self._with_feedback(ids, scores, sought.memory)
        scores = smooth(scores, means, SMOOTHING)
        shown = 1.0 / (1.0 + np.exp(-scores))
        best = float(shown.max())
        named = lexical.named
        # Ids break ties, so that the same query always gives the same order.
        ranked = sorted(
            zip(ids, shown.tolist(), strict=True),
            key=lambda item: (-named.get(item[0], 0), -item[1], item[0]),
        )
        return [(paper_id, best if paper_id in named else one) for paper_id, one in ranked]

    def _by_words_of(self, ids: Sequence[str], sought: _Sought, lexical: _ByWords) -> Floats:
        """BM25 of the papers: as the word index says, and on the same scale of the others."""
        told = lexical.scores
        unknown = [paper_id for paper_id in ids if paper_id not in told]
        if not lexical.complete and unknown:
            _remember(sought.memory, {number_of(term): term for term in sought.terms})
            numbers = {number_of(term): weight for term, weight in sought.terms.items()}
            ours = self._scores_of(unknown, numbers, sought.memory)
            told = {**told, **dict(zip(unknown, ours.tolist(), strict=True))}
        return np.array([told.get(paper_id, 0.0) for paper_id in ids])

    def _with_feedback(self, ids: Sequence[str], scores: Floats, memory: _Memory) -> Floats:
        """Scores with a share of the words that the best papers share."""
        best = np.argsort(-scores, kind="stable")[:FEEDBACK_PAPERS]
        wanted = self._shared([ids[at] for at in best], [float(scores[at]) for at in best], memory)
        again = self._scores_of(ids, wanted, memory)
        return (1.0 - FEEDBACK_WEIGHT) * scores + FEEDBACK_WEIGHT * standardise(again)

    def _shared(
        self, ids: Sequence[str], scores: Sequence[float], memory: _Memory
    ) -> dict[int, float]:
        """The words that papers share and others rarely have, by number, with weights."""
        wordings = self._wordings(ids, memory)
        return shared_words(
            [wordings.get(paper_id, NO_WORDS) for paper_id in ids],
            scores,
            lambda numbers: self._rarities(numbers, memory),
        )

    def _scores_of(
        self, ids: Sequence[str], weights: Mapping[int, float], memory: _Memory
    ) -> Floats:
        """BM25 of these papers for weighted words, as the word index would score them."""
        numbers = np.array(list(weights), np.int64)
        shares = np.array(list(weights.values()))
        wordings = self._wordings(ids, memory)
        return word_scores(
            [wordings.get(paper_id, NO_WORDS) for paper_id in ids],
            numbers,
            shares * self._rarities(numbers, memory),
            TITLE_BOOST * shares * self._rarities(numbers, memory, "title"),
        )

    def _rarities(self, numbers: Numbers, memory: _Memory, field: Field = "body") -> Floats:
        known, wanted = memory.rarities[field], numbers.tolist()
        try:
            return np.array([known[number] for number in wanted])
        except KeyError:
            unknown = [number for number in wanted if number not in known]
        names = self._names(unknown, memory)
        found = {number: self._lexical.rarity(stem, field) for number, stem in names.items()}
        # A word that no book knows is as rare as can be.
        rarest = self._lexical.rarity("", field)
        found |= {number: known.get(number, rarest) for number in wanted if number not in found}
        if len(known) > _CACHED_WORDS:
            known.clear()
        known |= {number: found[number] for number in names}
        return np.array([found[number] for number in wanted])

    def _names(self, numbers: Sequence[int], memory: _Memory) -> dict[int, str]:
        """The stemmed words that numbers stand for."""
        names = {number: stem for number in numbers if (stem := memory.stems.get(number))}
        return names | self._store.stems([number for number in numbers if number not in names])

    def _wordings(self, ids: Sequence[str], memory: _Memory) -> dict[str, Wording]:
        """The words of papers, kept in memory until the library changes."""
        kept = memory.wordings
        found = {paper_id: wording for paper_id in ids if (wording := kept.get(paper_id))}
        unknown = [paper_id for paper_id in ids if paper_id not in found]
        if not unknown:
            return found
        if len(kept) + len(unknown) > _CACHED_PAPERS:
            kept.clear()
        read = self._store.wordings(unknown)
        # Words are counted when a paper is embedded.
        uncounted = [paper_id for paper_id in unknown if paper_id not in read]
        counted, stems = words_of(self._store.texts(uncounted))
        _remember(memory, stems)
        read |= counted
        kept |= read
        return found | read

    def _meanings(self, ids: Sequence[str], memory: _Memory) -> dict[str, _Meaning]:
        """Sentence vectors of the embedded papers, kept in memory until the library changes."""
        kept = memory.meanings
        # Another thread may empty it meanwhile.
        found = {paper_id: meaning for paper_id in ids if (meaning := kept.get(paper_id))}
        unknown = [paper_id for paper_id in ids if paper_id not in found]
        if len(kept) + len(unknown) > _CACHED_PAPERS:
            kept.clear()
        if not unknown:
            return found
        read = self._store.sentence_rows(unknown, self._embedder.dimensions)
        means = _means(list(read.values()))
        for (paper_id, rows), mean in zip(read.items(), means, strict=True):
            kept[paper_id] = found[paper_id] = _Meaning(rows, mean)
        return found

    def _papers(self, ids: Sequence[str], memory: _Memory) -> dict[str, Paper]:
        """Papers by id, kept in memory until the library changes; unknown ids are left out."""
        kept = memory.papers
        found = {paper_id: paper for paper_id in ids if (paper := kept.get(paper_id))}
        if unknown := [paper_id for paper_id in ids if paper_id not in found]:
            if len(kept) + len(unknown) > _CACHED_PAPERS:
                kept.clear()
            read = self._store.papers(unknown)
            kept |= read
            found |= read
        return found

    def _hits(
        self,
        sought: _Sought,
        ranked: Sequence[tuple[str, float]],
        lexical: Mapping[str, _Found],
        dense: Mapping[str, _Found],
        k: int,
        explain: bool,
    ) -> tuple[Hit, ...]:
        # A paper removed by another process may still stand in an index.
        wanted = k
        while True:
            papers = self._papers([paper_id for paper_id, _ in ranked[:wanted]], sought.memory)
            if len(papers) >= k or wanted >= len(ranked):
                break
            wanted *= 2
        chosen = [(papers[paper_id], score) for paper_id, score in ranked if paper_id in papers][:k]
        near = [dense[paper.id].passage_id or "" for paper, _ in chosen if paper.id in dense]
        passages = self._store.passages(near)
        sentences: dict[str, tuple[Offsets, float | None]] = {}
        if explain:
            sentences = self._best_sentences(sought, [paper for paper, _ in chosen])
        wordings = self._wordings([paper.id for paper, _ in chosen], sought.memory)
        typed = {number_of(term): word for term, word in sought.typed.items()}
        hits: list[Hit] = []
        for paper, score in chosen:
            by_words, by_meaning = lexical.get(paper.id), dense.get(paper.id)
            row = passages.get(by_meaning.passage_id or "") if by_meaning else None
            inside = row is not None and row.start < row.end <= len(paper.abstract)
            offsets = (row.start, row.end) if row and inside else self._passage(paper, sought.terms)
            sentence, cosine = sentences.get(paper.id, (None, None))
            mine = set(wordings.get(paper.id, NO_WORDS).numbers.tolist()) if typed else ()
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
                    matched_words=tuple(
                        dict.fromkeys(word for number, word in typed.items() if number in mine)
                    ),
                    sentence=Span.of(paper.abstract, *sentence) if sentence else None,
                    sentence_score=cosine,
                )
            )
        return tuple(hits)

    def _best_sentences(
        self, sought: _Sought, papers: Sequence[Paper]
    ) -> dict[str, tuple[Offsets, float | None]]:
        """The sentence of each paper nearest to what is sought, by meaning or else by words."""
        kept = sought.memory.spans
        unknown = [paper.id for paper in papers if paper.id not in kept]
        if len(kept) + len(unknown) > _CACHED_PAPERS:
            kept.clear()
            unknown = [paper.id for paper in papers]
        if unknown:
            kept.update(self._store.spans(unknown))
        meanings = self._meanings([paper.id for paper in papers], sought.memory)
        best: dict[str, tuple[Offsets, float | None]] = {}
        for paper in papers:
            # Changed by another process since it was found, its sentences may be others.
            spans = [
                span for span in kept.get(paper.id, ()) if span[0] < span[1] <= len(paper.abstract)
            ]
            meaning = meanings.get(paper.id)
            if not spans:
                continue
            if meaning and sought.vector is not None and len(meaning.sentences) == len(spans):
                near = np.einsum("nd,d->n", meaning.sentences.astype(np.float32), sought.vector)
                at = int(near.argmax())
                best[paper.id] = (spans[at], round(float(near[at]) / 127.0, 6))
            else:
                best[paper.id] = (self._most_words(paper, spans, sought.terms), None)
        return best

    def _passage(self, paper: Paper, terms: Mapping[str, float]) -> Offsets:
        """The passage that shares most words with the query, for a paper found by words alone."""
        # Passages outside of the abstract, in a library that was tampered with, are refused later.
        rows = [(row.start, row.end) for row in self._store.passages_of(paper.id)]
        return self._most_words(paper, rows or [(0, len(paper.abstract))], terms)

    def _most_words(
        self, paper: Paper, spans: Sequence[Offsets], terms: Mapping[str, float]
    ) -> Offsets:
        """The first of the spans that have most of the words."""
        if len(spans) == 1:
            return spans[0]
        return max(
            spans,
            key=lambda span: sum(
                terms.get(term, 0.0)
                for term in set(self._lexical.terms(paper.abstract[span[0] : span[1]]))
            ),
        )

    def _typed(self, text: str) -> dict[str, str]:
        """The stemmed words of a text, as it and as papers spell them, each as it was typed."""
        typed: dict[str, str] = {}
        for word in dict.fromkeys(_WORD.findall(text)):
            spelled = self._lexical.as_spelled(word)
            for term in self._lexical.terms(word if spelled == word else f"{word} {spelled}"):
                typed.setdefault(term, word)
        return typed


def named_first(hits: Sequence[Hit], named: Mapping[str, int]) -> tuple[Hit, ...]:
    """The hits with new ranks, those first that hold most names, by ``LexicalIndex.named``.

    Those have the highest score of all, so that none stands before a better one.
    """
    best = max((hit.score for hit in hits), default=0.0)
    ordered = sorted(hits, key=lambda hit: -named.get(hit.paper.id, 0))
    return tuple(
        replace(hit, rank=n, score=best if named.get(hit.paper.id) else hit.score)
        for n, hit in enumerate(ordered, 1)
    )


def _remember(memory: _Memory, stems: Mapping[int, str]) -> None:
    if len(memory.stems) > _CACHED_WORDS:
        memory.stems.clear()
    memory.stems |= stems


def _means(sentences: Sequence[NDArray[np.int8]]) -> Vector:
    """The means of papers' sentence vectors, of unit length or zeros, shape (n, d)."""
    if not sentences:
        return np.zeros((0, 0), np.float32)
    every = np.concatenate(sentences).astype(np.float32)
    sums = np.empty((len(sentences), every.shape[1]), np.float32)
    end = 0
    # One by one: adding up in all places at once (``reduceat``) takes twice as long.
    for rows, total in zip(sentences, sums, strict=True):
        begin, end = end, end + len(rows)
        np.add.reduce(every[begin:end], axis=0, out=total)
    lengths = np.sqrt(np.einsum("nd,nd->n", sums, sums))
    return np.asarray(sums / np.where(lengths > 0, lengths, 1)[:, None], np.float32)


def _without(found: Mapping[str, _Found], paper_id: str) -> dict[str, _Found]:
    """The list of an index without one paper, the ranks closed up."""
    others = (item for item in found.items() if item[0] != paper_id)
    return {key: replace(one, rank=rank) for rank, (key, one) in enumerate(others, 1)}


def _nothing_in(words: str, terms: Mapping[str, float]) -> str | None:
    """Why there is nothing to search for, or None."""
    typed = _WORD.findall(words)
    if not typed:
        return f"{_NOTHING}."
    if not terms and max(map(len, typed)) <= _LONGEST_WORD:
        return f"{_NOTHING}: it has only words that stand in every text."
    return None


def _ms_since(mark: float) -> float:
    return round((time.perf_counter() - mark) * 1000, 3)

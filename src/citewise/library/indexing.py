"""Papers to passages and their vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from citewise.library.embedding import Embedder, PassageInput
from citewise.library.lexical import words_of
from citewise.library.orders import joined
from citewise.library.papers import PassageRow
from citewise.library.passages import Offsets, passage_spans
from citewise.library.wordings import Wording
from citewise.types import Paper

_LONGEST_LEAD = 64
"""Tokens of a title that go before each of its passages; a longer title stays out."""


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedPapers:
    """The passages of some papers, their words, and the vectors of passages and sentences."""

    rows: tuple[PassageRow, ...]
    vectors: NDArray[np.float32]
    """One unit vector a passage, in the order of the rows."""
    by_paper: Mapping[str, tuple[PassageRow, ...]]
    sentence_vectors: Mapping[str, NDArray[np.float32]]
    """A matrix a paper, one unit vector a sentence."""
    wordings: Mapping[str, Wording]
    """The words of each paper as numbers."""
    stems: Mapping[int, str]
    """What these numbers stand for."""

    def only(self, ids: Set[str]) -> EmbeddedPapers:
        """Just the papers with these ids."""
        if ids >= self.by_paper.keys():
            return self
        kept = [at for at, row in enumerate(self.rows) if row.paper_id in ids]
        return EmbeddedPapers(
            tuple(self.rows[at] for at in kept),
            self.vectors[kept],
            {paper_id: rows for paper_id, rows in self.by_paper.items() if paper_id in ids},
            {key: matrix for key, matrix in self.sentence_vectors.items() if key in ids},
            {key: wording for key, wording in self.wordings.items() if key in ids},
            self.stems,
        )


def embed_papers(
    papers: Sequence[Paper], sentences: Mapping[str, Sequence[Offsets]], embedder: Embedder
) -> EmbeddedPapers:
    """Cut the abstracts into passages and embed them whole, each led by its paper's title.

    The words of the papers are counted as well.

    ``sentences`` gives each paper's sentence offsets; what stands between them is left out, as if
    it had never been there, though a passage's offsets may span it. A sentence that was cut into
    two passages gets the mean of its parts.
    """
    rows: list[PassageRow] = []
    inputs: list[PassageInput] = []
    members: list[list[int]] = []
    by_paper: dict[str, list[PassageRow]] = {paper.id: [] for paper in papers}
    texts = {paper.id: joined(paper.abstract, sentences[paper.id]) for paper in papers}
    leads = {paper.id: lead_of(paper.title) for paper in papers}
    count = _counter(
        embedder,
        [*leads.values(), *(text[a:b] for text, spans in texts.values() for a, b in spans)],
    )
    for paper in papers:
        (text, spans), lead = texts[paper.id], leads[paper.id]
        lead_tokens = count([lead])[0] if lead else 0
        if lead_tokens > _LONGEST_LEAD:
            lead, lead_tokens = "", 0
        limit = embedder.max_tokens - lead_tokens
        cuts = passage_spans(text, spans, limit, count)
        for ordinal, (start, end) in enumerate(cuts):
            inside = [n for n, (first, last) in enumerate(spans) if first < end and last > start]
            shift = len(lead) - start
            first, last = _places(sentences[paper.id], spans, inside, start, end)
            rows.append(PassageRow(f"{paper.id}#{ordinal}", paper.id, first, last))
            by_paper[paper.id].append(rows[-1])
            members.append(inside)
            inputs.append(
                PassageInput(
                    lead + text[start:end],
                    tuple(
                        (max(spans[n][0], start) + shift, min(spans[n][1], end) + shift)
                        for n in inside
                    ),
                )
            )
    sums = {
        paper.id: np.zeros((len(sentences[paper.id]), embedder.dimensions), np.float32)
        for paper in papers
    }
    vectors = np.zeros((len(rows), embedder.dimensions), np.float32)
    for at, found in enumerate(embedder.embed_passages(inputs)):
        vectors[at] = found.passage
        sums[rows[at].paper_id][members[at]] += found.sentences
    for matrix in sums.values():
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        np.divide(matrix, lengths, out=matrix, where=lengths > 0)
    return EmbeddedPapers(
        tuple(rows),
        vectors,
        {paper_id: tuple(cut) for paper_id, cut in by_paper.items()},
        sums,
        *words_of((paper.id, paper.title, texts[paper.id][0]) for paper in papers),
    )


def lead_of(title: str) -> str:
    """What goes before each passage of a paper, unless it is long; empty without a title."""
    return f"{title.rstrip('. ')}. " if title else ""


def _counter(embedder: Embedder, expected: Sequence[str]) -> Callable[[Sequence[str]], list[int]]:
    """Counts tokens; those of the texts that are expected all at once, which is quicker."""
    known = dict(zip(expected, embedder.count_tokens(expected), strict=True))

    def count(texts: Sequence[str]) -> list[int]:
        if unknown := [text for text in texts if text not in known]:
            known.update(zip(unknown, embedder.count_tokens(unknown), strict=True))
        return [known[text] for text in texts]

    return count


def _places(
    stored: Sequence[Offsets], joined_spans: Sequence[Offsets], inside: Sequence[int], *cut: int
) -> Offsets:
    """Where a cut of the joined sentences begins and ends in the abstract itself."""
    start, end = cut
    if stored is joined_spans:
        return start, end
    first, last = inside[0], inside[-1]
    return (
        start + stored[first][0] - joined_spans[first][0],
        end + stored[last][0] - joined_spans[last][0],
    )

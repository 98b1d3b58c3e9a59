from __future__ import annotations

import numpy as np
import pytest

from citewise.library.embedding import MiniLM
from citewise.library.indexing import embed_papers
from citewise.library.passages import sentence_spans
from citewise.types import Paper

LONG = " ".join(
    f"Sentence {n} says that model number {n} reads all of its words." for n in range(40)
)
PAPERS = (
    Paper("short", "Dolphins", "They swim. They also speak to each other."),
    Paper("long", "Reading to the end", LONG),
    Paper("untitled", "", "A paper without a title."),
    Paper("wordy", "Title " * 80, "A paper whose title is longer than a lead may be."),
    Paper("one", "One sentence", "word " * 600),
)
SENTENCES = {paper.id: tuple(sentence_spans(paper.abstract)) for paper in PAPERS}


def test_passages_are_numbered_and_hold_the_whole_abstract(encoder: MiniLM) -> None:
    embedded = embed_papers(PAPERS, SENTENCES, encoder)
    assert len(embedded.rows) == len(embedded.vectors)
    assert [row.id for row in embedded.by_paper["long"]] == [
        f"long#{n}" for n in range(len(embedded.by_paper["long"]))
    ]
    for paper in PAPERS:
        rows = embedded.by_paper[paper.id]
        text = "".join(paper.abstract[row.start : row.end] for row in rows)
        assert "".join(text.split()) == "".join(paper.abstract.split())
    assert len(embedded.by_paper["long"]) > 1
    np.testing.assert_allclose(np.linalg.norm(embedded.vectors, axis=1), 1, atol=1e-5)


def test_every_sentence_has_a_vector_even_when_cut_in_two(encoder: MiniLM) -> None:
    embedded = embed_papers(PAPERS, SENTENCES, encoder)
    assert len(embedded.by_paper["one"]) > 1
    for paper in PAPERS:
        matrix = embedded.sentence_vectors[paper.id]
        assert matrix.shape == (len(SENTENCES[paper.id]), encoder.dimensions)
        np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-5)


def test_a_sentence_is_nearest_to_its_own_words(encoder: MiniLM) -> None:
    matrix = embed_papers(PAPERS, SENTENCES, encoder).sentence_vectors["short"]
    swim, speak = encoder.embed_queries(["Dolphins swim.", "Dolphins speak to each other."])
    assert matrix[0] @ swim > matrix[1] @ swim
    assert matrix[1] @ speak > matrix[0] @ speak


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.id)
def test_the_company_in_a_batch_does_not_change_a_paper(encoder: MiniLM, paper: Paper) -> None:
    together = embed_papers(PAPERS, SENTENCES, encoder)
    alone = embed_papers([paper], SENTENCES, encoder)
    assert alone.rows == together.by_paper[paper.id]
    at = [n for n, row in enumerate(together.rows) if row.paper_id == paper.id]
    cosines = np.sum(together.vectors[at] * alone.vectors, axis=1)
    assert cosines.min() > 0.98, "int8 scales differ a little with the batch"


def test_nothing_to_embed(encoder: MiniLM) -> None:
    embedded = embed_papers([], {}, encoder)
    assert embedded.rows == ()
    assert embedded.vectors.shape == (0, encoder.dimensions)

"""What is read to confirm a near miss holds the first papers of both indexes."""

from __future__ import annotations

from citewise.evaluation.confirm import listing, nearest
from citewise.evaluation.datasets import load
from citewise.library.library import Library

QUESTIONS = load("first")


def test_both_indexes_give_their_first_papers(sample_library: Library) -> None:
    question = next(q for q in QUESTIONS if q.kind == "near_miss")
    found = nearest(sample_library, question, 20)
    for ranks in ([f.by_words for f in found], [f.by_meaning for f in found]):
        assert sorted(rank for rank in ranks if rank) == list(range(1, 21))
    assert len({f.paper_id for f in found}) == len(found) >= 20
    assert 1 in (found[0].by_words, found[0].by_meaning)


def test_only_unanswerable_questions_are_listed(sample_library: Library) -> None:
    page = listing(sample_library, QUESTIONS[:6] + tuple(q for q in QUESTIONS if not q.answerable))
    headings = [line.split()[1] for line in page.splitlines() if line.startswith("## ")]
    assert headings == [q.id for q in QUESTIONS if not q.answerable]
    assert page.count("| words | meaning |") == 10

"""Lists what a person reads to confirm that a question cannot be answered.

``python -m citewise.evaluation.confirm dev > confirm.md`` writes, for every near miss and question
off topic of a set, the first 20 papers of the word index and of the vector index, by id and title:
if the answer is anywhere, one of the two should find it. eval/GUIDELINE.md logs what was read.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from citewise.errors import CitewiseError
from citewise.evaluation.baselines import Bm25, Dense
from citewise.evaluation.datasets import Question, load
from citewise.evaluation.runner import sample_library
from citewise.library.library import Library

DEPTH = 20


@dataclass(frozen=True, slots=True)
class Found:
    """One paper near an unanswerable question."""

    paper_id: str
    title: str
    by_words: int | None
    """Its rank in the word index, from 1; None below the depth."""
    by_meaning: int | None
    """Its rank in the vector index."""


def nearest(library: Library, question: Question, depth: int = DEPTH) -> tuple[Found, ...]:
    """The first ``depth`` papers of both indexes, each once, those of the best rank first."""
    words, meaning = (
        {paper: rank for rank, (paper, _) in enumerate(part.rank(question.standalone, depth), 1)}
        for part in (Bm25(library), Dense(library))
    )
    papers = library.papers_by_id([*{**words, **meaning}])
    found = [
        Found(name, paper.title, words.get(name), meaning.get(name))
        for name, paper in papers.items()
    ]
    last = depth + 1
    return tuple(
        sorted(found, key=lambda f: (min(f.by_words or last, f.by_meaning or last), f.paper_id))
    )


def listing(library: Library, questions: Sequence[Question], depth: int = DEPTH) -> str:
    """A page in Markdown with every unanswerable question and the papers near it."""
    lines = [f"# Unanswerable questions, with the first {depth} papers of both indexes", ""]
    for question in questions:
        if question.answerable:
            continue
        lines += [f"## {question.id} ({question.kind}): {question.standalone}", ""]
        if question.note:
            lines += [f"Note: {question.note}", ""]
        lines += ["| words | meaning | paper | title |", "|---:|---:|---|---|"]
        lines += [
            f"| {f.by_words or ''} | {f.by_meaning or ''} | {f.paper_id} | "
            f"{f.title.replace('|', ' ')} |"
            for f in nearest(library, question, depth)
        ]
        lines.append("")
    return "\n".join(lines)


def main(names: Sequence[str]) -> str:
    """The listing of some question sets over the sample papers, ``first`` and ``dev`` unless named.

    Raises CitewiseError when a set or the papers are missing.
    """
    questions = {q.id: q for name in names or ("first", "dev") for q in load(name)}
    with sample_library() as library:
        return listing(library, list(questions.values()))


if __name__ == "__main__":
    try:
        sys.stdout.write(main(sys.argv[1:]))
    except CitewiseError as error:
        sys.exit(str(error))

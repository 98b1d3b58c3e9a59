"""Fits citewise.grounding.belonging: which found papers a question for several asks for.

    python training/fit_belonging.py --data DATA --libraries FOLDER

``DATA`` holds ``scifact/`` (``qrels.tsv`` too) and ``arxiv/``; ``FOLDER`` keeps libraries of the
papers that written/graded.jsonl grades, made at first use.

Fits the weights on the questions that the model was not trained on: ridge logistic regression, in
which papers graded 1 (borderline) belong by half; they are left out of what is measured. Each
probability that is measured is from a fit that has not seen that quarter of the questions.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from graded import COLLECTIONS, graded, graded_questions, library_of
from logistic import fit
from names import HELD_OUT
from numpy.typing import NDArray

from citewise.answering.evidence import seen_of
from citewise.answering.question import matter_of, understand
from citewise.evaluation.measures import auroc
from citewise.grounding.belonging import WEIGHTS, pairs_for, told_of
from citewise.grounding.entailment import entailment_model
from citewise.types import QuestionKind

NAMES = tuple(name for name in WEIGHTS if name != "bias")
RIDGE = 0.5
FOUND = 70
"""Papers that a search gives, as many as each index brings up: of more, scores would be others."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A paper beside a question, as it is fitted on."""

    question: str
    grade: int
    seen: tuple[float, ...]
    """In the order of NAMES."""


def judged(folder: Path, data: Path) -> list[Judged]:
    """Every graded paper of the questions held out that the search finds again."""
    found = []
    for name in COLLECTIONS:
        with library_of(name, folder, data) as library:
            for row in graded_questions():
                if row["library"] != name or not row["id"].startswith(HELD_OUT):
                    continue
                question = understand(row["question"], (), library)
                hits = library.find(matter_of(question), FOUND, question.filters).hits
                grades = {paper.id: grade for paper, grade in graded(row, library)}
                kept = [hit for hit in hits if hit.paper.id in grades]
                papers = [(hit.paper.title, hit.paper.abstract) for hit in kept]
                odds = entailment_model().belong(pairs_for(question.standalone, papers))
                for one, relevant in zip(seen_of(question, kept, library), odds, strict=True):
                    near = one.closeness
                    values = (relevant, near.cosine or 0.0, near.covered, near.standing)
                    found.append(Judged(row["id"], grades[one.hit.paper.id], values))
    return found


def mean_f1(shown: NDArray[np.bool_], grades: NDArray[np.int_], ids: NDArray[np.str_]) -> float:
    """Mean over questions of F1 of the papers shown; 1 where none belongs and none is shown."""
    values = []
    for question in np.unique(ids):
        ours = (ids == question) & (grades != 1)
        right, told = grades[ours] == 2, shown[ours]
        both = right.sum() + told.sum()
        values.append(2 * (right & told).sum() / both if both else 1.0)
    return float(np.mean(values))


def main() -> None:
    """Fit, and print what the fit is worth on questions it has not seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--libraries", type=Path, required=True)
    args = parser.parse_args()
    found = judged(args.libraries, args.data)
    x = np.array([one.seen for one in found])
    grades = np.array([one.grade for one in found])
    ids = np.array([one.question for one in found])
    y, ones, clear = grades / 2, np.ones(len(found)), grades != 1
    names = list(dict.fromkeys(ids))
    parts = np.array([names.index(name) % 4 for name in ids])
    columns = {"standing in the search": [3], "model": [0], "all but the model": [1, 2, 3]}
    for title, used in (*columns.items(), ("all", [0, 1, 2, 3])):
        unseen = np.zeros(len(found))
        for part in range(4):
            out = parts == part
            b = fit(x[~out][:, used], y[~out], ones[~out], RIDGE)
            unseen[out] = 1 / (1 + np.exp(-(b[0] + x[out][:, used] @ b[1:])))
        best = max((mean_f1(unseen >= t, grades, ids), t) for t in np.arange(0.1, 0.8, 0.02))
        rule = np.zeros(len(found), bool)
        for name in names:
            rule[ids == name] = told_of(unseen[ids == name].tolist(), QuestionKind.LIST)
        print(
            f"{title:>24}: AUROC {auroc(unseen[clear], grades[clear] == 2):.3f}, mean F1"
            f" {best[0]:.3f} from {best[1]:.2f} on, by the rule {mean_f1(rule, grades, ids):.3f}"
        )
    b = fit(x, y, ones, RIDGE)
    print(f"{len(found)} papers of {len(names)} questions; mean cosine {x[:, 1].mean():.2f}")
    print("WEIGHTS =", {n: round(float(v), 2) for n, v in zip(("bias", *NAMES), b, strict=True)})


if __name__ == "__main__":
    main()

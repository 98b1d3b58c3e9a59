"""Fits the table by which citewise.answering.kinds tells the kinds of question apart.

    pip install scikit-learn
    python training/fit_kinds.py            accuracy on questions of writers left out
    python training/fit_kinds.py --write    the table from all questions, then the same

Reads ``written/kinds.jsonl``: 2,634 questions by seventeen runs of a language model (``writer``),
with topics and guidelines as README.md says; none of them saw an evaluation question. Multinomial
logistic regression with a ridge; features that fewer than three questions have are left out.
Figures come from fits without the questions of that writer.
"""

from __future__ import annotations

import argparse
import gzip
import io
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from fit_checker import records
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from citewise.answering.kinds import KINDS, TABLE, WIDE, KindModel, by_rule, features

QUESTIONS = Path(__file__).parent / "written/kinds.jsonl"
PACKAGE = Path(__file__).parent.parent / "src/citewise"
LEAST = 3
"""Questions that must have a feature."""
STRENGTH = 1.0
"""Inverse strength of the ridge; 0.5 and 2 differ by less than a point."""
WIDE_MARGIN = 0.45
"""Log-odds by which an overview or a list must be likelier: a third of these questions want one,
fewer of those that people ask, and a fact is lost among nine papers."""


def fit(questions: Sequence[str], kinds: Sequence[str]) -> KindModel:
    """The model of these questions."""
    seen = [features(question) for question in questions]
    counts = Counter(name for names in seen for name in names)
    places = {n: at for at, n in enumerate(sorted(n for n, c in counts.items() if c >= LEAST))}
    rows = np.zeros((len(seen), len(places)), np.float32)
    for row, names in zip(rows, seen, strict=True):
        row[[places[name] for name in names if name in places]] = 1
    model = LogisticRegression(C=STRENGTH, max_iter=2000).fit(rows, list(kinds))
    order = [list(model.classes_).index(kind.value) for kind in KINDS]
    weights: NDArray[np.float32] = model.coef_[order].T.round(3).astype(np.float32)
    bias = model.intercept_[order].astype(np.float32)
    bias[[KINDS.index(kind) for kind in WIDE]] -= WIDE_MARGIN
    return KindModel(bias, dict(zip(places, weights, strict=True)))


def write(model: KindModel, path: Path) -> None:
    """The table, the same bytes for the same model."""
    out = io.StringIO()
    for name, weights in [("bias", model.bias), *model.rows.items()]:
        out.write("\t".join([name, *(f"{weight:.3g}" for weight in weights)]) + "\n")
    path.write_bytes(gzip.compress(out.getvalue().encode("utf-8"), mtime=0))


def main() -> None:
    """Measure, and write if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the table of the package")
    options = parser.parse_args()
    rows = records(QUESTIONS)
    asked = [str(row["question"]) for row in rows]
    wanted = [str(row["kind"]) for row in rows]
    writers = [row["writer"] for row in rows]
    if options.write:
        write(fit(asked, wanted), PACKAGE / TABLE)
    right: dict[str, list[tuple[bool, bool]]] = {}
    for writer in sorted(set(map(str, writers))):
        rest = [at for at, other in enumerate(writers) if str(other) != writer]
        model = fit([asked[at] for at in rest], [wanted[at] for at in rest])
        for at in set(range(len(rows))) - set(rest):
            told = by_rule(asked[at]) == wanted[at], model.kind(asked[at]) == wanted[at]
            right.setdefault(wanted[at], []).append(told)
    print("| kind | questions | rules alone | with the table |\n|---|---|---|---|")
    for kind, found in [*sorted(right.items()), ("all", [*chain(*right.values())])]:
        by_rules, by_table = np.mean(found, axis=0)
        print(f"| {kind} | {len(found)} | {by_rules:.2f} | {by_table:.2f} |")


if __name__ == "__main__":
    main()

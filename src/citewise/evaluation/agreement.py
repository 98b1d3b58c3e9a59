"""How far judges agree with one another and with the gold of the questions.

A judgement file holds one question a line: ``{"question_id", "answerable", "labels": {paper_id:
label}}``; the label 2 is a paper that a right answer needs, 1 one that may be cited, 0 one that
does not help.

``python -m citewise.evaluation.agreement eval/judgements/judge*.jsonl`` prints the table of
eval/JUDGEMENTS.md.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from citewise.errors import UsageError
from citewise.evaluation.datasets import Question, load
from citewise.evaluation.measures import bootstrap
from citewise.types import Json

NEEDED = 2
"""The label of a paper that a right answer needs."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one judge says of one question."""

    question_id: str
    answerable: bool
    """Whether the papers that were shown answer it."""
    labels: Mapping[str, int]
    """0, 1 or 2 by paper id."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two judges over the same items."""

    name: str
    n: int
    share: float
    """Items on which both say the same, 0 to 1."""
    kappa: float
    """-1 to 1; NaN when chance alone would always agree."""
    low: float
    high: float
    """95 % bootstrap interval of kappa, whole questions drawn together."""


def cohen_kappa(a: Sequence[int], b: Sequence[int], *, quadratic: bool = False) -> float:
    """Agreement beyond chance of two judges on the same items, 1 the best, 0 chance.

    Cohen 1960, Educational and Psychological Measurement 20(1), 37-46; ``quadratic`` weighs a
    disagreement by its squared distance (Cohen 1968, Psychological Bulletin 70(4), 213-220), for
    labels that are grades. NaN when there is no item, or both always say the same one thing.
    Raises ValueError when the two are not of one length.
    """
    ours, theirs = np.asarray(a, int), np.asarray(b, int)
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} and {len(theirs)} labels cannot be compared")
    if not len(ours):
        return math.nan
    values = np.unique(np.concatenate([ours, theirs]))
    first = np.searchsorted(values, ours)
    second = np.searchsorted(values, theirs)
    table = np.zeros((len(values), len(values)))
    np.add.at(table, (first, second), 1.0)
    table /= len(ours)
    chance = np.outer(table.sum(axis=1), table.sum(axis=0))
    apart = values[:, None] - values[None, :]
    cost = apart.astype(float) ** 2 if quadratic else (apart != 0).astype(float)
    expected = float((cost * chance).sum())
    return math.nan if expected == 0 else 1.0 - float((cost * table).sum()) / expected


def load_judgements(path: Path) -> dict[str, Judgement]:
    """The judgements of a file by question id; raises UsageError for a line that is malformed."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error})") from error
    found: dict[str, Judgement] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row: Json = json.loads(line)
            labels = {str(paper): int(label) for paper, label in row["labels"].items()}
            if not isinstance(row["answerable"], bool) or not set(labels.values()) <= {0, 1, 2}:
                raise ValueError("answerable is true or false, labels are 0, 1 or 2")
            found[str(row["question_id"])] = Judgement(
                str(row["question_id"]), row["answerable"], labels
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{path.name}, line {number}: no judgement ({error})") from error
    return found


def gold_as_judge(
    questions: Iterable[Question], shown: Mapping[str, Judgement]
) -> dict[str, Judgement]:
    """Our gold in the form of a judge's file, for the questions and papers that a judge was shown.

    A required paper is 2, an acceptable one 1, any other 0. A list's or overview's gold is whole,
    so that this holds for what was not named, too.
    """
    return {
        question.id: Judgement(
            question.id,
            question.answerable,
            {
                paper: NEEDED if paper in question.required else int(paper in question.acceptable)
                for paper in shown[question.id].labels
            },
        )
        for question in questions
        if question.id in shown
    }


def agreements(a: Mapping[str, Judgement], b: Mapping[str, Judgement]) -> tuple[Agreement, ...]:
    """Needed or not over question-paper pairs, the grades 0 to 2, and answerable over questions.

    Over the questions and papers that both judged. Raises UsageError when there is none.
    """
    shared = [name for name in a if name in b]
    pairs = [
        (name, paper) for name in shared for paper in a[name].labels if paper in b[name].labels
    ]
    if not pairs:
        raise UsageError("the judges share no question and paper")
    grades = [np.asarray([judge[name].labels[paper] for name, paper in pairs]) for judge in (a, b)]
    said = [np.asarray([int(judge[name].answerable) for name in shared]) for judge in (a, b)]
    needed = [(labels == NEEDED).astype(int) for labels in grades]
    by_question = [name for name, _ in pairs]
    return (
        _agreement("paper needed or not", needed, by_question, quadratic=False),
        _agreement("paper's grade, quadratic", grades, by_question, quadratic=True),
        _agreement("question answerable", said, shared, quadratic=False),
    )


def _agreement(
    name: str, labels: Sequence[NDArray[np.int_]], clusters: Sequence[str], *, quadratic: bool
) -> Agreement:
    a, b = labels

    def kappa(at: NDArray[np.intp]) -> float:
        return cohen_kappa(a[at].tolist(), b[at].tolist(), quadratic=quadratic)

    statistic: Callable[[NDArray[np.intp]], float] = kappa
    low, high = bootstrap(statistic, clusters)
    return Agreement(name, len(a), float((a == b).mean()), kappa(np.arange(len(a))), low, high)


def disputed(
    gold: Mapping[str, Judgement], judges: Sequence[Mapping[str, Judgement]]
) -> dict[str, list[str]]:
    """Where all judges agree against our gold: question id to what is disputed.

    A paper id with ``+`` before it: all find it needed and our gold does not; with ``-``: all find
    it not needed and it is required. ``answerable`` when all say otherwise than we do.
    """
    found: dict[str, list[str]] = {}
    for name, ours in gold.items():
        said = [judge[name] for judge in judges if name in judge]
        if len(said) < len(judges):
            continue
        points = []
        if all(judgement.answerable != ours.answerable for judgement in said):
            points.append("answerable")
        for paper, label in ours.labels.items():
            theirs = {judgement.labels.get(paper) == NEEDED for judgement in said}
            if theirs == {label != NEEDED}:
                points.append(("-" if label == NEEDED else "+") + paper)
        if points:
            found[name] = points
    return found


def table(named: Sequence[tuple[str, Sequence[Agreement]]]) -> str:
    """Agreements as a table in Markdown, one block of rows a pair of judges."""
    lines = [
        "| judges | over | items | same | Cohen's kappa | 95 % interval |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for who, found in named:
        for one in found:
            kappa = "none" if math.isnan(one.kappa) else f"{one.kappa:.3f}"
            interval = "" if math.isnan(one.low) else f"{one.low:.3f} to {one.high:.3f}"
            lines.append(
                f"| {who} | {one.name} | {one.n} | {one.share:.3f} | {kappa} | {interval} |"
            )
    return "\n".join(lines) + "\n"


def main(files: Sequence[str]) -> str:
    """The table for two or more judgement files and our gold, and what is disputed.

    A judge is called by the number in its file's name, else by its place. Raises UsageError for
    fewer than two files, or one that is malformed.
    """
    if len(files) < 2:
        raise UsageError("give two judgement files or more")
    judges = {_called(file, at): load_judgements(Path(file)) for at, file in enumerate(files, 1)}
    gold = gold_as_judge([*load("dev"), *load("test")], next(iter(judges.values())))
    pairs = [(f"{a} and {b}", agreements(judges[a], judges[b])) for a, b in combinations(judges, 2)]
    text = table([*pairs, *((f"{a} and gold", agreements(judges[a], gold)) for a in judges)])
    for a, b in combinations(judges, 2):
        against = disputed(gold, (judges[a], judges[b]))
        text += f"\nBoth {a} and {b} against our gold: {len(against)} questions.\n"
        text += "".join(
            f"- {name}: {', '.join(found)}\n" for name, found in sorted(against.items())
        )
    return text


def _called(file: str, place: int) -> str:
    number = re.search(r"(\d+)$", Path(file).stem)
    return number[1] if number else str(place)


if __name__ == "__main__":
    try:
        sys.stdout.write(main(sys.argv[1:]))
    except UsageError as error:
        sys.exit(str(error))

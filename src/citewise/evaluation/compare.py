"""Whether two runs differ: each question is compared with itself.

Pairing takes out what makes questions easy or hard, so that a difference can be seen that two
overlapping intervals hide.
"""

from __future__ import annotations

import io
import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from citewise.errors import UsageError
from citewise.evaluation.measures import (
    BETTER,
    MEASURES,
    RESAMPLES,
    SEED,
    WHOLES,
    Floats,
    Row,
    completed,
)
from citewise.evaluation.report import read_results, read_summary, title_of
from citewise.types import Json

_NOT_COMPARED = frozenset({"latency_p50_ms", "latency_p95_ms"})
"""Two runs do not share a machine's load, so that pairing says nothing of their speed."""
_RESAMPLES_OF_WHOLES = 200


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure in two runs over the same questions."""

    name: str
    a: float
    b: float
    low: float
    """Of the 95 % interval of ``b - a``."""
    high: float
    n: int
    """Questions that the figure applies to in either run."""

    @property
    def change(self) -> float:
        """``b - a``."""
        return self.b - self.a

    @property
    def real(self) -> bool:
        """Whether the 95 % interval of the change leaves 0 out."""
        return self.low > 0 or self.high < 0

    @property
    def verdict(self) -> str:
        """``better``, ``worse`` or ``no difference shown``, of b beside a."""
        if not self.real:
            return "no difference shown"
        rose = self.change > 0
        return "better" if rose == (BETTER.get(self.name, "higher") == "higher") else "worse"


@dataclass(frozen=True, slots=True)
class McNemar:
    """Questions that only one of two runs got right, and how likely that is by chance."""

    only_a: int
    only_b: int
    both: int
    neither: int
    p: float
    """Two-sided, exact."""

    @property
    def real(self) -> bool:
        """Whether chance alone would do this in fewer than 5 of 100 cases."""
        return self.p < 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, figure by figure."""

    a: str
    b: str
    """What they are called: their folders."""
    questions: int
    """Questions that both were asked."""
    left_out: int
    """Questions that one of them was not asked, or was asked with another gold."""
    differences: tuple[Difference, ...]
    mcnemar: McNemar | None
    """On correct answers; None for a retrieval run."""
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> Json:
        """Everything, with the verdicts."""
        return {
            "a": self.a,
            "b": self.b,
            "questions": self.questions,
            "left_out": self.left_out,
            "figures": {
                d.name: {
                    "a": round(d.a, 4),
                    "b": round(d.b, 4),
                    "change": round(d.change, 4),
                    "low": round(d.low, 4),
                    "high": round(d.high, 4),
                    "n": d.n,
                    "verdict": d.verdict,
                }
                for d in self.differences
            },
            "mcnemar": None
            if self.mcnemar is None
            else {
                "only_a": self.mcnemar.only_a,
                "only_b": self.mcnemar.only_b,
                "both": self.mcnemar.both,
                "neither": self.mcnemar.neither,
                "p": round(self.mcnemar.p, 6),
                "real": self.mcnemar.real,
            },
            "warnings": list(self.warnings),
        }


def mcnemar(a: Sequence[bool], b: Sequence[bool]) -> McNemar:
    """McNemar's test on paired verdicts, in its exact form.

    McNemar 1947, Psychometrika 12(2), 153-157. Of the questions on which the runs differ, each is
    as likely to fall to either if they are equally good: a two-sided binomial test with p = 1/2,
    which needs no least number of questions as the chi-square form does. Raises ValueError when the
    two are not of one length.
    """
    pairs = list(zip(a, b, strict=True))
    only_a = sum(x and not y for x, y in pairs)
    only_b = sum(y and not x for x, y in pairs)
    both = sum(x and y for x, y in pairs)
    discordant = only_a + only_b
    tail = sum(math.comb(discordant, k) for k in range(min(only_a, only_b) + 1))
    p = min(1.0, 2 * tail / 2**discordant)
    return McNemar(only_a, only_b, both, len(pairs) - discordant - both, p)


def paired(
    a: Sequence[Row],
    b: Sequence[Row],
    *,
    names: Container[str] = BETTER,
    resamples: int = RESAMPLES,
) -> tuple[Difference, ...]:
    """Every figure of ``names`` in both runs, with the 95 % interval of its change.

    The paired bootstrap (Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13;
    for systems on one test set Koehn 2004, EMNLP, W04-3250): each resample draws the same clusters
    of questions for both runs, and the percentiles of the change make the interval. ``a`` and ``b``
    hold the same questions in the same order.
    """
    a, b = completed(a), completed(b)
    if len(a) != len(b):
        raise ValueError(f"{len(a)} and {len(b)} questions cannot be paired")
    if not a:
        return ()
    clusters = list(dict.fromkeys(row.cluster for row in a))
    index = {name: at for at, name in enumerate(clusters)}
    cluster = np.asarray([index[row.cluster] for row in a])
    count = len(clusters)
    draws = np.random.default_rng(SEED).integers(count, size=(resamples, count))
    weights = np.stack([np.bincount(draw, minlength=count) for draw in draws]).astype(float)
    found: list[Difference] = []

    def ratio(parts: Sequence[tuple[float, float] | None]) -> tuple[float, Floats]:
        table = np.asarray([part or (0.0, 0.0) for part in parts])
        top = np.bincount(cluster, table[:, 0], count)
        bottom = np.bincount(cluster, table[:, 1], count)
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(top.sum() / bottom.sum()), (weights @ top) / (weights @ bottom)

    for measure in MEASURES:
        ours, theirs = [measure.parts(row) for row in a], [measure.parts(row) for row in b]
        if measure.name not in names or not any(ours) or not any(theirs):
            continue
        (value_a, samples_a), (value_b, samples_b) = ratio(ours), ratio(theirs)
        n = sum(x is not None or y is not None for x, y in zip(ours, theirs, strict=True))
        found.append(_difference(measure.name, value_a, value_b, samples_b - samples_a, n))
    members = [np.flatnonzero(cluster == at) for at in range(count)]
    for whole in WHOLES:
        if whole.name not in names or whole.name in _NOT_COMPARED:
            continue
        value_a, value_b = whole.of(a), whole.of(b)
        if math.isnan(value_a) or math.isnan(value_b):
            continue
        changes = []
        for draw in draws[:_RESAMPLES_OF_WHOLES]:
            rows = [at for name in draw for at in members[name]]
            changes.append(whole.of([b[at] for at in rows]) - whole.of([a[at] for at in rows]))
        n = sum(whole.counts(x) or whole.counts(y) for x, y in zip(a, b, strict=True))
        found.append(_difference(whole.name, value_a, value_b, np.asarray(changes), n))
    return tuple(found)


def _difference(name: str, a: float, b: float, changes: Floats, n: int) -> Difference:
    usable = changes[~np.isnan(changes)]
    low, high = np.percentile(usable, [2.5, 97.5]) if len(usable) else (-math.inf, math.inf)
    return Difference(name, a, b, float(low), float(high), n)


def compare(a: Path, b: Path) -> Comparison:
    """Compare the runs in two results folders on the questions that both were asked.

    Raises UsageError when a folder holds no run, the runs are of different sorts, or no question is
    the same in both.
    """
    summaries = [read_summary(folder) for folder in (a, b)]
    if summaries[0]["what"] != summaries[1]["what"]:
        raise UsageError(
            f"{a} is a run of {summaries[0]['what']}, {b} one of {summaries[1]['what']}; "
            "compare runs of one sort"
        )
    ours, theirs = ({str(row["id"]): row for row in read_results(folder)} for folder in (a, b))
    shared = [
        name
        for name, row in ours.items()
        if name in theirs and row.get("question_sha256") == theirs[name].get("question_sha256")
    ]
    if not shared:
        raise UsageError(f"{a} and {b} share no question; compare two runs of one set")
    pairs = [[_row(rows[name]) for name in shared] for rows in (ours, theirs)]
    warnings = [
        f"{title}: {summaries[0].get(key)} and {summaries[1].get(key)}"
        for key, title in (("corpus_sha256", "the papers differ"), ("limit", "the limits differ"))
        if summaries[0].get(key) != summaries[1].get(key)
    ]
    test = None
    if summaries[0]["what"] == "questions":
        test = mcnemar(*([bool(row.scores.get("correct")) for row in rows] for rows in pairs))
    return Comparison(
        str(a),
        str(b),
        len(shared),
        len(ours.keys() | theirs.keys()) - len(shared),
        paired(*pairs, names=summaries[0]["figures"].keys() & summaries[1]["figures"].keys()),
        test,
        tuple(warnings),
    )


def _row(row: Json) -> Row:
    scores: Mapping[str, float | None] = row["scores"]
    gold = row.get("gold") or {}
    required = gold.get("required") or ()
    cluster = row.get("cluster") or (required[0] if required else row["id"])
    return Row(str(row.get("kind") or "query"), str(cluster), scores)


def text(comparison: Comparison) -> str:
    """The comparison for a terminal, 100 columns."""
    table = Table(box=None, pad_edge=False, title=_heading(comparison), title_justify="left")
    table.add_column("figure")
    for name in ("A", "B", "B - A", "95 % interval", "n"):
        table.add_column(name, justify="right")
    table.add_column("B is")
    for d in comparison.differences:
        table.add_row(
            title_of(d.name), f"{d.a:.3f}", f"{d.b:.3f}", f"{d.change:+.3f}",
            f"{d.low:+.3f} to {d.high:+.3f}", str(d.n), d.verdict,
        )  # fmt: skip
    out = io.StringIO()
    console = Console(file=out, width=100, color_system=None, highlight=False, markup=False)
    console.print(table)
    test = comparison.mcnemar
    if test is not None:
        verdict = "a real difference" if test.real else "no difference shown"
        console.print(
            f"\nCorrect: only A {test.only_a}, only B {test.only_b}, both {test.both}, neither "
            f"{test.neither}.\nMcNemar, exact: p = {test.p:.4f}, {verdict} at 95 %."
        )
    console.print(
        "Each line is a test of its own at 95 %: of twenty figures that do not differ, one will "
        "seem to."
    )
    for warning in comparison.warnings:
        console.print(f"Beware: {warning}")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _heading(comparison: Comparison) -> str:
    left = f", {comparison.left_out} left out" if comparison.left_out else ""
    return f"A: {comparison.a}\nB: {comparison.b}\n{comparison.questions} questions in both{left}"

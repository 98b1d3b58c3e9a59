"""A language model as a second judge of support, and how far it can be trusted.

A judge's verdicts are worth as much as its agreement with people: it is measured on labelled pairs
first, the share that it finds supported is corrected by what was measured, and the figures of a
judge that was not measured, or is no better than chance, are labelled plumbing: they show that the
parts fit together and say nothing about answers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from citewise import prompts
from citewise.backends.registry import backend_from
from citewise.backends.writing import (
    ChatModel,
    ChatTurn,
    ModelBackend,
    clean,
    collect,
    drop_thoughts,
)
from citewise.errors import UsageError
from citewise.evaluation.agreement import cohen_kappa
from citewise.evaluation.datasets import question_of
from citewise.evaluation.measures import Figure, alce, balanced_accuracy, bootstrap
from citewise.evaluation.report import MEASURED, PLUMBING
from citewise.evaluation.runner import Pair
from citewise.types import Json, Price, Usage, sha256_of

PROMPT = "judge_support"
_TOKENS = 512
_CHARS = 20_000
_TAG = re.compile(r"<(?=\s*/?\s*(?:titles|evidence|claim)\b)", re.IGNORECASE)
_VERDICT = re.compile(r"^\W*(?P<no>NOT[\s_-]+|UN)?SUPPORTED\b\W*$", re.IGNORECASE)


class ModelJudge:
    """Asks a model whether words back a claim; usable wherever ``measures.Judge`` is.

    The same question is asked once. A reply that is no verdict counts as not supported, and is
    counted in ``unreadable``.
    """

    def __init__(self, model: ChatModel, price: Price | None = None) -> None:
        self._model = model
        self._price = price
        self._known: dict[str, bool] = {}
        self.unreadable = 0
        """Replies that were no verdict."""
        self.usage = Usage()
        """What all replies cost."""
        self.currency = price.currency if price is not None else None

    @property
    def name(self) -> str:
        """The model, as given on the command line."""
        return self._model.name

    def __call__(self, claim: str, evidence: Sequence[str], context: str = "") -> bool:
        """Whether the evidence backs the claim.

        ``context`` holds the titles of the cited papers. Raises BackendError when the model does
        not reply.
        """
        text = prompts.load(PROMPT).render(
            context=_data(context), claim=_data(claim), evidence="\n".join(map(_data, evidence))
        )
        key = sha256_of(text)
        if key not in self._known:
            turns = (ChatTurn("user", text),)
            reply, usage = collect(drop_thoughts(self._model.stream(turns, max_tokens=_TOKENS)))
            self.usage += usage if self._price is None else self._price.paid(usage)
            verdict = verdict_of(reply)
            self.unreadable += verdict is None
            self._known[key] = bool(verdict)
        return self._known[key]


def judge_from(spec: str, prices: Mapping[str, Price] | None = None) -> ModelJudge:
    """The judge for a backend's name, such as ``openai-compatible:MODEL@URL``.

    ``prices``: what models cost, by backend's name. Raises UsageError when the backend is no
    language model, or there is none of that name.
    """
    backend = backend_from(spec, prices=prices)
    if not isinstance(backend, ModelBackend):
        raise UsageError(f"{spec!r} cannot judge: give a language model, not {backend.name}")
    return ModelJudge(backend.model, backend.price)


def verdict_of(reply: str) -> bool | None:
    """The verdict that a model's reply gives; None when it gives none, or more than one."""
    lines = [line for line in clean(reply).splitlines() if line.strip()]
    found = {match["no"] is None for line in lines if (match := _VERDICT.match(line))}
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Quality:
    """How a judge's verdicts agree with people's on labelled pairs."""

    n: int
    sensitivity: float
    """Share of the backed claims that it finds backed; NaN without any."""
    specificity: float
    """Share of the others that it finds not backed; NaN without any."""
    balanced: Figure
    """Balanced accuracy."""
    kappa: Figure
    """Cohen's kappa with the labels."""
    unreadable: int

    @property
    def label(self) -> str:
        """``measured`` when it is better than chance at 95 %, else ``plumbing``."""
        return MEASURED if self.balanced.low > 0.5 else PLUMBING

    def to_dict(self) -> Json:
        """The fields by name; what cannot be had is null."""
        return {
            "n": self.n,
            "sensitivity": _rounded(self.sensitivity),
            "specificity": _rounded(self.specificity),
            "balanced_accuracy": self.balanced.to_dict(),
            "kappa": self.kappa.to_dict(),
            "unreadable": self.unreadable,
        }


def measure(
    judge: ModelJudge,
    pairs: Sequence[Pair],
    on_progress: Callable[[int, int], None] | None = None,
) -> Quality:
    """Ask a judge about labelled pairs; intervals draw pairs with the same evidence together."""
    before = judge.unreadable
    said = []
    for number, pair in enumerate(pairs, 1):
        said.append(judge(pair.claim, pair.evidence))
        if on_progress:
            on_progress(number, len(pairs))
    verdicts = np.asarray(said, bool)
    truth = np.asarray([pair.label for pair in pairs], bool)
    clusters = [sha256_of("\n".join(pair.evidence)) for pair in pairs]

    def figure(statistic: Callable[[NDArray[np.intp]], float]) -> Figure:
        if not len(pairs):
            return Figure(math.nan, math.nan, math.nan, 0)
        low, high = bootstrap(statistic, clusters)
        return Figure(statistic(np.arange(len(pairs))), low, high, len(pairs))

    return Quality(
        len(pairs),
        float(verdicts[truth].mean()) if truth.any() else math.nan,
        float((~verdicts[~truth]).mean()) if not truth.all() else math.nan,
        figure(lambda at: balanced_accuracy(verdicts[at], truth[at])),
        figure(lambda at: cohen_kappa(verdicts[at].tolist(), truth[at].tolist())),
        judge.unreadable - before,
    )


def corrected(rate: float, quality: Quality) -> float | None:
    """The share that is truly supported, of which an imperfect judge finds ``rate`` supported.

    Rogan & Gladen 1978, American Journal of Epidemiology 107(1), 71-76: (rate + specificity - 1) /
    (sensitivity + specificity - 1), kept within 0 and 1. None when the judge is no better than
    chance, for then its rate says nothing. It holds as far as the judge errs on answers as it does
    on the pairs.
    """
    gain = quality.sensitivity + quality.specificity - 1
    if math.isnan(gain) or gain <= 0:
        return None
    return min(1.0, max(0.0, (rate + quality.specificity - 1) / gain))


def judge_rows(
    rows: Sequence[Json],
    judge: ModelJudge,
    quality: Quality | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Json:
    """What a judge says of a run's answers: the ``judge`` part of a summary.

    ``rows`` are the lines of ``results.jsonl``. Citation recall, precision and F1 as in
    ``measures.alce``, over the answerable questions, unanswered ones at 0. ``support`` is the share
    of the sentences that were said which their cited words back, and ``support_corrected`` the same
    after ``corrected``; null without a measured judge.
    """
    scores: list[tuple[float, float, float]] = []
    clusters: list[str] = []
    backed, said = [], []
    questions = [(row, question_of(row["gold"])) for row in rows]
    answerable = [(row, question) for row, question in questions if question.answerable]
    for number, (row, question) in enumerate(answerable, 1):
        answer = row.get("answer")
        found = alce(answer, judge) if answer is not None else (0.0, 0.0, 0.0)
        count = len(answer["sentences"]) if answer is not None and answer["answered"] else 0
        scores.append(found)
        backed.append(found[0] * count)
        said.append(float(count))
        clusters.append(question.cluster)
        if on_progress:
            on_progress(number, len(answerable))
    table, tops, bottoms = np.asarray(scores), np.asarray(backed), np.asarray(said)
    figures: dict[str, Figure] = {}
    everything = np.arange(len(scores))
    names = ("citation_recall", "citation_precision", "citation_f1")
    for column, name in enumerate(names if scores else ()):

        def mean(at: NDArray[np.intp], column: int = column) -> float:
            return float(table[at, column].mean())

        figures[name] = Figure(mean(everything), *bootstrap(mean, clusters), len(scores))

    def support(at: NDArray[np.intp]) -> float:
        total = bottoms[at].sum()
        return float(tops[at].sum() / total) if total else math.nan

    right = None
    if scores and not math.isnan(rate := support(everything)):
        figures["support"] = Figure(rate, *bootstrap(support, clusters), int(bottoms.sum()))
        right = corrected(rate, quality) if quality is not None else None
    return {
        "model": judge.name,
        "prompt_sha256": prompts.load(PROMPT).sha256,
        "label": quality.label if quality is not None else PLUMBING,
        "agreement": quality.to_dict() if quality is not None else None,
        "figures": {name: figure.to_dict() for name, figure in figures.items()},
        "support_corrected": _rounded(right) if right is not None else None,
        "unreadable": judge.unreadable,
        "usage": judge.usage.to_dict(),
        "currency": judge.currency,
    }


def _data(value: str) -> str:
    return _TAG.sub("‹", clean(value))[:_CHARS]


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)

"""A language model as a second judge of support, and how far it can be trusted.

A judge's verdicts are worth as much as its agreement with people: it is measured on labelled pairs
first, the share that it finds supported is corrected by what was measured, and the figures of a
judge that was not measured, or is no better than chance, are labelled plumbing: they show that the
parts fit together and say nothing about answers.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from citewise import prompts
from citewise.backends.limits import Limits
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
from citewise.evaluation.measures import SEED, Figure, alce, balanced_accuracy, bootstrap
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

    def __init__(
        self, model: ChatModel, price: Price | None = None, memory: Path | None = None
    ) -> None:
        """``memory``: a file that keeps each verdict as it is given, for a run that is cut off."""
        self._model = model
        self._price = price
        self._memory = memory
        self._known: dict[str, bool] = {}
        self._remembered = _read_memory(memory)
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
        key = sha256_of(f"{self.name}\n{text}")
        if key not in self._known:
            verdict, usage = self._remembered.get(key) or self._asked(key, text)
            self.usage += usage if self._price is None else self._price.paid(usage)
            self.unreadable += verdict is None
            self._known[key] = bool(verdict)
        return self._known[key]

    def _asked(self, key: str, text: str) -> tuple[bool | None, Usage]:
        turns = (ChatTurn("user", text),)
        reply, usage = collect(drop_thoughts(self._model.stream(turns, max_tokens=_TOKENS)))
        verdict = verdict_of(reply)
        if self._memory is not None:
            tokens = [usage.prompt_tokens, usage.completion_tokens, usage.calls]
            line = json.dumps({"key": key, "verdict": verdict, "tokens": tokens})
            with self._memory.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        return verdict, usage

    def forget(self) -> None:
        """Remove what was kept for a run that is cut off: it has come to its end."""
        if self._memory is not None:
            self._memory.unlink(missing_ok=True)


def _read_memory(file: Path | None) -> dict[str, tuple[bool | None, Usage]]:
    found: dict[str, tuple[bool | None, Usage]] = {}
    if file is None or not file.is_file():
        return found
    text = file.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        # The next line must not join a torn one.
        file.write_text(text + "\n", encoding="utf-8")
    for line in text.split("\n"):
        try:
            row = json.loads(line)
            found[row["key"]] = (row["verdict"], Usage(*row["tokens"]))
        except (ValueError, KeyError, TypeError):
            # A torn last line.
            continue
    return found


def judge_from(
    spec: str,
    prices: Mapping[str, Price] | None = None,
    memory: Path | None = None,
    limits: Limits | None = None,
) -> ModelJudge:
    """The judge for a backend's name, such as ``openai-compatible:MODEL@URL``.

    ``prices``: what models cost, by backend's name; ``memory``: see ModelJudge; ``limits``: of the
    model's server. Raises UsageError when the backend is no language model, or there is none of
    that name.
    """
    backend = backend_from(spec, prices=prices, limits=limits)
    if not isinstance(backend, ModelBackend):
        raise UsageError(f"{spec!r} cannot judge: give a language model, not {backend.name}")
    return ModelJudge(backend.model, backend.price, memory)


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
    backed: int = 0
    """Pairs that people say are backed."""

    @property
    def label(self) -> str:
        """``measured`` when it is better than chance at 95 %, else ``plumbing``."""
        return MEASURED if self.balanced.low > 0.5 else PLUMBING

    def to_dict(self) -> Json:
        """The fields by name; what cannot be had is null."""
        return {
            "n": self.n,
            "backed": self.backed,
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
        int(truth.sum()),
    )


def corrected(rate: float, quality: Quality) -> float | None:
    """The share that is truly supported, of which an imperfect judge finds ``rate`` supported.

    Rogan & Gladen 1978, American Journal of Epidemiology 107(1), 71-76: (rate + specificity - 1) /
    (sensitivity + specificity - 1), kept within 0 and 1. None when the judge is no better than
    chance, for then its rate says nothing. It holds as far as the judge errs on answers as it does
    on the pairs.
    """
    value = _rogan_gladen(rate, quality.sensitivity, quality.specificity)
    return None if math.isnan(value) else value


def _rogan_gladen(rate: float, sensitivity: float, specificity: float) -> float:
    gain = sensitivity + specificity - 1
    if math.isnan(gain) or gain <= 0:
        return math.nan
    return min(1.0, max(0.0, (rate + specificity - 1) / gain))


def _shaken(
    support: Callable[[NDArray[np.intp]], float], quality: Quality
) -> Callable[[NDArray[np.intp]], float]:
    """The corrected share of drawn rows, with sensitivity and specificity drawn anew too.

    Both are known from few pairs only: each is drawn from the binomial distribution that its pairs
    suggest, so that the interval holds what is not known of the judge beside what is not known of
    the answers.
    """
    random = np.random.default_rng(SEED)
    others = quality.n - quality.backed

    def statistic(at: NDArray[np.intp]) -> float:
        sensitivity = random.binomial(quality.backed, quality.sensitivity) / quality.backed
        specificity = random.binomial(others, quality.specificity) / others
        return _rogan_gladen(support(at), sensitivity, specificity)

    return statistic


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

    right: Figure | None = None
    if scores and not math.isnan(rate := support(everything)):
        n = int(bottoms.sum())
        figures["support"] = Figure(rate, *bootstrap(support, clusters), n)
        value = corrected(rate, quality) if quality is not None else None
        if quality is not None and value is not None:
            right = Figure(value, *bootstrap(_shaken(support, quality), clusters), n)
    return {
        "model": judge.name,
        "prompt_sha256": prompts.load(PROMPT).sha256,
        "label": quality.label if quality is not None else PLUMBING,
        "agreement": quality.to_dict() if quality is not None else None,
        "figures": {name: figure.to_dict() for name, figure in figures.items()},
        "support_corrected": right.to_dict() if right is not None else None,
        "unreadable": judge.unreadable,
        "usage": judge.usage.to_dict(),
        "currency": judge.currency,
    }


def _data(value: str) -> str:
    return _TAG.sub("‹", clean(value))[:_CHARS]


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)

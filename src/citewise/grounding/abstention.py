"""Do the papers hold the answer at all?

A probability from a handful of features. The weights are a logistic regression
fitted by training/fit_abstention.py on the dev questions, on the same questions with their papers
left out, on written ones for figures, for several papers and about papers of another field, and on
questions on everything else. training/ABSTENTION.md has the figures.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from citewise.types import QuestionKind, sha256_of

ANSWERABLE = 0.10
"""Probability from which an answer is attempted."""
UNSURE = 0.5
"""Probability below which an answer says that it may miss what is asked."""

WEIGHTS: dict[str, float] = {
    "bias": -9.95,
    "cosine": 3.22,
    "passage": 1.22,
    "names": 1.73,
    "wanted": 0.71,
    "specific": 1.81,
    "answered, near": 5.2,
    "answered, covered": 1.89,
}
"""Of what ``signals`` makes of the features."""

RULE = sha256_of(json.dumps(WEIGHTS))[:8]
"""Tells what was learnt of a library with these weights from what was learnt with others."""

CONFIDENCE_BIAS = 0.01
CONFIDENCE_SLOPE = 0.56
CONFIDENCE_OF_KIND: Mapping[QuestionKind, float] = {
    QuestionKind.FACT: 0.65,
    QuestionKind.NUMBER: 1.46,
    QuestionKind.COMPARISON: -0.37,
    QuestionKind.LIST: -0.53,
    QuestionKind.OVERVIEW: -1.05,
    QuestionKind.HOW: 0.18,
    QuestionKind.YES_NO: -0.34,
}
"""Log-odds to add for a kind of question; 0 for kinds that are absent. Fitted with the others by
``training/fit_abstention.py --confidence``: whoever asks for an overview is seldom told all."""


@dataclass(frozen=True, slots=True)
class Features:
    """What can be seen before an answer is written; each 0 to 1."""

    cosine: float
    """Best cosine of the question and an evidence sentence."""
    passage: float
    """Best cosine of the question and a passage."""
    covered: float
    """Rarity-weighted share of the question's words in the best sentence and its title."""
    covered_by_paper: float
    """The same for the best paper's title and abstract."""
    unknown: float
    """Rarity-weighted share of the question's words that no paper has."""
    names: float
    """Share of the question's names and figures that the papers it needs hold."""
    wanted: float
    """Whether something of the kind asked for (a count of hours, say) stands in the papers."""
    specific: float
    """How much the question's words say: little where all of them stand in many papers."""
    answered: float
    """What the entailment model says of the best papers: that one of them answers the question."""
    strictness: float = 0.0
    """Log-odds that an answer must have more in this library than among the sample papers."""


@dataclass(frozen=True, slots=True)
class Answerability:
    """Whether to answer, how sure that is, and what to say if not."""

    probability: float
    reason: str | None
    """For people; None when an answer should be attempted."""


def confidence(answerable: float, kind: QuestionKind, backed: float) -> float:
    """Calibrated probability that an answer is right and backed, 0 to 1.

    ``answerable``: the probability that the papers hold it. ``backed``: mean support of the
    answer's sentences. A logistic on the log-odds of the first (Platt 1999), times the second.
    """
    p = min(0.999, max(0.001, answerable))
    z = CONFIDENCE_BIAS + CONFIDENCE_SLOPE * math.log(p / (1 - p))
    z += CONFIDENCE_OF_KIND.get(kind, 0.0)
    return backed / (1.0 + math.exp(-z))


def signals(features: Features) -> dict[str, float]:
    """What the probability is a logistic of, by name as in WEIGHTS.

    What the model takes for an answer counts the less, the further the papers are from the
    question: of other matters it knows nothing. Where no paper has vectors yet, their words stand
    in for the cosines.
    """
    cosine, passage = features.cosine, features.passage
    if not cosine and not passage:
        cosine = passage = features.covered_by_paper / 2
    return {
        "cosine": cosine,
        "passage": passage,
        "names": features.names,
        "wanted": features.wanted,
        "specific": features.specific,
        "answered, near": features.answered * min(1.0, cosine + passage),
        "answered, covered": features.answered * features.covered,
    }


def log_odds(features: Features) -> float:
    """Of the papers holding the answer, as far as they were the sample papers."""
    seen = signals(features)
    return WEIGHTS["bias"] + sum(WEIGHTS[name] * value for name, value in seen.items())


def answerability(features: Features, unknown_words: Sequence[str]) -> Answerability:
    """The probability that the papers hold the answer, and the reason against it."""
    total = log_odds(features) - features.strictness
    probability = 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))
    if probability >= ANSWERABLE:
        return Answerability(probability, None)
    if unknown_words:
        words = ", ".join(f"'{word}'" for word in unknown_words[:3])
        return Answerability(probability, f"no paper here mentions {words}")
    return Answerability(probability, "no paper here comes close enough to the question")

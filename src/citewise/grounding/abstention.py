"""Do the papers hold the answer at all?

A probability from a handful of features that need no model. The weights are a logistic regression
fitted by training/fit_abstention.py on the dev questions, on the same questions with their papers
left out, and on off-topic ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

ANSWERABLE = 0.35
"""Probability from which an answer is attempted."""

WEIGHTS: dict[str, float] = {
    "bias": -7.74,
    "cosine": 3.16,
    "passage": 2.93,
    "covered": 1.98,
    "covered_by_paper": 2.65,
    "unknown": -0.78,
    "names": 2.45,
    "wanted": 0.85,
}


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


@dataclass(frozen=True, slots=True)
class Answerability:
    """Whether to answer, how sure that is, and what to say if not."""

    probability: float
    reason: str | None
    """For people; None when an answer should be attempted."""


def answerability(features: Features, unknown_words: Sequence[str]) -> Answerability:
    """The probability that the papers hold the answer, and the reason against it."""
    total = WEIGHTS["bias"] + sum(
        WEIGHTS[name] * getattr(features, name) for name in Features.__slots__
    )
    probability = 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))
    if probability >= ANSWERABLE:
        return Answerability(probability, None)
    if unknown_words:
        words = ", ".join(f"'{word}'" for word in unknown_words[:3])
        return Answerability(probability, f"no paper here mentions {words}")
    return Answerability(probability, "no paper here comes close enough to the question")

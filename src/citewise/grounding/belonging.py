"""Which of the found papers a question for several of them asks for.

A search always finds something. A list or an overview of what merely came nearest would name papers
that have little to do with it, so each found paper is judged: by the entailment model beside the
question, and by what the search saw. ``training/RELEVANCE.md`` says what it was fitted on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from citewise.grounding.entailment import (
    MATTER_CHARACTERS,
    entailment_model,
    passage_for,
    spelled_out,
)
from citewise.types import Question, QuestionKind

SURELY, BARELY = 0.4, 0.08
"""Probabilities from which a paper is told of: whatever else was found, and at all."""
BESIDE_BEST: Mapping[QuestionKind, float] = {QuestionKind.LIST: 0.25, QuestionKind.OVERVIEW: 0.15}
"""Share of what the likeliest paper has that another must have. Narrow questions have lower
probabilities throughout; an overview has room for what is at the edge of its matter."""
TYPICAL_COSINE = 0.47
"""What a paper that is not embedded yet is taken to have."""

WEIGHTS: Mapping[str, float] = {
    "bias": -5.39,
    "relevant": 0.7,
    "cosine": 3.47,
    "covered": 0.43,
    "standing": 3.02,
}


@dataclass(frozen=True, slots=True)
class Closeness:
    """What the search saw of a found paper; each 0 to 1."""

    cosine: float | None
    """Of the question and the paper's nearest sentence; None for a paper not embedded yet."""
    covered: float
    """Rarity-weighted share of the question's words that the paper holds."""
    standing: float
    """Its score in the search."""


def chances(
    question: Question, papers: Sequence[tuple[str, str]], seen: Sequence[Closeness]
) -> list[float]:
    """The probability of each paper that the question asks for it, in order.

    ``papers``: title and abstract of each. Raises ModelFileError when the model is damaged.
    """
    asked = spelled_out(question.standalone)
    pairs = [(asked, passage_for(asked, *paper, limit=MATTER_CHARACTERS)) for paper in papers]
    odds = entailment_model().belong(pairs)
    return [chance(*pair) for pair in zip(odds, seen, strict=True)]


def chance(relevant: float, seen: Closeness) -> float:
    """The probability that a paper belongs. ``relevant``: log-odds of the entailment model."""
    cosine = TYPICAL_COSINE if seen.cosine is None else seen.cosine
    total = (
        WEIGHTS["bias"]
        + WEIGHTS["relevant"] * relevant
        + WEIGHTS["cosine"] * cosine
        + WEIGHTS["covered"] * seen.covered
        + WEIGHTS["standing"] * seen.standing
    )
    return 1.0 / (1.0 + math.exp(-total))


def told_of(chances: Sequence[float], kind: QuestionKind) -> list[bool]:
    """Which papers of these chances a list or an overview tells of; perhaps none."""
    least = max(BARELY, BESIDE_BEST[kind] * max(chances, default=0.0))
    return [chance >= min(SURELY, least) for chance in chances]

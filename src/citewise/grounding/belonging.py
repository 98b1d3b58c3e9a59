"""Which of the found papers a question for several of them asks for.

A search always finds something. A list or an overview of what merely came nearest would name papers
that have little to do with it, so each found paper is judged: by the entailment model beside the
question, and by what the search saw. ``training/RELEVANCE.md`` says what it was fitted on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from citewise.grounding.entailment import (
    MATTER_CHARACTERS,
    entailment_model,
    passage_for,
    spelled_out,
)
from citewise.types import Hit, Question, QuestionKind

BARELY = 0.08
"""Probability from which a paper may be told of at all."""
SQUARELY = 0.25
"""Probability of the likeliest paper below which an answer says that none is squarely about the
matter: training/RELEVANCE.md."""
LIKELY = 0.25
"""Probability from which the likeliest paper of a list is as good as an answer."""
BESIDE_BEST: Mapping[QuestionKind, float] = {QuestionKind.LIST: 0.33, QuestionKind.OVERVIEW: 0.15}
"""Share of what the likeliest paper has that another must have. Narrow questions have lower
probabilities throughout; an overview has room for what is at the edge of its matter."""
PLACE_COUNTS: Mapping[QuestionKind, float] = {QuestionKind.LIST: 0.0, QuestionKind.OVERVIEW: 0.1}
"""Log-odds that a place further down in the search takes off, where papers are put in order."""
_EDGE = 1e-6
"""How near a probability may come to 0 and 1."""
TYPICAL_COSINE = 0.47
"""What a paper that is not embedded yet is taken to have."""

WEIGHTS: Mapping[str, float] = {
    "bias": -4.32,
    "relevant": 0.78,
    "cosine": 2.28,
    "covered": 0.02,
    "standing": 3.53,
}


@dataclass(frozen=True, slots=True)
class Closeness:
    """What the search saw of a found paper; each 0 to 1."""

    cosine: float | None
    """Of the question and the paper's nearest sentence; None for a paper not embedded yet."""
    covered: float
    """Rarity-weighted share of the question's words that the paper holds."""
    standing: float
    """Its score in the search, without what a talk about it adds."""


def chances(
    question: Question, papers: Sequence[tuple[str, str]], seen: Sequence[Closeness]
) -> list[float]:
    """The probability of each paper that the question asks for it, in order.

    ``papers``: title and abstract of each. Raises ModelFileError when the model is damaged.
    """
    odds = entailment_model().belong(pairs_for(question.standalone, papers))
    return [chance(*pair) for pair in zip(odds, seen, strict=True)]


def pairs_for(question: str, papers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What the model reads of a question beside title and abstract of papers, in training too."""
    asked = spelled_out(question)
    return [(asked, passage_for(asked, *paper, limit=MATTER_CHARACTERS)) for paper in papers]


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
    return [chance >= least for chance in chances]


def likeliest_first(
    hits: Sequence[Hit], chances: Mapping[str, float], kind: QuestionKind
) -> tuple[Hit, ...]:
    """The hits by the chances of their papers (by id), each with the score of its new place.

    Those without one stay last. Of an overview a place in the search counts beside the chance.
    """

    def fits(hit: Hit) -> float:
        chance = min(max(chances[hit.paper.id], _EDGE), 1.0 - _EDGE)
        return math.log(chance / (1.0 - chance)) - PLACE_COUNTS[kind] * hit.rank

    judged = sorted((hit for hit in hits if hit.paper.id in chances), key=lambda hit: -fits(hit))
    others = [hit for hit in hits if hit.paper.id not in chances]
    pairs = zip((*judged, *others), hits, strict=True)
    return tuple(replace(hit, rank=place.rank, score=place.score) for hit, place in pairs)

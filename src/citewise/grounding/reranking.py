"""Ranks the best of the found papers anew, by reading them beside the query.

A search compares words and vectors that were made apart; the relevance branch of the entailment
model reads query and paper together. ``training/RELEVANCE.md`` says what that is worth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from citewise.grounding.belonging import pairs_for
from citewise.grounding.entailment import entailment_model
from citewise.library.orders import without_orders
from citewise.types import Hit

READ = 16
"""Papers that are read, best first."""
READ_WIDE = 40
"""The same for a list or an overview, of which far more is told."""
SHARE = 0.35
"""What the model's log-odds count beside those of the search's score. Chosen with READ on the
collections of ``eval/bench_retrieval.py``."""
_EDGE = 1e-6
"""How near a score may come to 0 and 1."""


def reranked(query: str, hits: Sequence[Hit], many: int = READ) -> tuple[Hit, ...]:
    """The hits in their new order, with new ranks and scores, 0 to 1.

    The first ``many`` are read; the others count as the least relevant of these. Raises
    ModelFileError when the model is damaged.
    """
    if not hits:
        return ()
    read = hits[:many]
    papers = [(hit.paper.title, without_orders(hit.paper.abstract)) for hit in read]
    relevant = entailment_model().belong(pairs_for(query, papers))
    relevant += [min(relevant)] * (len(hits) - len(read))
    odds = [_log_odds(hit.score) + SHARE * one for hit, one in zip(hits, relevant, strict=True)]
    order = sorted(range(len(hits)), key=lambda at: (-odds[at], at))
    return tuple(
        replace(
            hits[at],
            rank=rank,
            score=round(1.0 / (1.0 + math.exp(-odds[at])), 6),
            relevant=relevant[at] if at < len(read) else None,
        )
        for rank, at in enumerate(order, 1)
    )


def in_reading_order(query: str, hits: Sequence[Hit], many: int = READ) -> tuple[Hit, ...]:
    """The hits in the order of ``reranked``, each with the score of the hit that had its place.

    For those who compare scores with those of other searches.
    """
    pairs = zip(reranked(query, hits, many), hits, strict=True)
    return tuple(replace(again, score=hit.score) for again, hit in pairs)


def _log_odds(score: float) -> float:
    inside = min(max(score, _EDGE), 1.0 - _EDGE)
    return math.log(inside / (1.0 - inside))

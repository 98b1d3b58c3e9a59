"""What the candidates of a search say of each other: scores made comparable, and feedback."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEEDBACK_PAPERS = 10
FEEDBACK_TERMS = 40
NEIGHBOURS = 4

_ONE_THREAD = 200_000
"""Multiplications that OpenBLAS does in one thread (it takes more from 262,144)."""


def standardise(values: Floats, known: NDArray[np.bool_] | None = None) -> Floats:
    """Values (n,) with mean 0 and deviation 1; zeros where all are equal or one is not ``known``.

    What is not known thereby counts as middling, neither for nor against a paper.
    """
    inside = np.ones(len(values), np.bool_) if known is None else known
    out = np.zeros(len(values), np.float64)
    chosen = values[inside]
    if not len(chosen):
        return out
    deviation = float(chosen.std())
    if deviation > 1e-9:
        out[inside] = (chosen - chosen.mean()) / deviation
    return out


def cosines(rows: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inner products (n, m) of unit vectors (n, d) and (m, d).

    In slices so small that the linear algebra library takes no second thread: on a busy machine
    its threads wait for each other for 25 ms over work of 0.1 ms.
    """
    out = np.empty((len(rows), len(others)), np.float32)
    step = max(1, _ONE_THREAD // max(1, others.size))
    for begin in range(0, len(rows), step):
        part = rows[begin : begin + step]
        np.matmul(part, others.T, out=out[begin : begin + step])
    return out


def relevance_terms(
    texts: Sequence[Sequence[str]], scores: Sequence[float], frequencies: Mapping[str, int], n: int
) -> dict[str, float]:
    """The words that the best papers share and others rarely have, with weights that sum to 1.

    ``texts`` are the stemmed words of each paper, ``scores`` how well each fits, ``frequencies`` in
    how many of all ``n`` papers a word stands. The relevance model of Lavrenko and Croft (2001,
    doi:10.1145/383952.383972), each word weighted by BM25's inverse document frequency, for
    without stop-list and weight the commonest words would be chosen. At most FEEDBACK_TERMS words.
    """
    if not texts:
        return {}
    best = max(scores)
    shares = [math.exp(score - best) for score in scores]
    weights: dict[str, float] = {}
    for words, share in zip(texts, shares, strict=True):
        for word, count in Counter(words).items():
            weights[word] = weights.get(word, 0.0) + share / sum(shares) * count / len(words)
    for word in weights:
        found = frequencies.get(word, 0)
        weights[word] *= math.log(1 + (n - found + 0.5) / (found + 0.5)) if n >= found else 0.0
    # Words in order of the alphabet where weights are equal: the same query, the same words.
    chosen = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:FEEDBACK_TERMS]
    total = sum(weight for _, weight in chosen)
    return {word: weight / total for word, weight in chosen if weight > 0}


def smooth(scores: Floats, vectors: NDArray[np.float32], share: float) -> Floats:
    """Scores (n,), each moved by ``share`` towards the mean of its nearest papers' scores.

    ``vectors`` (n, d) are of unit length, or zero for a paper without one, whose score stays. The
    means are weighted by cosine, over NEIGHBOURS papers. Papers alike are relevant to the same
    questions (score regularisation, Diaz 2005, doi:10.1145/1099554.1099722).
    """
    has = np.flatnonzero(np.abs(vectors).sum(axis=1) > 0)
    if len(has) < 2:
        return scores
    inside = vectors[has]
    alike = cosines(inside, inside).astype(np.float64)
    np.fill_diagonal(alike, -1.0)
    # A stable sort, so that equals are taken in the order of the candidates on any machine.
    nearest = np.argsort(-alike, axis=1, kind="stable")[:, : min(NEIGHBOURS, len(has) - 1)]
    weights = np.take_along_axis(alike, nearest, 1).clip(min=0.0)
    total = weights.sum(axis=1)
    mean = (scores[has][nearest] * weights).sum(axis=1) / np.maximum(total, 1e-9)
    moved = scores.copy()
    moved[has] = np.where(total > 1e-9, (1 - share) * scores[has] + share * mean, scores[has])
    return moved

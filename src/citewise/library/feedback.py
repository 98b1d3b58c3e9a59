"""What the candidates of a search say of each other: scores made comparable, and feedback."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEEDBACK_PAPERS = 10
NEIGHBOURS = 4

_ONE_THREAD = 200_000
"""Multiplications that OpenBLAS does in one thread (it takes more from 262,144)."""


def standardise(values: Floats, known: NDArray[np.bool_] | None = None) -> Floats:
    """Values (n,) with mean 0 and deviation 1; zeros where all are equal or one is not ``known``.

    What is not known thereby counts as middling, neither for nor against a paper.
    """
    chosen = values if known is None else values[known]
    out = np.zeros(len(values), np.float64)
    if not len(chosen):
        return out
    centred = chosen - chosen.mean()
    deviation = math.sqrt(float(np.einsum("n,n->", centred, centred)) / len(chosen))
    if deviation > 1e-9:
        out[slice(None) if known is None else known] = centred / deviation
    return out


def similarities(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Inner products (n, n) of the unit vectors (n, d) with each other.

    In blocks so small that the linear algebra library takes no second thread: on a busy machine
    its threads wait for each other for 25 ms over work of 0.1 ms.
    """
    n = len(rows)
    out = np.empty((n, n), np.float32)
    step = max(1, math.isqrt(_ONE_THREAD // max(1, rows.shape[1])))
    for top in range(0, n, step):
        for left in range(top, n, step):
            block = rows[top : top + step] @ rows[left : left + step].T
            out[top : top + step, left : left + step] = block
            out[left : left + step, top : top + step] = block.T
    return out


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
    alike = similarities(inside)
    every = np.arange(len(has))
    alike[every, every] = -2.0
    nearest = np.empty((len(has), min(NEIGHBOURS, len(has) - 1)), np.intp)
    weights = np.empty(nearest.shape, np.float64)
    for at in range(nearest.shape[1]):
        # The first of equals, so that they are taken in the order of the candidates everywhere.
        nearest[:, at] = alike.argmax(axis=1)
        weights[:, at] = alike[every, nearest[:, at]].clip(min=0.0)
        alike[every, nearest[:, at]] = -2.0
    total = weights.sum(axis=1)
    mean = (scores[has][nearest] * weights).sum(axis=1) / np.maximum(total, 1e-9)
    moved = scores.copy()
    moved[has] = np.where(total > 1e-9, (1 - share) * scores[has] + share * mean, scores[has])
    return moved

"""Weighted logistic regression with a ridge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RIDGE = 0.3


def fit(x: Floats, y: Floats, weights: Floats, strength: float = RIDGE) -> Floats:
    """Bias and weights of a ridge logistic regression; ``x`` is n by d, ``y`` 0 or 1."""
    z = np.column_stack([np.ones(len(x)), x])
    ridge = np.eye(z.shape[1]) * strength
    ridge[0, 0] = 1e-6
    b = np.zeros(z.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-z @ b))
        gradient = z.T @ (weights * (p - y)) + ridge @ b
        hessian = (z.T * (weights * p * (1 - p))) @ z + ridge
        b = b - np.linalg.solve(hessian, gradient)
    return b

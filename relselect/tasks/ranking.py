"""Ranks with ties, the area under the ROC curve, Spearman's correlation.

Deliberately not here: which metric a task is scored by, and standard errors.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["auc", "auc_of_levels", "average_ranks", "levels_of", "spearman"]


def levels_of(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return dense ranks from 0, equal values sharing one, shape (n,); NaNs are one value, the largest.

    >>> levels_of(np.array([2.0, 1.0, 2.0]))
    array([1, 0, 1])
    """
    return np.unique(values, return_inverse=True)[1].reshape(-1)


def average_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 1, equal values sharing the mean of theirs, shape (n,).

    >>> average_ranks(np.array([2.0, 1.0, 2.0]))
    array([2.5, 1. , 2.5])
    """
    _, level, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2.0)[level.reshape(-1)])


def auc(
    positive: NDArray[np.bool_] | NDArray[np.float64],
    prediction: NDArray[np.float64],
    weight: NDArray[np.float64] | None = None,
) -> float:
    """Return the area under the ROC curve; NaN with one class.

    It is the share of pairs of a positive and a negative row in which the positive one is predicted higher, equal
    predictions counting half (Mann and Whitney 1947), each pair weighted by the product of its rows' weights.

    Args:
        positive: Shape (n,), True or 1 for positive rows.
        prediction: Anything that orders the rows, shape (n,).
        weight: Weights of the rows, shape (n,); None for 1.

    >>> auc(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.4, 0.8]))
    0.875
    """
    return auc_of_levels(positive, levels_of(prediction), weight)


def auc_of_levels(
    positive: NDArray[np.bool_] | NDArray[np.float64],
    level: NDArray[np.int64],
    weight: NDArray[np.float64] | None = None,
) -> float:
    """Return `auc` of predictions given by `levels_of`, which need not be sorted again for other weights."""
    hit = np.asarray(positive, dtype=np.float64)
    mass = hit if weight is None else weight * hit
    rest = 1.0 - hit if weight is None else weight * (1.0 - hit)
    above, below = np.bincount(level, weights=mass), np.bincount(level, weights=rest)
    pairs = above.sum() * below.sum()
    if not pairs > 0:
        return math.nan
    return float((above * (np.cumsum(below) - below + below / 2.0)).sum() / pairs)


def spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return Spearman's rank correlation, ties averaged: Pearson's correlation of the ranks; 0 where a side is constant.

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([1.0, 4.0, 9.0]))
    1.0
    """
    one, other = average_ranks(x), average_ranks(y)
    one, other = one - one.mean(), other - other.mean()
    scale = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum()) / scale if scale > 0 else 0.0

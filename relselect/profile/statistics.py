"""Pearson correlation and agreement of label distributions, as functions of sums over rows.

A statistic of sums can be bootstrapped by reweighting the sums of clusters (`relselect.profile.bootstrap`) and linearised for
pairs of entities (`relselect.profile.dyads`). Nothing here knows where the rows come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["adjusted", "agreement", "agreement_columns", "insensitive", "pearson", "pearson_columns"]


def pearson_columns(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the columns whose sums `pearson` takes: 1, x, y, x^2, y^2, xy; six arrays of shape (n,).

    Args:
        x: Shape (n,).
        y: Shape (n,).
    """
    return [np.ones_like(x), x, y, x * x, y * y, x * y]


def pearson(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's correlation, cov(x, y) / sqrt(var x var y) (Pearson 1895); shape (m,).

    Args:
        sums: Sums of the columns of `pearson_columns` per draw, shape (m, 6).

    Returns:
        Values in [-1, 1]; nan where x or y is constant.

    >>> x = np.array([0.0, 1.0, 2.0])
    >>> pearson(np.column_stack(pearson_columns(x, -x)).sum(axis=0, keepdims=True)).round(9).tolist()
    [-1.0]
    """
    n, x, y, xx, yy, xy = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        var_x, var_y = xx / n - (x / n) ** 2, yy / n - (y / n) ** 2
        covariance = xy / n - x * y / n**2
        flat = (var_x <= 1e-12 * np.abs(xx / n)) | (var_y <= 1e-12 * np.abs(yy / n))
        return np.where(flat, np.nan, np.clip(covariance / np.sqrt(var_x * var_y), -1.0, 1.0))


def agreement_columns(p: NDArray[np.float64], q: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the columns whose sums the agreements take: 1, then p q, p and q by class; 1 + 3 classes arrays of shape (n,).

    Args:
        p: Label distributions of the first side of each pair, shape (n, classes).
        q: Label distributions of the second side, shape (n, classes).
    """
    return [np.ones(len(p)), *(p * q).T, *p.T, *q.T]


def _means(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the means of p*q, p and q by class, each of shape (m, classes)."""
    classes = (sums.shape[1] - 1) // 3
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums[:, 1:] / sums[:, :1]
    return means[:, :classes], means[:, classes : 2 * classes], means[:, 2 * classes :]


def agreement(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the raw agreement h = mean of p . q, the probability that two drawn labels are equal; shape (m,).

    Args:
        sums: Sums of the columns of `agreement_columns` per draw, shape (m, 1 + 3 classes).

    Returns:
        Values in [0, 1]; nan without pairs.
    """
    return np.asarray(_means(sums)[0].sum(axis=1))


def adjusted(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the agreement adjusted for chance, (h - b) / (1 - b); shape (m,).

    h is the raw agreement (`agreement`) and b = mean(p) . mean(q) its value for independent sides: adjusted homophily
    (Platonov et al. 2023) with a mean distribution per side.

    Args:
        sums: Sums of the columns of `agreement_columns` per draw, shape (m, 1 + 3 classes).

    Returns:
        Values up to 1, 0 for independent sides; nan where b is 1.

    >>> p = np.eye(2)[[0, 0, 1, 1]]
    >>> same = np.column_stack(agreement_columns(p, p)).sum(axis=0, keepdims=True)
    >>> mixed = np.column_stack(agreement_columns(p, np.eye(2)[[0, 1, 0, 1]])).sum(axis=0, keepdims=True)
    >>> adjusted(same).tolist(), adjusted(mixed).tolist()
    ([1.0], [0.0])
    """
    both, p, q = _means(sums)
    h, b = both.sum(axis=1), (p * q).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(1.0 - b < 1e-9, np.nan, (h - b) / (1.0 - b))


def insensitive(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the class-insensitive agreement, sum_c max(0, h_c - q_c) / (C - 1) (Lim et al. 2021, equation 2); shape (m,).

    h_c is the mean of q_c over the pairs whose first side has class c, q_c the share of class c on the second side, and C the
    number of classes. Unlike the raw agreement it does not grow with the share of the largest class.

    Args:
        sums: Sums of the columns of `agreement_columns` per draw, shape (m, 1 + 3 classes).

    Returns:
        Values in [0, 1]; nan where one class has all pairs.
    """
    both, p, q = _means(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_class = np.where(p > 0, both / p, q)
        value = np.maximum(0.0, of_class - q).sum(axis=1) / max(1, p.shape[1] - 1)
    return np.where(1.0 - (p * q).sum(axis=1) < 1e-9, np.nan, np.where(np.isfinite(sums[:, 0]), value, np.nan))

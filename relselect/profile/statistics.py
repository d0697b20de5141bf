"""Pearson correlation and chance-adjusted agreement as functions of sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["adjusted", "agreement", "agreement_columns", "insensitive", "pearson", "pearson_columns"]


def pearson_columns(x: NDArray[np.float64], y: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the columns whose sums `pearson` takes: 1, x, y, xx, yy, xy."""
    return [np.ones_like(x), x, y, x * x, y * y, x * y]


def pearson(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Pearson's correlation from sums of shape (m, 6); nan where a side is constant. Shape (m,)."""
    n, x, y, xx, yy, xy = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        var_x, var_y = xx / n - (x / n) ** 2, yy / n - (y / n) ** 2
        covariance = xy / n - x * y / n**2
        flat = (var_x <= 1e-12 * np.abs(xx / n)) | (var_y <= 1e-12 * np.abs(yy / n))
        return np.where(flat, np.nan, np.clip(covariance / np.sqrt(var_x * var_y), -1.0, 1.0))


def agreement_columns(p: NDArray[np.float64], q: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return the columns whose sums the agreements take: 1, then p*q, p and q by class.

    Args:
        p: Label distributions of one side, shape (n, classes).
        q: Of the other side, shape (n, classes).
    """
    return [np.ones(len(p)), *(p * q).T, *p.T, *q.T]


def _means(sums: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the means of p*q, p and q by class, each of shape (m, classes)."""
    classes = (sums.shape[1] - 1) // 3
    with np.errstate(divide="ignore", invalid="ignore"):
        means = sums[:, 1:] / sums[:, :1]
    return means[:, :classes], means[:, classes : 2 * classes], means[:, 2 * classes :]


def agreement(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean dot product h of the two sides' label distributions, shape (m,); nan without pairs."""
    return np.asarray(_means(sums)[0].sum(axis=1))


def adjusted(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (h - b) / (1 - b), b being the dot product of the sides' mean distributions; nan where b is 1."""
    both, p, q = _means(sums)
    h, b = both.sum(axis=1), (p * q).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(1.0 - b < 1e-9, np.nan, (h - b) / (1.0 - b))


def insensitive(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return class-insensitive homophily, sum over classes of max(0, h_c - q_c) / (classes - 1); shape (m,).

    h_c is the agreement of the pairs whose first side is of class c, q_c the share of the class on the second side. It
    does not grow with the share of the largest class (Lim et al. 2021, equation 2); nan where one class has all pairs.
    """
    both, p, q = _means(sums)
    with np.errstate(divide="ignore", invalid="ignore"):
        of_class = np.where(p > 0, both / p, q)
        value = np.maximum(0.0, of_class - q).sum(axis=1) / max(1, p.shape[1] - 1)
    return np.where(1.0 - (p * q).sum(axis=1) < 1e-9, np.nan, np.where(np.isfinite(sums[:, 0]), value, np.nan))

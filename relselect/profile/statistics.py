"""Pearson correlation and chance-adjusted agreement as functions of sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["adjusted", "agreement", "agreement_columns", "pearson", "pearson_columns"]


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
    """Return the columns whose sums `agreement` and `adjusted` take: 1, <p, q>, p by class, q by class.

    Args:
        p: Label distributions of one side, shape (n, classes).
        q: Of the other side, shape (n, classes).
    """
    return [np.ones(len(p)), (p * q).sum(axis=1), *p.T, *q.T]


def agreement(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean dot product h of the two sides' label distributions, shape (m,); nan without pairs."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(sums[:, 1] / sums[:, 0])


def adjusted(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (h - b) / (1 - b), b being the dot product of the sides' mean distributions; nan where b is 1."""
    classes = (sums.shape[1] - 2) // 2
    with np.errstate(divide="ignore", invalid="ignore"):
        h = sums[:, 1] / sums[:, 0]
        p, q = sums[:, 2 : 2 + classes] / sums[:, :1], sums[:, 2 + classes :] / sums[:, :1]
        b = (p * q).sum(axis=1)
        return np.where(1.0 - b < 1e-9, np.nan, (h - b) / (1.0 - b))

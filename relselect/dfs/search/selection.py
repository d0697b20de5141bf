"""Drops constant, duplicate and drifting features.

A feature that counts the years tells one part of training from another, and every row that is predicted later from all of
training: trees learn a period by heart from it and then stand at its edge. How far a feature moves is measured between the
early and the late training rows: for numbers by the two-sample Kolmogorov-Smirnov statistic

    D = sup_x |F_early(x) - F_late(x)|,

missing values counted as smaller than all others (Conover 1999, Practical Nonparametric Statistics, section 6.3); for
categories by the total variation distance, its counterpart without an order, 1/2 sum_k |p_early(k) - p_late(k)|. Both lie
between 0 (the same distribution) and 1 (the two parts share no value), whatever the scale. Only training rows decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relselect.hashing import digest_of

if TYPE_CHECKING:
    from relselect.dfs.prefix.matrix import FeatureMatrix

__all__ = ["DRIFT", "FeatureDrift", "describe_drift", "drift_of", "informative"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Features that move further than this are left out.
DRIFT = 0.7
#: The late part of the training rows.
_LATE = 1 / 3
#: Rows that drift is measured on at most, evenly spread over time.
_ROWS = 12_000
#: Fewest rows of a part; below it the statistic is noise.
_LEAST = 30


@dataclass(frozen=True)
class FeatureDrift:
    """A feature and how far it moved, between 0 and 1."""

    feature: str
    statistic: float


def informative(values: Floats) -> list[int]:
    """Return the columns with at least two values that repeat no earlier column.

    Args:
        values: Training features, shape (n, k).
    """
    seen: set[bytes] = set()
    kept = []
    for place in range(values.shape[1]):
        column = np.ascontiguousarray(values[:, place])
        missing = np.isnan(column)
        present = column[~missing]
        constant = not len(present) or (not missing.any() and bool((present == present[0]).all()))
        digest = digest_of(column.tobytes(), 16)
        if not constant and digest not in seen:
            kept.append(place)
        seen.add(digest)
    return kept


def drift_of(matrix: FeatureMatrix, cutoff: Ints) -> Floats:
    """Return how far each feature moves between early and late rows, shape (k,); zeros where that cannot be told.

    Args:
        matrix: Features of n training rows.
        cutoff: Their cutoffs, ticks of shape (n,).
    """
    chosen, late = _parts(cutoff)
    if min(late.sum(), (~late).sum()) < _LEAST:
        return np.zeros(matrix.values.shape[1])
    return np.array(
        [
            _distance(matrix.values[chosen, place], late, ordered=not categorical)
            for place, categorical in enumerate(matrix.categorical)
        ]
    )


def _parts(cutoff: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the rows to look at, and which of them are late: whole dates, about a third of the rows."""
    order = np.argsort(cutoff, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(_ROWS, len(order))).astype(np.int64))]
    if not len(chosen):
        return chosen, np.zeros(0, dtype=bool)
    dates = cutoff[chosen]
    last_early = dates[min(len(dates) - 1, int((1 - _LATE) * len(dates)))]
    return chosen, dates > last_early


def _distance(values: Floats, late: NDArray[np.bool_], *, ordered: bool) -> float:
    """Return the Kolmogorov-Smirnov statistic, or the total variation distance of unordered values."""
    _, place = np.unique(np.nan_to_num(values, nan=-np.inf, posinf=np.inf, neginf=-np.inf), return_inverse=True)
    size = int(place.max()) + 1
    shares = [np.bincount(place[part], minlength=size) / part.sum() for part in (late, ~late)]
    difference = shares[0] - shares[1]
    return float(np.abs(np.cumsum(difference)).max() if ordered else np.abs(difference).sum() / 2)


def describe_drift(drifted: Sequence[FeatureDrift], most: int = 3) -> str:
    """Return the features that moved furthest in words."""
    named = ", ".join(f"{each.feature} ({each.statistic:.2f})" for each in drifted[:most])
    return named + (f" and {len(drifted) - most} more" if len(drifted) > most else "")

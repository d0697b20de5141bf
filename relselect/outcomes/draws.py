"""Intervals of statistics of weighted rows, by a bootstrap over entities (Field and Welsh 2007).

A draw of entities is a weight per row: how often the row's entity was drawn. Rows stay in their order, so that what depends on
the order of the predictions is sorted once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from relselect.outcomes.outcome import Ranged
from relselect.tasks.metrics import cluster_draws

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["finite", "intervals", "ranged", "statistics"]

#: Bootstrap samples, the coverage of intervals, and the fewest defined samples that make one.
_DRAWS, _LEVEL, _FEWEST = 100, 0.9, 10


def statistics(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    clusters: NDArray[np.int64],
    *,
    seed: int,
    draws: int = _DRAWS,
) -> NDArray[np.float64]:
    """Return statistics of bootstrap samples, shape (draws, k); no row of fewer than two clusters.

    Args:
        statistic: From weights of the rows, shape (n,), to k numbers.
        clusters: Shape (n,): rows with equal numbers are drawn together.
        seed: Seed of the draws.
        draws: How many.
    """
    size = len(clusters)
    found = [
        statistic(np.bincount(drawn, minlength=size).astype(np.float64))
        for drawn in cluster_draws(clusters, seed=seed, draws=draws)
    ]
    return np.array(found) if found else np.empty((0, len(statistic(np.ones(size)))))


def intervals(drawn: NDArray[np.float64], level: float = _LEVEL) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ends of the percentile intervals of k statistics, each of shape (k,); nan where fewer than ten are defined."""
    ends = np.full((2, drawn.shape[1]), np.nan)
    for place, values in enumerate(drawn.T):
        defined = values[np.isfinite(values)]
        if len(defined) >= _FEWEST:
            ends[:, place] = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return ends[0], ends[1]


def ranged(value: float, low: float = np.nan, high: float = np.nan) -> Ranged:
    """Return a number with its interval; the interval always holds the number."""
    known = finite(value)
    if known is None or not (np.isfinite(low) and np.isfinite(high)):
        return Ranged(known)
    return Ranged(known, min(float(low), known), max(float(high), known))


def finite(value: float) -> float | None:
    """Return the number, None where it is not finite."""
    return float(value) if np.isfinite(value) else None

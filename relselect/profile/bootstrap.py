"""Standard errors from a bootstrap of whole entities, computed on sums per cluster.

Every statistic of the profile is a function of sums over rows. Drawing entities with replacement (the cluster bootstrap, Field
and Welsh 2007) reweights the clusters' sums, so that a draw needs no pass over the rows. Statistics of pairs of entities need
`relselect.profile.dyads` instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from relselect.hashing import mix

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["clusters_of", "draw_weights", "spread", "sums_by_cluster"]

_MOST_CLUSTERS = 2000
_DRAWS = 200


def clusters_of(key: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the cluster number of each row, shape (n,): one cluster per entity, or 2,000 pools of entities above that number.

    Args:
        key: Hash of the entity's key per row, shape (n,).
    """
    distinct, place = np.unique(key, return_inverse=True)
    place = place.reshape(-1)
    if len(distinct) <= _MOST_CLUSTERS:
        return place
    return np.asarray(mix(key) % np.uint64(_MOST_CLUSTERS), dtype=np.int64)


def draw_weights(clusters: int, seed: int) -> NDArray[np.float64]:
    """Return how often each cluster is drawn in each of 200 multinomial draws, shape (200, clusters)."""
    generator = np.random.default_rng([seed, clusters])
    counts = generator.multinomial(clusters, np.full(clusters, 1.0 / max(clusters, 1)), size=_DRAWS)
    return counts.astype(np.float64)


def sums_by_cluster(clusters: NDArray[np.int64], count: int, columns: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the sums of each column per cluster, shape (count, columns).

    Args:
        clusters: Cluster number per row, shape (n,).
        count: Number of clusters.
        columns: Arrays of shape (n,).
    """
    return np.column_stack([np.bincount(clusters, weights=column, minlength=count) for column in columns])


def spread(
    sums: NDArray[np.float64], statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], seed: int
) -> tuple[float, float]:
    """Return a statistic and its standard error: the standard deviation over bootstrap draws of the clusters.

    Args:
        sums: Sums per cluster, shape (clusters, k).
        statistic: Maps total sums of shape (m, k) to values of shape (m,).
        seed: Seed of the draws.

    Returns:
        Value and standard error; the error is nan with fewer than two clusters whose sums are not all zero.

    >>> sums = sums_by_cluster(np.arange(100), 100, [np.ones(100), np.arange(100.0)])
    >>> value, error = spread(sums, lambda total: total[:, 1] / total[:, 0], seed=0)
    >>> value, 2 < error < 4  # the standard error of the mean is 28.9 / 10
    (49.5, True)
    """
    value = float(statistic(sums.sum(axis=0, keepdims=True))[0])
    filled = sums[sums.any(axis=1)]
    if len(filled) < 2:
        return value, float("nan")
    drawn = statistic(draw_weights(len(filled), seed) @ filled)
    drawn = drawn[np.isfinite(drawn)]
    return value, float(drawn.std(ddof=1)) if len(drawn) > 10 and np.isfinite(value) else float("nan")

"""Standard errors of statistics over pairs of entities, which are not independent where they share an entity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Estimate", "Pairs", "draws", "estimate"]

Statistic = Callable[["NDArray[np.float64]"], "NDArray[np.float64]"]

_DRAWS = 200
_LEAST_COMPONENTS = 30
_STEP = 1e-6


@dataclass(frozen=True)
class Pairs:
    """Pairs of entities with the columns that a statistic sums.

    Attributes:
        one: Number of the first entity, in an order that depends on keys only; shape (m,).
        other: Number of the second entity, shape (m,).
        columns: Columns of the statistic, shape (m, k).
        size: Number of entities.
    """

    one: NDArray[np.int64]
    other: NDArray[np.int64]
    columns: NDArray[np.float64]
    size: int

    @property
    def total(self) -> NDArray[np.float64]:
        """Sums of the columns, shape (k,)."""
        return self.columns.sum(axis=0)


@dataclass(frozen=True)
class Estimate:
    """A statistic of pairs.

    Attributes:
        value: Its value, nan where undefined.
        error: Its standard error, nan with fewer than three entities.
        influence: Influence of each entity, scaled so that the squares sum to the variance; shape (size,).
    """

    value: float
    error: float
    influence: NDArray[np.float64]


def estimate(pairs: Pairs, statistic: Statistic) -> Estimate:
    """Return a statistic of pairs with its dyad-robust standard error.

    The statistic f of the sums S is linearised: the pair (i, j) with columns x_ij has the influence psi_ij = grad f(S) . x_ij.
    With T_i the sum of psi over the pairs of entity i, the variance is sum_i T_i^2 - sum_d psi_d^2, where d runs over dyads (all
    pairs of the same two entities together; Fafchamps and Gubert 2007; Aronow, Samii and Assenova 2015, equation 7).
    Where the pairs form at least 30 connected components, as members of disjoint groups do, components are the sampling
    units, and sum_c T_c^2 C / (C - 1) over the C components is used if it is larger.

    Args:
        pairs: The pairs.
        statistic: Maps sums of shape (n, k) to values of shape (n,); invariant when all sums of a row are scaled alike.

    Returns:
        Value, standard error and influences.

    >>> one, other = np.triu_indices(40, k=1)
    >>> x = np.random.default_rng(0).normal(size=40)
    >>> pairs = Pairs(one, other, np.column_stack([np.ones(len(one)), x[one] + x[other]]), size=40)
    >>> mean = estimate(pairs, lambda sums: sums[:, 1] / sums[:, 0])
    >>> bool(abs(mean.error / (2 * x.std() / np.sqrt(40)) - 1) < 0.1)  # the error of twice the mean of 40 values
    True
    """
    total = pairs.total
    value = float(statistic(total[None, :])[0])
    if not np.isfinite(value):
        return Estimate(value, np.nan, np.zeros(pairs.size))
    psi = pairs.columns @ _gradient(total, statistic)
    each = np.bincount(pairs.one, psi, pairs.size) + np.bincount(pairs.other, psi, pairs.size)
    taking = np.unique(np.concatenate([pairs.one, pairs.other]))
    if len(taking) < 3:
        return Estimate(value, np.nan, np.zeros(pairs.size))
    squares = float((each**2).sum())
    variance = max(_dyadic(pairs, psi, squares), _by_component(pairs, psi))
    scale = float(np.sqrt(variance / squares)) if squares > 0 else 0.0
    return Estimate(value, float(np.sqrt(variance)), np.asarray(each * scale, dtype=np.float64))


def _gradient(total: NDArray[np.float64], statistic: Statistic) -> NDArray[np.float64]:
    """Return the statistic's gradient at `total` by central differences, shape (k,); 0 where it has none."""
    step = _STEP * np.maximum(np.abs(total), np.abs(total).max() * 1e-3)
    nudged = np.repeat(total[None, :], 2 * len(total), axis=0)
    places = np.arange(len(total))
    nudged[places, places] += step
    nudged[len(total) + places, places] -= step
    found = statistic(nudged)
    slope = (found[: len(total)] - found[len(total) :]) / (2 * step)
    return np.where(np.isfinite(slope), slope, 0.0)


def _dyadic(pairs: Pairs, psi: NDArray[np.float64], squares: float) -> float:
    code = np.minimum(pairs.one, pairs.other) * pairs.size + np.maximum(pairs.one, pairs.other)
    _, dyad = np.unique(code, return_inverse=True)
    own = float((np.bincount(dyad.reshape(-1), psi) ** 2).sum())
    # in small samples the difference can fall below the variance of independent dyads
    return max(squares - own, own)


def _by_component(pairs: Pairs, psi: NDArray[np.float64]) -> float:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(len(psi)), (pairs.one, pairs.other)), shape=(pairs.size, pairs.size))
    _, label = connected_components(edges, directed=False)
    found = np.unique(label[pairs.one])
    if len(found) < _LEAST_COMPONENTS:
        return 0.0
    sums = np.bincount(label[pairs.one], psi)
    return float((sums**2).sum()) * len(found) / (len(found) - 1)


def draws(estimates: list[Estimate], seed: int) -> NDArray[np.float64]:
    """Return joint draws of several estimates over the same entities: a multiplier bootstrap.

    A draw is theta_k + sum_i g_i T_ik with g standard normal and the same for all estimates k, and T_ik the scaled influence of
    entity i. The draws have the estimates' variances and keep the correlation of their errors.

    Args:
        estimates: Estimates whose influences are over the same entities.
        seed: Seed of g.

    Returns:
        The values (first row) and the draws, shape (1 + 200, estimates).
    """
    values = np.array([each.value for each in estimates])
    influence = np.column_stack([each.influence for each in estimates])
    normal = np.random.default_rng([seed, len(influence)]).standard_normal((_DRAWS, len(influence)))
    return np.concatenate([values[None, :], values[None, :] + normal @ influence])

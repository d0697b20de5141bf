"""Errors of statistics over pairs of entities: pairs that share an entity are not independent.

A statistic f of sums S over pairs is linearised: pair (i, j) has the influence psi_ij = grad f(S) . x_ij. With T_i the sum of
psi over the pairs that i takes part in, the variance is sum_i T_i^2 - sum_dyads psi^2, where a dyad pools all pairs of the same
two entities (Fafchamps and Gubert 2007; Aronow, Samii and Assenova 2015, equation 7). Where the pairs fall into many
components that share no entity, as members of disjoint groups do, whole components are drawn from the world, and
sum_components T_c^2 is the variance if it is larger.

Aggregates over paths take draws theta + c * sum_i g_i T_i with g standard normal and the same for all paths, c matching
the variance: a multiplier bootstrap that keeps how the paths' errors hang together.
"""

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
    """Pairs of entities, with what is compared.

    Attributes:
        one: Number of the first entity in an order that depends on keys only, shape (m,).
        other: Of the second, shape (m,).
        columns: What the statistic sums, shape (m, k).
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
        influence: Influence of each entity, scaled so that its squares sum to the variance; shape (size,).
    """

    value: float
    error: float
    influence: NDArray[np.float64]


def estimate(pairs: Pairs, statistic: Statistic) -> Estimate:
    """Return a statistic of pairs with its dyad-robust standard error.

    Args:
        pairs: The pairs.
        statistic: Maps sums of shape (n, k) to values of shape (n,); equal when all sums are scaled alike.
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
    # in small samples the difference can fall below what the dyads alone would give, were they independent
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
    """Return the values (first row) and draws of all estimates, shape (1 + 200, estimates)."""
    values = np.array([each.value for each in estimates])
    influence = np.column_stack([each.influence for each in estimates])
    normal = np.random.default_rng([seed, len(influence)]).standard_normal((_DRAWS, len(influence)))
    return np.concatenate([values[None, :], values[None, :] + normal @ influence])

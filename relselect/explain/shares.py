"""Shapley values (Shapley 1953) of the parts of a whole: exact for few parts, by sampled orders for more.

phi_i = mean over orders of v(parts before i, and i) - v(parts before i). Along each order the differences telescope, so the
values add up to v(all) - v(none) for any number of orders. Orders come in pairs, each with its reverse (antithetic sampling,
Mitchell et al. 2022, Journal of Machine Learning Research 23, section 4.2). The caller says what v is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from math import factorial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ShapleyShares", "shapley_shares"]

#: Up to so many parts all orders are taken.
_EXACT = 4


@dataclass(frozen=True)
class ShapleyShares:
    """The values of the parts.

    Attributes:
        values: Shape (parts,); they add up to `whole - base`.
        base: v of no part.
        whole: v of all parts.
        orders: Number of orders that were averaged.
        exact: Whether these were all orders.
    """

    values: NDArray[np.float64]
    base: float
    whole: float
    orders: int
    exact: bool


def shapley_shares(
    parts: int,
    value: Callable[[frozenset[int]], float],
    *,
    pairs: int = 4,
    seed: int = 0,
    more: Callable[[], bool] = lambda: True,
) -> ShapleyShares:
    """Return the Shapley values of parts.

    Args:
        parts: Number of parts.
        value: v of a set of parts; asked once per set.
        pairs: Pairs of orders, where there are more than four parts.
        seed: Seed of the orders.
        more: Asked before every pair of orders but the first whether there is time for it.

    >>> shapley_shares(2, lambda chosen: float(len(chosen) == 2)).values.tolist()
    [0.5, 0.5]
    """
    known: dict[frozenset[int], float] = {}

    def asked(chosen: frozenset[int]) -> float:
        if chosen not in known:
            known[chosen] = value(chosen)
        return known[chosen]

    base, whole, totals = asked(frozenset()), asked(frozenset(range(parts))), np.zeros(parts)
    if parts <= _EXACT:
        for each in permutations(range(parts)):
            totals += _differences(each, asked)
        return ShapleyShares(totals / factorial(parts), base, whole, factorial(parts), True)
    generator, done = np.random.default_rng(seed), 0
    while done < 2 * pairs and (done == 0 or more()):
        order = tuple(int(each) for each in generator.permutation(parts))
        totals += _differences(order, asked) + _differences(order[::-1], asked)
        done += 2
    return ShapleyShares(totals / done, base, whole, done, False)


def _differences(order: tuple[int, ...], value: Callable[[frozenset[int]], float]) -> NDArray[np.float64]:
    """Return what each part adds to those before it in an order."""
    found, chosen = np.zeros(len(order)), frozenset[int]()
    before = value(chosen)
    for part in order:
        chosen = chosen | {part}
        after = value(chosen)
        found[part], before = after - before, after
    return found

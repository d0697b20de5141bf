"""Where a number stands among the latest ones of its column: what inflation, new rules and growth leave alone.

A network extrapolates: when winners get 25 points instead of 10, it answers for points that it never saw. The rank of a number
among those before it moves on with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.database.clock import NEVER

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RECENT", "recent_ranks"]

#: Most rows that a number is compared with, unless more are of its own time.
RECENT = 300


def recent_ranks(values: NDArray[np.float64], times: NDArray[np.int64], most: int = RECENT) -> NDArray[np.float64]:
    """Return the rank of each of n numbers among the latest ones up to its own time, whichever order the rows are in.

    A number is compared with those of its own time, itself among them, and of as many whole earlier times as make up `most`
    rows. So nothing later than a row is ever looked at.

    Args:
        values: (n,), nan where missing.
        times: (n,) ticks of the rows.
        most: Most rows compared with.

    Returns:
        (n,) mid-ranks in (0, 1): the share of smaller numbers and half the share of equal ones. nan where the number is
        missing or its row has no time.
    """
    from relselect.rdl import kernels  # what needs no ranks needs no compiler

    order = np.lexsort((values, times))
    ordered, when = values[order], times[order]
    first = np.flatnonzero(np.r_[True, when[1:] != when[:-1]]) if len(when) else np.empty(0, np.int64)
    ranks = np.full(len(values), np.nan)
    count = int(np.searchsorted(when, NEVER))
    group = np.append(first[first < count], count)
    found = np.empty(count)
    kernels.rank_groups(ordered[:count], group, most, found)
    ranks[order[:count]] = found
    return ranks

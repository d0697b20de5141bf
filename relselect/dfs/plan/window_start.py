"""Where a window begins: `window` ticks before the end of what a row may see.

A row sees data up to `min(cutoff, asof)`. Where its data are older than its cutoff, a window ends where the data end: the
last sixty days that are visible tell how an entity was doing, while the last sixty days before the cutoff are partly or
wholly empty. Ages ("days since", dates) and calendar parts are no windows and count from the cutoff.

All engines follow this rule: the prefix engine and the choice of windows call `window_start`; SQL statements carry the
column `until` (`relselect.dfs.sql.task_rows`); definitions for featuretools are moved by `relselect.dfs.featuretools.delayed`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["window_start"]

Ints = NDArray[np.int64]


def window_start(cutoff: Ints, asof: Ints, window: int) -> Ints:
    """Return the moment after which a window's rows lie, `min(cutoff, asof) - window`, in ticks, shape (n,).

    Args:
        cutoff: The rows' own dates, shape (n,).
        asof: Up to when the rows see, shape (n,); later than the cutoff where everything is visible.
        window: The window's length in ticks.

    >>> day = np.array([10, 10]), np.array([10, 4])
    >>> window_start(*day, window=3)
    array([7, 1])
    """
    return np.minimum(cutoff, asof) - window

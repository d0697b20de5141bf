"""Regimes: what the rows of each split may see.

* `rolling`: every row sees the database as of its own cutoff. This is how predictions are made in use.
* `frozen`: training rows see it as of their cutoff, evaluation rows as of the start of their split. This is RelBench's test
  protocol, extended to validation so that validation and test are made alike.

A task has one regime, and scores of different regimes are never compared. Which row falls into which split is decided in
`splits`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, get_args

import numpy as np

from relselect.database.clock import EVERYTHING
from relselect.tasks.splits import Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["REGIMES", "Regime", "asof_of"]

Regime = Literal["rolling", "frozen"]
REGIMES: Final[tuple[Regime, ...]] = get_args(Regime)


def asof_of(
    split: Split, cutoff: NDArray[np.int64], regime: Regime, starts: Mapping[Split, int], static: bool
) -> NDArray[np.int64]:
    """Return the `asof` of the rows of a split.

    Args:
        split: The split.
        cutoff: Ticks, shape (n,).
        regime: The task's regime.
        starts: First cutoff of each split, ticks.
        static: Whether the task has no time; then its rows see everything.

    Returns:
        Ticks, shape (n,), never later than the cutoff of a task with time.
    """
    if static:
        return np.full(len(cutoff), EVERYTHING)
    if regime == "frozen" and split != "train":
        return np.minimum(cutoff, starts[split])
    return cutoff

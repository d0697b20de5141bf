"""The size rule: many training rows favour rdl, few favour dfs.

It stands in until a bank teaches a selector. Source: the 24 tasks of nine databases that Relatron published
(ICLR 2026), each with the relative difference between the best graph network and the best feature-synthesis
model by validation. Among them a single threshold at about 40,000 training rows chooses better, by
leave-one-database-out, than the published selectors. The curve and its width were fitted to those 24
differences by least absolute deviations and rounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["SizeRule"]

_CROSSOVER = 40_000
_LARGEST = 0.04
_WIDTH = 0.7
_HALF_INTERVAL = 0.03


@dataclass(frozen=True)
class SizeRule:
    """margin(n) = 0.04 * tanh((log10 n - log10 40,000) / 0.7), give or take 0.03.

    The interval holds a little over half of the 24 published differences; single tasks stray by ten times as
    much.
    """

    name: str = "size rule"

    @property
    def taught_by(self) -> str:
        """What the rule was learnt from."""
        return (
            "the size rule (a smooth threshold at about "
            f"{_CROSSOVER:,} training rows, from 24 published tasks of 9 databases); no performance bank taught it"
        )

    def margin(self, train_rows: float) -> tuple[float, tuple[float, float]]:
        """Return the expected relative margin (above zero favours rdl) and its interval.

        Args:
            train_rows: Labelled training rows, at least one.
        """
        middle = _LARGEST * math.tanh((math.log10(max(train_rows, 1)) - math.log10(_CROSSOVER)) / _WIDTH)
        return middle, (middle - _HALF_INTERVAL, middle + _HALF_INTERVAL)

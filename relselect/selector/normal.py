"""A margin that is not known exactly: a normal distribution, its tail, its interval, and its product with another."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["NormalMargin"]

#: Half the width of a 90 % interval in standard deviations.
_HALF_WIDTH = 1.6449


@dataclass(frozen=True)
class NormalMargin:
    """A margin in skill, N(mean, sd²).

    Attributes:
        mean: The expectation.
        sd: The standard deviation, not negative.

    >>> NormalMargin(0.0, 1.0).probability_above_zero
    0.5
    """

    mean: float
    sd: float

    @property
    def probability_above_zero(self) -> float:
        """The probability that the margin is above zero."""
        if self.sd == 0.0:
            return 0.5 if self.mean == 0.0 else float(self.mean > 0.0)
        return 0.5 * (1.0 + math.erf(self.mean / (self.sd * math.sqrt(2.0))))

    @property
    def interval(self) -> tuple[float, float]:
        """The central 90 % interval."""
        return self.mean - _HALF_WIDTH * self.sd, self.mean + _HALF_WIDTH * self.sd

    def __neg__(self) -> NormalMargin:
        return NormalMargin(-self.mean, self.sd)

    def updated(self, observed: float, error: float) -> NormalMargin:
        """Return the posterior after an observation with a normal error: the precision-weighted mean of both.

        Args:
            observed: The observation, freed of its bias; a nan changes nothing.
            error: Its standard deviation, above zero; a nan changes nothing.

        >>> NormalMargin(0.0, 1.0).updated(1.0, 1.0).mean
        0.5
        """
        if not (math.isfinite(observed) and math.isfinite(error)) or self.sd == 0.0:
            return self
        precise, new = 1.0 / self.sd**2, 1.0 / error**2
        return NormalMargin((precise * self.mean + new * observed) / (precise + new), math.sqrt(1.0 / (precise + new)))

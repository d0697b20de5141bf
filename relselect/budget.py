"""One clock for everything: profile, features, trials, the choice of a checkpoint, test predictions.

A `Budget` is asked often and cheaply. Children end no later than their parent, so no stage can outlive the run.
"""

from __future__ import annotations

import math
import re
import time
from datetime import timedelta
from numbers import Real

from relselect.errors import BudgetError, BudgetExhausted

__all__ = ["Budget", "budget_of", "parse_seconds"]

_UNITS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
#: A run may outlast its budget by this part or these seconds, whichever is longer.
_ALLOWANCE, _ALLOWANCE_SECONDS = 0.05, 5.0
_PATTERN = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(s|sec|m|min|h)?\s*$")


def parse_seconds(value: float | str | timedelta | None) -> float:
    """Return a wall-clock budget in seconds.

    Args:
        value: Seconds (a NumPy number too), a text such as "90s", "5min" or "1h", or a timedelta; None means no limit.

    Raises:
        BudgetError: The value is no positive duration.

    >>> parse_seconds("5min")
    300.0
    """
    if value is None:
        return math.inf
    seconds = math.nan
    if isinstance(value, str):
        match = _PATTERN.match(value)
        if match:
            seconds = float(match[1]) * _UNITS[match[2] or "s"]
    elif isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, Real) and not isinstance(value, bool):
        seconds = float(value)
    if not seconds > 0:
        raise BudgetError("time_budget", value, "must be a positive duration", "Write seconds, '90s', '5min' or '1h'")
    return seconds


class Budget:
    """A deadline on the monotonic clock.

    Args:
        value: Seconds, a text or a timedelta (see `parse_seconds`); None for no limit.
        begun: When the clock began, on `time.monotonic`; None for now.
    """

    def __init__(self, value: float | str | timedelta | None = None, *, begun: float | None = None) -> None:
        self._start = time.monotonic() if begun is None else begun
        self.seconds = parse_seconds(value)
        self._end = self._start + self.seconds

    def __repr__(self) -> str:
        return f"Budget({self.seconds:g}, left={self.left():.1f})"

    def elapsed(self) -> float:
        """Return the seconds since this budget began."""
        return time.monotonic() - self._start

    def left(self) -> float:
        """Return the seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    @property
    def allowance(self) -> float:
        """Seconds by which a run may outlast this budget: a twentieth of it, at least 5 s."""
        return max(_ALLOWANCE * self.seconds, _ALLOWANCE_SECONDS)

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.left() <= 0.0

    def check(self) -> None:
        """Return while there is time.

        Raises:
            BudgetExhausted: The deadline has passed.
        """
        if self.spent:
            raise BudgetExhausted(f"the budget of {self.seconds:g} s is spent")

    def share(self, fraction: float) -> Budget:
        """Return a child with `fraction` (0 to 1) of what is left now."""
        return self.until(self.left() * fraction)

    def until(self, seconds: float) -> Budget:
        """Return a child that ends `seconds` from now, or with this budget if that is sooner."""
        child = Budget(None)
        child.seconds = max(0.0, min(seconds, self.left()))
        child._end = child._start + child.seconds
        return child


def budget_of(value: float | str | timedelta | Budget | None) -> Budget:
    """Return a budget that is already running as it is, and one that begins now for a duration (see `parse_seconds`).

    Raises:
        BudgetError: The value is no positive duration.
    """
    return value if isinstance(value, Budget) else Budget(value)

"""How long a repeated piece of work takes, such as a training step, told apart from what only the first of them pays."""

from __future__ import annotations

__all__ = ["Pace"]


class Pace:
    """The mean seconds of a piece of work, without the first one, which also sorts, allocates and compiles.

    Args:
        expected: Seconds that hold until a second piece was measured; 0 for the first piece's.

    >>> pace = Pace()
    >>> for seconds in (5.0, 1.0, 2.0):
    ...     pace.add(seconds)
    >>> pace.seconds, pace.once
    (1.5, 3.5)
    """

    def __init__(self, expected: float = 0.0) -> None:
        self.expected = expected
        self._first = self._rest = 0.0
        self._count = 0

    def add(self, seconds: float) -> None:
        """Take in the seconds of one more piece."""
        if self._count:
            self._rest += seconds
        else:
            self._first = seconds
        self._count += 1

    @property
    def seconds(self) -> float:
        """Seconds of one piece."""
        if self._count > 1:
            return self._rest / (self._count - 1)
        return self.expected or self._first

    @property
    def once(self) -> float:
        """Seconds that the first piece took beyond the others; 0 as long as there are none."""
        return max(0.0, self._first - self.seconds) if self._count > 1 else 0.0

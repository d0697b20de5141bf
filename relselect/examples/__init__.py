"""Databases to try things on: Lahman's baseball, the flights of nycflights13, and a generator with planted signal."""

from __future__ import annotations

from relselect.examples.example import Example
from relselect.examples.flights import nycflights13
from relselect.examples.lahman import lahman
from relselect.examples.synthetic import synthetic

__all__ = ["Example", "lahman", "nycflights13", "synthetic"]

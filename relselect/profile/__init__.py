"""The profile of a task: dimensionless numbers with standard errors, measured in seconds and before any
training.

It reads train labels only, and of the database what a row's `asof`, or the end of training, sees. The
readings say in words what each number means; what the numbers mean for the choice of a family is for the
selector.
"""

from __future__ import annotations

from relselect.profile.cache import ProfileCache
from relselect.profile.measure import VERSION, Measure, Profile
from relselect.profile.profile import profile_task

__all__ = ["VERSION", "Measure", "Profile", "ProfileCache", "profile_task"]

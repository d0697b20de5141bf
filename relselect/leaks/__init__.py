"""Leak checks: what in the data or in a task's queries may tell a model what it could not know."""

from __future__ import annotations

from relselect.leaks.checks import find_leaks
from relselect.leaks.finding import Finding
from relselect.leaks.queries import check_query

__all__ = ["Finding", "check_query", "find_leaks"]

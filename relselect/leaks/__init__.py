"""Leak checks: information from after the cutoff in columns, times, rows and queries."""

from __future__ import annotations

from relselect.leaks.checks import LEAK_CHECKS, LeakCheck, find_leaks
from relselect.leaks.finding import Finding
from relselect.leaks.queries import check_query
from relselect.leaks.report import LeakReport, UnrunCheck

__all__ = ["LEAK_CHECKS", "Finding", "LeakCheck", "LeakReport", "UnrunCheck", "check_query", "find_leaks"]

"""Leak checks: information from after the cutoff in columns, times, rows and queries."""

from __future__ import annotations

from relselect.leaks.checks import LEAK_CHECKS, LeakCheck, find_leaks
from relselect.leaks.finding import Finding
from relselect.leaks.gain import DOMINANT, with_gain
from relselect.leaks.queries import check_query, spec_of
from relselect.leaks.report import NO_TIME, LeakReport, UnrunCheck
from relselect.leaks.stage import announce, check_leaks, leak_budget

__all__ = [
    "DOMINANT",
    "LEAK_CHECKS",
    "NO_TIME",
    "Finding",
    "LeakCheck",
    "LeakReport",
    "UnrunCheck",
    "announce",
    "check_leaks",
    "check_query",
    "find_leaks",
    "leak_budget",
    "spec_of",
    "with_gain",
]

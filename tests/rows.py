"""Rows for fits in tests."""

from __future__ import annotations

from relselect.problem import Problem
from relselect.problem.rows import SplitRows, fit_rows


def shared_rows(problem: Problem) -> SplitRows:
    """Return the rows of a problem, all validation rows both stop and select rows."""
    return fit_rows(problem, "shared")

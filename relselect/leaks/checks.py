"""All leak checks of a task, with what its manifest accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relselect.leaks.columns import check_columns
from relselect.leaks.finding import Finding, accept
from relselect.leaks.moments import check_moments
from relselect.leaks.queries import check_queries
from relselect.leaks.rows import check_rows

if TYPE_CHECKING:
    from relselect.profile.view import View

__all__ = ["find_leaks"]

_ORDER = {"error": 0, "warning": 1, "info": 2}


def find_leaks(view: View) -> list[Finding]:
    """Return what may be known too early, the most severe first.

    Labels of training are read, and of validation and test only who is asked about and when. Of the database the
    checks of time read all rows: a date in the far future is a fault of the data, whoever sees it.

    Args:
        view: The train rows of a problem.
    """
    problem = view.problem
    spec = problem.user_database.tasks.get(problem.task.name)
    found = [*check_columns(view), *check_rows(problem), *check_moments(problem.user_database)]
    if spec is not None:
        found += check_queries(problem.user_database, spec)
        found = accept(found, spec.accept)
    return sorted(found, key=lambda finding: (_ORDER[finding.severity], finding.check, finding.subject))

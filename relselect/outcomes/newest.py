"""Who the population query of a task finds at the newest date of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

    from relselect.budget import Budget
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["newest_asked"]


def newest_asked(problem: Problem, budget: Budget | None = None) -> tuple[Rows, pa.Table] | None:
    """Return the rows that the population query finds at the time of the database's last row, and their keys.

    None where there is no such query, no time, or where rows need features that only the caller knows.

    Args:
        problem: The database and the task.
        budget: The clock of the query; None for ten minutes.

    Raises:
        BudgetError: The budget ended.
        TaskError: The query fails, or finds nobody.
    """
    task, last = problem.task, problem.user_database.last_time
    if task.population is None or task.static or task.feature_columns or last is None:
        return None
    integer = problem.database.time_kind == "integer"
    return problem.at(last if integer else np.datetime64(last, "us"), budget=budget)

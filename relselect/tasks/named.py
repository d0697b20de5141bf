"""The task that a caller names: a `Task` itself, the name of a declared one, or its declaration."""

from __future__ import annotations

from datetime import timedelta

from relselect.budget import Budget
from relselect.database import Database
from relselect.database.task_spec import TaskSpec
from relselect.errors import ConfigError
from relselect.tasks.task import Task

__all__ = ["TaskLike", "open_task", "task_of"]

#: What callers may pass as a task: the task, the name under which the manifest declares it, or an entry of
#: `Database.tasks`.
TaskLike = Task | str | TaskSpec


def task_of(database: Database, task: TaskLike, budget: Budget | None = None) -> Task:
    """Return a task as it is, and build the one that the database's manifest declares.

    Args:
        database: The database.
        task: The task, the name of a declared one, or its declaration `database.tasks[name]`.
        budget: The time of its queries, that of a run; None for no limit.

    Raises:
        BudgetError: The budget ended while its queries were asked.
        ConfigError: It is no task, no name of one, or the declaration of another database's task.
    """
    if isinstance(task, Task):
        return task
    if isinstance(task, str):
        return open_task(database, task, budget)
    if isinstance(task, TaskSpec):
        name = next((name for name, spec in database.tasks.items() if spec is task or spec == task), None)
        if name is not None:
            return open_task(database, name, budget)
        rule, fix = f"is no declaration of {database.name}", "Build it: Task.from_spec(database, spec, name)"
        raise ConfigError("task", f"TaskSpec({task.query or task.entity})", rule, fix)
    rule = "is no task"
    fix = "Pass the name under which the manifest declares it, or what Task.from_query, from_labels or from_sql returns"
    raise ConfigError("task", task, rule, fix)


def open_task(database: Database, name: str, time_budget: float | str | timedelta | Budget | None = None) -> Task:
    """Return a task that the database's manifest declares.

    Args:
        database: The database.
        name: The name of the task.
        time_budget: Wall-clock of its queries, or the `Budget` of a run; see `Task.from_sql`.

    Raises:
        BudgetError: The budget ended while its queries were asked, or is no duration.
        ConfigError: There is no task of that name.
    """
    if name not in database.tasks:
        known = ", ".join(sorted(database.tasks))
        place = database.source or "ADDRESS"
        fix = f"Use one of: {known}" if known else f"Run `relselect init {place}` for a manifest with two examples"
        raise ConfigError("task", name, f"is no task of {database.name}", fix)
    return Task.from_spec(database, database.tasks[name], name, time_budget=time_budget)

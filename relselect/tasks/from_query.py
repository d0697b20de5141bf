"""Tasks from predictive queries: asks the SQL that a query stands for, as `Task.from_sql` and `Task.completing` do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import pyarrow as pa

from relselect.budget import Budget
from relselect.database import Database
from relselect.database.clock import EVERYTHING
from relselect.errors import TaskError
from relselect.queries import PredictiveQuery, QueryPlan, explain_query, task_name
from relselect.tasks.cutoffs import default_every, range_of_cutoffs, within_times
from relselect.tasks.fields import TaskFields
from relselect.tasks.from_column import task_completing
from relselect.tasks.from_queries import task_from_sql
from relselect.tasks.options import TaskOptions
from relselect.tasks.sessions import Query, open_session

__all__ = ["task_from_query"]

TaskT = TypeVar("TaskT", bound=TaskFields)

#: Options of cutoffs, which a task that fills in a column has none of.
_OF_CUTOFFS = ("every", "cutoffs", "start", "end")


def task_from_query(
    build: type[TaskT],
    database: Database,
    query: str | PredictiveQuery,
    arguments: Mapping[str, Any],
    budget: Budget | None = None,
) -> TaskT:
    """Build a task from a predictive query; see `Task.from_query`.

    Args:
        build: The class of the task.
        database: The database.
        query: The query.
        arguments: Option of `TaskOptions` -> value; those that the query says are replaced.
        budget: The clock of the queries.
    """
    plan = explain_query(database, query)
    said = {
        "name": arguments.get("name") or task_name(plan.query),
        "entity": plan.entity,
        "entity_columns": plan.keys,
        "kind": plan.kind,
        "target": plan.target,
        "horizon": plan.horizon,
        "description": arguments.get("description") or str(plan.query),
    }
    if plan.population is None:
        built = _column_task(build, database, plan, TaskOptions.of({**arguments, **said}), budget)
    else:
        asked = {"population": plan.population, "label": plan.label, "time": "cutoff"}
        options = _with_cutoffs(database, TaskOptions.of({**arguments, **said, **asked}), plan.timed)
        built = task_from_sql(build, database, options, budget)
    return replace(built, query=str(plan.query), notes=(*plan.notes, *built.notes))


def _with_cutoffs(database: Database, options: TaskOptions, tables: Sequence[str]) -> TaskOptions:
    """Return the options with the cutoffs that the tables of the windows allow: other tables may reach back for decades."""
    horizon = options.horizon_ticks()
    if options.cutoffs is not None or not horizon:
        return options
    options = within_times(database, options, horizon, tables)
    if options.every is not None:
        return options
    low, high = range_of_cutoffs(database, options, horizon)
    return replace(options, every=default_every(high - low, horizon))


def _column_task(
    build: type[TaskT], database: Database, plan: QueryPlan, options: TaskOptions, budget: Budget | None
) -> TaskT:
    for name in _OF_CUTOFFS:
        if getattr(options, name) is not None:
            rule = f"is for windows, and the query fills in {plan.entity}.{plan.target}, at each row's own time"
            raise TaskError(name, getattr(options, name), rule, "Leave it out, or predict an aggregate over a window")
    known_after = None if options.known_after == "horizon" else options.known_after
    table = database[plan.entity]
    options = replace(options, time=table.time, known_after=known_after)
    rows = None if plan.plain else _asked_rows(database, plan, budget)
    return task_completing(build, database, options, rows)


def _asked_rows(database: Database, plan: QueryPlan, budget: Budget | None) -> pa.Table:
    """Return the rows that a query about a column asks about, in the order of their key."""
    table = database[plan.entity]
    others = dict.fromkeys(filter(None, [table.time, table.clock_of(plan.target)]))
    columns = tuple(dict.fromkeys((*plan.keys, *others, plan.target)))
    with open_session(database, budget) as session:
        found = session.ask(Query("query", plan.label, columns), cutoff=0, asof=EVERYTHING)
    return found.sort_by([(key, "ascending") for key in plan.keys])

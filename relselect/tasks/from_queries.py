"""Tasks from SQL: asks the population and label queries at every cutoff."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from relselect.budget import Budget
from relselect.database import Database
from relselect.errors import TaskError
from relselect.tasks.cutoffs import choose_cutoffs
from relselect.tasks.fields import TaskFields
from relselect.tasks.from_frames import task_from_labels
from relselect.tasks.label_queries import ask_labels
from relselect.tasks.label_window import check_label_window
from relselect.tasks.options import TaskOptions
from relselect.tasks.sessions import Query

__all__ = ["task_from_sql"]

TaskT = TypeVar("TaskT", bound=TaskFields)


def task_from_sql(build: type[TaskT], database: Database, options: TaskOptions, budget: Budget | None = None) -> TaskT:
    """Build a task from population and label queries; see `Task.from_sql`."""
    keys = options.check(database)
    if database.time_kind is None:
        raise TaskError(
            "time", None, "the database has no time column", "Declare the tables' time columns, or use from_labels"
        )
    horizon = options.horizon_ticks() or 0
    delay = options.delay_ticks()
    if delay is not None and delay < horizon:
        rule = f"is shorter than the horizon {options.horizon}: a label cannot be known before its window ends"
        raise TaskError("known_after", options.known_after, rule, "Leave it out, or give a longer one")
    window = max(horizon, delay or 0)
    cut = check_label_window(options.label or "", window, options.horizon, database.time_kind)
    cutoffs = choose_cutoffs(database, options, horizon)
    population = Query("population", options.population or "", ("cutoff", *keys))
    weight = () if options.weight is None else (options.weight,)
    label = Query("label", options.label or "", ("cutoff", *keys, options.target, *weight))
    found, unlabelled = ask_labels(database, population, label, cutoffs, window, budget)
    if found.num_rows == 0:
        raise TaskError(
            "population",
            options.population,
            "finds nobody with a label at any cutoff",
            "Try the queries at one cutoff first",
        )
    notes = [f"{unlabelled} members of the population had no label and were left out."] if unlabelled else []
    declared = replace(options, time="cutoff", entity_columns=keys)
    built = task_from_labels(build, database, found, declared, [*cut, *notes])
    return replace(built, label_query=options.label)

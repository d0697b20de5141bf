"""Tasks from SQL: chooses the cutoffs and asks the population and label queries at each."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from relselect.budget import Budget
from relselect.database import Database
from relselect.database.clock import format_time, parse_duration, parse_time
from relselect.errors import TaskError
from relselect.tasks.fields import TaskFields
from relselect.tasks.from_frames import task_from_labels
from relselect.tasks.label_queries import MOST_CUTOFFS, ask_labels
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
    cutoffs = _cutoffs(database, options, horizon)
    population = Query("population", options.population or "", ("cutoff", *keys))
    label = Query("label", options.label or "", ("cutoff", *keys, options.target))
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


def _cutoffs(database: Database, options: TaskOptions, horizon: int) -> list[int]:
    kind, last, first = database.time_kind, database.last_time, database.first_time
    if last is None or first is None:
        raise TaskError("time", None, "no row of the database has a time", "Fill the time columns")
    if options.cutoffs is not None:
        cutoffs = sorted({parse_time(value, kind, "cutoffs") for value in options.cutoffs})
        late = [cutoff for cutoff in cutoffs if cutoff + horizon > last]
        if late:
            raise TaskError(
                "cutoffs",
                format_time(late[0], kind),
                "its label window ends after the last observed time",
                f"Use cutoffs up to {format_time(last - horizon, kind)}",
            )
        return cutoffs
    if options.every is None:
        raise TaskError(
            "every", None, "the distance of the cutoffs is needed", "Write e.g. every='30d', or list the cutoffs"
        )
    every = parse_duration(options.every, "every")
    low = first + horizon if options.start is None else parse_time(options.start, kind, "start")
    high = last - horizon if options.end is None else parse_time(options.end, kind, "end")
    if high + horizon > last:
        raise TaskError(
            "end",
            format_time(high, kind),
            "its label window ends after the last observed time",
            f"Use {format_time(last - horizon, kind)} or earlier",
        )
    if every <= 0 or not 3 <= (high - low) // max(every, 1) + 1 <= MOST_CUTOFFS:
        count = (high - low) // every + 1 if every > 0 else 0
        raise TaskError(
            "every",
            options.every,
            f"gives {max(0, count)} cutoffs; 3 to {MOST_CUTOFFS} are usable",
            "Choose another distance, or set start and end",
        )
    return list(range(high, low - 1, -every))[::-1]

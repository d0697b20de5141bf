"""Chooses the cutoffs at which the queries of a task are asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from relselect.database import Database
from relselect.database.clock import format_time, parse_duration, parse_time
from relselect.errors import TaskError
from relselect.tasks.label_queries import MOST_CUTOFFS
from relselect.tasks.options import TaskOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["choose_cutoffs", "default_every", "observed", "range_of_cutoffs", "within_times"]

#: Cutoffs that `default_every` leaves at most: enough to train on, few enough to build in seconds.
_ENOUGH = 40


def default_every(span: int, horizon: int) -> int:
    """Return the distance of cutoffs where none is declared: the horizon, or a multiple of it that leaves 40 of them.

    Args:
        span: Ticks from the first possible cutoff to the last.
        horizon: Length of the label window in ticks.

    >>> default_every(300, 30), default_every(6_000, 30)
    (30, 150)
    """
    return horizon * max(1, -(-span // (_ENOUGH * horizon)))


def range_of_cutoffs(database: Database, options: TaskOptions, horizon: int) -> tuple[int, int]:
    """Return the first and the last possible cutoff in ticks.

    Args:
        database: The database.
        options: With `start` and `end`, if they were declared.
        horizon: Length of the label window in ticks.

    Raises:
        TaskError: No row has a time, or the last label window is not complete.
    """
    kind, first, last = database.time_kind, *_times(database)
    low = first + horizon if options.start is None else parse_time(options.start, kind, "start")
    high = last - horizon if options.end is None else parse_time(options.end, kind, "end")
    if high + horizon > last:
        raise TaskError(
            "end",
            format_time(high, kind),
            "its label window ends after the last observed time",
            f"Use {format_time(last - horizon, kind)} or earlier",
        )
    return low, high


def observed(database: Database, tables: Sequence[str]) -> tuple[int, int] | None:
    """Return the first and the last time of some tables, without placeholders, in ticks; None where they have none.

    Args:
        database: The database.
        tables: Names of tables.
    """
    first, last = _times(database)
    found = [ticks for name in tables if len(ticks := _between(database.times(name), first, last))]
    return (min(int(ticks.min()) for ticks in found), max(int(ticks.max()) for ticks in found)) if found else None


def within_times(database: Database, options: TaskOptions, horizon: int, tables: Sequence[str]) -> TaskOptions:
    """Return the options with `start` and `end`, where none are declared, by the times of the tables that a task reads.

    Args:
        database: The database.
        options: What was declared.
        horizon: Length of the label window in ticks.
        tables: The tables. Without any, or where their times leave no room for a window, the options are returned as they are.
    """
    span = observed(database, tables)
    if span is None or span[1] - span[0] < 2 * horizon:
        return options
    low, high = span[0] + horizon, span[1] - horizon
    start, end = (
        ticks if database.time_kind == "integer" else format_time(ticks, "timestamp") for ticks in (low, high)
    )
    return replace(
        options,
        start=start if options.start is None else options.start,
        end=end if options.end is None else options.end,
    )


def choose_cutoffs(database: Database, options: TaskOptions, horizon: int) -> list[int]:
    """Return the cutoffs in ticks: those that are declared, or one every so often up to the last possible.

    Args:
        database: The database.
        options: What was declared.
        horizon: Length of the label window in ticks.

    Raises:
        TaskError: A label window is not complete, or there are too few or too many cutoffs.
    """
    kind = database.time_kind
    if options.cutoffs is not None:
        _, last = _times(database)
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
    low, high = range_of_cutoffs(database, options, horizon)
    if every <= 0 or not 3 <= (high - low) // max(every, 1) + 1 <= MOST_CUTOFFS:
        count = (high - low) // every + 1 if every > 0 else 0
        raise TaskError(
            "every",
            options.every,
            f"gives {max(0, count)} cutoffs; 3 to {MOST_CUTOFFS} are usable",
            "Choose another distance, or set start and end",
        )
    return list(range(high, low - 1, -every))[::-1]


def _between(ticks: NDArray[np.int64], first: int, last: int) -> NDArray[np.int64]:
    return ticks[(ticks >= first) & (ticks <= last)]


def _times(database: Database) -> tuple[int, int]:
    first, last = database.first_time, database.last_time
    if last is None or first is None:
        raise TaskError("time", None, "no row of the database has a time", "Fill the time columns")
    return first, last

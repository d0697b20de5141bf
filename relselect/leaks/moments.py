"""Times that cannot be, and columns that are written after their row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.database.clock import DAY, NEVER, format_time, ticks_of
from relselect.database.columns import as_numpy
from relselect.leaks.finding import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.database import Database, Table

__all__ = ["check_moments"]

_YEAR = 365 * DAY
#: Dates from this year on are placeholders, not dates.
_FAR = int(np.datetime64("2100-01-01", "us").astype(np.int64))
#: Years that a date may lie behind all but the latest thousandth.
_STRAY_YEARS = 20
#: Rows at the epoch, and how many times the usual number per day, that make it a default value.
_LEAST_EPOCH, _EPOCH_RATIO = 5, 10.0
#: Share of rows in which a column has to be later than its row.
_LATER = 0.01
_LEAST_ROWS = 50
#: How much more often the latest tenth of the rows lacks a value for it to look filled in later.
_FILLED = 0.3


def check_moments(database: Database) -> list[Finding]:
    """Return the findings about the times of every table; integer times are only compared within their rows."""
    found = []
    for name, table in database.tables.items():
        for column in table.columns:
            if pa.types.is_timestamp(table.data[column].type) or pa.types.is_date(table.data[column].type):
                found += _impossible(name, column, ticks_of(table.data[column]))
        if table.time is not None:
            found += _later_than_row(database, table)
            found += _filled_later(database, table)
    return found


def _impossible(table: str, column: str, ticks: NDArray[np.int64]) -> list[Finding]:
    ticks = ticks[ticks != NEVER]
    if not len(ticks):
        return []
    subject, found = f"{table}.{column}", []
    epoch = int(((ticks >= 0) & (ticks < DAY)).sum())
    days = len(np.unique(ticks // DAY))
    if epoch >= _LEAST_EPOCH and epoch > _EPOCH_RATIO * len(ticks) / days:
        text = f"{epoch:,} of {len(ticks):,} dates are 1970-01-01, the zero of computer clocks"
        found.append(Finding("epoch_dates", "warning", subject, text, "Make them NULL: a NULL time is never visible"))
    usual = int(np.quantile(ticks, 0.999, method="lower"))
    far = ticks[(ticks >= _FAR) | (ticks > usual + _STRAY_YEARS * _YEAR)]
    if len(far):
        text = f"{len(far):,} dates lie far ahead, up to {format_time(int(far.max()), 'timestamp')}"
        found.append(Finding("far_future_dates", "warning", subject, text, "Make placeholders NULL"))
    return found


def _later_than_row(database: Database, table: Table) -> list[Finding]:
    """Find dates that lie after the row's own time: the row was changed when they came to pass."""
    own, found = database.times(table.name), []
    for column in table.columns:
        dtype = table.data[column].type
        timed = pa.types.is_timestamp(dtype) or pa.types.is_date(dtype)
        if not timed or column == table.time or table.clock_of(column) is not None:
            continue
        ticks = ticks_of(table.data[column])
        both = (ticks != NEVER) & (own != NEVER)
        # a date has no hour: the day of the row is not after it
        later = both & (ticks > own) & (ticks // DAY > own // DAY)
        if both.sum() < _LEAST_ROWS or later.sum() < _LATER * both.sum():
            continue
        gap = float(np.median((ticks - own)[later])) / DAY
        with_it = _companions(table, column, ticks != NEVER)
        text = f"is later than its row's {table.time} in {later.sum() / both.sum():.0%} of the rows, by {gap:,.0f} days"
        text += f" (median); {', '.join(with_it)} have values in the same rows only" if with_it else " (median)"
        fix = f"declare known_at: {{{column}: {with_it}}}" if with_it else "drop it"
        fix = f"If it is written when it comes to pass, {fix}; a plan or a due date may stay"
        found.append(Finding("later_than_row", "warning", f"{table.name}.{column}", text, fix))
    return found


def _companions(table: Table, column: str, present: NDArray[np.bool_]) -> list[str]:
    """Return the columns that have values where `column` has one, and nowhere else."""
    if present.all():
        return []
    return [
        other
        for other in table.columns
        if other != column
        and table.data[other].null_count
        and np.array_equal(as_numpy(table.data[other].is_valid()).astype(bool), present)
    ]


def _filled_later(database: Database, table: Table) -> list[Finding]:
    """Find columns that the newest rows lack far more often than the older ones."""
    own, found = database.times(table.name), []
    seen = np.flatnonzero(own != NEVER)
    if len(seen) < 10 * _LEAST_ROWS:
        return []
    newest = own[seen] > np.quantile(own[seen], 0.9)
    if newest.sum() < _LEAST_ROWS or (~newest).sum() < _LEAST_ROWS:
        return []
    for column in table.columns:
        if column == table.time or table.clock_of(column) is not None or not table.data[column].null_count:
            continue
        missing = as_numpy(table.data[column].is_null()).astype(bool)[seen]
        # the tenth before the newest: a column that was dropped years ago is missing in both
        before = (own[seen] > np.quantile(own[seen], 0.8)) & ~newest
        if before.sum() < _LEAST_ROWS or missing[newest].mean() - missing[before].mean() < _FILLED:
            continue
        text = f"is missing in {missing[newest].mean():.0%} of the newest tenth of the rows, {missing[before].mean():.0%} before"
        fix = "If it is filled in after the row was written, declare known_at or drop it"
        found.append(Finding("filled_later", "warning", f"{table.name}.{column}", text, fix))
    return found

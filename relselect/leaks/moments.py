"""Finds impossible dates, and columns that are written after their row.

It reads all rows of the database and no task. Integer times are compared within their rows only, because their unit is
unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.database.clock import DAY, NEVER, format_time, ticks_of
from relselect.database.columns import as_numpy
from relselect.leaks.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from relselect.database import Database, Table

__all__ = ["check_dates", "check_late_values", "why_no_dates", "why_no_late_values"]

_YEAR = 365 * DAY
#: Dates from this one on are taken for placeholders.
_FAR = int(np.datetime64("2100-01-01", "us").astype(np.int64))
#: A date is stray when it lies this many years after the 99.9th percentile of its column.
_STRAY_YEARS = 20
#: 1970-01-01 is taken for a default value from this many rows on, and above this multiple of the mean rows per day.
_LEAST_EPOCH, _EPOCH_RATIO = 5, 10.0
#: A column is reported when it is later than its row in at least this share of the rows.
_LATER = 0.01
_LEAST_ROWS = 50
#: A column is reported when its share of NULL in the latest tenth of the rows exceeds that in the tenth before by this.
_FILLED = 0.3


def why_no_dates(database: Database) -> str | None:
    """Return why `check_dates` does not apply, None where it does."""
    dated = any(_is_date(table, column) for table in database.tables.values() for column in table.columns)
    return None if dated else "No column holds dates."


def check_dates(database: Database, check: Callable[[], None] = lambda: None) -> list[Finding]:
    """Return the findings `epoch_dates` and `far_future_dates` of all date columns.

    Args:
        database: The database.
        check: Called before each column; raises where the time has ended.

    Raises:
        BudgetExhausted: Raised by `check`.
    """
    found = []
    for name, table in database.tables.items():
        for column in table.columns:
            if _is_date(table, column):
                check()
                found += _impossible(name, column, ticks_of(table.data[column]))
    return found


def why_no_late_values(database: Database) -> str | None:
    """Return why `check_late_values` does not apply, None where it does."""
    timed = any(table.time is not None for table in database.tables.values())
    return None if timed else "No table has a time column."


def check_late_values(database: Database, check: Callable[[], None] = lambda: None) -> list[Finding]:
    """Return the findings `later_than_row` and `filled_later` of all tables that have a time column.

    Args:
        database: The database.
        check: Called before each table; raises where the time has ended.

    Raises:
        BudgetExhausted: Raised by `check`.
    """
    found = []
    for table in database.tables.values():
        if table.time is not None:
            check()
            found += _later_than_row(database, table)
            found += _filled_later(database, table)
    return found


def _is_date(table: Table, column: str) -> bool:
    dtype = table.data[column].type
    return bool(pa.types.is_timestamp(dtype) or pa.types.is_date(dtype))


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
    """Find dates after the row's own time: the row was probably updated then."""
    own, found = database.times(table.name), []
    for column in table.columns:
        if not _is_date(table, column) or column == table.time or table.clock_of(column) is not None:
            continue
        ticks = ticks_of(table.data[column])
        both = (ticks != NEVER) & (own != NEVER)
        # a date column has no hour, so a date on the row's own day is not later
        later = both & (ticks > own) & (ticks // DAY > own // DAY)
        if both.sum() < _LEAST_ROWS or later.sum() < _LATER * both.sum() or np.ptp((ticks - own)[both]) < DAY:
            continue  # always as long after the row: a term that is planned with it, which tells nothing else
        gap = float(np.median((ticks - own)[later])) / DAY
        companions = _companions(table, column, ticks != NEVER)
        text = f"is later than its row's {table.time} in {later.sum() / both.sum():.0%} of the rows, by {gap:,.0f} days"
        text += f" (median); {', '.join(companions)} have values in the same rows only" if companions else " (median)"
        fix = f"declare known_at: {{{column}: {companions}}}" if companions else "drop it"
        fix = f"If it is written when the event happens, {fix}; a planned or due date may stay"
        found.append(Finding("later_than_row", "warning", f"{table.name}.{column}", text, fix))
    return found


def _companions(table: Table, column: str, present: NDArray[np.bool_]) -> list[str]:
    """Return the columns that have values where `column` has one, and nowhere else.

    A date that comes later is a clock of its own and no companion; where there is one, the others hang on it instead.
    """
    if present.all():
        return []
    same = [
        other
        for other in table.columns
        if other != column
        and table.data[other].null_count
        and np.array_equal(as_numpy(table.data[other].is_valid()).astype(bool), present)
    ]
    own = ticks_of(table.data[column])[present]
    later = any(
        _is_date(table, other) and (ticks_of(table.data[other])[present] > own).mean() > _LATER for other in same
    )
    return [] if later else same


def _filled_later(database: Database, table: Table) -> list[Finding]:
    """Find columns that are NULL far more often in the newest rows than before."""
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

"""Dates as text, for whatever shows one: an ISO date, with the time of day unless it is midnight.

Ticks, the integers that stand for moments inside, are `relselect.database.clock`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

__all__ = ["date_text", "with_dates"]


def date_text(value: date) -> str:
    """Return a date or a moment as text; a zone is written where there is one.

    >>> date_text(datetime(2024, 5, 1)), date_text(datetime(2024, 5, 1, 12, 30)), date_text(date(2024, 5, 1))
    ('2024-05-01', '2024-05-01 12:30:00', '2024-05-01')
    """
    if not isinstance(value, datetime):
        return value.isoformat()
    midnight = (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0)
    if midnight and not getattr(value, "nanosecond", 0) and not value.utcoffset():
        return value.date().isoformat()
    return value.isoformat(sep=" ")


def with_dates(value: Any) -> Any:
    """Return dates, moments and those of NumPy as text, also within lists and tuples; other values as they are.

    >>> with_dates([datetime(2024, 5, 1), "x", 3])
    ['2024-05-01', 'x', 3]
    """
    if isinstance(value, date):
        return date_text(value) if value == value else None  # NaT calls itself a datetime and equals nothing
    if isinstance(value, list | tuple):
        return type(value)(map(with_dates, value)) if type(value) in (list, tuple) else value
    if getattr(getattr(value, "dtype", None), "kind", "") == "M":
        return with_dates(value.astype("datetime64[us]").tolist())
    return value

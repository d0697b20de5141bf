"""Times as 64-bit integers ("ticks"): microseconds since 1970-01-01 UTC, or the integers of an integer-time database.

Parts below a microsecond are rounded up for rows and down for cutoffs, so rounding may hide a row but never shows one too
early. Which rows are visible at a time is not decided here.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.dates import date_text
from relselect.errors import TaskError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "ALWAYS",
    "DAY",
    "EVERYTHING",
    "NEVER",
    "TimeKind",
    "format_duration",
    "format_time",
    "is_time_type",
    "moment_of",
    "parse_duration",
    "parse_time",
    "ticks_of",
]

TimeKind = Literal["timestamp", "integer"]

#: Time of rows of a table without a time column: always visible.
ALWAYS: Final = int(np.iinfo(np.int64).min)
#: Time of rows whose time is NULL: never visible.
NEVER: Final = int(np.iinfo(np.int64).max)
#: The `asof` of static tasks: sees every row but those that are never visible.
EVERYTHING: Final = NEVER - 1
#: Ticks of one day in a timestamp database.
DAY: Final = 86_400_000_000

_UNITS = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": DAY, "w": 7 * DAY}
_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d|w)\s*$")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_duration(value: str | int | float | timedelta, argument: str = "duration") -> int:
    """Return a length of time in ticks.

    Args:
        value: "30d", "12h", "90min", a timedelta, or a plain integer (raw ticks, for integer-time databases).
        argument: The name used in the error.

    Raises:
        TaskError: The value is no duration, or negative.

    >>> parse_duration("30d") == 30 * DAY
    True
    """
    ticks = -1
    if isinstance(value, timedelta):
        ticks = value // timedelta(microseconds=1)
    elif isinstance(value, int | np.integer) and not isinstance(value, bool):
        ticks = int(value)
    elif isinstance(value, str) and (match := _DURATION.match(value)):
        ticks = round(float(match[1]) * _UNITS[match[2]])
    if ticks < 0:
        raise TaskError(
            argument, value, "must be a duration that is not negative", "Write e.g. '30d', '12h' or a timedelta"
        )
    return ticks


def parse_time(value: object, kind: TimeKind | None, argument: str = "time") -> int:
    """Return one point in time in ticks.

    Args:
        value: ISO text, date, datetime (naive means UTC), NumPy or pandas timestamp; an integer in integer-time databases.
        kind: The database's kind of time.
        argument: The name used in the error.

    Raises:
        TaskError: The value is no time of that kind.
    """
    if kind == "integer":
        if isinstance(value, int | np.integer) and not isinstance(value, bool):
            return int(value)
        raise TaskError(argument, value, "must be an integer, as the database's times are integers", "Pass an integer")
    try:
        return (_to_datetime(value) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, TypeError, OverflowError):
        rule = "must be a date or a timestamp"
        raise TaskError(argument, value, rule, "Write e.g. '2024-05-01' or '2024-05-01T12:00:00Z'") from None


def moment_of(value: object, kind: TimeKind | None, argument: str = "at") -> object:
    """Return a time as it is, the present moment for "now", and the first one of the day, in UTC, for "today".

    Args:
        value: What the caller gave.
        kind: The database's kind of time.
        argument: The name used in the error.

    Raises:
        TaskError: It is one of these words, and times are integers.

    >>> moment_of("2024-05-01", "timestamp")
    '2024-05-01'
    """
    word = value.strip().lower() if isinstance(value, str) else ""
    if word not in ("now", "today"):
        return value
    if kind == "integer":
        raise TaskError(argument, value, "means nothing where times are integers", "Give the time as an integer")
    now = datetime.now(UTC)
    return now if word == "now" else now.replace(hour=0, minute=0, second=0, microsecond=0)


def _to_datetime(value: object) -> datetime:
    if hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime(warn=False)
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]").item()
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime) or value != value:  # NaT calls itself a datetime and equals nothing
        raise TypeError(type(value).__name__)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def format_time(ticks: int, kind: TimeKind | None) -> str:
    """Return ticks as text: an ISO date, with the time of day unless it is midnight, or the integer.

    >>> format_time(DAY, "timestamp")
    '1970-01-02'
    """
    if ticks in (ALWAYS, NEVER, EVERYTHING):
        return {ALWAYS: "always", NEVER: "never", EVERYTHING: "everything"}[ticks]
    if kind == "integer":
        return str(ticks)
    try:
        moment = _EPOCH + timedelta(microseconds=int(ticks))
    except OverflowError:
        return str(ticks)
    return date_text(moment.replace(tzinfo=None))


def format_duration(ticks: int | None, kind: TimeKind | None) -> str:
    """Return a length of time in ticks as text: days or hours where times are dates, else the number.

    >>> format_duration(30 * DAY, "timestamp"), format_duration(3, "integer"), format_duration(None, None)
    ('30 d', '3', 'unknown')
    """
    if ticks is None:
        return "unknown"
    if kind == "integer":
        return str(ticks)
    return f"{ticks / DAY:g} d" if ticks % DAY == 0 or ticks > 3 * DAY else f"{24 * ticks / DAY:g} h"


def is_time_type(dtype: pa.DataType) -> bool:
    """Whether a column of this Arrow type can be a time column."""
    return bool(pa.types.is_timestamp(dtype) or pa.types.is_date(dtype) or pa.types.is_integer(dtype))


def kind_of(dtype: pa.DataType) -> TimeKind:
    """Return the kind of time of an Arrow type."""
    return "integer" if pa.types.is_integer(dtype) else "timestamp"


def ticks_of(values: pa.ChunkedArray | pa.Array, *, up: bool = True) -> NDArray[np.int64]:
    """Return a column of times as ticks; NULL becomes `NEVER`.

    Args:
        values: Timestamps (with or without zone; zones are converted to UTC by Arrow), dates or integers; n values.
        up: Whether parts below a microsecond are rounded up (rows) or down (cutoffs).

    Returns:
        int64 array of shape (n,).
    """
    chunked = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    dtype = chunked.type
    if pa.types.is_timestamp(dtype) and dtype.unit == "ns":
        nanos = pc.fill_null(pc.cast(chunked, pa.int64()), 0).to_numpy()
        whole = nanos // 1000 + ((nanos % 1000 != 0) & up)
        return np.where(chunked.is_null().to_numpy(), NEVER, whole).astype(np.int64)
    plain = chunked if pa.types.is_integer(dtype) else pc.cast(chunked, pa.timestamp("us"))
    filled = pc.fill_null(pc.cast(plain, pa.int64()), NEVER)
    return np.ascontiguousarray(filled.to_numpy(), dtype=np.int64)

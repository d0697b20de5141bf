"""Lengths of windows: as SQL, in ticks, and as the horizon of a task.

Months go by the calendar, each counted from the cutoff itself: one month after 31 January is the last day of February, two are
31 March. Their length in ticks is that of the longest such months, so that a horizon never ends before its window.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from relselect.database.clock import DAY, TimeKind

__all__ = ["FARTHEST", "horizon_text", "length_in_ticks", "longest_months", "moment_sql"]

_HOUR: Final = DAY // 24
_TICKS: Final = {"seconds": _HOUR // 3600, "minutes": _HOUR // 60, "hours": _HOUR, "days": DAY, "weeks": 7 * DAY}
_SUFFIX: Final = {"seconds": "s", "minutes": "min", "hours": "h", "days": "d", "weeks": "w"}
#: No bound lies farther from the cutoff: a thousand years, or 2^53 of an integer time.
FARTHEST: Final[dict[TimeKind, int]] = {"timestamp": 365_250 * DAY, "integer": 2**53}


def length_in_ticks(amount: int, unit: str | None) -> int:
    """Return the length of a number of units in ticks; of months the longest, and of no unit the number itself.

    >>> length_in_ticks(2, "months") // DAY, length_in_ticks(2, None)
    (62, 2)
    """
    if unit is None:
        return amount
    if unit == "months":
        return (longest_months(abs(amount)) if amount >= 0 else -longest_months(abs(amount))) * DAY
    return amount * _TICKS[unit]


def horizon_text(amount: int, unit: str | None) -> str | int:
    """Return a length as a task declares it.

    >>> horizon_text(60, "days"), horizon_text(1, "months"), horizon_text(5, None)
    ('60d', '31d', 5)
    """
    if unit is None:
        return amount
    return f"{longest_months(amount)}d" if unit == "months" else f"{amount}{_SUFFIX[unit]}"


def moment_sql(cutoff: str, amount: int, unit: str | None) -> str:
    """Return a moment at a distance from the cutoff as SQL.

    >>> moment_sql("c.cutoff", -6, "months"), moment_sql("c.cutoff", 0, "days"), moment_sql("c.cutoff", 5, None)
    ('c.cutoff - INTERVAL 6 MONTH', 'c.cutoff', 'c.cutoff + 5')
    """
    if amount == 0:
        return cutoff
    length = str(abs(amount)) if unit is None else f"INTERVAL {abs(amount)} {unit[:-1].upper()}"
    return f"{cutoff} {'-' if amount < 0 else '+'} {length}"


@cache
def longest_months(count: int) -> int:
    """Return the days of the longest run of consecutive months, over the 400 years after which the calendar repeats.

    >>> [longest_months(count) for count in (0, 1, 2, 3, 12)]
    [0, 31, 62, 92, 366]
    """
    begins = [0]
    for month in range(400 * 12):
        begins.append(begins[-1] + _days_of(month))
    cycles, rest = divmod(count, 400 * 12)
    cycle = begins[-1]

    def begin(month: int) -> int:
        return begins[month % 4800] + cycle * (month // 4800)

    return cycles * cycle + max(begin(month + rest) - begin(month) for month in range(4800))


def _days_of(month: int) -> int:
    """Return the days of a month, counted from January of the year 0 of a cycle of 400."""
    year, place = divmod(month, 12)
    if place == 1:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if place in (3, 5, 8, 10) else 31

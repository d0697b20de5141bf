"""Placeholder times: 9999-12-31, 2099-01-01, 1900-01-01 and the like, found by their distance from all other times.

They are kept out of the first and last time of a database, from which cutoffs and splits are made. The rows stay as they
are: whether one is visible is decided by its time, placeholder or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from relselect.database.clock import ALWAYS, DAY, NEVER, TimeKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Placeholder", "TimeSpan", "time_span"]

#: Timestamps are compared by quarters of a year; a placeholder is at least so many of them away from the other times.
_QUARTER: Final = 91 * DAY
_FAR_QUARTERS: Final = 20
#: Integer times are compared by this part of the span of their middle 98 %, and are at least so many spans away.
_PARTS: Final = 200
_FAR_SPANS: Final = 4
#: A placeholder is also so many times further away than any two neighbours among the other times.
_FAR_GAPS: Final = 5
#: Distinct times (days) of placeholders at most, or share of the rows after all others at most.
_FEW: Final = 3
_RARE: Final = 0.01
#: Times of fewer rows than this are not judged.
_ROWS: Final = 20


@dataclass(frozen=True)
class Placeholder:
    """Rows of one table whose time is taken for a placeholder.

    Attributes:
        table: The table.
        rows: How many.
        time: One of their times, ticks.
    """

    table: str
    rows: int
    time: int


@dataclass(frozen=True)
class TimeSpan:
    """The first and the last time of a database without placeholders, ticks, and the placeholders."""

    first: int
    last: int
    placeholders: tuple[Placeholder, ...] = ()


def time_span(times: Mapping[str, NDArray[np.int64]], kind: TimeKind | None) -> TimeSpan | None:
    """Return the span of the times of all tables; None where no row has a time.

    Times are placeholders where a gap separates them from the group with the most distinct times, and the gap is five years
    or more (in integer-time databases, four times the span of the middle 98 % of the times) and five times the largest gap in
    that group. Before the group they have at most 3 distinct times; after it that, or at most 1 % of the rows.

    Args:
        times: Table -> ticks of its rows; `ALWAYS` and `NEVER` are passed over.
        kind: The kind of time.

    >>> days = np.arange(100) * DAY
    >>> span = time_span({"orders": days, "plans": np.array([DAY, 47_000 * DAY])}, "timestamp")
    >>> span.last // DAY, span.placeholders[0].rows
    (99, 1)
    """
    present = {name: ticks[(ticks != NEVER) & (ticks != ALWAYS)] for name, ticks in times.items()}
    present = {name: ticks for name, ticks in present.items() if len(ticks)}
    if not present:
        return None
    low, high = (int(getattr(np, end)([getattr(t, end)() for t in present.values()])) for end in ("min", "max"))
    inside = _inside(present, kind) if sum(map(len, present.values())) >= _ROWS else None
    if inside is None:
        return TimeSpan(low, high)
    first, last = inside
    odd = {name: ticks[(ticks < first) | (ticks > last)] for name, ticks in present.items()}
    found = tuple(Placeholder(name, len(ticks), int(ticks[-1])) for name, ticks in odd.items() if len(ticks))
    return TimeSpan(first, last, found)


def _inside(present: Mapping[str, NDArray[np.int64]], kind: TimeKind | None) -> tuple[int, int] | None:
    """Return the first and the last time between placeholders; None where there are none."""
    width, far = (_QUARTER, _FAR_QUARTERS) if kind == "timestamp" else _integer_width(present)
    occupied = _distinct(present, width)
    cuts = np.flatnonzero(np.diff(occupied) >= far) + 1
    if not len(cuts):
        return None
    unit = DAY if kind == "timestamp" else 1
    distinct, groups = _distinct(present, unit), np.split(occupied, cuts)
    # Each group's number of distinct times: those from its first bucket up to the next group's first one.
    starts = np.array([group[0] for group in groups]) * (width // unit)
    sizes = np.diff(np.append(np.searchsorted(distinct, starts), len(distinct)))
    main = int(np.argmax(sizes))
    inner = int(np.diff(groups[main]).max()) if len(groups[main]) > 1 else 1
    begin, end = main, main
    while begin > 0 and not (sizes[:begin].sum() <= _FEW and _gap(groups, begin) >= _FAR_GAPS * inner):
        # Several times that are few each are old and sparse data: none of them is a placeholder.
        begin = 0 if sizes[begin - 1] <= _FEW else begin - 1
    total = sum(map(len, present.values()))
    while end + 1 < len(groups):
        after = sum(int((ticks >= groups[end + 1][0] * width).sum()) for ticks in present.values())
        few = sizes[end + 1 :].sum() <= _FEW or after <= _RARE * total
        if few and _gap(groups, end + 1) >= _FAR_GAPS * inner:
            break
        end += 1
    lower, upper = int(groups[begin][0]) * width, (int(groups[end][-1]) + 1) * width
    kept = [ticks[(ticks >= lower) & (ticks < upper)] for ticks in present.values()]
    kept = [ticks for ticks in kept if len(ticks)]
    return min(int(ticks.min()) for ticks in kept), max(int(ticks.max()) for ticks in kept)


def _gap(groups: list[NDArray[np.int64]], place: int) -> int:
    return int(groups[place][0] - groups[place - 1][-1])


def _distinct(present: Mapping[str, NDArray[np.int64]], width: int) -> NDArray[np.int64]:
    """Return the distinct times in units of `width`, sorted."""
    from pandas import unique

    return np.unique(np.concatenate([unique(ticks // width) for ticks in present.values()]))


def _integer_width(present: Mapping[str, NDArray[np.int64]]) -> tuple[int, int]:
    low, high = np.quantile(np.concatenate(list(present.values())), [0.01, 0.99])
    width = max(1, int((high - low) // _PARTS))
    return width, max(int(_FAR_SPANS * (high - low) / width), _FAR_QUARTERS)

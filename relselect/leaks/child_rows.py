"""Aggregates of the child rows of a sample of parents: over all time, before the median date, over each parent's earlier half.

Nothing is compared here; the aggregates read every row of the child table, whatever its date.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from relselect.database.clock import NEVER
from relselect.database.columns import as_float, as_strings, is_nested
from relselect.database.hashing import key_hashes
from relselect.hashing import mix, smallest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.database import Database, Table

__all__ = ["ChildAggregate", "ParentSample", "child_rows"]

#: Parents that are looked at, columns of the child table, and values of a text column.
_MOST_PARENTS, _MOST_COLUMNS, _MOST_LABELS = 1_000, 40, 1_000
_LEAST_PARENTS = 50
_EARLY_SHARE = 0.25
#: Child rows that are looked at; where the least number of parents has more, up to the largest number.
_MOST_ROWS, _LARGEST_ROWS = 400_000, 3_000_000


@dataclass(frozen=True)
class ChildAggregate:
    """One aggregate of the child rows, each array of shape (parents,), nan where it has no value.

    Attributes:
        words: What it is, such as "the sum of orders.total".
        all: Over all child rows.
        before: Over those up to the median date.
        halved: Over each parent's earlier half; nan for parents whose child rows all have one time.
        is_time: Whether the values are ticks.
        is_extreme: Whether it is a minimum or a maximum, whose noise falls as fast as the rows grow, or faster.
        labels: The texts that the numbers stand for; None for numbers.
    """

    words: str
    all: NDArray[np.float64]
    before: NDArray[np.float64]
    halved: NDArray[np.float64]
    is_time: bool = False
    is_extreme: bool = False
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ParentSample:
    """The child rows of a sample of parents.

    Attributes:
        table: The child table.
        parents: Row numbers of the sampled parents, shape (n,).
        first: Time of each parent's first child row in ticks, shape (n,).
        last: Time of its last one.
        median: The median time of all child rows.
        span: Ticks between the first and the last child row of the table.
        straddles: Which parents have child rows after the median, and at least a quarter of them up to it, shape (n,).
        aggregates: All aggregates.
    """

    table: str
    parents: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    median: int
    span: int
    straddles: NDArray[np.bool_]
    aggregates: tuple[ChildAggregate, ...]


@dataclass(frozen=True)
class _Sorted:
    """Child rows of the sampled parents, sorted by parent and time; arrays of shape (rows,)."""

    rows: NDArray[np.int64]
    place: NDArray[np.int64]
    before: NDArray[np.bool_]
    halved: NDArray[np.bool_]
    split: NDArray[np.bool_]
    count: int


def child_rows(
    database: Database, name: str, number: int, seed: int, check: Callable[[], None] = lambda: None
) -> ParentSample | None:
    """Return the child rows behind one foreign key, for at most 1,000 parents drawn by a hash of their key.

    Args:
        database: The database.
        name: A table with a time column.
        number: Which of its foreign keys.
        seed: Seed of the sample.
        check: Called before each column; raises where the time has ended.

    Returns:
        The rows; None where fewer than 50 parents have any, all child rows have one time, or 50 parents have more than
        3,000,000 rows.
    """
    table, key = database[name], database[name].foreign_keys[number]
    parent, times = database.parents(name)[number], database.times(name)
    valid = (parent >= 0) & (times != NEVER)
    count = np.bincount(parent[valid], minlength=database[key.table].num_rows)
    known = np.flatnonzero(count)
    if len(known) < _LEAST_PARENTS:
        return None
    median = int(np.quantile(times[valid], 0.5, method="lower"))
    span = int(times[valid].max() - times[valid].min())
    if span == 0:
        return None
    chosen = smallest(mix(key_hashes(database, key.table, known), seed), _MOST_PARENTS)
    parents = _within(known[chosen], count)
    if parents is None:
        return None
    ordered = _sorted(parent, times, valid, parents, median, database[key.table].num_rows)
    own = times[ordered.rows]
    starts = np.searchsorted(ordered.place, np.arange(len(parents)))
    ends = np.append(starts[1:], len(own)) - 1
    aggregates = tuple(_aggregates(table, {*key.columns, *table.primary_key}, ordered, check))
    return ParentSample(
        name,
        parents,
        own[starts],
        own[ends],
        median,
        span,
        _straddling(ordered),
        aggregates,
    )


def _within(parents: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the first of the drawn parents that have few enough rows, sorted; None where the least sample has too many."""
    total = np.cumsum(count[parents])
    if total[_LEAST_PARENTS - 1] > _LARGEST_ROWS:
        return None
    return np.sort(parents[: max(_LEAST_PARENTS, int(np.searchsorted(total, _MOST_ROWS, side="right")))])


def _sorted(
    parent: NDArray[np.int64],
    times: NDArray[np.int64],
    valid: NDArray[np.bool_],
    parents: NDArray[np.int64],
    median: int,
    size: int,
) -> _Sorted:
    place_of = np.full(size, -1, dtype=np.int64)
    place_of[parents] = np.arange(len(parents))
    rows = np.flatnonzero(valid)
    rows = rows[place_of[parent[rows]] >= 0]
    rows = rows[np.lexsort((rows, times[rows], place_of[parent[rows]]))]
    place, own = place_of[parent[rows]], times[rows]
    starts = np.searchsorted(place, np.arange(len(parents)))
    ends = np.append(starts[1:], len(rows)) - 1
    middle = own[starts + (ends - starts) // 2]
    return _Sorted(rows, place, own <= median, own <= middle[place], own[ends] > middle, len(parents))


def _straddling(ordered: _Sorted) -> NDArray[np.bool_]:
    """With at least a quarter of the rows, the noise of a mean is at most twice that over all rows."""
    whole = np.bincount(ordered.place, minlength=ordered.count)
    early = np.bincount(ordered.place[ordered.before], minlength=ordered.count)
    return np.asarray((early < whole) & (early >= _EARLY_SHARE * whole))


def _aggregates(
    table: Table, left_out: set[str], ordered: _Sorted, check: Callable[[], None]
) -> Iterator[ChildAggregate]:
    ones = np.ones(len(ordered.rows))
    yield _over("the number of rows of " + table.name, ordered, ones, _sums)
    for column in [name for name in table.columns if name not in left_out][:_MOST_COLUMNS]:
        check()
        values = table.data[column].take(pa.array(ordered.rows))
        dtype, where = values.type, f"{table.name}.{column}"
        if is_nested(dtype) or pa.types.is_null(dtype):
            continue
        kind = dtype.value_type if pa.types.is_dictionary(dtype) else dtype
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            codes, labels = as_strings(values)
            if len(labels) <= _MOST_LABELS:
                numbers = np.where(codes >= 0, codes, np.nan).astype(np.float64)
                yield _over(f"the last {where}", ordered, numbers, _last, labels=tuple(labels))
            continue
        numbers = as_float(values)
        is_time = bool(pa.types.is_timestamp(dtype) or pa.types.is_date(dtype))
        if not is_time:
            yield _over(f"the sum of {where}", ordered, numbers, _sums)
            yield _over(f"the mean of {where}", ordered, numbers, _means)
            yield _over(f"the last {where}", ordered, numbers, _last)
        yield _over(f"the minimum of {where}", ordered, numbers, _minima, is_time=is_time, is_extreme=True)
        yield _over(f"the maximum of {where}", ordered, numbers, _maxima, is_time=is_time, is_extreme=True)


def _over(words: str, ordered: _Sorted, values: NDArray[np.float64], reduce: Any, **how: Any) -> ChildAggregate:
    present = ~np.isnan(values)
    parts = [
        reduce(ordered.place[mask], values[mask], ordered.count)
        for mask in (present, present & ordered.before, present & ordered.halved)
    ]
    parts[2] = np.where(ordered.split, parts[2], np.nan)
    return ChildAggregate(words, *parts, **how)


def _sums(place: NDArray[np.int64], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    return np.asarray(np.bincount(place, weights=values, minlength=count), dtype=np.float64)


def _means(place: NDArray[np.int64], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    rows = np.bincount(place, minlength=count)
    return np.where(rows > 0, _sums(place, values, count) / np.maximum(rows, 1), np.nan)


def _last(place: NDArray[np.int64], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    out = np.full(count, np.nan)
    out[place] = values  # sorted by time: the last assignment wins
    return out


def _minima(place: NDArray[np.int64], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    return -_maxima(place, -values, count)


def _maxima(place: NDArray[np.int64], values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    out = np.full(count, np.nan)
    if len(place):
        starts = np.flatnonzero(np.diff(place, prepend=-1))
        out[place[starts]] = np.maximum.reduceat(values, starts)
    return out

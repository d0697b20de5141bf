"""Finds entity tables with a timed child table, and horizons and cutoffs for example tasks about them.

The tasks themselves are declared in `relselect.proposal.examples`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from relselect.database.clock import NEVER
from relselect.database.columns import as_strings
from relselect.database.database import Database
from relselect.tasks.cutoffs import default_every

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Activity", "TaskTiming", "activities", "task_timings"]

#: A pair needs `_ENTITIES` entities with rows at `_RETURNS` or more times.
_RETURNS, _ENTITIES = 3, 10
#: The least number of cutoffs: enough to train on.
_FEWEST_CUTOFFS = 8
#: The population of a cutoff: entities with a row within so many horizons before it.
LOOKBACK = 4
_FEWEST_ROWS, _MOST_ROWS = 60, 300_000
_FEWEST_IN_SPLIT = 10
_RATES = (0.04, 0.96)
_SPLIT_SHARE = 0.15


@dataclass(frozen=True, eq=False)
class Activity:
    """A timed table with a foreign key of one column to an entity table.

    Attributes:
        entity: The table referred to.
        key: Its key column.
        child: The timed table.
        reference: Its foreign key column.
        time: Its time column.
        codes: The entity of each row that has an entity and a time, in order of time; shape (n,).
        ticks: The times of these rows; shape (n,).
    """

    entity: str
    key: str
    child: str
    reference: str
    time: str
    codes: NDArray[np.int64]
    ticks: NDArray[np.int64]

    @cached_property
    def returning(self) -> int:
        """The number of entities with rows at three or more times."""
        order = np.lexsort((self.ticks, self.codes))
        codes, ticks = self.codes[order], self.ticks[order]
        first = np.ones(len(codes), dtype=bool)
        first[1:] = (codes[1:] != codes[:-1]) | (ticks[1:] != ticks[:-1])
        return int((np.unique(codes[first], return_counts=True)[1] >= _RETURNS).sum())


@dataclass(frozen=True)
class TaskTiming:
    """The times of an example task, in ticks.

    Attributes:
        horizon: The length of the label window.
        every: The distance between cutoffs.
        val_start: The first cutoff of validation.
        test_start: The first cutoff of test.
        rate: The share of positive labels in training, from 0 to 1.
    """

    horizon: int
    every: int
    val_start: int
    test_start: int
    rate: float


def activities(database: Database) -> list[Activity]:
    """Return the pairs with enough returning entities: largest timed table first, then most returning entities.

    Args:
        database: The database.
    """
    found = []
    for name, table in database.tables.items():
        for key in table.foreign_keys if table.time else ():
            parent = database[key.table]
            if len(key.columns) == 1 and key.table != name and len(parent.primary_key) == 1:
                activity = _activity(database, name, key.columns[0], key.table)
                if activity.returning >= _ENTITIES:
                    found.append(activity)
    return sorted(found, key=lambda each: (-database[each.child].num_rows, -each.returning))


def _activity(database: Database, child: str, reference: str, parent: str) -> Activity:
    table = database[child]
    codes, _ = as_strings(table.data[reference])
    ticks = database.times(child)
    kept = (codes >= 0) & (ticks != NEVER)
    order = np.argsort(ticks[kept], kind="stable")
    return Activity(
        parent,
        database[parent].primary_key[0],
        child,
        reference,
        table.time or "",
        codes[kept][order],
        ticks[kept][order],
    )


def task_timings(activity: Activity, first: int, last: int, horizons: Sequence[int]) -> Iterator[TaskTiming]:
    """Yield timings under which "has a row within the horizon" has both labels in every split, most balanced first.

    Args:
        activity: The pair.
        first: The first time of what the task reads, in ticks; cutoffs are placed as `Task.from_query` places them.
        last: The last time of what the task reads, in ticks.
        horizons: Lengths to try, in ticks.
    """
    found = [timing for horizon in horizons if (timing := _timing(activity, first, last, horizon)) is not None]
    yield from sorted(found, key=lambda each: abs(each.rate - 0.5))


def _timing(activity: Activity, first: int, last: int, horizon: int) -> TaskTiming | None:
    span = last - first - 2 * horizon
    if span < _FEWEST_CUTOFFS * horizon:
        return None
    every = default_every(span, horizon)
    cutoffs, asked = _answers(activity, range(last - horizon, first + horizon - 1, -every), horizon)
    thinner = min(int(asked[:, 0].sum()) // _MOST_ROWS + 1, max(1, len(cutoffs) // _FEWEST_CUTOFFS))
    if thinner > 1:
        every *= thinner
        cutoffs, asked = _answers(activity, range(last - horizon, first + horizon - 1, -every), horizon)
    if len(cutoffs) < _FEWEST_CUTOFFS or asked[:, 0].sum() < _FEWEST_ROWS:
        return None
    part = max(1, round(_SPLIT_SHARE * len(cutoffs)))
    splits = asked[: -2 * part], asked[-2 * part : -part], asked[-part:]
    rates = [float(split[:, 1].sum() / split[:, 0].sum()) for split in splits]
    few = min(int(split[:, 0].sum()) for split in splits) < _FEWEST_IN_SPLIT
    if few or not all(_RATES[0] <= rate <= _RATES[1] for rate in rates):
        return None
    return TaskTiming(horizon, every, int(cutoffs[-2 * part]), int(cutoffs[-part]), rates[0])


def _answers(activity: Activity, backwards: range, horizon: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the cutoffs with a population, shape (n,), and their population and positive labels, shape (n, 2)."""
    cutoffs = np.array(backwards[::-1], dtype=np.int64)
    asked = np.array([_asked(activity, int(cutoff), horizon) for cutoff in cutoffs], dtype=np.int64).reshape(-1, 2)
    some = asked[:, 0] > 0
    return cutoffs[some], asked[some]


def _asked(activity: Activity, cutoff: int, horizon: int) -> tuple[int, int]:
    """Return the number of entities with a row in the lookback of a cutoff, and of those with one in the horizon."""
    ticks = activity.ticks
    begin, now, end = np.searchsorted(ticks, [cutoff - LOOKBACK * horizon, cutoff, cutoff + horizon], side="right")
    entities = np.unique(activity.codes[begin:now])
    return len(entities), int(np.isin(entities, activity.codes[now:end]).sum())

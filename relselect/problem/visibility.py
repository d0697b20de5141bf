"""Visibility: which rows of a table and which values of a masked column can be read at an as-of time.

* A row of time t is visible at `asof` when `t <= asof`. A table without a time column is always visible; a row whose
  time is NULL never is (`Database.times`).
* A value of a column declared in `known_at` is visible when its row is and its clock is not later than `asof`
  (`Database.value_times`).
* A reference from a child row to its parent exists from the latest of the child's time and the clocks of the key's
  columns; the parent is reached when it is visible as well.

Nothing else decides what a task row may see. The engines keep sorted indexes of the same rule, because they answer it for
millions of (row, asof) pairs at once; `tests/problem/test_visibility.py` compares each with this module on random data:

* `dfs.prefix.index.Index.spans` and `dfs.plan.windows`: ranges of rows by (key, time);
* `dfs.sql`: the condition as SQL; `dfs.featuretools`: time indexes (compared in `tests/dfs`);
* `rdl.graph.adjacency`: ranks of times in parent and child relations;
* `profile.walker.Adjacency`, `profile.view.History` and `families.constants.history`: ranges by (entity, time).

Two places in layers that this module may import cut whole tables at one `asof`, and are compared as well:
`Database.censored` and the views of `tasks.sessions`. Which `asof` a task row has is decided in `tasks.regimes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.database import Database

__all__ = ["key_times", "visible_masked", "visible_or_none", "visible_rows", "visible_values"]


def visible_rows(database: Database, table: str, asof: int) -> NDArray[np.bool_]:
    """Return which rows of a table are visible at `asof` ticks, shape (rows,)."""
    return np.asarray(database.times(table) <= asof)


def visible_values(database: Database, table: str, column: str, asof: int) -> NDArray[np.bool_]:
    """Return which rows are visible at `asof` ticks with their value of a column, shape (rows,)."""
    known = database.value_times(table, column)
    return visible_rows(database, table, asof) if known is None else np.asarray(known <= asof)


def visible_masked(database: Database, table: str, asof: int) -> dict[str, NDArray[np.bool_]]:
    """Return `visible_values` of the masked columns of a table, clocks included."""
    columns = database[table].columns
    masked = [column for column in columns if database[table].clock_of(column) is not None]
    return {column: visible_values(database, table, column, asof) for column in masked}


def visible_or_none(times: NDArray[np.int64], rows: NDArray[np.int64], asof: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the row numbers that are visible at their own `asof`, and -1 in place of the others.

    Args:
        times: `Database.times` or `Database.value_times` of a table, shape (rows,).
        rows: Row numbers of the table, -1 for none, shape (n,).
        asof: Ticks, shape (n,).

    >>> visible_or_none(np.array([10, 20]), np.array([0, 1, 1, -1]), np.array([10, 10, 20, 99])).tolist()
    [0, -1, 1, -1]
    """
    if not len(times):
        return np.full(len(rows), -1, dtype=np.int64)
    return np.where((rows >= 0) & (times[np.maximum(rows, 0)] <= asof), rows, -1)


def key_times(database: Database, table: str, key: int) -> NDArray[np.int64]:
    """Return from when on the rows of a table refer to a parent, in ticks of shape (rows,).

    Args:
        database: The database.
        table: The table that holds the foreign key.
        key: The foreign key's place among those of the table.
    """
    times = database.times(table)
    for column in database[table].foreign_keys[key].columns:
        known = database.value_times(table, column)
        times = times if known is None else np.maximum(times, known)
    return times

"""Resolves routes to arrays: the row that owns others, the rows that belong to it, their values and effective times.

A value on a route exists from the latest time on that route: that of the row, of every row passed on the way, and the times
from which masked values and keys are known. Where a parent is missing the value never exists, so hidden and missing parents
look the same. Nothing is aggregated here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from relselect.database.clock import NEVER
from relselect.database.columns import as_float
from relselect.database.table import SemanticType
from relselect.dfs.prefix.encoding import column_codes
from relselect.dfs.prefix.index import Index, Ties
from relselect.dfs.prefix.ties import content_columns, value_ranks
from relselect.problem.visibility import key_times, visible_or_none

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.dfs.plan.feature import Condition, Hop, Route
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["ChildRows", "Paths", "pick"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: A column is read row by row where so many times as many rows are not asked for.
_FEW_ROWS = 8


@dataclass(frozen=True)
class ChildRows:
    """The rows of a table that belong to the rows of another.

    Attributes:
        table: The table of the rows.
        keys: Row number of the owner, shape (rows,), -1 for none.
        times: The time from which the row exists for its owner, shape (rows,); `NEVER` where it has none.
    """

    table: str
    keys: Ints
    times: Ints


def _at(values: Ints, where: Ints, missing: int) -> Ints:
    """Return `values[where]`, and `missing` where `where` is -1."""
    if not len(values):
        return np.full(len(where), missing, dtype=np.int64)
    return np.where(where >= 0, values[np.maximum(where, 0)], missing)


def pick(values: Floats | Ints, at: Ints) -> Floats:
    """Return `values[at]` as floats, nan where `at` is -1."""
    if not len(values):
        return np.full(len(at), np.nan)
    found = values[at].astype(np.float64)
    found[at < 0] = np.nan
    return found


class Paths:
    """Resolves the routes of one problem's database; sorted structures live in the problem's cache.

    Args:
        problem: The problem.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.database: Database = problem.database

    def owners(self, up: Route, rows: Rows, table: str) -> Ints:
        """Return the row that steps up lead to from each row's entity, shape (n,).

        -1 where anything on the way, the row itself included, is missing or not visible at the row's asof.

        Args:
            up: The steps.
            rows: `entity` numbers rows of `table`.
            table: Where the steps start.
        """
        at = visible_or_none(self.database.times(table), rows.entity, rows.asof)
        for hop in up:
            number = self._key(table, hop)
            link, parents = key_times(self.database, table, number), self._parents(table)[number]
            at = visible_or_none(link, at, rows.asof)
            at = visible_or_none(self.database.times(hop.table), _at(parents, at, -1), rows.asof)
            table = hop.table
        return at

    def table_at(self, route: Route, table: str) -> str:
        """Return the table a route from `table` ends at."""
        return route[-1].table if route else table

    def direct(self, up: Route, column: str, rows: Rows, table: str) -> Ints:
        """Return the row of `table_at(up, table)` whose `column` each row may read, shape (n,), -1 for none."""
        at = self.owners(up, rows, table)
        known = self.database.value_times(self.table_at(up, table), column)
        return at if known is None else visible_or_none(known, at, rows.asof)

    def relation(self, down: Route, table: str) -> ChildRows:
        """Return the rows reached by steps down from a table, each with the row that the steps start from."""
        return self.problem.cached(("dfs", "relation", table, down), lambda: self._relation(down, table))

    def _relation(self, down: Route, table: str) -> ChildRows:
        *before, hop = down
        number = self._key(before[-1].table if before else table, hop)
        link, parents = key_times(self.database, hop.table, number), self._parents(hop.table)[number]
        if not before:
            return ChildRows(hop.table, parents, np.where(parents >= 0, link, NEVER))
        above = self.relation(tuple(before), table)
        keys = _at(above.keys, parents, -1)
        return ChildRows(hop.table, keys, np.maximum(link, _at(above.times, parents, NEVER)))

    def index(
        self,
        table: str,
        down: Route,
        then: Route = (),
        column: str | None = None,
        where: Condition | None = None,
    ) -> Index:
        """Return the rows of a relation sorted by the time from which `column`, at the end of `then`, exists.

        Columns that come with their row share one index, and so do those of one clock where rows have a primary key:
        without one, rows that tie are ordered by the masked value itself.

        Args:
            table: Where the steps start.
            down: Steps down.
            then: Steps up from there.
            column: The column read there; None for the rows themselves.
            where: Only rows that meet this condition, from the time on from which that is known.
        """
        end = self.database[self.table_at((*down, *then), table)]
        clock = None if column is None else end.clock_of(column)
        masked = None if clock is None else column
        shared = clock if self.database[down[-1].table].primary_key else masked
        met = None if where is None else (where.column, where.value)
        key = ("dfs", "index", table, (*down, *then), shared, met)
        return self.problem.cached(key, lambda: self._index(table, down, then, masked, where))

    def _index(self, table: str, down: Route, then: Route, masked: str | None, where: Condition | None) -> Index:
        base = self.relation(down, table)
        times = self._value_times(base, then, masked)
        if then and masked is None and np.array_equal(times[base.keys >= 0], base.times[base.keys >= 0]):
            return self.index(table, down, (), None, where)
        keys = base.keys
        if where is not None:
            keys, times = self._meeting(base, where, times)
        return Index(keys, times, self._ties(base.table, then, masked))

    def _meeting(self, base: ChildRows, where: Condition, times: Ints) -> tuple[Ints, Ints]:
        """Return the keys of rows that meet a condition (-1 for others), and the times from which that is known."""
        codes, words = self.codes(base.table, where.column)
        wanted = words.index(where.value) if where.value in words else -2
        known = self.database.value_times(base.table, where.column)
        return np.where(codes == wanted, base.keys, -1), times if known is None else np.maximum(times, known)

    def _ties(self, table: str, then: Route = (), masked: str | None = None) -> Ties:
        """Return the sort keys of rows of one key and time: their content, and last the masked value that is read."""
        steps: list[Callable[[Ints], Ints]] = [
            partial(self._ranks, table, column) for column in content_columns(self.database, table)
        ]
        if masked is None:
            return steps
        end = then[-1].table if then else table
        return [*steps, lambda rows: self._ranks(end, masked, self.ascend(table, then, rows))]

    def _ranks(self, table: str, column: str, rows: Ints) -> Ints:
        """Return numbers that order a column's values at `rows`; missing values, and rows of -1, share the last one."""
        count = self.database[table].num_rows
        every = self.problem.cached_values(
            table,
            ("dfs", "ranks", table, column),
            lambda: value_ranks(self.database, table, column, np.arange(count, dtype=np.int64)),
        )
        return _at(every, rows, count + 1)

    def ascend(self, table: str, then: Route, rows: Ints) -> Ints:
        """Return the row that each of some rows of `table` reaches by steps up, shape (n,), -1 for none.

        Args:
            table: Where the steps start.
            then: The steps.
            rows: Row numbers, none of them -1, shape (n,).
        """
        at = rows
        for hop in then:
            at = _at(self._parents(table)[self._key(table, hop)], at, -1)
            table = hop.table
        return at

    def _value_times(self, base: ChildRows, then: Route, column: str | None) -> Ints:
        times, table = base.times, base.table
        at: Ints = np.arange(len(times), dtype=np.int64)
        for hop in then:
            number = self._key(table, hop)
            times = np.maximum(times, _at(key_times(self.database, table, number), at, NEVER))
            at = _at(self._parents(table)[number], at, -1)
            table = hop.table
            times = np.maximum(times, _at(self.database.times(table), at, NEVER))
        known = self.database.value_times(table, column) if column else None
        return times if known is None else np.maximum(times, _at(known, at, NEVER))

    def floats(self, table: str, column: str, kind: SemanticType, rows: Ints) -> Floats:
        """Return a column as numbers: lengths of text, times as ticks, nan where missing.

        Args:
            table: The table.
            column: Its column.
            kind: Its type.
            rows: Row numbers, -1 for none, shape (n,).

        Returns:
            Shape (n,).
        """
        values, at = self.database[table].data[column], rows
        if len(rows) * _FEW_ROWS < len(values):
            values, at = values.take(pa.array(np.maximum(rows, 0))), np.where(rows < 0, -1, np.arange(len(rows)))
        if kind == SemanticType.TEXT:
            values = pc.utf8_length(pc.cast(values, "string"))
        return pick(as_float(values), at)

    def codes(self, table: str, column: str) -> tuple[Ints, list[str]]:
        """Return a column as codes and the value of each code, see `column_codes`."""
        return column_codes(self.problem, table, column)

    def _key(self, table: str, hop: Hop) -> int:
        """Return the place of a hop's foreign key among those of its table; the hop starts at `table`."""
        child, parent = (hop.table, table) if hop.down else (table, hop.table)
        keys = self.database[child].foreign_keys
        return next(i for i, key in enumerate(keys) if key.name == hop.key and key.table == parent)

    def _parents(self, table: str) -> tuple[Ints, ...]:
        """As `Database.parents`; threads that ask at the same time wait for one."""
        return self.problem.cached(("dfs", "parents", table), lambda: self.database.parents(table))

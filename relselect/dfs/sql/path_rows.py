"""The rows at the end of a path as one SELECT, with their owner's key and their effective time.

A value exists from the latest time on its path. Rows whose time is NULL are never visible and left out at once. Parents
reached by steps up after the steps down are inner joins: a row without its parent has no value. Parents of a subject's own
row are left joins with a time of their own. Which rows a subject sees is not decided here, see `visible_rows`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from relselect.dfs.plan.feature import Hop, Route
from relselect.dfs.sql.catalog import KeyPart, SqlCatalog, matches
from relselect.dfs.sql.names import UniqueNames
from relselect.dfs.sql.nodes import (
    ALWAYS_VISIBLE,
    NEVER,
    Node,
    alias,
    bigint,
    both,
    column,
    equal,
    every,
    greatest,
    inner,
    integer,
    or_else,
    present,
    text,
    window,
)
from relselect.dfs.sql.readings import ColumnReading

__all__ = ["KeyColumn", "MaskClock", "ParentRow", "PathRows"]

#: The rows' own table in FROM.
_ROWS = "x"


@dataclass(frozen=True)
class KeyColumn:
    """A column of a key: its name, and the kind of type that it is compared as."""

    name: str
    kind: str


@dataclass(frozen=True)
class ParentRow:
    """A parent, or parent's parent, of a subject's row.

    Attributes:
        keys: The columns that identify it; NULL where there is none.
        time: The column of the time from which it is visible; None where that is the time of the subject's row.
    """

    keys: tuple[KeyColumn, ...]
    time: str | None


@dataclass(frozen=True)
class MaskClock:
    """The column `name` of `table`, called `known_as` in FROM, that says when a masked value became known."""

    known_as: str
    table: str
    name: str


class PathRows:
    """The rows at the end of a path, and the columns selected of them.

    Args:
        catalog: The database.
        owner: The table that the steps down start at.
        down: Steps down; none for the owner's own row.
        then: Steps up from there.
        taken: Names that columns must not have.
    """

    def __init__(self, catalog: SqlCatalog, owner: str, down: Route, then: Route, taken: list[str]) -> None:
        self.catalog = catalog
        self.names = UniqueNames(taken)
        self.table = down[-1].table if down else owner
        self.end, self.end_table = _ROWS, self.table
        self._joins: list[tuple[exp.Table | exp.Subquery, Node, bool]] = []
        self._filters: list[Node] = []
        self._times: list[Node] = []
        self._columns: dict[object, tuple[str, Node]] = {}
        self._windows: dict[object, tuple[str, Node]] = {}
        self._ascents: dict[Route, tuple[str, list[Node]]] = {}
        self._aliases = UniqueNames([_ROWS])
        self.keys = self._descend(owner, down)
        self._ascend(then)
        self.time = self._column("time", self._time, "t")

    def _time(self) -> Node:
        return greatest([time.copy() for time in self._times]) if self._times else bigint(integer(ALWAYS_VISIBLE))

    # FROM

    def _descend(self, owner: str, down: Route) -> tuple[KeyColumn, ...]:
        """Join the tables between the rows and their owner, from the rows upwards; return the owner's key."""
        here = _ROWS
        self._add_table(self.table, here)
        if not down:
            return self._parts(here, self.catalog.identity(owner, here))
        for place in range(len(down) - 1, 0, -1):
            here = self._join_parent(down[place].table, here, down[place].key, down[place - 1].table)
        key = self.catalog.key(down[0].table, down[0].key, owner)
        self._times.extend(self._link_times(down[0].table, here, key.columns))
        return self._parts(here, self.catalog.reference(down[0].table, key, here))

    def _ascend(self, then: Route) -> None:
        for hop in then:
            self.end = self._join_parent(self.end_table, self.end, hop.key, hop.table)
            self.end_table = hop.table

    def _join_parent(self, table: str, here: str, name: str, parent: str) -> str:
        """Join a parent; rows without one are left out."""
        key = self.catalog.key(table, name, parent)
        self._times.extend(self._link_times(table, here, key.columns))
        there = self._join(table, here, name, parent, outer=False)
        self._add_table(parent, there)
        return there

    def _join(self, table: str, here: str, name: str, parent: str, *, outer: bool) -> str:
        there = self._aliases.new("p")
        key = self.catalog.key(table, name, parent)
        sides = zip(self.catalog.reference(table, key, here), self.catalog.identity(parent, there), strict=True)
        met = every(matches(mine, theirs, self.catalog.dialect) for mine, theirs in sides)
        self._joins.append((self.catalog.table(parent, there), met, outer))
        return there

    def _add_table(self, table: str, known_as: str) -> None:
        time = self.catalog.schema.tables[table].time
        if time is not None:
            ticks = self.catalog.read(table, time, ColumnReading.TICKS, known_as)
            self._times.append(ticks)
            self._filters.append(present(ticks.copy()))

    def _link_times(self, table: str, known_as: str, columns: tuple[str, ...]) -> list[Node]:
        """Return when masked columns of a key become known."""
        clocks = map(self.catalog.schema.tables[table].clock_of, columns)
        return [self._clock(table, known_as, clock) for clock in clocks if clock is not None]

    def _clock(self, table: str, known_as: str, name: str) -> Node:
        return or_else(self.catalog.read(table, name, ColumnReading.TICKS, known_as), integer(NEVER))

    # columns

    def _column(self, key: object, make: Callable[[], Node], stem: str) -> str:
        return self._column_for(self._columns, key, make, stem)

    def _column_for(
        self, among: dict[object, tuple[str, Node]], key: object, make: Callable[[], Node], stem: str
    ) -> str:
        """Return the name of the column of a key, made at its first use."""
        if key not in among:
            among[key] = (self.names.new(stem), make())
        return among[key][0]

    def _read(self, table: str, name: str, reading: ColumnReading, known_as: str) -> str:
        key = (known_as, name, reading)
        return self._column(key, lambda: self.catalog.read(table, name, reading, known_as), name)

    def _parts(self, known_as: str, keys: list[KeyPart]) -> tuple[KeyColumn, ...]:
        return tuple(self._part((known_as, "key", key.value.sql()), key) for key in keys)

    def _part(self, known: object, key: KeyPart) -> KeyColumn:
        return KeyColumn(self._column(known, lambda: key.value, "k"), key.kind)

    def value(self, name: str, reading: ColumnReading) -> str:
        """Return the column of a value at the end of the path."""
        return self._read(self.end_table, name, reading, self.end)

    def parent_key(self) -> tuple[str, ...]:
        """Return the columns that identify the row at the end of the path, a parent of the rows aggregated."""
        return tuple(part.name for part in self._parts(self.end, self.catalog.identity(self.end_table, self.end)))

    def condition(self, name: str, value: str) -> str:
        """Return the column that holds whether a column of the rows equals a text."""
        key = (name, "equals", value)
        return self._column(
            key,
            lambda: equal(self.catalog.read(self.table, name, ColumnReading.TEXT, _ROWS), text(value)),
            f"is_{name}",
        )

    def clock(self, name: str, *, of_rows: bool = False) -> MaskClock | None:
        """Return the clock that masks a column of the rows, or of the table at the end of the path; None for none."""
        table, known_as = (self.table, _ROWS) if of_rows else (self.end_table, self.end)
        found = self.catalog.schema.tables[table].clock_of(name)
        return None if found is None else MaskClock(known_as, table, found)

    def moment(self, clocks: frozenset[MaskClock]) -> str:
        """Return the column of the effective time of a value masked by these clocks."""
        if not clocks:
            return self.time
        ordered = sorted(clocks, key=lambda clock: (clock.known_as, clock.name))
        known = [self._clock(clock.table, clock.known_as, clock.name) for clock in ordered]
        return self._column(clocks, lambda: greatest([*(time.copy() for time in self._times), *known]), "known")

    def _content(self) -> list[str]:
        """Return the columns that order rows of one time."""
        names = self.catalog.content(self.table)
        return [self._read(self.table, name, ColumnReading.ORDER, _ROWS) for name in names]

    def sequence(self, moment: str, name: str | None) -> str:
        """Return the column of the row's number among its owner's, by effective time, then by content.

        Args:
            moment: The effective time.
            name: The masked column that is read, None for a value without a mask: keyless rows may differ in it alone.
        """
        order = [moment, *self._content()]
        if name is not None and not self.catalog.schema.tables[self.table].primary_key:
            order.append(self._read(self.end_table, name, ColumnReading.ORDER, self.end))
        by = [part.name for part in self.keys]
        return self._window("seq", exp.RowNumber(), by, order)

    def _window(self, stem: str, function: Node, by: list[str], order: list[str]) -> str:
        def over() -> Node:
            return window(function, [column("i", name) for name in by], [column("i", name) for name in order])

        return self._column_for(self._windows, (stem, *by, "by", *order), over, stem)

    def number(self) -> tuple[str, ...]:
        """Return the columns that identify a row of the table."""
        declared = self.catalog.schema.tables[self.table]
        if declared.primary_key:
            return tuple(part.name for part in self._parts(_ROWS, self.catalog.identity(self.table, _ROWS)))
        # Rows that are equal in every column, masked ones included, are interchangeable.
        masked = [self._read(self.table, name, ColumnReading.ORDER, _ROWS) for name in declared.clocks]
        return (self._window("row", exp.RowNumber(), [], [*self._content(), *masked]),)

    def previous(self, values: tuple[str, ...], moment: str, condition: str | None) -> str:
        """Return the column of the effective time of the owner's last row before with the same values; NULL for none."""
        by = [*(part.name for part in self.keys), *values, *([condition] if condition is not None else [])]
        return self._window("prev", exp.Lag(this=column("i", moment)), by, [moment])

    # parents of a subject's row

    def parent_row(self, up: Route) -> ParentRow:
        """Return the parent that steps up lead to."""
        there, times = self._ascent(up)
        parts = self._parts(there, self.catalog.identity(self._table_at(up), there))
        return ParentRow(parts, self._column((there, "seen"), lambda: greatest(times), "seen") if times else None)

    def _table_at(self, up: Route) -> str:
        return up[-1].table if up else self.table

    def direct(self, up: Route, name: str, reading: ColumnReading) -> tuple[str, str | None]:
        """Return the columns of a parent's value, and of the time from which it is known (None for at once)."""
        there, times = self._ascent(up)
        table = self._table_at(up)
        clock = self.catalog.schema.tables[table].clock_of(name)
        known = [*times, *([self._clock(table, there, clock)] if clock is not None else [])]
        value = self._read(table, name, reading, there)
        key = (there, "seen", clock) if clock is not None else (there, "seen")
        return value, self._column(key, lambda: greatest(known), "seen") if known else None

    def _ascent(self, up: Route) -> tuple[str, list[Node]]:
        if not up:
            return _ROWS, []
        if up not in self._ascents:
            below, times = self._ascent(up[:-1])
            self._ascents[up] = self._one_step_up(up, below, times)
        there, times = self._ascents[up]
        return there, [time.copy() for time in times]

    def _one_step_up(self, up: Route, below: str, times: list[Node]) -> tuple[str, list[Node]]:
        hop: Hop = up[-1]
        table = up[-2].table if len(up) > 1 else self.table
        there = self._join(table, below, hop.key, hop.table, outer=True)
        key = self.catalog.key(table, hop.key, hop.table)
        times = [*times, *self._link_times(table, below, key.columns)]
        time = self.catalog.schema.tables[hop.table].time
        if time is not None:
            times.append(self._clock(hop.table, there, time))
        return there, times

    # the whole

    @property
    def column_names(self) -> list[str]:
        """The names of all columns selected so far."""
        return [name for among in (self._columns, self._windows) for name, _ in among.values()]

    def owner(self) -> list[KeyPart]:
        """Return the owner's key as expressions over the tables in FROM."""
        by_name = dict(self._columns.values())
        return [KeyPart(by_name[part.name].copy(), part.kind) for part in self.keys]

    def select(self, only: Node | None = None) -> exp.Select:
        """Return the SELECT, restricted to a condition where one is given."""
        columns: list[Node] = [alias(node, name) for name, node in self._columns.values()]
        found = exp.select(*columns, copy=False).from_(self.catalog.table(self.table, _ROWS), copy=False)
        for parent, met, outer in self._joins:
            found = found.join(parent, on=met, join_type="left" if outer else "", copy=False)
        condition = both([*self._filters, *([only] if only is not None else [])])
        if condition is not None:
            found = found.where(condition, copy=False)
        if not self._windows:
            return found
        more: list[Node] = [alias(node, name) for name, node in self._windows.values()]
        everything = exp.Column(this=exp.Star(), table=exp.to_identifier("i", quoted=True))
        return exp.select(everything, *more, copy=False).from_(inner(found, "i"), copy=False)

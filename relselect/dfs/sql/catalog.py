"""Maps tables, columns and keys of a schema to SQL expressions.

`SqlCatalog` is what the builder of statements needs to know of a database. `WarehouseCatalog` works from a plan's schema
alone, `relselect.dfs.sql.arrow_catalog.ArrowCatalog` from Arrow tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from sqlglot import exp

from relselect.database.parent_times import TimePath, time_path
from relselect.database.table import ForeignKey
from relselect.dfs.plan.schema import Schema
from relselect.dfs.sql.dialects import Dialect
from relselect.dfs.sql.nodes import Node, alias, bigint, case, column, equal, inner, stored
from relselect.dfs.sql.readings import ColumnReading, kind_of, read_as

__all__ = ["SqlCatalog", "KeyPart", "WarehouseCatalog", "matches"]

#: Arrow types of columns that cannot order rows: bytes, lists, structs.
_NESTED = ("binary", "large_binary", "list", "large_list", "fixed_size_list", "struct", "map", "month", "day_time")


@dataclass(frozen=True)
class KeyPart:
    """One column of a key.

    Attributes:
        value: Its value.
        kind: The kind of type that it is compared as, see `kind_of`.
    """

    value: Node
    kind: str


def matches(left: KeyPart, right: KeyPart, dialect: Dialect) -> Node:
    """Return the condition that two parts are equal and not NULL: an integer equals its decimal text."""
    one, other = left.value, right.value
    if left.kind != right.kind and "text" in (left.kind, right.kind):
        one, other = (
            part if kind == "text" else dialect.words(part) for part, kind in ((one, left.kind), (other, right.kind))
        )
    return equal(one, other)


class SqlCatalog(ABC):
    """A database to build statements for.

    Args:
        schema: Its tables.
        dialect: Its dialect.
    """

    def __init__(self, schema: Schema, dialect: Dialect) -> None:
        self.schema, self.dialect = schema, dialect

    @abstractmethod
    def table(self, name: str, known_as: str) -> exp.Table | exp.Subquery:
        """Return a table for FROM."""

    @abstractmethod
    def read(self, table: str, name: str, reading: ColumnReading, known_as: str) -> Node:
        """Return a column converted to what it is read as."""

    @abstractmethod
    def identity(self, table: str, known_as: str) -> list[KeyPart]:
        """Return the primary key of a row."""

    @abstractmethod
    def reference(self, table: str, key: ForeignKey, known_as: str) -> list[KeyPart]:
        """Return the values of a foreign key, in the order of the parent's `identity`."""

    def key(self, table: str, name: str, parent: str) -> ForeignKey:
        """Return a table's foreign key by its name and the table it refers to."""
        found = self.schema.tables[table].foreign_keys
        return next(key for key in found if key.name == name and key.table == parent)

    def content(self, table: str) -> tuple[str, ...]:
        """Return the columns that order rows of one time: the primary key, else all that come with their row."""
        declared = self.schema.tables[table]
        return declared.primary_key or tuple(
            name
            for name, dtype in declared.columns.items()
            if declared.clock_of(name) is None and not dtype.startswith(_NESTED)
        )


class WarehouseCatalog(SqlCatalog):
    """A database whose tables and columns have the names of the schema.

    Args:
        schema: Its tables.
        dialect: Its dialect.
        names: Table -> its name in the warehouse, where that differs.
        namespace: The database schema that holds the tables, None for the session's own.
    """

    def __init__(self, schema: Schema, dialect: Dialect, names: dict[str, str], namespace: str | None) -> None:
        super().__init__(schema, dialect)
        self._names, self._namespace = names, namespace

    def table(self, name: str, known_as: str) -> exp.Table | exp.Subquery:
        """Return a table for FROM, one that takes its time from a parent with that time as a column."""
        path = time_path(self.schema.tables[name], self.schema.tables)
        return self._stored(name, known_as) if path is None else self._timed(name, path, known_as)

    def _stored(self, name: str, known_as: str) -> exp.Table:
        return stored(self._names.get(name, name), known_as, self._namespace)

    def _timed(self, name: str, path: TimePath, known_as: str) -> exp.Subquery:
        """Return a table joined to the parents on the way to its time: t0 is the table, t1 its parent, and so on."""
        time = str(self.schema.tables[name].time)
        own = [column("t0", each) for each in self.schema.tables[name].columns if each != time]
        taken = alias(column(f"t{len(path.keys)}", path.column), time)
        select = exp.select(*own, taken, copy=False).from_(self._stored(name, "t0"), copy=False)
        at = name
        for step, key in enumerate(path.keys):
            mine, theirs = self.reference(at, key, f"t{step}"), self.identity(key.table, f"t{step + 1}")
            met = exp.and_(*(matches(*pair, self.dialect) for pair in zip(mine, theirs, strict=True)), copy=False)
            select = select.join(self._stored(key.table, f"t{step + 1}"), on=met, join_type="left", copy=False)
            at = key.table
        return inner(select, known_as)

    def read(self, table: str, name: str, reading: ColumnReading, known_as: str) -> Node:
        """Return a column converted to what it is read as."""
        return read_as(self.dialect, self.schema.tables[table].columns[name], column(known_as, name), reading)

    def identity(self, table: str, known_as: str) -> list[KeyPart]:
        """Return the primary key."""
        return [self._part(table, name, known_as) for name in self.schema.tables[table].primary_key]

    def reference(self, table: str, key: ForeignKey, known_as: str) -> list[KeyPart]:
        """Return the key's columns in the order of the parent's primary key."""
        mine = dict(zip(key.ref_columns, key.columns, strict=True))
        return [self._part(table, mine[name], known_as) for name in self.schema.tables[key.table].primary_key]

    def _part(self, table: str, name: str, known_as: str) -> KeyPart:
        kind = kind_of(self.schema.tables[table].columns[name])
        value = column(known_as, name)
        if kind == "text":
            return KeyPart(self.dialect.words(value), kind)
        if kind == "real":
            # Integer keys with gaps come as floats; whole floats are those integers again.
            whole = equal(column(known_as, name), exp.Floor(this=column(known_as, name)))
            return KeyPart(case((whole, bigint(value))), "integer")
        return KeyPart(value, kind)

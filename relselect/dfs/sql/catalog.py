"""Where tables and columns are found, and how keys are compared.

`SqlCatalog` is what the builder of statements needs to know of a database; `WarehouseCatalog` knows it from a plan's schema alone,
`relselect.dfs.sql.arrow_catalog` from Arrow tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from sqlglot import exp

from relselect.dfs.plan.schema import KeySchema, Schema
from relselect.dfs.sql.dialects import Dialect
from relselect.dfs.sql.nodes import Node, bigint, case, column, equal, relation
from relselect.dfs.sql.readings import ColumnReading, kind_of, read_as

__all__ = ["SqlCatalog", "KeyPart", "WarehouseCatalog", "matches"]

#: What columns of bytes, lists and structs are stored as: they order no rows.
_NESTED = ("binary", "large_binary", "list", "large_list", "fixed_size_list", "struct", "map", "month", "day_time")


@dataclass(frozen=True)
class KeyPart:
    """One part of a key.

    Attributes:
        value: The part.
        kind: What it is compared as: "integer", "text", or the kind of another type.
    """

    value: Node
    kind: str


def matches(left: KeyPart, right: KeyPart, dialect: Dialect) -> Node:
    """Whether two parts are there and equal: an integer equals the text that says it."""
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
    def table(self, name: str, known_as: str) -> exp.Table:
        """Return a table for FROM."""

    @abstractmethod
    def read(self, table: str, name: str, reading: ColumnReading, known_as: str) -> Node:
        """Return a column, read as something."""

    @abstractmethod
    def identity(self, table: str, known_as: str) -> list[KeyPart]:
        """Return what identifies a row of a table with a primary key."""

    @abstractmethod
    def reference(self, table: str, key: KeySchema, known_as: str) -> list[KeyPart]:
        """Return what a foreign key holds, in the order of the parent's `identity`."""

    def key(self, table: str, name: str, parent: str) -> KeySchema:
        """Return a table's foreign key by its name and the table it refers to."""
        found = self.schema.tables[table].foreign_keys
        return next(key for key in found if key.name == name and key.table == parent)

    def content(self, table: str) -> tuple[str, ...]:
        """Return the columns that order rows of one time: the primary key, else all that come with their row."""
        declared = self.schema.tables[table]
        return declared.primary_key or tuple(
            name
            for name, dtype in declared.columns.items()
            if name not in declared.clocks and not dtype.startswith(_NESTED)
        )


class WarehouseCatalog(SqlCatalog):
    """A database whose tables and columns are called as in the schema.

    Args:
        schema: Its tables.
        dialect: Its dialect.
        names: Names of tables that are called otherwise.
        namespace: The database schema that holds the tables, None for the session's own.
    """

    def __init__(self, schema: Schema, dialect: Dialect, names: dict[str, str], namespace: str | None) -> None:
        super().__init__(schema, dialect)
        self._names, self._namespace = names, namespace

    def table(self, name: str, known_as: str) -> exp.Table:
        """Return a table for FROM."""
        return relation(self._names.get(name, name), known_as, self._namespace)

    def read(self, table: str, name: str, reading: ColumnReading, known_as: str) -> Node:
        """Return a column, read as something."""
        return read_as(self.dialect, self.schema.tables[table].columns[name], column(known_as, name), reading)

    def identity(self, table: str, known_as: str) -> list[KeyPart]:
        """Return the primary key."""
        return [self._part(table, name, known_as) for name in self.schema.tables[table].primary_key]

    def reference(self, table: str, key: KeySchema, known_as: str) -> list[KeyPart]:
        """Return the key's columns in the order of the parent's primary key."""
        mine = dict(zip(key.referred, key.columns, strict=True))
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

"""The part of a database's schema that a plan depends on: keys, times, masks and column types, without data.

A plan that carries its schema can be checked against fresh data, and printed as SQL without any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["KeySchema", "Schema", "TableSchema"]


@dataclass(frozen=True)
class KeySchema:
    """A foreign key: `columns` refer to the primary key columns `referred` of `table`, in this order."""

    name: str
    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]


@dataclass(frozen=True)
class TableSchema:
    """One table.

    Attributes:
        columns: Column -> Arrow type as text.
        primary_key: Its columns; empty for none.
        time: The column that says when a row became known, or None.
        foreign_keys: The foreign keys.
        clocks: Masked column -> the column that says when its value became known.
    """

    columns: Mapping[str, str]
    primary_key: tuple[str, ...]
    time: str | None
    foreign_keys: tuple[KeySchema, ...]
    clocks: Mapping[str, str]


@dataclass(frozen=True)
class Schema:
    """The tables of a problem's database, past labels included.

    Attributes:
        tables: Name -> schema.
        time_kind: "timestamp" (ticks are microseconds) or "integer", of the task's cutoffs; None for static tasks.
    """

    tables: Mapping[str, TableSchema]
    time_kind: str | None

    @classmethod
    def of(cls, problem: Problem) -> Schema:
        """Return the schema of a problem's database."""
        tables = {}
        for name, table in problem.database.tables.items():
            tables[name] = TableSchema(
                columns=MappingProxyType({field.name: str(field.type) for field in table.data.schema}),
                primary_key=tuple(table.primary_key),
                time=table.time,
                foreign_keys=tuple(
                    KeySchema(
                        key.name,
                        tuple(key.columns),
                        key.table,
                        tuple(key.ref_columns or problem.database[key.table].primary_key),
                    )
                    for key in table.foreign_keys
                ),
                clocks=MappingProxyType(
                    {column: clock for column in table.columns if (clock := table.clock_of(column)) is not None}
                ),
            )
        return cls(MappingProxyType(tables), None if problem.task.static else problem.task.time_kind)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary that `from_json` understands."""
        tables = {
            name: {
                "columns": dict(table.columns),
                "primary_key": list(table.primary_key),
                "time": table.time,
                "foreign_keys": [asdict(key) for key in table.foreign_keys],
                "clocks": dict(table.clocks),
            }
            for name, table in self.tables.items()
        }
        return {"time_kind": self.time_kind, "tables": tables}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Schema:
        """Return the schema that `to_json` wrote."""
        tables = {
            name: TableSchema(
                columns=MappingProxyType(dict(table["columns"])),
                primary_key=tuple(table["primary_key"]),
                time=table["time"],
                foreign_keys=tuple(
                    KeySchema(key["name"], tuple(key["columns"]), key["table"], tuple(key["referred"]))
                    for key in table["foreign_keys"]
                ),
                clocks=MappingProxyType(dict(table["clocks"])),
            )
            for name, table in data["tables"].items()
        }
        return cls(MappingProxyType(tables), data["time_kind"])

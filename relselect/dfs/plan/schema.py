"""The part of a database's schema that a plan depends on: its tables without rows, and the kind of times.

A plan that carries its schema can be checked against fresh data, and printed as SQL without any. Semantic types are no part
of it: every feature says itself how its column is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from relselect.database.schema import TableSchema
from relselect.database.table import ForeignKey

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["Schema"]


@dataclass(frozen=True)
class Schema:
    """The tables of a problem's database, past labels included.

    Attributes:
        tables: Name -> the table without rows; every foreign key names the columns that it refers to.
        time_kind: "timestamp" (ticks are microseconds) or "integer", of the task's cutoffs; None for static tasks.
    """

    tables: Mapping[str, TableSchema]
    time_kind: str | None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the schema as the JSON of saved plans: a read-only mapping does not pickle."""
        return Schema.from_json, (self.to_json(),)

    @classmethod
    def of(cls, problem: Problem) -> Schema:
        """Return the schema of a problem's database."""
        tables = problem.database.tables
        found = {name: replace(TableSchema.of(table, tables), types={}) for name, table in tables.items()}
        return cls(MappingProxyType(found), None if problem.task.static else problem.task.time_kind)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary that `from_json` understands."""
        return {"time_kind": self.time_kind, "tables": {name: _to_json(table) for name, table in self.tables.items()}}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Schema:
        """Return the schema that `to_json` wrote.

        Raises:
            KeyError, TypeError, AttributeError, ValueError: The data are damaged.
        """
        tables = {name: _from_json(name, table) for name, table in data["tables"].items()}
        return cls(MappingProxyType(tables), data["time_kind"])


def _to_json(table: TableSchema) -> dict[str, Any]:
    """Return a table in the format of saved plans, which lists masks by column."""
    return {
        "columns": dict(table.columns),
        "primary_key": list(table.primary_key),
        "time": table.time,
        "foreign_keys": [
            {"name": key.name, "columns": list(key.columns), "table": key.table, "referred": list(key.ref_columns)}
            for key in table.foreign_keys
        ],
        "clocks": table.clocks,
    }


def _from_json(name: str, data: Mapping[str, Any]) -> TableSchema:
    known_at: dict[str, list[str]] = {}
    for column, clock in data["clocks"].items():
        masked = known_at.setdefault(clock, [])
        if column != clock:  # a clock masks itself
            masked.append(column)
    return TableSchema(
        name=name,
        columns=dict(data["columns"]),
        primary_key=tuple(data["primary_key"]),
        time=data["time"],
        foreign_keys=tuple(
            ForeignKey(tuple(key["columns"]), key["table"], tuple(key["referred"])) for key in data["foreign_keys"]
        ),
        known_at={clock: tuple(masked) for clock, masked in known_at.items()},
    )

"""What training read: the shape of the tables and a few counts, kept with the predictor as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from relselect.database.columns import as_strings
from relselect.database.table import ForeignKey, SemanticType, Table
from relselect.problem import describe_declarations

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.problem import Types

__all__ = ["MAX_VALUES", "ColumnFacts", "Shape", "Snapshot", "facts_of", "type_name"]

#: Distinct values kept per column; columns with more are not checked for new ones.
MAX_VALUES = 1_000
_COUNTED = (SemanticType.CATEGORICAL, SemanticType.BOOLEAN)


@dataclass(frozen=True)
class Shape:
    """A table without its rows.

    Attributes:
        columns: Column -> name of its Arrow type.
        primary_key: The columns of the key.
        time: The column that says when a row became known.
        foreign_keys: The references.
        known_at: Clock column -> columns known from then on.
        types: The semantic types that were declared by hand.
    """

    columns: Mapping[str, str]
    primary_key: tuple[str, ...] = ()
    time: str | None = None
    foreign_keys: tuple[ForeignKey, ...] = ()
    known_at: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Table) -> Shape:
        """Return the shape of a table."""
        return cls(
            columns={name: type_name(table.data.schema.field(name).type) for name in table.columns},
            primary_key=table.primary_key,
            time=table.time,
            foreign_keys=table.foreign_keys,
            known_at=dict(table.known_at),
            types={name: str(kind) for name, kind in table.types.items()},
        )

    @property
    def structural(self) -> set[str]:
        """Columns that are keys, references, the time or a clock."""
        names = {*self.primary_key, *self.known_at, *(column for key in self.foreign_keys for column in key.columns)}
        return names | ({self.time} if self.time else set())

    def declared(self) -> list[str]:
        """Return what is declared, as text; see `relselect.problem.declarations`."""
        return describe_declarations(self.primary_key, self.time, self.foreign_keys, self.known_at)

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data that `from_json` understands."""
        keys = [[list(key.columns), key.table, list(key.ref_columns)] for key in self.foreign_keys]
        return {
            "columns": [list(each) for each in self.columns.items()],  # their order decides between rows without a key
            "primary_key": list(self.primary_key),
            "time": self.time,
            "foreign_keys": keys,
            "known_at": {clock: list(names) for clock, names in self.known_at.items()},
            "types": dict(self.types),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Shape:
        """Return the shape that `to_json` wrote."""
        keys = tuple(ForeignKey(tuple(columns), table, tuple(refs)) for columns, table, refs in data["foreign_keys"])
        known_at = {clock: tuple(names) for clock, names in data["known_at"].items()}
        return cls(dict(data["columns"]), tuple(data["primary_key"]), data["time"], keys, known_at, data["types"])


@dataclass(frozen=True)
class ColumnFacts:
    """A few counts of a column.

    Attributes:
        nulls: Rows without a value.
        values: The distinct values as text, for categories and booleans with at most `MAX_VALUES` of them.
    """

    nulls: int
    values: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Snapshot:
    """What training read.

    Attributes:
        tables: Table -> its shape.
        rows: Table -> number of rows.
        facts: Table -> column -> counts.
    """

    tables: Mapping[str, Shape]
    rows: Mapping[str, int]
    facts: Mapping[str, Mapping[str, ColumnFacts]]

    @classmethod
    def of(cls, database: Database, types: Types) -> Snapshot:
        """Take a snapshot of a database.

        Args:
            database: The database as the user gave it.
            types: The column types that training resolved.
        """
        tables = database.tables
        return cls(
            {name: Shape.of(table) for name, table in tables.items()},
            {name: table.num_rows for name, table in tables.items()},
            {name: facts_of(table, types.get(name, {})) for name, table in tables.items()},
        )

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data that `from_json` understands."""
        return {
            name: {
                "shape": shape.to_json(),
                "rows": self.rows[name],
                "nulls": {column: facts.nulls for column, facts in self.facts[name].items()},
                "values": {c: list(facts.values) for c, facts in self.facts[name].items() if facts.values is not None},
            }
            for name, shape in self.tables.items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Snapshot:
        """Return the snapshot that `to_json` wrote."""
        return cls(
            {name: Shape.from_json(each["shape"]) for name, each in data.items()},
            {name: each["rows"] for name, each in data.items()},
            {name: _facts(each["nulls"], each["values"]) for name, each in data.items()},
        )


def facts_of(table: Table, types: Mapping[str, SemanticType]) -> dict[str, ColumnFacts]:
    """Return the counts of a table's columns; distinct values of those whose type is a category or a boolean."""
    return {
        name: ColumnFacts(table.data[name].null_count, _values(table.data[name], types.get(name)))
        for name in table.columns
    }


def type_name(dtype: pa.DataType) -> str:
    """Return the name of an Arrow type, that of the values for one that is encoded."""
    return str(dtype.value_type if pa.types.is_dictionary(dtype) else dtype)


def _values(column: pa.ChunkedArray, kind: SemanticType | None) -> tuple[str, ...] | None:
    if kind not in _COUNTED:
        return None
    words = as_strings(column)[1]
    return tuple(words) if len(words) <= MAX_VALUES else None


def _facts(nulls: Mapping[str, int], values: Mapping[str, list[str]]) -> dict[str, ColumnFacts]:
    return {name: ColumnFacts(count, tuple(values[name]) if name in values else None) for name, count in nulls.items()}

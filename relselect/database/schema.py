"""A table without rows: columns with their types, keys, time and masks, as JSON and as text.

The declarations are not checked (`Database` does that), and semantic types are not inferred
(`relselect.database.inference` does that).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from relselect.database.table import Declarations, ForeignKey, SemanticType, Table

__all__ = ["TableSchema", "as_columns", "column_types", "declared_types", "repeated", "type_name"]


@dataclass(frozen=True)
class TableSchema(Declarations):
    """A table without its rows.

    Attributes:
        name: The table's name.
        columns: Column -> name of its Arrow type, in the order of the table; see `type_name`.
        primary_key: The columns that identify a row; empty for none.
        time: The column that says when a row became known; None for a table that is always visible.
        foreign_keys: References to other tables' primary keys.
        known_at: Clock column -> columns that are known only from that time on.
        types: Column -> semantic type, where one was declared by hand.
        formats: Column -> the format that its values are read by, where one was declared; see `relselect.database.formats`.

    >>> orders = TableSchema("orders", {"id": "int64", "buyer": "int64"}, ("id",), None, (ForeignKey(("buyer",), "users"),))
    >>> orders.describe()
    ['primary key id', 'foreign key buyer to users']
    >>> TableSchema.from_json("orders", orders.to_json()) == orders
    True
    """

    name: str
    columns: Mapping[str, str]
    primary_key: tuple[str, ...] = ()
    time: str | None = None
    foreign_keys: tuple[ForeignKey, ...] = ()
    known_at: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    types: Mapping[str, SemanticType] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, table: Table, tables: Mapping[str, Table] | None = None) -> TableSchema:
        """Return the schema of a table.

        Args:
            table: The table.
            tables: All tables by name; with them, every foreign key names the columns that it refers to.
        """
        return cls(
            name=table.name,
            columns=column_types(table.data.schema),
            primary_key=table.primary_key,
            time=table.time,
            foreign_keys=tuple(_resolved(key, tables) for key in table.foreign_keys),
            known_at=dict(table.known_at),
            types=dict(table.types),
            formats=dict(table.formats),
        )

    @property
    def clocks(self) -> dict[str, str]:
        """Masked column -> the clock that says when its value became known, in the order of the columns."""
        return {column: clock for column in self.columns if (clock := self.clock_of(column)) is not None}

    def with_rows(self, data: pa.Table, description: str = "") -> Table:
        """Return the table with its declarations over `data`.

        Args:
            data: The rows; their columns and types go before those of the schema.
            description: What a row is, in words.
        """
        return Table(
            name=self.name,
            data=data,
            primary_key=self.primary_key,
            time=self.time,
            foreign_keys=self.foreign_keys,
            types=self.types,
            known_at=self.known_at,
            description=description,
            formats=self.formats,
        )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary that `from_json` understands; the name is left to the caller's mapping."""
        return {
            "columns": [list(each) for each in self.columns.items()],  # pairs, as JSON objects have no order
            "primary_key": list(self.primary_key),
            "time": self.time,
            "foreign_keys": [[list(key.columns), key.table, list(key.ref_columns)] for key in self.foreign_keys],
            "known_at": {clock: list(masked) for clock, masked in self.known_at.items()},
            "types": {column: str(semantic) for column, semantic in self.types.items()},
            **({"formats": dict(self.formats)} if self.formats else {}),
        }

    @classmethod
    def from_json(cls, name: str, data: Mapping[str, Any]) -> TableSchema:
        """Return the schema that `to_json` wrote.

        Args:
            name: The table's name.
            data: The dictionary.

        Raises:
            KeyError: A field is missing.
            ValueError: A semantic type is unknown, or a foreign key is no triple.
        """
        return cls(
            name=name,
            columns=dict(data["columns"]),
            primary_key=tuple(data["primary_key"]),
            time=data["time"],
            foreign_keys=tuple(ForeignKey(tuple(own), table, tuple(refs)) for own, table, refs in data["foreign_keys"]),
            known_at={clock: tuple(masked) for clock, masked in data["known_at"].items()},
            types=declared_types(data["types"]),
            formats=dict(data.get("formats", {})),
        )


def type_name(dtype: pa.DataType) -> str:
    """Return the name of an Arrow type; of a dictionary-encoded one, the name of its values' type.

    >>> type_name(pa.dictionary(pa.int8(), pa.string()))
    'string'
    """
    return str(dtype.value_type if pa.types.is_dictionary(dtype) else dtype)


def column_types(schema: pa.Schema) -> dict[str, str]:
    """Return column -> name of its Arrow type, in order; see `type_name`."""
    return {field.name: type_name(field.type) for field in schema}


def declared_types(types: Mapping[str, str]) -> dict[str, SemanticType]:
    """Return semantic types from their names as text.

    Raises:
        ValueError: One of them is no semantic type.
    """
    return {column: SemanticType(semantic) for column, semantic in types.items()}


def as_columns(columns: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return columns as a tuple, from one name, several names, or None for none.

    >>> as_columns("id"), as_columns(["year", "month"]), as_columns(None)
    (('id',), ('year', 'month'), ())
    """
    if columns is None:
        return ()
    return (columns,) if isinstance(columns, str) else tuple(columns)


def repeated(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once, sorted; the time is linear, as tables may have thousands of columns.

    >>> repeated(["id", "total", "id"])
    ['id']
    """
    return sorted(name for name, count in Counter(names).items() if count > 1)


def _resolved(key: ForeignKey, tables: Mapping[str, Table] | None) -> ForeignKey:
    if key.ref_columns or tables is None or key.table not in tables:
        return key
    return ForeignKey(key.columns, key.table, tables[key.table].primary_key)

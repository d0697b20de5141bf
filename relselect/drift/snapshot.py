"""Snapshot of the database that training read: schemas, row counts, null counts and categories.

It is saved with the predictor as JSON. It holds no rows, and of the values only those of categorical and boolean columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from relselect.database.columns import as_strings
from relselect.database.schema import TableSchema
from relselect.database.table import SemanticType, Table

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.problem import Types

__all__ = ["MAX_VALUES", "ColumnSummary", "TrainingSnapshot", "column_summaries"]

#: Largest number of distinct values kept per column; a column with more is not checked for unseen categories.
MAX_VALUES = 1_000
_COUNTED = (SemanticType.CATEGORICAL, SemanticType.BOOLEAN)


@dataclass(frozen=True)
class ColumnSummary:
    """The number of nulls and the distinct values of a column.

    Attributes:
        nulls: Number of rows whose value is NULL.
        values: The distinct values as text, for categorical and boolean columns with at most `MAX_VALUES` of them; else
            None.
    """

    nulls: int
    values: tuple[str, ...] | None = None


@dataclass(frozen=True)
class TrainingSnapshot:
    """The schemas and counts of the database that training read.

    Attributes:
        tables: Table -> its schema.
        rows: Table -> number of rows.
        columns: Table -> column -> summary.
    """

    tables: Mapping[str, TableSchema]
    rows: Mapping[str, int]
    columns: Mapping[str, Mapping[str, ColumnSummary]]

    @classmethod
    def of(cls, database: Database, types: Types) -> TrainingSnapshot:
        """Take a snapshot of a database.

        Args:
            database: The database as the user gave it.
            types: The column types that training resolved.
        """
        tables = database.tables
        return cls(
            {name: TableSchema.of(table) for name, table in tables.items()},
            {name: table.num_rows for name, table in tables.items()},
            {name: column_summaries(table, types.get(name, {})) for name, table in tables.items()},
        )

    def to_json(self) -> dict[str, Any]:
        """Return JSON-able data that `from_json` understands."""
        return {
            name: {
                "shape": schema.to_json(),
                "rows": self.rows[name],
                "nulls": {column: each.nulls for column, each in self.columns[name].items()},
                "values": {c: list(each.values) for c, each in self.columns[name].items() if each.values is not None},
            }
            for name, schema in self.tables.items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainingSnapshot:
        """Return the snapshot that `to_json` wrote."""
        return cls(
            {name: TableSchema.from_json(name, each["shape"]) for name, each in data.items()},
            {name: each["rows"] for name, each in data.items()},
            {name: _summaries(each["nulls"], each["values"]) for name, each in data.items()},
        )


def column_summaries(table: Table, types: Mapping[str, SemanticType]) -> dict[str, ColumnSummary]:
    """Return the summary of every column of a table.

    Args:
        table: The table.
        types: Column -> resolved semantic type; distinct values are kept of categorical and boolean columns.
    """
    return {
        name: ColumnSummary(table.data[name].null_count, _values(table.data[name], types.get(name)))
        for name in table.columns
    }


def _values(column: pa.ChunkedArray, kind: SemanticType | None) -> tuple[str, ...] | None:
    if kind not in _COUNTED:
        return None
    words = as_strings(column)[1]
    return tuple(words) if len(words) <= MAX_VALUES else None


def _summaries(nulls: Mapping[str, int], values: Mapping[str, list[str]]) -> dict[str, ColumnSummary]:
    return {
        name: ColumnSummary(count, tuple(values[name]) if name in values else None) for name, count in nulls.items()
    }

"""A problem's Arrow tables for DuckDB: columns of plain types without a copy, others converted as the prefix engine does.

Keys are row numbers, as `Database.parents` and `Database.rows_of` find them, so that both engines agree on which keys are
equal, whatever their types. Tables and columns go by numbers: no name of the database reaches DuckDB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from relselect.database.clock import NEVER, ticks_of
from relselect.database.columns import as_float, as_strings
from relselect.database.table import ForeignKey
from relselect.dfs.plan.schema import Schema
from relselect.dfs.prefix.ties import value_ranks
from relselect.dfs.sql.catalog import KeyPart, SqlCatalog
from relselect.dfs.sql.dialects import Dialect
from relselect.dfs.sql.nodes import Node, column, relation
from relselect.dfs.sql.readings import ColumnReading, kind_of, read_as

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["ArrowCatalog"]

#: Types that DuckDB reads from Arrow without a copy and with the same meaning.
_PLAIN = frozenset(
    [
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "float", "double"),
        *("string", "large_string", "timestamp[s]", "timestamp[ms]", "timestamp[us]", "date32[day]"),
    ]
)
_ROW = "row"
_TYPES = {
    ColumnReading.NUMBER: pa.float64(),
    ColumnReading.TEXT: pa.string(),
    ColumnReading.LENGTH: pa.float64(),
    ColumnReading.TICKS: pa.int64(),
    ColumnReading.ORDER: pa.int64(),
}


class ArrowCatalog(SqlCatalog):
    """A problem's database.

    Args:
        problem: Supplies the tables.
        schema: Their schema.
        dialect: DuckDB.
    """

    def __init__(self, problem: Problem, schema: Schema, dialect: Dialect) -> None:
        super().__init__(schema, dialect)
        self._database = problem.database
        self._place = {name: place for place, name in enumerate(schema.tables)}
        self._columns: dict[str, dict[str, pa.ChunkedArray]] = {name: {} for name in schema.tables}

    def table(self, name: str, known_as: str) -> exp.Table:
        """Return a table for FROM."""
        return relation(self._called(name), known_as)

    def _called(self, table: str) -> str:
        return f"table{self._place[table]}"

    def tables(self) -> dict[str, pa.Table]:
        """Return the tables and columns that statements have used so far, by their names in statements."""
        return {self._called(name): pa.table(columns) for name, columns in self._columns.items() if columns}

    def read(self, table: str, name: str, reading: ColumnReading, known_as: str) -> Node:
        """Return a column converted to what it is read as."""
        values = self._database[table].data[name]
        dtype = str(values.type)
        place = list(self.schema.tables[table].columns).index(name)
        if _as_it_is(dtype, reading):
            self._columns[table].setdefault(f"c{place}", values)
            return read_as(self.dialect, dtype, column(known_as, f"c{place}"), reading)
        known = f"c{place}_{reading}"
        if known not in self._columns[table]:
            self._columns[table][known] = self._converted(table, name, values, reading)
        return column(known_as, known)

    def _converted(self, table: str, name: str, values: pa.ChunkedArray, reading: ColumnReading) -> pa.ChunkedArray:
        if pa.types.is_null(values.type):
            return pc.cast(values, _TYPES[reading])
        match reading:
            case ColumnReading.NUMBER:
                numbers = as_float(values)
                found = pa.array(numbers, mask=np.isnan(numbers))
            case ColumnReading.TEXT:
                codes, words = as_strings(values)
                found = pa.array(words, pa.string()).take(pa.array(codes, mask=codes < 0))
            case ColumnReading.LENGTH:
                found = pc.cast(pc.utf8_length(pc.cast(values, "string")), pa.float64())
            case ColumnReading.TICKS:
                ticks = ticks_of(values)
                found = pa.array(ticks, mask=ticks == NEVER)
            case ColumnReading.ORDER:
                found = pa.array(value_ranks(self._database, table, name, np.arange(len(values), dtype=np.int64)))
        return found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])

    def identity(self, table: str, known_as: str) -> list[KeyPart]:
        """Return the row's number."""
        number = self._database[table].num_rows
        self._columns[table].setdefault(_ROW, pa.chunked_array([pa.array(np.arange(number, dtype=np.int64))]))
        return [KeyPart(column(known_as, _ROW), "integer")]

    def reference(self, table: str, key: ForeignKey, known_as: str) -> list[KeyPart]:
        """Return the number of the row referred to."""
        declared = self._database[table].foreign_keys
        place = next(i for i, each in enumerate(declared) if each.name == key.name and each.table == key.table)
        name = f"to{place}"
        if name not in self._columns[table]:
            parents = self._database.parents(table)[place]
            self._columns[table][name] = pa.chunked_array([pa.array(parents, mask=parents < 0)])
        return [KeyPart(column(known_as, name), "integer")]


def _as_it_is(dtype: str, reading: ColumnReading) -> bool:
    if dtype not in _PLAIN:
        return False
    # DuckDB writes floats and timestamps as text in another way.
    return kind_of(dtype) in ("integer", "boolean", "text") or reading not in (ColumnReading.TEXT, ColumnReading.LENGTH)

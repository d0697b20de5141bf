"""Maps each PostgreSQL type to an SQL expression and the Arrow type that it yields.

`numeric` becomes a 64-bit float, or an integer where it has no decimals and at most 18 digits; in keys it becomes text,
which is exact. Intervals become seconds, infinite dates and timestamps NULL, times with a zone UTC. Types that Arrow
lacks (enumerations, UUIDs, JSON, ranges, networks, ...) become text, arrays lists. `bytea` is read only when the column
is named, in keys as hexadecimal text. No query is run here.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

__all__ = ["PgColumn", "PgType", "ColumnQuery", "query_of"]

#: The most decimal digits that always fit a 64-bit integer.
_DIGITS = 18
_FINITE = "CASE WHEN isfinite({0}) THEN {0} END"
_PLAIN: dict[str, tuple[str, pa.DataType]] = {
    "bool": ("{0}", pa.bool_()),
    "int2": ("{0}", pa.int16()),
    "int4": ("{0}", pa.int32()),
    "int8": ("{0}", pa.int64()),
    "oid": ("{0}::int8", pa.int64()),
    "float4": ("{0}", pa.float32()),
    "float8": ("{0}", pa.float64()),
    "money": ("{0}::numeric::float8", pa.float64()),
    "text": ("{0}", pa.string()),
    "varchar": ("{0}", pa.string()),
    "name": ("{0}::text", pa.string()),
    "date": (_FINITE, pa.date32()),
    "timestamp": (_FINITE, pa.timestamp("us")),
    "timestamptz": (_FINITE, pa.timestamp("us", "UTC")),
    "time": ("{0}", pa.time64("us")),
    "timetz": ("({0} AT TIME ZONE 'UTC')::time", pa.time64("us")),
    "interval": ("EXTRACT(EPOCH FROM {0})::float8", pa.float64()),
    "bytea": ("{0}", pa.binary()),
}
_ELEMENTS = ("bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar")
_NUMBERS = {"int2", "int4", "int8", "numeric"}


@dataclass(frozen=True)
class PgType:
    """A row of pg_type: name, kind ("e" enumeration, "d" domain, ...), category, base type, modifier, element type."""

    name: str
    kind: str
    category: str
    base: int
    typmod: int
    element: int


@dataclass(frozen=True)
class PgColumn:
    """A column as pg_attribute describes it, its domains resolved.

    Attributes:
        base: The type below all domains.
        typmod: The type modifier in effect, such as the digits of a numeric.
        element: The element type of an array.
    """

    base: PgType
    typmod: int
    element: PgType | None = None

    @property
    def key_form(self) -> str:
        """How its values are compared as keys: "plain", "number" (exact, as text) or "lower" (case-insensitive)."""
        if self.base.name == "citext":
            return "lower"
        return "number" if self.base.name == "numeric" and not self._is_integer else "plain"

    @property
    def _is_integer(self) -> bool:
        precision, scale = (self.typmod - 4) >> 16 & 0xFFFF, ((self.typmod - 4 & 0x7FF) ^ 1024) - 1024
        return self.typmod >= 4 and scale == 0 and precision <= _DIGITS


@dataclass(frozen=True)
class ColumnQuery:
    """The SQL expression of a column, with {0} for its quoted name, and the Arrow type that it yields."""

    sql: str
    type: pa.DataType

    def select(self, quoted: str) -> str:
        """Return the expression over a quoted column name."""
        # str.replace, as the name may contain braces
        return self.sql.replace("{0}", quoted)


def query_of(column: PgColumn, key_form: str | None = None) -> ColumnQuery:
    """Return the query of a column.

    Args:
        column: The column.
        key_form: For a key column, the `key_form` shared by all columns that it is compared with; None for others.
    """
    name = column.base.name
    if key_form == "lower":
        return ColumnQuery("lower({0}::text)", pa.string())
    if key_form == "number" and name in _NUMBERS:
        return ColumnQuery("trim_scale({0}::numeric)::text", pa.string())
    if key_form is not None and name == "bytea":
        return ColumnQuery("encode({0}, 'hex')", pa.string())
    if column.element is not None:
        return _array(column.element)
    if name == "numeric":
        integer = column._is_integer
        return ColumnQuery("{0}::int8", pa.int64()) if integer else ColumnQuery("{0}::float8", pa.float64())
    return ColumnQuery(*_PLAIN.get(name, ("{0}::text", pa.string())))


def _array(element: PgType) -> ColumnQuery:
    if element.name in _ELEMENTS:
        return ColumnQuery("{0}", pa.list_(_PLAIN[element.name][1]))
    if element.name == "numeric":
        return ColumnQuery("{0}::float8[]", pa.list_(pa.float64()))
    return ColumnQuery("{0}::text[]", pa.list_(pa.string()))

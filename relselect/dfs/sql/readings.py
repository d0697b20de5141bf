"""Conversions of a column by its stored type: to a number, a category's text, a length, ticks, or a sort key."""

from __future__ import annotations

from enum import StrEnum

from sqlglot import exp

from relselect.database.table import SemanticType
from relselect.dfs.plan.feature import Aggregate, Feature
from relselect.dfs.sql.dialects import Dialect
from relselect.dfs.sql.nodes import Node, bigint, case, double, integer, real, text, times, timestamp

__all__ = ["ColumnReading", "kind_of", "read_as", "reading_of"]

_TEXTS = ("string", "large_string", "string_view", "utf8", "large_utf8")
_CODED = (Aggregate.NUM_UNIQUE, Aggregate.MODE, Aggregate.ENTROPY, Aggregate.SHARE)
#: Whole floats below it are written as integers, see `relselect.database.columns.as_text`.
_WHOLE = 1e15


class ColumnReading(StrEnum):
    """What a column is read as."""

    NUMBER = "number"
    TEXT = "text"
    LENGTH = "length"
    TICKS = "ticks"
    ORDER = "order"


def reading_of(feature: Feature) -> ColumnReading:
    """Return how a feature reads its column."""
    if feature.aggregate in _CODED or feature.type == SemanticType.CATEGORICAL:
        return ColumnReading.TEXT
    return ColumnReading.LENGTH if feature.type == SemanticType.TEXT else ColumnReading.NUMBER


def kind_of(dtype: str) -> str:
    """Return the kind of an Arrow type that is given as text.

    >>> kind_of("int32"), kind_of("dictionary<values=string, indices=int8, ordered=0>"), kind_of("timestamp[us]")
    ('integer', 'text', 'timestamp')
    """
    if dtype.startswith("dictionary<values="):
        dtype = dtype.removeprefix("dictionary<values=").split(",")[0]
    if dtype in _TEXTS:
        return "text"
    starts = {
        "int": "integer",
        "uint": "integer",
        "double": "real",
        "float": "real",
        "halffloat": "real",
        "decimal": "decimal",
        "bool": "boolean",
        "timestamp": "timestamp",
        "date": "timestamp",
        "time": "time",
        "duration": "time",
    }
    return next((kind for start, kind in starts.items() if dtype.startswith(start)), "other")


def read_as(dialect: Dialect, dtype: str, value: Node, reading: ColumnReading) -> Node:
    """Return a column's value converted to what it is read as.

    Args:
        dialect: The database.
        dtype: The column's Arrow type as text.
        value: The column.
        reading: What it is read as.
    """
    kind = kind_of(dtype)
    match reading:
        case ColumnReading.NUMBER:
            return _number(dialect, dtype, kind, value)
        case ColumnReading.TEXT:
            return _text(dialect, kind, value)
        case ColumnReading.LENGTH:
            return double(dialect.length(_text(dialect, kind, value)))
        case ColumnReading.TICKS:
            return _ticks(dialect, dtype, kind, value)
        case ColumnReading.ORDER:
            return dialect.collated(value) if kind == "text" else value


def _number(dialect: Dialect, dtype: str, kind: str, value: Node) -> Node:
    match kind:
        case "real" | "decimal":
            return dialect.number(value)
        case "boolean":
            return double(case((value, integer(1)), (exp.Not(this=value.copy()), integer(0))))
        case "timestamp":
            return double(_ticks(dialect, dtype, kind, value))
        case "time":
            return double(times(exp.Extract(this=exp.Var(this="EPOCH"), expression=value), integer(1_000_000)))
    return double(value)


def _ticks(dialect: Dialect, dtype: str, kind: str, value: Node) -> Node:
    if kind != "timestamp":
        return bigint(value)
    if dtype.startswith("date"):
        value = timestamp(value)
    return dialect.ticks(value, nanoseconds=dtype.startswith("timestamp[ns"))


def _text(dialect: Dialect, kind: str, value: Node) -> Node:
    if kind == "boolean":
        return case((value, text("true")), (exp.Not(this=value.copy()), text("false")))
    if kind != "real":
        return dialect.words(value)
    small = exp.LT(this=exp.Abs(this=value.copy()), expression=real(_WHOLE))
    whole = exp.EQ(this=value.copy(), expression=exp.Floor(this=value.copy()))
    return case(
        (exp.And(this=small, expression=whole), dialect.words(bigint(value.copy()))),
        default=dialect.words(double(value)),
    )

"""Columns and constants of a query as typed SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import pyarrow as pa

from relselect.database import Table
from relselect.database.quoting import quote_name
from relselect.database.table import SemanticType
from relselect.queries.syntax import Constant

__all__ = ["SqlValue", "ValueType", "column_value", "constant_sql", "holds_classes", "value_type"]


class ValueType(StrEnum):
    """What can be compared with what."""

    NUMBER = "a number"
    TEXT = "a text"
    BOOLEAN = "TRUE or FALSE"
    TIME = "a time"
    OTHER = "a value that cannot be compared"


@dataclass(frozen=True)
class SqlValue:
    """An expression and the type of its values."""

    sql: str
    type: ValueType


_TESTS: Final[tuple[tuple[Callable[[Any], bool], ValueType], ...]] = (
    (pa.types.is_boolean, ValueType.BOOLEAN),
    (pa.types.is_integer, ValueType.NUMBER),
    (pa.types.is_floating, ValueType.NUMBER),
    (pa.types.is_decimal, ValueType.NUMBER),
    (pa.types.is_string, ValueType.TEXT),
    (pa.types.is_large_string, ValueType.TEXT),
    (pa.types.is_timestamp, ValueType.TIME),
    (pa.types.is_date, ValueType.TIME),
)


def value_type(table: Table, column: str) -> ValueType:
    """Return the type of a column's values."""
    dtype: Any = table.data[column].type
    dtype = dtype.value_type if pa.types.is_dictionary(dtype) else dtype
    return next((found for test, found in _TESTS if test(dtype)), ValueType.OTHER)


def holds_classes(table: Table, column: str) -> bool:
    """Whether the values are names rather than amounts: text, keys, and what is declared as categorical."""
    named = {*table.primary_key, *(each for key in table.foreign_keys for each in key.columns)}
    declared = table.types.get(column) == SemanticType.CATEGORICAL
    return value_type(table, column) is ValueType.TEXT or column in named or declared


def column_value(table: Table, column: str, alias: str, asof: str | None = None, name: str | None = None) -> SqlValue:
    """Return a column as SQL.

    Args:
        table: The table.
        column: The column.
        alias: The table's alias in the query.
        asof: An expression: values of masked columns that became known later are NULL; None where the session hides them.
        name: What the column is called in the query; its own name if None.
    """
    sql, found = f"{alias}.{quote_name(name or column)}", value_type(table, column)
    if found is ValueType.TEXT and pa.types.is_dictionary(table.data[column].type):
        sql = f"CAST({sql} AS VARCHAR)"  # an enumeration is ordered by its codes and compared with its own words only
    clock = None if asof is None else table.clock_of(column)
    if clock is not None:
        sql = f"CASE WHEN {alias}.{quote_name(clock)} <= {asof} THEN {sql} END"
    return SqlValue(sql, found)


def constant_sql(constant: Constant) -> SqlValue:
    """Return a constant as SQL; texts are quoted by the generator of SQL.

    >>> constant_sql(Constant("O'Neill")).sql
    "'O''Neill'"
    """
    from sqlglot import exp

    if isinstance(constant.value, bool):
        return SqlValue(str(constant), ValueType.BOOLEAN)
    if isinstance(constant.value, str):
        return SqlValue(exp.Literal.string(constant.value).sql(dialect="duckdb"), ValueType.TEXT)
    return SqlValue(repr(constant.value), ValueType.NUMBER)

"""Differences between SQL dialects: times, filters, first and last values, quantiles, collations.

DuckDB and PostgreSQL are executed in the tests. Other dialects are written from their manuals and through sqlglot's
generators, with conditions as CASE inside aggregates because not all know FILTER; nothing here has run on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import sqlglot
from sqlglot import exp

from relselect.dfs.sql.nodes import (
    Node,
    bigint,
    call,
    case,
    double,
    integer,
    later,
    ordered,
    plus,
    real,
    text,
    times,
    timestamp,
)
from relselect.errors import ConfigError

__all__ = ["Dialect", "dialect_of"]

Make = Callable[[Node], Node]

#: Microseconds since 1970 of a timestamp `x`, by dialect.
_TICKS = {
    "bigquery": "UNIX_MICROS(CAST(x AS TIMESTAMP))",
    "clickhouse": "toUnixTimestamp64Micro(toDateTime64(x, 6))",
    "databricks": "UNIX_MICROS(CAST(x AS TIMESTAMP))",
    "mysql": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', x)",
    "snowflake": "DATE_PART(EPOCH_MICROSECOND, x)",
    "spark": "UNIX_MICROS(CAST(x AS TIMESTAMP))",
    "tsql": "DATEDIFF_BIG(MICROSECOND, '1970-01-01', x)",
}


class Dialect:
    """A dialect whose statements have not been executed in the tests.

    Args:
        name: As sqlglot knows it.
    """

    verified: ClassVar[bool] = False
    #: Whether columns are called f1, f2, ...: feature names may be too long, or hold characters that are not allowed.
    numbered: ClassVar[bool] = True

    def __init__(self, name: str) -> None:
        self.name = name

    def ticks(self, moment: Node, *, nanoseconds: bool = False) -> Node:
        """Return a date or timestamp as microseconds since 1970 UTC, rounded up."""
        template = _TICKS.get(self.name)
        if template is None:
            return _epoch(moment)
        tree = sqlglot.parse_one(template, read=self.name)
        return tree.transform(lambda node: moment if isinstance(node, exp.Column) and node.name == "x" else node)

    def moment(self, ticks: Node) -> Node:
        """Return ticks as a timestamp in UTC."""
        start = timestamp(text("1970-01-01 00:00:00"))
        step = exp.Interval(this=text("1"), unit=exp.Var(this="MICROSECOND"))
        return plus(start, times(ticks, step))

    def number(self, value: Node) -> Node:
        """Return a floating-point column as a double, missing where it is no finite number."""
        return double(value)

    def words(self, value: Node) -> Node:
        """Return a value as text."""
        return exp.Cast(this=value, to=exp.DataType(this=exp.DataType.Type.TEXT))

    def length(self, value: Node) -> Node:
        """Return the number of characters of a text."""
        return exp.Length(this=value)

    def collated(self, value: Node) -> Node:
        """Return a text that compares by its bytes."""
        return value

    def aggregate(self, make: Make, value: Node, condition: Node | None) -> Node:
        """Return an aggregate of the rows that meet a condition."""
        return make(value if condition is None else case((condition, value)))

    def count(self, condition: Node | None) -> Node:
        """Return the number of rows that meet a condition."""
        if condition is None:
            return exp.Count(this=exp.Star())
        return self.aggregate(lambda value: exp.Count(this=value), integer(1), condition)

    def total(self, value: Node, condition: Node | None) -> Node:
        """Return a sum of doubles."""
        return self.aggregate(lambda one: exp.Sum(this=one), value, condition)

    def mean(self, value: Node, condition: Node | None) -> Node:
        """Return a mean of doubles."""
        return self.aggregate(lambda one: exp.Avg(this=one), value, condition)

    def slope(self, value: Node, along: Node, condition: Node | None) -> Node:
        """Return the least-squares slope of a value along another."""
        return self.aggregate(lambda one: call("REGR_SLOPE", one, along), value, condition)

    def edge(self, value: Node, order: Node, condition: Node | None, *, last: bool) -> Node:
        """Return the value, NULL or not, of the row that is first or last in an order without ties."""
        make = exp.ArgMax if last else exp.ArgMin
        return make(this=value, expression=order if condition is None else case((condition, order)))

    def quantile(self, value: Node, level: float, condition: Node | None) -> Node:
        """Return a quantile with linear interpolation between values."""
        found = exp.PercentileCont(this=real(level))

        def within(one: Node) -> Node:
            return exp.WithinGroup(this=found, expression=exp.Order(expressions=[ordered(one)]))

        return self.aggregate(within, value, condition)


class _Filtering(Dialect):
    """A dialect with FILTER, executed in the tests."""

    verified = True

    def aggregate(self, make: Make, value: Node, condition: Node | None) -> Node:
        """Return an aggregate of the rows that meet a condition."""
        found = make(value)
        return found if condition is None else exp.Filter(this=found, expression=exp.Where(this=condition))

    def count(self, condition: Node | None) -> Node:
        """Return the number of rows that meet a condition."""
        return self.aggregate(lambda value: exp.Count(this=value), exp.Star(), condition)


class _DuckDB(_Filtering):
    numbered = False

    def ticks(self, moment: Node, *, nanoseconds: bool = False) -> Node:
        if not nanoseconds:
            return call("EPOCH_US", moment)
        # Whether division rounds down or towards zero, the rest is positive only where a microsecond is begun: so this rounds up.
        nanos = call("EPOCH_NS", moment)
        begun = later(exp.Mod(this=nanos.copy(), expression=integer(1000)), integer(0))
        return plus(exp.IntDiv(this=nanos, expression=integer(1000)), bigint(begun))

    def moment(self, ticks: Node) -> Node:
        return call("MAKE_TIMESTAMP", ticks)

    def number(self, value: Node) -> Node:
        return case((call("ISFINITE", double(value.copy())), double(value)))

    def total(self, value: Node, condition: Node | None) -> Node:
        return self.aggregate(lambda one: call("FSUM", one), value, condition)

    def mean(self, value: Node, condition: Node | None) -> Node:
        return self.aggregate(lambda one: call("FAVG", one), value, condition)

    def edge(self, value: Node, order: Node, condition: Node | None, *, last: bool) -> Node:
        name = "ARG_MAX_NULL" if last else "ARG_MIN_NULL"
        return self.aggregate(lambda one: call(name, one, order), value, condition)

    def quantile(self, value: Node, level: float, condition: Node | None) -> Node:
        return self.aggregate(lambda one: call("QUANTILE_CONT", one, real(level)), value, condition)


class _Postgres(_Filtering):
    def ticks(self, moment: Node, *, nanoseconds: bool = False) -> Node:
        # A timestamp at infinity never comes, and PostgreSQL cannot convert it to an integer.
        return case((call("ISFINITE", moment.copy()), _epoch(moment)))

    def number(self, value: Node) -> Node:
        odd = [double(text(word)) for word in ("NaN", "Infinity", "-Infinity")]
        return case((exp.Not(this=exp.In(this=double(value.copy()), expressions=odd)), double(value)))

    def collated(self, value: Node) -> Node:
        return exp.Collate(this=value, expression=exp.to_identifier("C", quoted=True))

    def edge(self, value: Node, order: Node, condition: Node | None, *, last: bool) -> Node:
        def array(one: Node) -> Node:
            return exp.ArrayAgg(this=exp.Order(this=one, expressions=[ordered(order, down=last)]))

        found = exp.Paren(this=self.aggregate(array, value, condition))
        return exp.Bracket(this=found, expressions=[integer(1)], offset=1)


def _epoch(moment: Node) -> Node:
    seconds = exp.Extract(this=exp.Var(this="EPOCH"), expression=moment)
    return bigint(times(seconds, integer(1_000_000)))


def dialect_of(name: str) -> Dialect:
    """Return a dialect by its name.

    Raises:
        ConfigError: sqlglot does not know it.
    """
    made: dict[str, type[Dialect]] = {"duckdb": _DuckDB, "postgres": _Postgres}
    known = sorted(known for known in sqlglot.Dialect.classes if known)
    if name not in known:
        raise ConfigError("dialect", name, "is no SQL dialect known here", f"Use one of: {', '.join(known)}")
    return made.get(name, Dialect)(name)

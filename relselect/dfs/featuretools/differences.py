"""Where this package and featuretools mean different things by the same words.

Two differences are of principle:

* A value exists from the latest time on its path. featuretools counts and orders rows by their own time alone, whatever
  becomes known later on the way to them or of them; it has no words for what is meant here.
* A row whose value is not there yet does not count for that value. featuretools counts the row, with the value missing,
  unless a condition says that the value must be there.

A nested column (`LAST(orders[customer].(products(product).colour))`) means what featuretools means, so its definitions
can nearly always be said here. All other differences are of units and edges and are evened out.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from relselect.dfs.plan.feature import Aggregate, Feature, Hop, Route

if TYPE_CHECKING:
    from relselect.dfs.plan.schema import Schema, TableSchema

__all__ = ["COUNT_MISSING", "Difference", "Inexpressible", "difference"]

A = Aggregate


class Inexpressible(Exception):
    """A plan has no feature for a definition of featuretools, or featuretools no definition for a feature."""


class Difference(StrEnum):
    """Why the values of a feature may differ from those of the featuretools definition of the same name."""

    CLOCK = "the moment from which a row counts"
    HIDDEN = "rows whose value is not there"


_ORDERED = frozenset({A.FIRST, A.LAST, A.TREND, A.SINCE_LAST, A.SINCE_FIRST, A.TIME_BETWEEN})
#: What a row without a value changes.
COUNT_MISSING = frozenset(
    {A.FIRST, A.LAST, A.ENTROPY, A.PERCENT_TRUE, A.NUM_UNIQUE, A.COUNT, A.SINCE_LAST, A.SINCE_FIRST, A.TIME_BETWEEN}
)


def difference(feature: Feature, table: str, schema: Schema) -> Difference | None:
    """Return what may make a feature differ from the definition that looks like it, None where nothing can.

    Args:
        feature: The feature.
        table: The table that its path starts at.
        schema: The database's.
    """
    _, down, then = feature.parts
    if down:
        if (feature.window is not None or feature.aggregate in _ORDERED) and any(
            _further_clocks(feature, table, schema)
        ):
            return Difference.CLOCK
        masked = feature.column is not None and feature.column in schema.tables[feature.path[-1].table].clocks
        if (then or masked) and feature.aggregate in COUNT_MISSING:
            return Difference.HIDDEN
    if feature.base is not None:
        return difference(feature.base, feature.path[-1].table, schema)
    return None


def _further_clocks(feature: Feature, table: str, schema: Schema) -> Iterator[bool]:
    """Yield, for everything but the last step down's own time, whether it has a time that delays the row or its value."""
    up, down, then = feature.parts
    start = up[-1].table if up else table
    yield from (schema.tables[hop.table].time is not None for hop in (*down[:-1], *then))
    yield from _masked_keys(start, (*down, *then), schema)
    last = schema.tables[down[-1].table]
    if feature.where is not None:
        yield feature.where.column in last.clocks
    if feature.column is not None:
        yield feature.column in schema.tables[feature.path[-1].table].clocks


def _masked_keys(table: str, route: Route, schema: Schema) -> Iterator[bool]:
    for hop in route:
        owner, parent = (hop.table, table) if hop.down else (table, hop.table)
        yield any(column in schema.tables[owner].clocks for column in _columns(schema.tables[owner], hop, parent))
        table = hop.table


def _columns(owner: TableSchema, hop: Hop, parent: str) -> tuple[str, ...]:
    return next((key.columns for key in owner.foreign_keys if key.name == hop.key and key.table == parent), ())

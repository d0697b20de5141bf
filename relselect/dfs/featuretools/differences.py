"""Differences in meaning between features of this package and featuretools definitions of the same name.

Two differences are of principle:

* Here a value exists from the latest time on its path. featuretools counts and orders rows by their own time alone, whatever
  becomes known later on the path; it cannot express the meaning here.
* Here a row whose value is not known yet does not count for that value. featuretools counts the row with a missing value,
  unless a condition requires the value.

A nested column (`LAST(orders[customer].(products(product).colour))`) has featuretools' meaning, so nearly all of its
definitions can be expressed here. All other differences are of units and edges, and the bridge converts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING

from relselect.dfs.plan.feature import Aggregate, Feature, Hop, Route

if TYPE_CHECKING:
    from relselect.database.schema import TableSchema
    from relselect.dfs.plan.schema import Schema

__all__ = ["COUNT_MISSING", "Difference", "Inexpressible", "difference"]

A = Aggregate


class Inexpressible(Exception):
    """A plan has no feature for a definition of featuretools, or featuretools no definition for a feature."""


class Difference(StrEnum):
    """Why the values of a feature may differ from those of the featuretools definition of the same name."""

    CLOCK = "the moment from which a row counts"
    HIDDEN = "rows whose value is not there"


_ORDERED = frozenset({A.FIRST, A.LAST, A.TREND, A.SINCE_LAST, A.SINCE_FIRST, A.TIME_BETWEEN})
#: Aggregates that a row without a value changes.
COUNT_MISSING = frozenset(
    {A.FIRST, A.LAST, A.ENTROPY, A.PERCENT_TRUE, A.NUM_UNIQUE, A.COUNT, A.SINCE_LAST, A.SINCE_FIRST, A.TIME_BETWEEN}
)


def difference(feature: Feature, table: str, schema: Schema) -> Difference | None:
    """Return why a feature may differ from the definition of the same name, None where it cannot.

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
        end = schema.tables[feature.path[-1].table]
        masked = feature.column is not None and end.clock_of(feature.column) is not None
        if (then or masked) and feature.aggregate in COUNT_MISSING:
            return Difference.HIDDEN
    if feature.base is not None:
        return difference(feature.base, feature.path[-1].table, schema)
    return None


def _further_clocks(feature: Feature, table: str, schema: Schema) -> Iterator[bool]:
    """Yield, for everything on the path but the rows' own time, whether it may delay the row or its value."""
    up, down, then = feature.parts
    start = up[-1].table if up else table
    yield from (schema.tables[hop.table].time is not None for hop in (*down[:-1], *then))
    yield from _masked_keys(start, (*down, *then), schema)
    last = schema.tables[down[-1].table]
    if feature.where is not None:
        yield last.clock_of(feature.where.column) is not None
    if feature.column is not None:
        yield schema.tables[feature.path[-1].table].clock_of(feature.column) is not None


def _masked_keys(table: str, route: Route, schema: Schema) -> Iterator[bool]:
    for hop in route:
        owner, parent = (hop.table, table) if hop.down else (table, hop.table)
        held = _columns(schema.tables[owner], hop, parent)
        yield any(schema.tables[owner].clock_of(column) is not None for column in held)
        table = hop.table


def _columns(owner: TableSchema, hop: Hop, parent: str) -> tuple[str, ...]:
    return next((key.columns for key in owner.foreign_keys if key.name == hop.key and key.table == parent), ())

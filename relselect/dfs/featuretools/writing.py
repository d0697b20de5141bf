"""Translates features of a plan into featuretools' definitions. See `reading` for the other direction."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

import featuretools as ft
from featuretools import primitives as p
from featuretools.entityset.relationship import RelationshipPath
from featuretools.feature_base import AggregationFeature, DirectFeature, IdentityFeature, TransformFeature

from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.featuretools.differences import COUNT_MISSING, Difference, Inexpressible, difference
from relselect.dfs.featuretools.layout import Edge, Layout, layout_within
from relselect.dfs.plan.feature import Aggregate, Feature, Route
from relselect.errors import PlanError

if TYPE_CHECKING:
    from relselect.dfs.plan.plan import Plan
    from relselect.dfs.plan.schema import Schema

__all__ = ["to_featuretools", "typed"]

A, T = Aggregate, SemanticType

_OF_VALUES: Mapping[Aggregate, Any] = {
    A.COUNT: p.Count,
    A.SUM: p.Sum,
    A.MEAN: p.Mean,
    A.STD: p.Std,
    A.SKEW: p.Skew,
    A.MIN: p.Min,
    A.MAX: p.Max,
    A.MEDIAN: p.Median,
    A.FIRST: p.First,
    A.LAST: p.Last,
    A.NUM_UNIQUE: p.NumUnique,
    A.MODE: p.Mode,
    A.ENTROPY: p.Entropy,
    A.PERCENT_TRUE: p.PercentTrue,
    A.SHARE: p.PercentTrue,
    A.TREND: p.Trend,
}
_OF_TIMES: Mapping[Aggregate, Any] = {
    A.SINCE_LAST: p.TimeSinceLast,
    A.SINCE_FIRST: p.TimeSinceFirst,
    A.TIME_BETWEEN: p.AvgTimeBetween,
}
#: The earliest time has the largest age.
_OF_AGES = {A.MIN: A.MAX, A.MAX: A.MIN}
_UNITS = (("d", DAY), ("h", DAY // 24), ("m", DAY // 1440), ("s", 1_000_000), ("ms", 1_000))


def to_featuretools(plan: Plan, entityset: Any, *, nearest: bool = False) -> list[Any]:
    """Return featuretools' definitions of a plan's features, None where it cannot express one.

    Args:
        plan: The plan, with its schema.
        entityset: From `entityset(problem)`, as deep as the plan; or another with the names of the database's tables,
            columns and foreign keys.
        nearest: Whether features get the definition of the same name even where featuretools gives it another meaning (see
            `difference`).

    Raises:
        PlanError: The plan carries no schema, or reads what its schema lacks.
    """
    if plan.schema is None:
        raise PlanError(["the plan carries no schema. Bind it first: plan.bound(problem)."])
    plan.check(plan.schema)
    writer = _Writer(plan.schema, layout_within(plan.schema, entityset, plan.entity), entityset, nearest)
    return [writer.write(feature) for feature in plan]


class _Writer:
    """Translates features into definitions on the dataframes of one EntitySet."""

    def __init__(self, schema: Schema, layout: Layout, entityset: Any, nearest: bool) -> None:
        self.schema, self.layout, self.entityset, self.nearest = schema, layout, entityset, nearest
        self.links = {
            (link._parent_dataframe_name, link._child_dataframe_name, link._child_column_name): link
            for link in entityset.relationships
        }
        self._columns: dict[tuple[str, str], Any] = {}

    def write(self, feature: Feature) -> Any:
        """Return the definition of a feature of the entity, None if there is none."""
        if feature.operands or (not self.nearest and self._differs(feature) == Difference.CLOCK):
            return None
        try:
            return self._made(feature, self.layout.entity)
        except (Inexpressible, AssertionError):
            # featuretools asserts that a primitive takes what it is given
            return None

    def _differs(self, feature: Feature) -> Difference | None:
        return difference(feature, self.layout.tables[self.layout.entity], self.schema)

    def _made(self, feature: Feature, node: str) -> Any:
        timed = feature.type == T.TIMESTAMP or feature.aggregate in (*_OF_TIMES, A.TREND) or feature.window is not None
        if feature.of_task_row or (timed and self.schema.time_kind != "timestamp"):
            raise Inexpressible
        up, down, _ = feature.parts
        climbed = self._walk(node, up)
        owner = climbed[-1].parent if climbed else node
        if not down:
            return self._lifted(self._read(owner, feature.column or "", feature.type), climbed)
        return self._lifted(self._aggregated(feature, owner), climbed)

    def _aggregated(self, feature: Feature, owner: str) -> Any:
        _, down, then = feature.parts
        edges = self._walk(owner, down)
        rows = edges[-1].child
        if feature.window is not None and self._time(rows) is None:
            raise Inexpressible
        climbed = self._walk(rows, then)
        value = self._value(feature, rows, climbed)
        conditions = self._conditions(feature, rows, climbed, value)
        if feature.aggregate == A.SHARE:
            value = self._equals(value, feature.category or "")
        return AggregationFeature(
            [value, self._column(rows, self._time(rows))] if feature.aggregate == A.TREND else [value],
            parent_dataframe_name=owner,
            relationship_path=RelationshipPath([(False, self._link(edge)) for edge in edges]),
            primitive=_primitive(feature, value.column_schema.is_boolean),
            use_previous=_length(feature.window),
            where=_all_of(conditions),
        )

    def _value(self, feature: Feature, rows: str, climbed: list[Edge]) -> Any:
        """Return what is aggregated, as a definition of the rows."""
        end = climbed[-1].parent if climbed else rows
        if feature.aggregate == A.COUNT:
            return self._column(rows, self._frame(rows).index)
        if feature.aggregate in _OF_TIMES:
            return self._column(rows, self._time(rows))
        if feature.base is not None:
            return self._made(feature.base, rows)
        if feature.type == T.KEY:
            return self._lifted(self._column(end, self._frame(end).index), climbed)
        return self._lifted(self._read(end, feature.column, feature.type), climbed)

    def _conditions(self, feature: Feature, rows: str, climbed: list[Edge], value: Any) -> list[Any]:
        """Return a row's conditions: that of the feature, and, where it matters, that its value is known."""
        found = []
        if feature.where is not None:
            found.append(self._equals(self._column(rows, feature.where.column), feature.where.value))
        if feature.aggregate == A.SHARE:
            found.append(_is_there(value))
        elif feature.aggregate in COUNT_MISSING and feature.base is None and not self.nearest:
            end = climbed[-1].parent if climbed else rows
            clock = self.schema.tables[self.layout.tables[end]].clock_of(feature.column or "")
            if climbed or clock is not None:
                # a hidden clock is masked until its time, like the columns that it masks
                seen = self._frame(end).index if clock is None else f"__{clock}__"
                found.append(_is_there(self._lifted(self._column(end, seen), climbed)))
        return found

    def _read(self, node: str, column: str | None, kind: SemanticType) -> Any:
        """Return a column as the plan reads it: times as ages in days, text as its length."""
        found = self._column(node, column)
        if kind == T.TIMESTAMP:
            return TransformFeature([found], p.TimeSince(unit="days"))
        return TransformFeature([found], p.NumCharacters()) if kind == T.TEXT else found

    def _column(self, node: str, column: str | None) -> Any:
        if column is None or column not in self._frame(node).columns:
            raise Inexpressible
        if (node, column) not in self._columns:
            self._columns[node, column] = IdentityFeature(self.entityset[node].ww[column])
        return self._columns[node, column]

    def _equals(self, value: Any, word: str) -> Any:
        """Return the definition of whether a value equals a text."""
        scalar = typed(word, str(value.column_schema.logical_type))
        if scalar is None:
            raise Inexpressible
        return TransformFeature([value], p.EqualScalar(scalar))

    def _lifted(self, found: Any, climbed: list[Edge]) -> Any:
        """Return a parent's definition as a definition of the row that the steps up start from."""
        for edge in reversed(climbed):
            found = DirectFeature(found, edge.child, relationship=self._link(edge))
        return found

    def _walk(self, node: str, route: Route) -> list[Edge]:
        edges = []
        for hop in route:
            edge = self.layout.step(node, hop)
            if edge is None:
                raise Inexpressible
            edges.append(edge)
            node = edge.child if hop.down else edge.parent
        return edges

    def _link(self, edge: Edge) -> Any:
        return self.links[edge.parent, edge.child, edge.column]

    def _time(self, node: str) -> str | None:
        return self.schema.tables[self.layout.tables[node]].time

    def _frame(self, node: str) -> Any:
        return self.entityset[node].ww


def _is_there(value: Any) -> Any:
    return TransformFeature([TransformFeature([value], p.IsNull())], p.Not())


def _all_of(conditions: list[Any]) -> Any:
    """Return the conjunction of conditions, None for no condition."""
    return reduce(lambda one, other: TransformFeature([one, other], p.And()), conditions) if conditions else None


def typed(word: str, kind: str) -> Any:
    """Return a condition's value as a column of a logical type holds it, None if it cannot.

    >>> typed("3", "Double"), typed("true", "BooleanNullable"), typed("x", "Double")
    (3.0, True, None)
    """
    if kind in ("Categorical", "NaturalLanguage", "Unknown"):
        return word
    if kind.startswith("Boolean"):
        return {"true": True, "1": True, "false": False, "0": False}.get(word)
    try:
        return float(word) if kind in ("Double", "Integer", "IntegerNullable") else None
    except ValueError:
        return None


def _primitive(feature: Feature, boolean: bool) -> Any:
    """Return the primitive of an aggregate, of booleans or other values; times in days."""
    aggregate = feature.aggregate
    if feature.type == T.KEY:
        primitive = p.NumUnique()
        primitive.input_types = None  # of a parent's index, which has no semantic tag
        return primitive
    if aggregate in _OF_TIMES:
        return _OF_TIMES[aggregate](unit="days")
    if feature.type == T.TIMESTAMP:
        aggregate = _OF_AGES.get(aggregate, aggregate)
    if boolean and aggregate == A.SUM:
        return p.NumTrue()
    if aggregate not in _OF_VALUES:
        raise Inexpressible
    return _OF_VALUES[aggregate]()


def _length(window: int | None) -> Any:
    """Return a window for `use_previous`."""
    if window is None:
        return None
    unit, ticks = next(((unit, ticks) for unit, ticks in _UNITS if window % ticks == 0), (None, 1))
    if unit is None:
        raise Inexpressible
    return ft.Timedelta(window // ticks, unit)

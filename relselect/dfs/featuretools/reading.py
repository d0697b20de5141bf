"""Translates featuretools' definitions into features of a plan. See `writing` for the other direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd
from featuretools import primitives as p
from featuretools.feature_base import AggregationFeature, DirectFeature, IdentityFeature, TransformFeature

from relselect.database.columns import as_text
from relselect.database.table import SemanticType
from relselect.dfs.featuretools.differences import Inexpressible, difference
from relselect.dfs.featuretools.frames import column_types
from relselect.dfs.featuretools.layout import Edge, layout_within
from relselect.dfs.plan.checks import definition_problems, schema_problems
from relselect.dfs.plan.feature import Aggregate, Condition, Feature, Hop, Route
from relselect.dfs.plan.plan import Plan
from relselect.dfs.plan.schema import Schema

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["DefinitionReader", "from_featuretools"]

A, T = Aggregate, SemanticType

#: Aggregates of one input. A subclass may mean something else, so classes are compared exactly.
_OF_VALUES: Mapping[type, Aggregate] = {
    p.Sum: A.SUM,
    p.Mean: A.MEAN,
    p.Std: A.STD,
    p.Skew: A.SKEW,
    p.Min: A.MIN,
    p.Max: A.MAX,
    p.Median: A.MEDIAN,
    p.First: A.FIRST,
    p.Last: A.LAST,
    p.NumUnique: A.NUM_UNIQUE,
    p.Mode: A.MODE,
    p.Entropy: A.ENTROPY,
    p.PercentTrue: A.PERCENT_TRUE,
    p.NumTrue: A.SUM,
    p.Trend: A.TREND,
}
_OF_TIMES: Mapping[type, Aggregate] = {
    p.TimeSinceLast: A.SINCE_LAST,
    p.TimeSinceFirst: A.SINCE_FIRST,
    p.AvgTimeBetween: A.TIME_BETWEEN,
}
#: The smallest age belongs to the latest time.
_OF_AGES = {A.MIN: A.MAX, A.MAX: A.MIN, A.FIRST: A.FIRST, A.LAST: A.LAST}
#: Arguments that change what a primitive means.
_SETTINGS: Mapping[type, Callable[[Any], bool]] = {
    p.Mean: lambda primitive: bool(primitive.skipna),
    p.Entropy: lambda primitive: not primitive.dropna and primitive.base is None,
}


@dataclass(frozen=True)
class _Value:
    """The feature that a definition means.

    Attributes:
        feature: The feature.
        stored: Whether the definition returns a stored time or text, where the feature is its age or length: featuretools
            needs a transform to get these.
    """

    feature: Feature
    stored: bool = False


def from_featuretools(definitions: Sequence[Any], problem: Problem) -> tuple[Plan, list[Any]]:
    """Return the plan of all definitions that a plan can express, and the other definitions.

    Values are the same to 1e-9 but for units and edges: times are days, windows leave out their first moment. Where a plain
    path would mean something else (see `difference`), a nested column is used; where that is not possible either, the
    definition is among the others.

    Args:
        definitions: Features of the entity's dataframe, made from `entityset(problem)` or any EntitySet whose dataframes,
            columns and foreign keys have the names of the database's.
        problem: The problem.
    """
    reader = DefinitionReader(problem)
    found = [(definition, reader.read(definition)) for definition in definitions]
    features = dict.fromkeys(feature for _, feature in found if feature is not None)
    plan = Plan(problem.entity, tuple(features), reader.schema)
    return plan, [definition for definition, feature in found if feature is None]


class DefinitionReader:
    """Translates definitions for one problem.

    Args:
        problem: The problem.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.schema = Schema.of(problem)
        self.dated = problem.task.time_kind == "timestamp"
        self._edges: dict[int, tuple[Any, dict[tuple[str, ...], Edge], dict[str, str]]] = {}
        self._read: dict[int, tuple[Any, _Value | None]] = {}

    def read(self, definition: Any) -> Feature | None:
        """Return the feature that a definition of the entity's dataframe means, None if there is none."""
        try:
            if self._table(definition) != self.problem.entity:
                return None
            value = self._value(definition)
        except Inexpressible:
            return None
        text = value.stored and value.feature.type == T.TEXT
        return None if text else value.feature

    def _value(self, definition: Any) -> _Value:
        if id(definition) not in self._read:
            try:
                value: _Value | None = self._checked(self._made(definition), self._table(definition))
            except Inexpressible:
                value = None
            self._read[id(definition)] = definition, value
        found = self._read[id(definition)][1]
        if found is None:
            raise Inexpressible
        return found

    def _checked(self, value: _Value, table: str) -> _Value:
        feature = value.feature
        timed = feature.type == T.TIMESTAMP or feature.aggregate in (*_OF_TIMES.values(), A.TREND)
        if (timed and not self.dated) or definition_problems(feature) or schema_problems(feature, table, self.schema):
            raise Inexpressible
        return value

    def _made(self, definition: Any) -> _Value:
        kind = type(definition)
        if kind is IdentityFeature:
            return self._column(definition)
        if kind is DirectFeature:
            inner = self._value(definition.base_features[0])
            hop = self._hops(definition)[0]
            return replace(inner, feature=replace(inner.feature, path=(hop, *inner.feature.path)))
        if kind is TransformFeature:
            return self._transformed(definition)
        if kind is AggregationFeature:
            return _Value(self._aggregated(definition))
        raise Inexpressible

    def _column(self, definition: Any) -> _Value:
        table, column = self._table(definition), definition.column_name
        kind = column_types(self.problem, table).get(column)
        if kind is None or self._is(definition, "index", "foreign_key"):
            raise Inexpressible
        return _Value(Feature(A.DIRECT, (), column, kind), stored=True)

    def _transformed(self, definition: Any) -> _Value:
        inner = self._value(definition.base_features[0])
        wanted = {p.TimeSince: T.TIMESTAMP, p.NumCharacters: T.TEXT}.get(type(definition.primitive))
        if not inner.stored or inner.feature.aggregate != A.DIRECT or inner.feature.type != wanted:
            raise Inexpressible
        return replace(inner, stored=False)

    def _aggregated(self, definition: Any) -> Feature:
        hops, primitive = self._hops(definition), definition.primitive
        rows: dict[str, Any] = {"where": self._where(definition), "window": _window(definition.use_previous)}
        kind, bases = type(primitive), definition.base_features
        timeless = rows["window"] is not None and self.schema.tables[hops[-1].table].time is None
        if timeless or not _SETTINGS.get(kind, lambda _: True)(primitive):
            raise Inexpressible
        if kind is p.Count and self._is(bases[0], "index"):
            return self._exact([Feature(A.COUNT, hops, **rows)], definition)
        if kind in _OF_TIMES and self._is_time(bases[0]):
            return self._exact([Feature(_OF_TIMES[kind], hops, **rows)], definition)
        if kind not in _OF_VALUES or (kind is p.Trend and not self._is_time(bases[1])):
            raise Inexpressible
        return self._exact(_candidates(_OF_VALUES[kind], hops, self._value(bases[0]), rows), definition)

    def _exact(self, candidates: Sequence[Feature], definition: Any) -> Feature:
        """Return the first feature that is valid and has the definition's meaning on any data."""
        table = self._table(definition)
        for feature in candidates:
            if not definition_problems(feature) and difference(feature, table, self.schema) is None:
                return feature
        raise Inexpressible

    def _where(self, definition: Any) -> Condition | None:
        where = definition.where
        if where is None:
            return None
        if type(where) is not TransformFeature or type(where.primitive) is not p.EqualScalar:
            raise Inexpressible
        (base,) = where.base_features
        if type(base) is not IdentityFeature:
            raise Inexpressible
        feature = self._column(base).feature
        if feature.type == T.TIMESTAMP:
            raise Inexpressible
        return Condition(feature.column or "", self._word(base, where.primitive.value))

    def _word(self, base: Any, value: Any) -> str:
        """Return a condition's value as the column's text: booleans may be stored as numbers."""
        boolean = str(self.problem.database[self._table(base)].data[base.column_name].type) == "bool"
        value = value.item() if hasattr(value, "item") else value
        if isinstance(value, bool) and not boolean:
            value = int(value)
        return as_text(value)

    def _is(self, definition: Any, *tags: str) -> bool:
        """Whether a definition is a column with one of featuretools' tags."""
        return type(definition) is IdentityFeature and bool(definition.column_schema.semantic_tags & set(tags))

    def _is_time(self, definition: Any) -> bool:
        """Whether a definition is the time of its rows."""
        return (
            self._is(definition, "time_index")
            and definition.column_name == self.schema.tables[self._table(definition)].time
        )

    def _hops(self, definition: Any) -> Route:
        _, edges, tables = self._layout(definition.entityset)
        hops = []
        for forward, link in definition.relationship_path:
            edge = edges.get((link._parent_dataframe_name, link._child_dataframe_name, link._child_column_name))
            if edge is None:
                raise Inexpressible
            hops.append(Hop(tables[edge.parent if forward else edge.child], edge.key, down=not forward))
        return tuple(hops)

    def _table(self, definition: Any) -> str:
        tables = self._layout(definition.entityset)[2]
        if definition.dataframe_name not in tables:
            raise Inexpressible
        return tables[definition.dataframe_name]

    def _layout(self, entityset: Any) -> tuple[Any, dict[tuple[str, ...], Edge], dict[str, str]]:
        if id(entityset) not in self._edges:
            layout = layout_within(self.schema, entityset, self.problem.entity)
            edges: dict[tuple[str, ...], Edge] = {(e.parent, e.child, e.column): e for e in layout.edges}
            self._edges[id(entityset)] = entityset, edges, layout.tables
        return self._edges[id(entityset)]


def _candidates(aggregate: Aggregate, hops: Route, value: _Value, rows: Mapping[str, Any]) -> list[Feature]:
    """Return the features that may express an aggregate of another definition: as a plain path, and nested."""
    inner = value.feature
    found = []
    if value.stored and inner.type == T.TEXT:
        return []
    plain = _OF_AGES.get(aggregate) if inner.type == T.TIMESTAMP and not value.stored else aggregate
    if inner.aggregate == A.DIRECT and plain is not None:
        found.append(Feature(plain, (*hops, *inner.path), inner.column, inner.type, **rows))
    kind = T.CATEGORICAL if inner.categorical else T.NUMERICAL
    return [*found, Feature(aggregate, hops, type=kind, base=inner, **rows)]


def _window(length: Any) -> int | None:
    """Return the ticks of a `use_previous`; months, years and numbers of rows are no fixed lengths."""
    if length is None:
        return None
    units = length.times
    if not units or not set(units) <= {"ms", "s", "m", "h", "d", "w"}:
        raise Inexpressible
    total = sum((pd.Timedelta(value, unit) for unit, value in units.items()), pd.Timedelta(0))
    return int(total.value // 1000)

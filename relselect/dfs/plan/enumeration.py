"""Enumerates the default plan: features of a task by priority, up to a cap. Nothing is computed for task rows.

The vocabulary is featuretools': aggregates of related rows, of their parents' columns, of aggregates, and parents' columns,
as deep as asked. It is enumerated here rather than by `featuretools.dfs`, which takes over two seconds to import, about five
more (18,000 definitions) on a schema of 27 tables, and recurses endlessly on self references unless tables are copied first.

Features come in streams (see `_streams`), merged in fixed proportions; the cap cuts the merged list, so a smaller plan is
the beginning of a larger one. Within a stream the aggregates of high priority and the first columns of every route come
first, so that no wide table crowds out the others.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa

from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.plan.column_facts import columns_of, conditions_of, looks_like_code, top_values
from relselect.dfs.plan.feature import CALENDAR_PARTS, Aggregate, Condition, Feature, Route
from relselect.dfs.plan.nesting import nested_features
from relselect.dfs.plan.plan import Plan
from relselect.dfs.plan.ratios import ratio_features
from relselect.dfs.plan.relations import EnumerationOptions, Relation, ValueSource, by_priority, relations_of
from relselect.dfs.plan.routes import check_depth, routes
from relselect.dfs.plan.schema import Schema
from relselect.dfs.plan.windows import given_windows
from relselect.errors import ConfigError
from relselect.problem import LABELS

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["DEFAULT", "MAX_FEATURES", "RICH", "default_plan", "features_by_priority", "routes"]

#: Features of the default plan at most.
MAX_FEATURES = 600
#: Windows of a relation at most.
_WINDOWS = 2
#: Values per column that become shares, and that become conditions.
_SHARES, _CONDITIONS = 3, 2
#: Numerical columns whose means are taken under a condition.
_MEANS = 3
#: Levels of quantiles.
_LEVELS = (0.1, 0.9)

A, T = Aggregate, SemanticType
#: Aggregates by priority, with the number of the window (in `Relation.windows`), None for all history.
_ORDER: tuple[tuple[Aggregate, int | None], ...] = (
    (A.COUNT, None),
    (A.SINCE_LAST, None),
    (A.MEAN, None),
    (A.PERCENT_TRUE, None),
    (A.LAST, None),
    (A.SHARE, None),
    (A.MEAN, 0),
    (A.PERCENT_TRUE, 0),
    (A.COUNT, 0),
    (A.NUM_UNIQUE, None),
    (A.MEDIAN, None),
    (A.TREND, None),
    (A.MAX, None),
    (A.MIN, None),
    (A.STD, None),
    (A.ENTROPY, None),
    (A.TIME_BETWEEN, None),
    (A.SUM, None),
    (A.COUNT, 1),
    (A.MEAN, 1),
    (A.PERCENT_TRUE, 1),
    (A.MODE, None),
    (A.TREND, 0),
    (A.QUANTILE, None),
    (A.SKEW, None),
    (A.SUM, 0),
    (A.MAX, 0),
    (A.MIN, 0),
    (A.SHARE, 0),
    (A.SINCE_FIRST, None),
    (A.NUM_UNIQUE, 0),
    (A.SUM, 1),
    (A.MAX, 1),
    (A.MIN, 1),
    (A.STD, 0),
    (A.MEDIAN, 0),
    (A.ENTROPY, 0),
    (A.TIME_BETWEEN, 0),
    (A.FIRST, None),
)
#: Aggregates over the third and later windows, where the user gives so many.
_FURTHER = (A.COUNT, A.MEAN, A.PERCENT_TRUE, A.SUM, A.MAX, A.MIN, A.STD, A.SHARE, A.NUM_UNIQUE)
_OF_TYPE: dict[SemanticType, frozenset[Aggregate]] = {
    T.NUMERICAL: frozenset({A.MEAN, A.LAST, A.MAX, A.MIN, A.STD, A.SUM, A.FIRST}),
    T.BOOLEAN: frozenset({A.PERCENT_TRUE, A.LAST, A.FIRST}),
    T.CATEGORICAL: frozenset({A.SHARE, A.LAST, A.NUM_UNIQUE, A.MODE}),
    T.TIMESTAMP: frozenset({A.LAST, A.MAX, A.MIN}),
    T.TEXT: frozenset({A.MEAN}),
    T.KEY: frozenset({A.NUM_UNIQUE}),
}
_OF_ROWS = frozenset({A.COUNT, A.SINCE_LAST, A.SINCE_FIRST})
_RICH_OF_TYPE: dict[SemanticType, frozenset[Aggregate]] = {
    T.NUMERICAL: frozenset({A.MEDIAN, A.QUANTILE, A.SKEW, A.TREND}),
    T.CATEGORICAL: frozenset({A.ENTROPY}),
}
_RICH_OF_ROWS = frozenset({A.TIME_BETWEEN})
#: The aggregates of the default plan, and of a rich one.
DEFAULT = _OF_ROWS.union(*_OF_TYPE.values())
RICH = DEFAULT.union(_RICH_OF_ROWS, *_RICH_OF_TYPE.values())
#: Kinds of relations, each a stream of plain aggregates.
_KINDS = (
    "labels",
    "children",
    "labels of siblings",
    "other children of parents",
    "descendants",
    "parents of children",
    "three steps",
)
#: Streams with their shares of the plan.
_SHARES_OF = {
    **dict(zip(_KINDS, (3.0, 12.0, 1.5, 2.5, 2.0, 2.0, 1.0), strict=True)),
    "columns": 3.0,
    "conditions": 1.5,
    "nested": 1.5,
    "ratios": 3.0,
}
#: Not used for parents of children: their values repeat, so totals mean little.
_NOT_OF_PARENTS = frozenset({A.SUM, A.FIRST, A.SINCE_FIRST})
#: Aggregates under a condition: aggregate, number of the numerical column (None for rows), number of the window.
_WHERE: tuple[tuple[Aggregate, int | None, int | None], ...] = (
    (A.COUNT, None, None),
    (A.SINCE_LAST, None, None),
    *((A.MEAN, column, None) for column in range(_MEANS)),
    (A.COUNT, None, 0),
    (A.MEAN, 0, 0),
)


def default_plan(
    problem: Problem,
    *,
    depth: int = 2,
    cap: int = MAX_FEATURES,
    aggregates: Collection[str] | None = None,
    windows: Sequence[int | str] | None = None,
    where: bool = False,
    nested: bool = True,
    rich: bool = False,
    ratios: bool = False,
) -> Plan:
    """Return the default features of a task, in order of priority.

    Args:
        problem: The problem; only what is visible at the end of training is looked at.
        depth: Steps of a path at most, 1 to 4 (labels of siblings count as 2).
        cap: Features at most.
        aggregates: Aggregates of related rows, instead of `DEFAULT`.
        windows: Lengths such as "60d" (units in integer-time databases) instead of those chosen from the data; an empty list
            for none.
        where: Whether rows are also aggregated under conditions.
        nested: Whether aggregates are aggregated.
        rich: Whether medians, quantiles, skewness, trends, entropies and times between rows are included as well.
        ratios: Whether ratios and differences of features are included as well.

    Raises:
        ConfigError: An option is not understood.
    """
    check_depth(depth)
    if cap < 1:
        raise ConfigError("max_features", cap, "must be one or more", "Allow more features")
    chosen = _aggregates(aggregates) if aggregates is not None else RICH if rich else DEFAULT
    options = EnumerationOptions(
        chosen, given_windows(windows), _WINDOWS, ("children",) if where else (), nested, ratios
    )
    return Plan(problem.entity, tuple(islice(features_by_priority(problem, depth, options), cap)), Schema.of(problem))


def features_by_priority(
    problem: Problem, depth: int, options: EnumerationOptions, shares: Mapping[str, float] = MappingProxyType({})
) -> Iterator[Feature]:
    """Yield each feature once, by priority.

    Args:
        problem: The problem; only what is visible at the end of training is looked at.
        depth: Steps of a path at most.
        options: What is enumerated.
        shares: Streams by name, with their shares of the plan where these differ from the default plan's.
    """
    seen: set[Feature] = set()
    for feature in _merged(_streams(problem, depth, options, {**_SHARES_OF, **shares})):
        if feature not in seen:
            seen.add(feature)
            yield feature


def _aggregates(names: Collection[str]) -> frozenset[Aggregate]:
    known = {str(aggregate) for aggregate in RICH}
    wrong = sorted(str(name).lower() for name in names if str(name).lower() not in known)
    if wrong or isinstance(names, str):
        fix = f"Use a list of: {', '.join(sorted(known))}"
        raise ConfigError("aggregates", wrong or names, "are no aggregates of related rows", fix)
    return frozenset(Aggregate(str(name).lower()) for name in names)


def _streams(
    problem: Problem, depth: int, options: EnumerationOptions, shares: Mapping[str, float]
) -> list[tuple[float, Iterator[Feature]]]:
    """Return streams of features with the shares at which they are merged; features of the task row come first."""
    found = routes(problem, depth)
    relations = relations_of(problem, found, options)
    by_kind: dict[str, list[Relation]] = {kind: [] for kind in _KINDS}
    for relation in relations:
        by_kind[_kind(relation)].append(relation)
    streams = {kind: _aggregated(by_kind[kind], options) for kind in _KINDS}
    streams["columns"] = _columns(problem, [route for route in found if not any(hop.down for hop in route)])
    if options.where_of:
        streams["conditions"] = _conditional(problem, [r for kind in options.where_of for r in by_kind[kind]], options)
    if options.nested and depth > 1:
        streams["nested"] = nested_features(problem, relations, depth, options)
    if options.ratios:
        streams["ratios"] = ratio_features(problem, relations)
    return [(float("inf"), _own(problem)), *((shares[name], stream) for name, stream in streams.items())]


def _kind(relation: Relation) -> str:
    up, down, then = relation.parts
    if down[-1].table == LABELS:
        return "labels of siblings" if up else "labels"
    if len(relation.route) > 2:
        return "three steps"
    if len(relation.route) == 1:
        return "children"
    return "parents of children" if then else "other children of parents" if up else "descendants"


def _merged(streams: Sequence[tuple[float, Iterator[Feature]]]) -> Iterator[Feature]:
    """Yield from all streams in proportion to their shares: each item is due 1 / share after the one before."""
    due = [(1 / share, number) for number, (share, _) in enumerate(streams)]
    heapq.heapify(due)
    while due:
        moment, number = due[0]
        share, stream = streams[number]
        feature = next(stream, None)
        if feature is None:
            heapq.heappop(due)
        else:
            heapq.heapreplace(due, (moment + 1 / share, number))
            yield feature


def _own(problem: Problem) -> Iterator[Feature]:
    """Yield features of the task row itself."""
    frame = problem.rows("train").features
    for column in problem.task.feature_columns:
        kind = row_type(frame[column].type) if frame is not None else None
        if kind is not None:
            yield Feature(A.ROW, column=column, type=kind)
    if problem.task.static:
        return
    yield Feature(A.DELAY)
    if problem.task.time_kind == "timestamp":
        hours = bool((problem.rows("train").cutoff % DAY != 0).any())
        yield from (Feature(A.CALENDAR, column=part) for part in CALENDAR_PARTS if part != "hour" or hours)


def row_type(dtype: pa.DataType) -> SemanticType | None:
    """Return the semantic type as which a task-row feature of an Arrow type is read; None if it is not read."""
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        return T.TIMESTAMP
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_dictionary(dtype):
        return T.CATEGORICAL
    return None if pa.types.is_nested(dtype) else T.NUMERICAL


def _columns(problem: Problem, ways: Sequence[Route]) -> Iterator[Feature]:
    """Yield the columns of the entity's row and of its parents: nearer rows first, then column by column."""
    for length in range(max(map(len, ways)) + 1):
        here = [route for route in ways if len(route) == length]
        tables = [columns_of(problem, route[-1].table if route else problem.entity) for route in here]
        for place in range(max(map(len, tables), default=0)):
            for route, columns in zip(here, tables, strict=True):
                if place < len(columns) and not (problem.task.static and columns[place][1] == T.TIMESTAMP):
                    yield Feature(A.DIRECT, route, *columns[place])


def _aggregated(relations: Sequence[Relation], options: EnumerationOptions) -> Iterator[Feature]:
    """Yield plain aggregates of relations."""
    most = max((len(relation.windows) for relation in relations), default=0)
    further = [(aggregate, role) for role in range(2, most) for aggregate in _FURTHER]
    order = [step for step in (*_ORDER, *further) if step[0] in options.aggregates]
    return by_priority(relations, lambda relation: relation.sources, order, _made)


def _made(relation: Relation, source: ValueSource, step: tuple[Aggregate, int | None]) -> Iterator[Feature]:
    aggregate, role = step
    if not relation.allows(aggregate, role) or aggregate not in _offered(relation, source, role):
        return
    window = None if role is None else relation.windows[role]
    make = partial(Feature, aggregate, relation.route, source.column, source.kind, window=window)
    if aggregate == A.SHARE:
        words = top_values(relation.problem, relation.table, source.column or "")[:_SHARES]
        yield from (make(category=word) for word, _ in words)
    elif aggregate == A.QUANTILE:
        yield from (make(level=level) for level in _LEVELS)
    else:
        yield make()


def _offered(relation: Relation, source: ValueSource, role: int | None) -> frozenset[Aggregate]:
    """Return the aggregates of a source, those of a rich plan included."""
    _, _, then = relation.parts
    if source.column is None:
        return _OF_TYPE[T.KEY] if then else _OF_ROWS | _RICH_OF_ROWS
    allowed = _OF_TYPE[source.kind] | _RICH_OF_TYPE.get(source.kind, frozenset())
    if source.kind == T.NUMERICAL and role is None and looks_like_code(relation.problem, relation.table, source.column):
        allowed |= {A.SHARE}
    return allowed - _NOT_OF_PARENTS if then else allowed


def _conditional(problem: Problem, relations: Sequence[Relation], options: EnumerationOptions) -> Iterator[Feature]:
    """Yield counts, times since and means of the rows in which a column has a frequent value."""

    def make(
        relation: Relation, found: tuple[str, str], step: tuple[Aggregate, int | None, int | None]
    ) -> Iterator[Feature]:
        aggregate, place, role = step
        numbers = [source for source in relation.sources if source.kind == T.NUMERICAL and source.column is not None]
        if not relation.allows(aggregate, role) or (place is not None and place >= len(numbers)):
            return
        column, kind = (None, T.NUMERICAL) if place is None else numbers[place]
        if column != found[0]:
            window = None if role is None else relation.windows[role]
            yield Feature(aggregate, relation.route, column, kind, window=window, where=Condition(*found))

    several = [relation for relation in relations if relation.counts.most > 1 and not relation.parts[2]]
    order = [step for step in _WHERE if step[0] in options.aggregates]
    lanes = {relation.route: conditions_of(problem, relation.table, _CONDITIONS) for relation in several}
    return by_priority(several, lambda relation: lanes[relation.route], order, make)

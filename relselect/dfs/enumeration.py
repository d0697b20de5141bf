"""The default plan: which features a database offers for a task, the most promising first, never more than a cap.

The vocabulary is featuretools': aggregates of related rows, of their parents' columns, and parents' columns, as deep as
asked. It is enumerated here rather than by `featuretools.dfs`, which takes over two seconds to import, about five more
(18,000 definitions) on a schema of 27 tables, and recurses endlessly on self references unless tables are copied first.

Order of priority, each group interleaved over tables so that a wide one cannot crowd out the others:

1. what the task row says: declared features, the delay of the data, calendar parts of the cutoff;
2. columns of the entity's row and of the rows above it;
3. the entity's label history;
4. the entity's children: counts, time since, aggregates per window (at most `_NEAR` of the cap if deeper ones exist);
5. two steps: labels of entities with the same parent; the parents' other children; grandchildren; children's parents.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.database.clock import DAY
from relselect.database.columns import as_float
from relselect.database.table import SemanticType
from relselect.dfs.encoding import frequent, known_in_training
from relselect.dfs.feature import Aggregate, Feature, Hop, Route, split_path
from relselect.dfs.plan import Plan
from relselect.problem import LABELS

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["MAX_FEATURES", "default_plan", "routes"]

#: Features of the default plan at most.
MAX_FEATURES = 600
#: Share of the cap that groups 1 to 4 may take when there are deeper features.
_NEAR = 0.6
#: Windows as multiples of the task's horizon; None is all history.
_SHORT, _LONG = 1, 4
#: Values whose shares are features.
_SHARES = 3
#: A column of whole numbers with at most this many values is also read as a code.
_FEW = 200

A, T = Aggregate, SemanticType
#: Aggregates by semantic type, the most promising first; the number is the window, None all history.
_ORDER: tuple[tuple[Aggregate, int | None], ...] = (
    (A.COUNT, None),
    (A.SINCE_LAST, None),
    (A.MEAN, None),
    (A.PERCENT_TRUE, None),
    (A.LAST, None),
    (A.SHARE, None),
    (A.MEAN, _LONG),
    (A.PERCENT_TRUE, _LONG),
    (A.COUNT, _LONG),
    (A.NUM_UNIQUE, None),
    (A.MAX, None),
    (A.MIN, None),
    (A.STD, None),
    (A.SUM, None),
    (A.COUNT, _SHORT),
    (A.MEAN, _SHORT),
    (A.PERCENT_TRUE, _SHORT),
    (A.MODE, None),
    (A.SUM, _LONG),
    (A.MAX, _LONG),
    (A.MIN, _LONG),
    (A.SHARE, _LONG),
    (A.SINCE_FIRST, None),
    (A.NUM_UNIQUE, _LONG),
    (A.SUM, _SHORT),
    (A.MAX, _SHORT),
    (A.MIN, _SHORT),
    (A.STD, _LONG),
    (A.FIRST, None),
)
_OF_TYPE: dict[SemanticType, frozenset[Aggregate]] = {
    T.NUMERICAL: frozenset({A.MEAN, A.LAST, A.MAX, A.MIN, A.STD, A.SUM, A.FIRST}),
    T.BOOLEAN: frozenset({A.PERCENT_TRUE, A.LAST, A.FIRST}),
    T.CATEGORICAL: frozenset({A.SHARE, A.LAST, A.NUM_UNIQUE, A.MODE}),
    T.TIMESTAMP: frozenset({A.LAST, A.MAX, A.MIN}),
    T.TEXT: frozenset({A.MEAN}),
    T.KEY: frozenset({A.NUM_UNIQUE}),
}
_OF_ROWS = frozenset({A.COUNT, A.SINCE_LAST, A.SINCE_FIRST})
#: What is dropped for children's parents, whose values repeat: totals and counts say little.
_NOT_OF_PARENTS = frozenset({A.SUM, A.FIRST, A.SINCE_FIRST})


@dataclass(frozen=True)
class _Ranked:
    feature: Feature
    group: int
    rank: tuple[int, int, int]


def default_plan(problem: Problem, *, depth: int = 2, cap: int = MAX_FEATURES) -> Plan:
    """Return the default features of a task, in order of priority.

    Args:
        problem: The problem; only what is visible at the end of training is looked at.
        depth: Steps of a path at most, 1 or 2 (labels of siblings count as 2).
        cap: Features at most.
    """
    found = list(_own(problem))
    for number, route in enumerate(routes(problem, depth)):
        found.extend(_along(problem, route, number))
    ordered = sorted(found, key=lambda item: (item.group, item.rank))
    near = [item.feature for item in ordered if item.group < 5]
    far = [item.feature for item in ordered if item.group >= 5]
    taken = near[: max(cap - len(far), round(_NEAR * cap))]
    return Plan(problem.entity, tuple(dict.fromkeys([*taken, *far[: cap - len(taken)]])))


def routes(problem: Problem, depth: int) -> list[Route]:
    """Return the routes from the entity that features may take, the shorter first, in the order of the schema.

    A route never walks a foreign key down and straight up again; from a parent down to its other children is allowed.
    """
    found: list[Route] = [()]
    level: list[Route] = [()]
    for _ in range(depth):
        level = [(*route, hop) for route in level for hop in _hops(problem, route)]
        found.extend(level)
    siblings = [route for route in found if len(route) == 2 and _ends_at_siblings(problem, route)]
    if LABELS in problem.database.tables:
        label = Hop(LABELS, problem.database[LABELS].foreign_keys[0].name, down=True)
        found.extend((*route, label) for route in siblings)
    return found


def _ends_at_siblings(problem: Problem, route: Route) -> bool:
    up, down = route
    return not up.down and down.down and down.table == problem.entity and up.key == down.key


def _hops(problem: Problem, route: Route) -> Iterator[Hop]:
    tables = problem.database.tables
    here = route[-1].table if route else problem.entity
    came_down = any(hop.down for hop in route)
    climbed_again = came_down and not route[-1].down
    for key in tables[here].foreign_keys:
        back = bool(route) and route[-1].down and route[-1].key == key.name and here == route[-1].table
        if not back:
            yield Hop(key.table, key.name, down=False)
    if climbed_again:
        return
    for table in tables.values():
        for key in table.foreign_keys:
            if key.table == here:
                yield Hop(table.name, key.name, down=True)


def _own(problem: Problem) -> Iterator[_Ranked]:
    """Yield what the task row itself says."""
    frame = problem.rows("train").features
    for number, column in enumerate(problem.task.feature_columns):
        kind = row_type(frame[column].type) if frame is not None else None
        if kind is not None:
            yield _Ranked(Feature(A.ROW, column=column, type=kind), 1, (0, number, 0))
    if problem.task.static:
        return
    yield _Ranked(Feature(A.DELAY), 1, (1, 0, 0))
    if problem.task.time_kind == "timestamp":
        cutoffs = problem.rows("train").cutoff
        parts = ["month", "day_of_year", "weekday", *(["hour"] if (cutoffs % DAY != 0).any() else [])]
        for number, part in enumerate(parts):
            yield _Ranked(Feature(A.CALENDAR, column=part), 1, (2, number, 0))


def row_type(dtype: pa.DataType) -> SemanticType | None:
    """Return how a task-row feature of an Arrow type is read, None if it is not."""
    if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
        return T.TIMESTAMP
    if pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_dictionary(dtype):
        return T.CATEGORICAL
    return None if pa.types.is_nested(dtype) else T.NUMERICAL


def _along(problem: Problem, route: Route, number: int) -> Iterator[_Ranked]:
    """Yield the features of one route."""
    up, down, then = split_path(route)
    table = route[-1].table if route else problem.entity
    if not down:
        for place, (column, kind) in enumerate(_columns(problem, table)):
            if kind != T.KEY and not (problem.task.static and kind == T.TIMESTAMP):
                yield _Ranked(Feature(A.DIRECT, route, column, kind), 2, (len(route), place, number))
        return
    group = 3 if route[0].table == LABELS else 4 if len(route) == 1 else 5
    windows = _windows(problem, down)
    skipped = _NOT_OF_PARENTS if then else frozenset()
    sources: list[tuple[str | None, SemanticType, frozenset[Aggregate]]] = []
    if not then:
        sources.append((None, T.NUMERICAL, _OF_ROWS))
    elif len(down) == 1:
        sources.append((None, T.KEY, _OF_TYPE[T.KEY]))
    clock = problem.database[table].time
    sources.extend((column, kind, _OF_TYPE[kind]) for column, kind in _columns(problem, table) if column != clock)
    for place, (read, kind, allowed) in enumerate(sources):
        for rank, (aggregate, multiple) in enumerate(_ORDER):
            if (
                aggregate in allowed - skipped
                and (multiple is None or multiple in windows)
                and _fits(problem, aggregate, down)
            ):
                order = (rank, _far_rank(problem, up, down, then), place * 1000 + number)
                for feature in _variants(problem, table, route, (aggregate, read, kind), windows.get(multiple)):
                    yield _Ranked(feature, group, order)
        if kind == T.NUMERICAL and read is not None:
            order = (_ORDER.index((A.SHARE, None)), _far_rank(problem, up, down, then), place * 1000 + number)
            for feature in _code_shares(problem, table, route, read):
                yield _Ranked(feature, group, order)


def _far_rank(problem: Problem, up: Route, down: Route, then: Route) -> int:
    """Order groups of two-step features: labels of siblings, other children of parents, grandchildren, children's parents."""
    if down[-1].table == LABELS:
        return 0
    return 1 if up else 3 if then else 2


def _windows(problem: Problem, down: Route) -> dict[int | None, int | None]:
    """Return the windows of a relation by multiple of the horizon: none where rows have no time."""
    horizon = problem.task.horizon
    if horizon is None or horizon <= 0 or problem.task.static or not _timed(problem, down):
        return {}
    return {_SHORT: horizon * _SHORT, _LONG: horizon * _LONG}


def _timed(problem: Problem, down: Route) -> bool:
    return any(problem.database[hop.table].time is not None for hop in down)


def _fits(problem: Problem, aggregate: Aggregate, down: Route) -> bool:
    """Whether an aggregate makes sense: order in time needs times."""
    ordered = (A.SINCE_LAST, A.SINCE_FIRST, A.LAST, A.FIRST)
    return aggregate not in ordered or (_timed(problem, down) and not problem.task.static)


def _columns(problem: Problem, table: str) -> list[tuple[str, SemanticType]]:
    """Return the columns that features read, with their types; keys, ignored and constant ones are left out."""
    return problem.cached(f"dfs/columns/{table}", lambda: _varied(problem, table))


def _varied(problem: Problem, table: str) -> list[tuple[str, SemanticType]]:
    types = problem.types[table]
    found: list[tuple[str, SemanticType]] = []
    for column in problem.database[table].columns:
        kind = types.get(column, T.IGNORED)
        if kind in _OF_TYPE and kind != T.KEY and _has_two_values(problem, table, column):
            found.append((column, kind))
    return found


def _has_two_values(problem: Problem, table: str, column: str) -> bool:
    values = problem.database[table].data[column].filter(pa.array(known_in_training(problem, table, column)))
    return len(values.unique()) > 1


def _variants(
    problem: Problem, table: str, route: Route, what: tuple[Aggregate, str | None, SemanticType], window: int | None
) -> Iterator[Feature]:
    aggregate, column, kind = what
    if kind == T.TIMESTAMP and problem.task.static:
        return
    if aggregate != A.SHARE:
        yield Feature(aggregate, route, column, kind, window=window)
        return
    for word in frequent(problem, table, column or "", _SHARES)[0]:
        yield Feature(aggregate, route, column, kind, word, window)


def _code_shares(problem: Problem, table: str, route: Route, column: str) -> Iterator[Feature]:
    """Yield shares of the frequent values of a numerical column that looks like a code or a small count."""
    key = f"dfs/few/{table}/{column}"
    for word in problem.cached(key, lambda: _frequent_codes(problem, table, column)):
        yield Feature(A.SHARE, route, column, T.NUMERICAL, word)


def _frequent_codes(problem: Problem, table: str, column: str) -> list[str]:
    values = as_float(problem.database[table].data[column])[known_in_training(problem, table, column)]
    values = values[~np.isnan(values)]
    if len(values) < 10 or (values != np.floor(values)).any() or len(np.unique(values)) > min(_FEW, len(values) // 10):
        return []
    return frequent(problem, table, column, _SHARES)[0]

"""Enumerates nested features: aggregates of aggregates, such as the mean over a customer's orders of their number of lines.

The inner feature is computed for each child row as if that row were the entity. Through a bridge table it reads the other
side: the mean, over a user's ratings, of the mean rating of each rated film. From three steps on there are three levels: the
mean, over a user's ratings, of the mean, over the ratings of each film, of the past labels of those who gave them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from relselect.database.table import SemanticType
from relselect.dfs.plan.column_facts import columns_of
from relselect.dfs.plan.feature import Aggregate, Feature, Hop, Route
from relselect.dfs.plan.relations import EnumerationOptions, Relation, ValueSource, by_priority, relations_of
from relselect.dfs.plan.routes import down_from
from relselect.problem import LABELS

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["nested_features"]

A, T = Aggregate, SemanticType

#: (outer, inner) aggregates by priority; True to aggregate the outer rows over their first window.
_ORDER: tuple[tuple[Aggregate, Aggregate, bool], ...] = (
    (A.MEAN, A.COUNT, False),
    (A.MEAN, A.MEAN, False),
    (A.MEAN, A.PERCENT_TRUE, False),
    (A.MAX, A.COUNT, False),
    (A.LAST, A.COUNT, False),
    (A.LAST, A.MEAN, False),
    (A.MEAN, A.SUM, False),
    (A.STD, A.COUNT, False),
    (A.MAX, A.MEAN, False),
    (A.MEAN, A.COUNT, True),
    (A.MEAN, A.MEAN, True),
    (A.MIN, A.MEAN, False),
    (A.STD, A.MEAN, False),
    (A.MAX, A.SUM, False),
    (A.LAST, A.PERCENT_TRUE, False),
    (A.MEAN, A.SINCE_LAST, False),
    (A.MIN, A.SINCE_LAST, False),
    (A.MIN, A.COUNT, False),
)
_INNER = {
    T.NUMERICAL: frozenset({A.MEAN, A.SUM}),
    T.BOOLEAN: frozenset({A.PERCENT_TRUE}),
}
_INNER_OF_ROWS = frozenset({A.COUNT, A.SINCE_LAST})
#: Columns read by inner features.
_COLUMNS, _COLUMNS_OF_THREE = 4, 2
#: A relation with more pairs of training rows and children is not nested.
_MOST_PAIRS = 20_000_000
#: Aggregates of three levels: (outer and middle, inner).
_OF_THREE = ((A.MEAN, A.COUNT), (A.MEAN, A.MEAN), (A.MEAN, A.PERCENT_TRUE))


@dataclass(frozen=True)
class _Pair:
    """An outer relation, whose only step down is its last, and a route from its rows, or from those of a middle route."""

    problem: Problem
    outer: Relation
    inner: Route
    middle: Route = ()

    @cached_property
    def lanes(self) -> tuple[ValueSource, ...]:
        table = self.inner[-1].table
        columns = [ValueSource(*found) for found in columns_of(self.problem, table) if found[1] in _INNER]
        return (ValueSource(None, T.NUMERICAL), *columns[: _COLUMNS_OF_THREE if self.middle else _COLUMNS])

    @cached_property
    def timed(self) -> bool:
        tables = self.problem.database.tables
        return not self.problem.task.static and any(
            tables[hop.table].time is not None for hop in self.inner if hop.down
        )


def nested_features(
    problem: Problem, outer: Sequence[Relation], depth: int, options: EnumerationOptions
) -> Iterator[Feature]:
    """Yield nested features by priority.

    Args:
        problem: The problem.
        outer: The relations of the plan; those whose only step down is their last are nested.
        depth: Steps of all levels together.
        options: Options of the enumeration.
    """
    rows = len(problem.rows("train"))
    pairs = [
        _Pair(problem, relation, inner)
        for relation in outer
        if _is_outer(relation) and relation.counts.mean * rows <= _MOST_PAIRS
        for inner in _inner_routes(problem, relation.route[-1], depth - len(relation.route), near=depth > 2)
        if not inner[0].down or relations_of(problem, [(*relation.route, *inner)], options)
    ]
    if depth > 2:
        pairs += _of_three(problem, [pair.outer for pair in pairs], depth)
    order = [step for step in _ORDER if step[0] in options.aggregates and step[1] in options.aggregates]
    yield from by_priority(pairs, lambda pair: pair.lanes, order, _made)


def _is_outer(relation: Relation) -> bool:
    _, down, then = relation.parts
    return len(down) == 1 and not then and relation.table != LABELS and relation.counts.most > 1


def _of_three(problem: Problem, outer: Sequence[Relation], depth: int) -> list[_Pair]:
    """Return pairs with a route between: what others did with the things that the entity's rows refer to."""
    rows, tables = len(problem.rows("train")), problem.database.tables
    found = []
    for relation in {relation.route: relation for relation in outer}.values():
        last, left = relation.route[-1], depth - len(relation.route)
        for middle in _inner_routes(problem, last, left, near=True):
            parent = middle[-2].table if len(middle) > 1 else last.table
            each = max(1.0, tables[middle[-1].table].num_rows / max(1, tables[parent].num_rows))
            few = relation.counts.mean * rows * each <= _MOST_PAIRS
            if few and sum(hop.down for hop in middle) == 1 and middle[-1].table != LABELS:
                ends = _inner_routes(problem, middle[-1], left - len(middle), near=True)
                found += [
                    _Pair(problem, relation, inner, middle)
                    for inner in ends
                    if len(inner) == 1 or inner[-1].table == LABELS
                ]
    return found


def _inner_routes(problem: Problem, last: Hop, steps: int, *, near: bool) -> Iterator[Route]:
    """Yield the routes from the rows that `last` leads down to: to their descendants, and to those of other parents.

    Args:
        problem: The problem.
        last: The step before.
        steps: Steps at most.
        near: Whether the step to a row's past labels is not counted.
    """
    keys = problem.database[last.table].foreign_keys
    ups = [(Hop(key.table, key.name, down=False),) for key in keys if key.name != last.key]
    starts: list[Route] = [(), *ups]
    for start in starts:
        level = [start]
        while level:
            further = ((*route, hop) for route in level for hop in down_from(problem, (last, *route)[-1].table))
            level = [route for route in further if len(route) - (near and route[-1].table == LABELS) <= steps]
            yield from level


def _made(pair: _Pair, source: ValueSource, step: tuple[Aggregate, Aggregate, bool]) -> Iterator[Feature]:
    outer, inner, windowed = step
    allowed = _INNER_OF_ROWS if source.column is None else _INNER[source.kind]
    role = 0 if windowed else None
    if inner not in allowed or not pair.outer.allows(outer, role) or (inner == A.SINCE_LAST and not pair.timed):
        return
    if pair.middle and (outer, inner) not in _OF_THREE:
        return
    base = Feature(inner, pair.inner, source.column, source.kind)
    if pair.middle:
        base = Feature(A.MEAN, pair.middle, base=base)
    yield Feature(outer, pair.outer.route, window=pair.outer.windows[0] if windowed else None, base=base)

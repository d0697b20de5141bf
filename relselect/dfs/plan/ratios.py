"""Enumerates ratios and differences: of two windows, of recency and the usual gap, of a row and the rows beside it.

Trees split on one feature at a time, so that a quotient costs them a staircase of splits: whether a customer who orders
every ten days has been silent for twenty is one split on `RATIO(TIME_SINCE_LAST, AVG_TIME_BETWEEN)` and many on the two.
Both operands are features of the entity, so every rule of visibility holds for a ratio as it does for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from relselect.database.table import SemanticType
from relselect.dfs.plan.column_facts import columns_of
from relselect.dfs.plan.feature import Aggregate, Feature, Route
from relselect.dfs.plan.relations import Relation, ValueSource, by_priority

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["ratio_features"]

A, T = Aggregate, SemanticType


class _Step(NamedTuple):
    """How two aggregates of one source are combined: each with the number of its window, None for all history."""

    how: Aggregate
    first: tuple[Aggregate, int | None]
    second: tuple[Aggregate, int | None]


#: By priority: what is read, and the step.
_ORDER: tuple[tuple[str, _Step], ...] = (
    ("rows", _Step(A.RATIO, (A.SINCE_LAST, None), (A.TIME_BETWEEN, None))),
    ("rows", _Step(A.RATIO, (A.COUNT, 0), (A.COUNT, None))),
    ("numbers", _Step(A.DIFFERENCE, (A.MEAN, 0), (A.MEAN, None))),
    ("flags", _Step(A.DIFFERENCE, (A.PERCENT_TRUE, 0), (A.PERCENT_TRUE, None))),
    ("numbers", _Step(A.DIFFERENCE, (A.LAST, None), (A.MEAN, None))),
    ("rows", _Step(A.RATIO, (A.COUNT, 1), (A.COUNT, 0))),
    ("numbers", _Step(A.RATIO, (A.SUM, 0), (A.SUM, None))),
    ("rows", _Step(A.RATIO, (A.COUNT, None), (A.SINCE_FIRST, None))),
    ("numbers", _Step(A.DIFFERENCE, (A.MEAN, 1), (A.MEAN, 0))),
    ("flags", _Step(A.DIFFERENCE, (A.PERCENT_TRUE, 1), (A.PERCENT_TRUE, 0))),
    ("numbers", _Step(A.RATIO, (A.LAST, None), (A.MEAN, None))),
    ("rows", _Step(A.RATIO, (A.TIME_BETWEEN, 0), (A.TIME_BETWEEN, None))),
    ("numbers", _Step(A.RATIO, (A.SUM, 1), (A.SUM, 0))),
    ("numbers", _Step(A.RATIO, (A.STD, None), (A.MEAN, None))),
)
#: The same aggregate of the entity's rows, and of the rows of all entities with the same parent.
_BESIDE: tuple[tuple[str, Aggregate, Aggregate], ...] = (
    ("numbers", A.DIFFERENCE, A.MEAN),
    ("flags", A.DIFFERENCE, A.PERCENT_TRUE),
    ("rows", A.RATIO, A.COUNT),
    ("numbers", A.RATIO, A.SUM),
)
_READS = {T.NUMERICAL: "numbers", T.BOOLEAN: "flags"}
#: Columns of a relation whose aggregates are compared.
_COLUMNS = 6


def ratio_features(problem: Problem, relations: Sequence[Relation]) -> Iterator[Feature]:
    """Yield ratios and differences of features of the entity, by priority.

    Args:
        problem: The problem.
        relations: Whose aggregates are combined.
    """
    several = [relation for relation in relations if relation.counts.most > 1 and not relation.parts[2]]
    yield from by_priority(several, _lanes, _ORDER, _made)
    yield from _diversity(relations)
    yield from _beside(problem, relations)


def _lanes(relation: Relation) -> Sequence[ValueSource]:
    return [source for source in relation.sources if _reads(source)][: 1 + _COLUMNS]


def _reads(source: ValueSource) -> str | None:
    return "rows" if source.column is None else _READS.get(source.kind)


def _made(relation: Relation, source: ValueSource, step: tuple[str, _Step]) -> Iterator[Feature]:
    reads, (how, *pair) = step
    if _reads(source) != reads or not all(relation.allows(aggregate, role) for aggregate, role in pair):
        return
    first, second = (
        Feature(aggregate, relation.route, *source, window=None if role is None else relation.windows[role])
        for aggregate, role in pair
    )
    yield Feature(how, base=first, other=second)


def _diversity(relations: Sequence[Relation]) -> Iterator[Feature]:
    """Yield how many different parents rows have, per row: 1 where every purchase is of another product."""
    for relation in relations:
        up, down, then = relation.parts
        if len(then) == 1 and len(down) == 1 and relation.counts.most > 1:
            parents = Feature(A.NUM_UNIQUE, relation.route, type=T.KEY)
            yield Feature(A.RATIO, base=parents, other=Feature(A.COUNT, (*up, *down)))


def _beside(problem: Problem, relations: Sequence[Relation]) -> Iterator[Feature]:
    """Yield what is the entity's, against the same of all entities that share its parent; its own columns first."""
    by_route = {relation.route: relation for relation in relations}
    for relation in relations:
        for column, kind in (
            columns_of(problem, problem.entity)[:_COLUMNS] if _back(problem, relation.route) == () else ()
        ):
            if kind == T.NUMERICAL:
                own = Feature(A.DIRECT, (), column, kind)
                yield Feature(A.DIFFERENCE, base=own, other=Feature(A.MEAN, relation.route, column, kind))
    pairs = [
        (by_route[rest], relation)
        for relation in relations
        if (rest := _back(problem, relation.route)) and rest in by_route and not relation.parts[2]
    ]
    for reads, how, aggregate in _BESIDE:
        for own_rows, relation in pairs:
            for source in _lanes(own_rows):
                if _reads(source) == reads:
                    mine = Feature(aggregate, own_rows.route, *source)
                    yield Feature(how, base=mine, other=replace(mine, path=relation.route))


def _back(problem: Problem, route: Route) -> Route | None:
    """Return the steps after a step up and the same key down again, to all entities with the parent; None without them."""
    if len(route) < 2 or route[0].down or not route[1].down:
        return None
    return route[2:] if route[1].table == problem.entity and route[0].key == route[1].key else None

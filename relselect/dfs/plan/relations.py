"""Relations (routes with steps down) that the enumeration aggregates, and the order in which their features are made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from relselect.database.table import SemanticType
from relselect.dfs.plan.column_facts import columns_of
from relselect.dfs.plan.feature import Aggregate, Route, split_path
from relselect.dfs.plan.windows import RowCounts, row_counts

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["EnumerationOptions", "Relation", "ValueSource", "by_priority", "relations_of"]

A, T = Aggregate, SemanticType
Owner = TypeVar("Owner")
Lane = TypeVar("Lane")
Step = TypeVar("Step")
Made = TypeVar("Made")

#: Column k of a route comes after k times this many aggregates of its first column.
_PATIENCE = 0.1
#: Aggregates that differ from each other even where no training row sees more than one row of a relation.
_OF_ONE = frozenset({A.COUNT, A.SINCE_LAST, A.MEAN, A.PERCENT_TRUE, A.MODE, A.MAX})


@dataclass(frozen=True)
class EnumerationOptions:
    """Options of the enumeration.

    Attributes:
        aggregates: Aggregates of related rows.
        windows: Windows in ticks; None to choose them from the data.
        most_windows: Windows of a relation at most, where they are chosen.
        where_of: Kinds of relations whose rows are also aggregated under a condition.
        nested: Whether aggregates are aggregated.
        ratios: Whether ratios and differences of features are offered.
    """

    aggregates: frozenset[Aggregate]
    windows: tuple[int, ...] | None
    most_windows: int
    where_of: tuple[str, ...]
    nested: bool
    ratios: bool = False


class ValueSource(NamedTuple):
    """What an aggregate reads: a column, or None for the rows themselves (NUMERICAL) or for distinct parents (KEY)."""

    column: str | None
    kind: SemanticType


@dataclass(frozen=True)
class Relation:
    """The rows at the end of a route with steps down.

    Attributes:
        problem: The problem.
        route: The route.
        counts: How many of its rows training rows see.
    """

    problem: Problem
    route: Route
    counts: RowCounts

    @cached_property
    def parts(self) -> tuple[Route, Route, Route]:
        """The steps up, down, and up again."""
        return split_path(self.route)

    @property
    def table(self) -> str:
        """The table that values are read from."""
        return self.route[-1].table

    @cached_property
    def timed(self) -> bool:
        """Whether the rows have times."""
        tables = self.problem.database.tables
        return not self.problem.task.static and any(tables[hop.table].time is not None for hop in self.parts[1])

    @cached_property
    def sources(self) -> tuple[ValueSource, ...]:
        """What can be aggregated: the rows themselves first, then the columns in their order."""
        _, down, then = self.parts
        rows = [] if then and len(down) > 1 else [ValueSource(None, T.KEY if then else T.NUMERICAL)]
        clock = self.problem.database[self.table].time
        columns = [ValueSource(*found) for found in columns_of(self.problem, self.table) if found[0] != clock]
        return (*rows, *(source for source in columns if not (self.problem.task.static and source.kind == T.TIMESTAMP)))

    @cached_property
    def windows(self) -> tuple[int, ...]:
        """The windows in ticks in order of priority: the second shortest, the shortest, the longer ones."""
        ticks = tuple(window.ticks for window in self.counts.windows)
        return ticks if len(ticks) < 2 else (ticks[1], ticks[0], *ticks[2:])

    def allows(self, aggregate: Aggregate, role: int | None) -> bool:
        """Whether an aggregate is useful here, over all history (`role` None) or over window number `role`."""
        if role is not None and role >= len(self.windows):
            return False
        if self.counts.most <= 1 and aggregate not in _OF_ONE and not (aggregate == A.LAST and self.timed):
            return False
        return self.timed or aggregate not in _ORDERED


#: Aggregates that need an order in time.
_ORDERED = frozenset({A.SINCE_LAST, A.SINCE_FIRST, A.TIME_BETWEEN, A.LAST, A.FIRST, A.TREND})


def relations_of(problem: Problem, found: Iterable[Route], options: EnumerationOptions) -> list[Relation]:
    """Return the relations along routes, except those of which training rows see no row."""
    relations = []
    for route in found:
        up, down, _ = split_path(route)
        if down:
            counts = row_counts(problem, up, down, most=options.most_windows, given=options.windows)
            if counts.seen > 0:
                relations.append(Relation(problem, route, counts))
    return relations


def by_priority(
    owners: Sequence[Owner],
    lanes: Callable[[Owner], Sequence[Lane]],
    order: Sequence[Step],
    make: Callable[[Owner, Lane, Step], Iterable[Made]],
) -> Iterator[Made]:
    """Yield features of all (owner, lane, step) in order of priority: early steps and first lanes of every owner first.

    Args:
        owners: For example relations.
        lanes: Returns an owner's lanes, for example its columns.
        order: The steps, for example aggregates, by priority.
        make: Returns the features of an owner, a lane and a step.
    """
    widths = {number: lanes(owner) for number, owner in enumerate(owners)}
    widest = max((len(found) for found in widths.values()), default=0)
    waits = [round(_PATIENCE * place) for place in range(widest)]
    for level in range(len(order) + max(waits, default=0)):
        for place in range(widest):
            rank = level - waits[place]
            if not 0 <= rank < len(order):
                continue
            for number, owner in enumerate(owners):
                if place < len(widths[number]):
                    yield from make(owner, widths[number][place], order[rank])

"""The candidates of the search: the fixed plan first, then what a plan of two steps leaves out. Nothing is computed here.

The order is a priority: where the search has to break a tie, or drops one of two features that say the same, the earlier one
stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from types import MappingProxyType
from typing import TYPE_CHECKING

from relselect.dfs.plan.enumeration import DEFAULT, RICH, default_plan, features_by_priority
from relselect.dfs.plan.feature import Feature
from relselect.dfs.plan.plan import Plan
from relselect.dfs.plan.relations import EnumerationOptions
from relselect.dfs.plan.schema import Schema
from relselect.dfs.plan.windows import given_windows
from relselect.problem import LABELS

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["EVERY", "KEPT", "POOL", "PoolOptions", "candidate_pool", "reads_neighbours"]

#: Candidates at most, and features kept of them.
POOL, KEPT = 3_000, 600
#: Windows of a relation at most, where they are chosen from the data.
_WINDOWS = 3
#: Streams whose shares differ from the fixed plan's, which holds the promising features of near rows already.
_SHARES: Mapping[str, float] = MappingProxyType(
    {
        "other children of parents": 4.0,
        "descendants": 4.0,
        "parents of children": 4.0,
        "three steps": 8.0,
        "conditions": 4.0,
        "nested": 5.0,
        "ratios": 6.0,
    }
)
#: Kinds of relations whose rows are also aggregated under a condition.
_CONDITIONED = ("children", "other children of parents", "descendants", "three steps")


@dataclass(frozen=True)
class PoolOptions:
    """Which candidates are offered beside the fixed plan.

    Attributes:
        depth: Steps of a path at most, 1 to 4.
        windows: Lengths such as "60d"; None to choose them from the data.
        conditions: Whether rows are also aggregated under a condition.
        ratios: Whether ratios and differences of two features are offered.
        neighbours: Whether past labels of other entities are read along paths beyond the fixed plan's.
        rich: Whether medians, quantiles, skewness, trends, entropies and times between rows are offered.
        most: Candidates at most.
    """

    depth: int = 4
    windows: tuple[int | str, ...] | None = None
    conditions: bool = True
    ratios: bool = True
    neighbours: bool = True
    rich: bool = True
    most: int = POOL


#: All candidates.
EVERY = PoolOptions()


def candidate_pool(problem: Problem, options: PoolOptions = EVERY) -> Plan:
    """Return the candidates by priority: the fixed plan, then further features of the same schema.

    Args:
        problem: The problem; only what is visible at the end of training is looked at.
        options: Which candidates are offered.

    Raises:
        ConfigError: The depth or a window is not understood.
    """
    fixed = default_plan(problem, depth=min(2, options.depth), windows=options.windows)
    wide = EnumerationOptions(
        aggregates=RICH if options.rich else DEFAULT,
        windows=given_windows(options.windows),
        most_windows=_WINDOWS,
        where_of=_CONDITIONED if options.conditions else (),
        nested=True,
        ratios=options.ratios,
    )
    further = features_by_priority(problem, options.depth, wide, _SHARES)
    offered = (feature for feature in further if options.neighbours or not reads_neighbours(feature))
    return Plan(problem.entity, tuple(islice(_once(chain(fixed, offered)), options.most)), Schema.of(problem))


def reads_neighbours(feature: Feature) -> bool:
    """Return whether a feature reads past labels of other entities."""
    return any(
        hop.table == LABELS and (place > 0 or each is not leaf)
        for leaf in feature.leaves
        for each in leaf.chain
        for place, hop in enumerate(each.path)
    )


def _once(features: Iterable[Feature]) -> Iterator[Feature]:
    seen: set[Feature] = set()
    for feature in features:
        if feature not in seen:
            seen.add(feature)
            yield feature

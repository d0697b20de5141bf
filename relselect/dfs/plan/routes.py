"""Enumerates the routes from the entity that features may take: sequences of foreign keys, up to a depth.

Self references, cycles of foreign keys and several keys to one parent are steps like any other; the depth bounds the number
of routes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from relselect.dfs.plan.feature import Hop, Route
from relselect.errors import ConfigError
from relselect.problem import LABELS

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["MAX_DEPTH", "check_depth", "down_from", "routes"]

#: Steps of a path at most.
MAX_DEPTH = 4


def check_depth(depth: int) -> None:
    """Refuse a depth that is not supported.

    Raises:
        ConfigError: It is not 1, 2, 3 or 4.
    """
    if depth not in range(1, MAX_DEPTH + 1) or isinstance(depth, bool):
        raise ConfigError("depth", depth, f"must be 1 to {MAX_DEPTH} steps", "Use depth=2")


def routes(problem: Problem, depth: int) -> list[Route]:
    """Return the routes from the entity that features may take, shorter routes first, in the order of the schema.

    A route never follows a foreign key down and straight up again; up to a parent and down to its other children is allowed.
    At depth 2 the past labels of entities that share a parent are routes too, though they have three steps.
    """
    found: list[Route] = [()]
    level: list[Route] = [()]
    for _ in range(depth):
        level = [(*route, hop) for route in level for hop in _hops(problem, route)]
        found.extend(level)
    if depth == 2 and LABELS in problem.database.tables:
        label = Hop(LABELS, problem.database[LABELS].foreign_keys[0].name, down=True)
        found.extend([(*route, label) for route in found if len(route) == 2 and _ends_at_siblings(problem, route)])
    return found


def down_from(problem: Problem, table: str) -> list[Hop]:
    """Return the steps down from a table: one for each foreign key that refers to it."""
    return [
        Hop(child.name, key.name, down=True)
        for child in problem.database.tables.values()
        for key in child.foreign_keys
        if key.table == table
    ]


def _ends_at_siblings(problem: Problem, route: Route) -> bool:
    up, down = route
    return not up.down and down.down and down.table == problem.entity and up.key == down.key


def _hops(problem: Problem, route: Route) -> Iterator[Hop]:
    here = route[-1].table if route else problem.entity
    came_down = any(hop.down for hop in route)
    climbed_again = came_down and not route[-1].down
    for key in problem.database[here].foreign_keys:
        back = bool(route) and route[-1].down and route[-1].key == key.name and here == route[-1].table
        if not back:
            yield Hop(key.table, key.name, down=False)
    if not climbed_again:
        yield from down_from(problem, here)

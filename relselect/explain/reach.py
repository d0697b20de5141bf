"""The foreign keys by which an entity reaches other tables, each with its shortest path, and names of tables for readers.

Every table of a problem is at its distance from the entity: the fewest foreign keys, in either direction, between the two.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from relselect.problem import LABELS

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.problem import Problem

__all__ = ["Reach", "ReachedKey", "reach_of", "table_title"]


@dataclass(frozen=True)
class ReachedKey:
    """A foreign key that a path from the entity follows.

    Attributes:
        child: The table that holds the key.
        place: Its place among the foreign keys of that table.
        name: Its name within the table.
        to: The table that the path reaches by it: the child, or the table it refers to.
        path: The shortest path from the entity that ends with it, as text.
        distance: Number of foreign keys on that path.
    """

    child: str
    place: int
    name: str
    to: str
    path: str
    distance: int


@dataclass(frozen=True)
class Reach:
    """What an entity reaches.

    Attributes:
        distances: Table -> its distance, for the tables that are reached; the entity's own has 0.
        keys: Every foreign key on a path from the entity, nearest first.
    """

    distances: Mapping[str, int]
    keys: tuple[ReachedKey, ...]

    def path_to(self, table: str) -> str:
        """Return the shortest path to a table as text; its name where it is not reached."""
        return next((key.path for key in self.keys if key.to == table), table)

    def ways_to(self, table: str) -> tuple[ReachedKey, ...]:
        """Return the keys by which paths enter a table."""
        return tuple(key for key in self.keys if key.to == table)


def reach_of(problem: Problem) -> Reach:
    """Return what the entity of a problem reaches, past labels included.

    A foreign key to the table that it stands in counts as a way down. Each key is named by its shortest path; longer paths by it
    are not listed.
    """
    steps = _steps(problem.database)
    distances, paths = {problem.entity: 0}, {problem.entity: problem.entity}
    frontier, found, seen = [problem.entity], [], set()
    while frontier:
        following = []
        for here in frontier:
            for child, place, name, to in steps[here]:
                if (child, place) in seen:
                    continue
                seen.add((child, place))
                step = f" ← {child}.{name}" if to == child else f" → {to} (by {child}.{name})"
                found.append(ReachedKey(child, place, name, to, paths[here] + step, distances[here] + 1))
                if to not in distances:
                    distances[to], paths[to] = distances[here] + 1, paths[here] + step
                    following.append(to)
        frontier = following
    return Reach(distances, tuple(found))


def _steps(database: Database) -> Mapping[str, list[tuple[str, int, str, str]]]:
    """Return table -> (child, place of the key, its name, table reached), the ways down first."""
    down, up = defaultdict(list), defaultdict(list)
    for name, table in database.tables.items():
        for place, key in enumerate(table.foreign_keys):
            down[key.table].append((name, place, key.name, name))
            if key.table != name:
                up[name].append((name, place, key.name, key.table))
    return defaultdict(list, {name: [*down[name], *up[name]] for name in database.tables})


def table_title(table: str) -> str:
    """Return what readers call a table: the table of past labels has no name of theirs.

    >>> table_title("orders")
    'orders'
    """
    return "past labels" if table == LABELS else table

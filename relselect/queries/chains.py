"""Chains of foreign keys that lead from the rows of a table to the entity they belong to.

A chain goes from child to parent only, so that every row belongs to one entity.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from relselect.database import Database, ForeignKey

__all__ = ["Chain", "chains_to", "reachable"]

#: Foreign keys of the longest chain.
_LONGEST = 6


@dataclass(frozen=True)
class Chain:
    """Foreign keys from a table to the entity.

    Attributes:
        steps: Pairs of a table and its foreign key, from the aggregated table on; the last refers to the entity.
    """

    steps: tuple[tuple[str, ForeignKey], ...]

    def __str__(self) -> str:
        return " -> ".join(f"{table}.{key.name}" for table, key in self.steps)


def chains_to(database: Database, entity: str, table: str) -> list[Chain]:
    """Return the chains that may be meant: those of one foreign key if there are any, else all.

    Args:
        database: The database.
        entity: The entity table.
        table: The table whose rows are aggregated.

    >>> import pandas as pd
    >>> frames = {"users": pd.DataFrame({"id": [1]}), "orders": pd.DataFrame({"id": [1], "user": [1]}),
    ...           "lines": pd.DataFrame({"order": [1]})}
    >>> database = Database.from_dataframes(frames, keys={"users": "id", "orders": "id"},
    ...                                     foreign_keys={"orders": {"user": "users"}, "lines": {"order": "orders"}})
    >>> [str(chain) for chain in chains_to(database, "users", "lines")]
    ['lines.order -> orders.user']
    """
    found = [Chain(steps) for steps in _upwards(database, entity, table, frozenset({table, entity}))]
    direct = [chain for chain in found if len(chain.steps) == 1]
    return direct or found


def reachable(database: Database, entity: str) -> list[str]:
    """Return the tables with a time whose rows belong to one entity each, sorted."""
    return sorted(
        name for name, table in database.tables.items() if table.time and len(chains_to(database, entity, name)) == 1
    )


def _upwards(
    database: Database, entity: str, table: str, visited: frozenset[str]
) -> Iterator[tuple[tuple[str, ForeignKey], ...]]:
    for key in database[table].foreign_keys:
        if key.table == entity:
            yield ((table, key),)
        elif key.table not in visited and len(visited) <= _LONGEST:
            for rest in _upwards(database, entity, key.table, visited | {key.table}):
                yield ((table, key), *rest)

"""Meta-paths from the entity table to itself, found in the foreign keys of a schema.

Only the structure counts: no row is read, and a table is crossed whatever its rows mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from typing import TYPE_CHECKING

from relselect.problem import LABELS

if TYPE_CHECKING:
    from relselect.database import Database

__all__ = ["HalfPath", "EntityLink", "MetaPath", "find_paths"]


@dataclass(frozen=True, order=True)
class HalfPath:
    """One half of a meta-path: from the entity to the row that two entities share.

    Attributes:
        end: The table of the shared row.
        table: The table that holds the foreign keys: the entity table, or one between it and `end`.
        to_entity: Number of the foreign key to the entity, -1 when `table` is the entity table.
        to_end: Number of the foreign key to `end`.
    """

    end: str
    table: str
    to_entity: int
    to_end: int

    @property
    def direct(self) -> bool:
        """Whether the entity itself refers to `end`."""
        return self.to_entity < 0


@dataclass(frozen=True, order=True)
class EntityLink:
    """Two foreign keys by which one row joins two entities.

    Attributes:
        table: The table that holds the foreign keys.
        one: Number of the first, -1 where `table` is the entity table (an entity that refers to another).
        other: Number of the second.
    """

    table: str
    one: int
    other: int


@dataclass(frozen=True)
class MetaPath:
    """A path from an entity to another entity of the same table; exactly one of `halves`, `link` and `chain` is set.

    Attributes:
        name: A name, unique for the entity table.
        words: The entities that the path joins, in English.
        halves: The halves from either entity to the shared row.
        link: The row that refers to both entities.
        chain: Two successive halves to the shared row, the same from either entity.
    """

    name: str
    words: str
    halves: tuple[HalfPath, HalfPath] | None = None
    link: EntityLink | None = None
    chain: tuple[HalfPath, HalfPath] | None = None

    @property
    def symmetric(self) -> bool:
        """Whether the path equals its reverse: it has two equal halves, or it is a link or a chain."""
        return self.halves is None or self.halves[0] == self.halves[1]


def find_paths(database: Database, entity: str, hops: int = 2) -> list[MetaPath]:
    """Return the meta-paths from `entity` to itself, sorted by name; a path and its reverse are one.

    * shared parent: both entities refer to one row (customers of one region);
    * link: a row refers to both entities (a match with two players), or one entity to the other (an employee and the
      manager);
    * shared row through a bridge: at least one entity is joined to the row through a table that refers to both (drivers of
      one race, through results). Several foreign keys of the bridge to one table make separate paths;
    * with four hops: both entities reach one row in the same two steps (drivers whose races were on one circuit).

    Args:
        database: The database.
        entity: The entity table.
        hops: Maximal length: 2, or 4 for the longer ones as well.

    >>> import relselect
    >>> database = relselect.examples.synthetic(customers=50).database
    >>> [path.words for path in find_paths(database, "orders")]
    ['orders that share a row of products through items', 'orders that share a row of customers']
    """
    halves, links = _pieces(database, entity)
    paths = [_link_path(database, entity, link) for link in links]
    for end in sorted({half.end for half in halves}):
        here = sorted(half for half in halves if half.end == end)
        paths += [_meeting(database, entity, one, other) for one, other in combinations_with_replacement(here, 2)]
    if hops >= 4:
        paths += [
            _chained(database, entity, first, second)
            for first in sorted(halves)
            for second in sorted(_pieces(database, first.end)[0])
            if second.end not in (entity, first.end) and (second.table != first.table or second.direct)
        ]
    return sorted(paths, key=lambda path: path.name)


def _pieces(database: Database, entity: str) -> tuple[list[HalfPath], list[EntityLink]]:
    halves, links = [], []
    for number, key in enumerate(database[entity].foreign_keys):
        halves.append(HalfPath(key.table, entity, -1, number))
        if key.table == entity:
            links.append(EntityLink(entity, -1, number))
    for name, table in database.tables.items():
        if name in (LABELS, entity):
            continue
        to_entity = [number for number, key in enumerate(table.foreign_keys) if key.table == entity]
        links += [EntityLink(name, one, other) for one, other in combinations(to_entity, 2)]
        for number, key in enumerate(table.foreign_keys):
            if key.table != entity:
                halves += [HalfPath(key.table, name, own, number) for own in to_entity]
    return halves, links


def _meeting(database: Database, entity: str, one: HalfPath, other: HalfPath) -> MetaPath:
    name = f"{_half_name(database, entity, one)} = {_half_name(database, entity, other)}"
    through = sorted({half.table for half in (one, other) if not half.direct})
    words = f"{entity} that share a row of {one.end}"
    return MetaPath(name, words + (f" through {' and '.join(through)}" if through else ""), halves=(one, other))


def _chained(database: Database, entity: str, first: HalfPath, second: HalfPath) -> MetaPath:
    way = f"{_half_name(database, entity, first)}, {_half_name(database, first.end, second)}"
    words = f"{entity} whose rows of {first.end} share a row of {second.end}"
    return MetaPath(f"{way} and back", words, chain=(first, second))


def _half_name(database: Database, entity: str, half: HalfPath) -> str:
    keys = database[half.table].foreign_keys
    way = f"{half.table}.{keys[half.to_end].name}"
    return f"{entity} > {way}" if half.direct else f"{entity} < {half.table}.{keys[half.to_entity].name} > {way}"


def _link_path(database: Database, entity: str, link: EntityLink) -> MetaPath:
    keys = database[link.table].foreign_keys
    if link.one < 0:
        return MetaPath(f"{entity} - {keys[link.other].name}", f"{entity} that refer to one another", link=link)
    name = f"{entity} - {link.table}.{keys[link.one].name} and {keys[link.other].name}"
    return MetaPath(name, f"{entity} that a row of {link.table} joins", link=link)

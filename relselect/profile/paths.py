"""Self-loop meta-paths: the ways in which one entity reaches another.

* shared parent: both refer to the same row (customers of one region);
* link: a row refers to both (a match with two players), or one refers to the other (an employee and the manager);
* meeting: both are joined to one row, at least one of them through a table that refers to both (drivers meet in a race
  through results). Such a table has two or more foreign keys; several to the same table are kept apart;
* with four hops, on request: both reach one row in two such steps, the same ones for both (drivers whose races were on
  one circuit).

A path and its reverse are one. A table is crossed without asking what its rows are: a path is structure only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, combinations_with_replacement
from typing import TYPE_CHECKING

from relselect.problem import LABELS

if TYPE_CHECKING:
    from relselect.database import Database

__all__ = ["Half", "Link", "MetaPath", "find_paths"]


@dataclass(frozen=True, order=True)
class Half:
    """From the entity to the row where two entities meet.

    Attributes:
        end: The table of that row.
        table: The table that holds the foreign keys: the entity's own, or one between the entity and `end`.
        to_entity: Number of the foreign key to the entity, -1 when `table` is the entity's own.
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
class Link:
    """A row that refers to two entities.

    Attributes:
        table: The table that holds the foreign keys.
        one: Number of the first, -1 for the entity's own row (an entity that refers to another).
        other: Number of the second.
    """

    table: str
    one: int
    other: int


@dataclass(frozen=True)
class MetaPath:
    """A way from entity to entity; exactly one of `halves`, `link` and `chain` is given.

    Attributes:
        name: A name, unique for the entity.
        words: Who is compared with whom.
        halves: The way to the row where two entities meet, for one and for the other.
        link: The row that joins them.
        chain: Two steps to the row where they meet, the same for both: from the entity, and from where that ends.
    """

    name: str
    words: str
    halves: tuple[Half, Half] | None = None
    link: Link | None = None
    chain: tuple[Half, Half] | None = None

    @property
    def symmetric(self) -> bool:
        """Whether the way back is the way there: links, and meetings over two equal halves."""
        return self.halves is None or self.halves[0] == self.halves[1]


def find_paths(database: Database, entity: str, hops: int = 2) -> list[MetaPath]:
    """Return the meta-paths from `entity` to itself, sorted by name.

    Args:
        database: The database.
        entity: The entity table.
        hops: 2, or 4 for the longer ones as well.
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


def _pieces(database: Database, entity: str) -> tuple[list[Half], list[Link]]:
    halves, links = [], []
    for number, key in enumerate(database[entity].foreign_keys):
        halves.append(Half(key.table, entity, -1, number))
        if key.table == entity:
            links.append(Link(entity, -1, number))
    for name, table in database.tables.items():
        if name in (LABELS, entity):
            continue
        to_entity = [number for number, key in enumerate(table.foreign_keys) if key.table == entity]
        links += [Link(name, one, other) for one, other in combinations(to_entity, 2)]
        for number, key in enumerate(table.foreign_keys):
            if key.table != entity:
                halves += [Half(key.table, name, own, number) for own in to_entity]
    return halves, links


def _meeting(database: Database, entity: str, one: Half, other: Half) -> MetaPath:
    name = f"{_half_name(database, entity, one)} = {_half_name(database, entity, other)}"
    through = sorted({half.table for half in (one, other) if not half.direct})
    words = f"{entity} that share a row of {one.end}"
    return MetaPath(name, words + (f" through {' and '.join(through)}" if through else ""), halves=(one, other))


def _chained(database: Database, entity: str, first: Half, second: Half) -> MetaPath:
    way = f"{_half_name(database, entity, first)}, {_half_name(database, first.end, second)}"
    words = f"{entity} whose rows of {first.end} share a row of {second.end}"
    return MetaPath(f"{way} and back", words, chain=(first, second))


def _half_name(database: Database, entity: str, half: Half) -> str:
    keys = database[half.table].foreign_keys
    way = f"{half.table}.{keys[half.to_end].name}"
    return f"{entity} > {way}" if half.direct else f"{entity} < {half.table}.{keys[half.to_entity].name} > {way}"


def _link_path(database: Database, entity: str, link: Link) -> MetaPath:
    keys = database[link.table].foreign_keys
    if link.one < 0:
        return MetaPath(f"{entity} - {keys[link.other].name}", f"{entity} that refer to one another", link=link)
    name = f"{entity} - {link.table}.{keys[link.one].name} and {keys[link.other].name}"
    return MetaPath(name, f"{entity} that a row of {link.table} joins", link=link)

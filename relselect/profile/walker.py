"""Walks meta-paths from task rows to other entities, over rows visible at each row's `asof` and with bounded fan-out.

Labels are not read here. The sample does not depend on hidden rows, row numbers or the order of rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relselect.database.hashing import key_hashes
from relselect.hashing import mix, uniform
from relselect.problem.visibility import key_times

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.database import Database
    from relselect.profile.paths import EntityLink, HalfPath, MetaPath

    Edges = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]

__all__ = ["Adjacency", "MetaPathWalker", "half_edges", "link_edges"]


def half_edges(database: Database, entity: str, half: HalfPath) -> Edges:
    """Return the edges of half a path: entity row, row of the end table, time from which it is visible; each of shape (m,)."""
    end = database.parents(half.table)[half.to_end]
    own = np.arange(len(end)) if half.direct else database.parents(half.table)[half.to_entity]
    time = key_times(database, half.table, half.to_end)
    if not half.direct:
        time = np.maximum(time, key_times(database, half.table, half.to_entity))
    return _complete(own, end, time, database.times(entity), database.times(half.end))


def link_edges(database: Database, entity: str, link: EntityLink) -> Edges:
    """Return the edges of a link: entity row, other entity row, time from which it is visible; each of shape (m,)."""
    other = database.parents(link.table)[link.other]
    own = np.arange(len(other)) if link.one < 0 else database.parents(link.table)[link.one]
    time = key_times(database, link.table, link.other)
    if link.one >= 0:
        time = np.maximum(time, key_times(database, link.table, link.one))
    return _complete(own, other, time, database.times(entity), database.times(entity))


def _complete(
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    time: NDArray[np.int64],
    one_times: NDArray[np.int64],
    other_times: NDArray[np.int64],
) -> Edges:
    """Drop edges that lack an end; an edge is visible from the latest time of its row and both ends."""
    keep = (one >= 0) & (other >= 0)
    one, other = one[keep], other[keep]
    return one, other, np.maximum(time[keep], np.maximum(one_times[one], other_times[other]))


def _turned(edges: Edges) -> Edges:
    source, target, time = edges
    return target, source, time


class Adjacency:
    """Edges out of a set of rows, sorted by (source, time, hash of the target's key): the visible ones are a prefix.

    Where a source has more visible edges than the cap, edges are taken at even distances, with a phase drawn from a hash
    of the query: systematic sampling, in which every visible edge is equally likely.

    Args:
        edges: Source, target and time of each edge, three arrays of shape (m,).
        sources: Mask over the source table, shape (rows,); edges of other sources are left out.
        limit: Edges later than this time are left out, ticks.
        database: The database of both tables.
        end: The targets' table.
    """

    def __init__(self, edges: Edges, sources: NDArray[np.bool_], limit: int, database: Database, end: str) -> None:
        source, target, time = edges
        keep = sources[source] & (time <= limit)
        source, target, time = source[keep], target[keep], time[keep]
        order = np.lexsort((key_hashes(database, end, target), time, source))
        source, self.target, time = source[order], target[order], time[order]
        self.moments = np.unique(time)
        self.stride = len(self.moments) + 1
        self.place = source * self.stride + np.searchsorted(self.moments, time)

    def visible(
        self, source: NDArray[np.int64], asof: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first place and the number of the visible edges of each query, two arrays of shape (n,)."""
        begin = np.searchsorted(self.place, source * self.stride)
        seen = np.searchsorted(self.moments, asof, side="right")
        return begin, np.searchsorted(self.place, source * self.stride + seen) - begin

    def reached(self, source: NDArray[np.int64], asof: NDArray[np.int64], cap: int, salt: NDArray[np.uint64]) -> Pairs:
        """Return the visible edges of each query, at most `cap` of each.

        Args:
            source: Source row per query, shape (n,).
            asof: Time of each query, ticks; shape (n,).
            cap: Largest number of edges per query.
            salt: Hash that draws the phase of each query, shape (n,).

        Returns:
            Query number and target row of each edge, in the order of the queries.
        """
        begin, count = self.visible(source, asof)
        taken = np.minimum(count, cap)
        query = np.repeat(np.arange(len(source)), taken)
        slot = np.arange(len(query)) - np.repeat(np.cumsum(taken) - taken, taken)
        step = count / np.maximum(taken, 1)
        phase = np.where(count > cap, uniform(salt), 0.0)
        position = np.floor((slot + phase[query]) * step[query]).astype(np.int64)
        return query, self.target[begin[query] + np.minimum(position, count[query] - 1)]


class MetaPathWalker:
    """Finds the entities that task rows reach over meta-paths; a first hop that several paths share is walked once.

    Args:
        database: The problem's database.
        entity: Its entity table.
        source: Entity row of each task row, shape (n,), in an order that does not depend on storage.
        asof: Time of each task row, ticks; shape (n,).
        key: Hash of each task row, shape (n,).
        targets: Entity rows that are looked for, shape (m,), in an order that does not depend on storage.
        limit: Rows later than this time are ignored, ticks.
        cap: Largest fan-out per hop.
        most_pairs: The walk of a path ends at the task row at which it has this many (task row, row) pairs.
    """

    def __init__(
        self,
        database: Database,
        entity: str,
        source: NDArray[np.int64],
        asof: NDArray[np.int64],
        key: NDArray[np.uint64],
        targets: NDArray[np.int64],
        *,
        limit: int,
        cap: int = 32,
        most_pairs: int = 400_000,
    ) -> None:
        self.database, self.entity = database, entity
        self.source, self.asof, self.key, self.targets = source, asof, key, targets
        self.limit, self.cap, self.most_pairs = limit, cap, most_pairs
        size = database[entity].num_rows
        self.sources = np.zeros(size, dtype=bool)
        self.sources[source] = True
        self.rank = np.full(size, -1, dtype=np.int64)
        self.rank[targets] = np.arange(len(targets))
        self.first: dict[HalfPath, Pairs] = {}

    def pairs(self, path: MetaPath) -> Pairs:
        """Return the pairs of a path, walked in both directions: each pair once, without an entity paired with itself.

        Returns:
            Number of the task row and row of the target entity, two arrays of shape (pairs,), sorted by task row.
        """
        if path.link is not None:
            return self._once([self._linked(path.link)], len(self.source))
        if path.chain is not None:
            found, whole = self._chained(*path.chain)
            return self._once([found], whole)
        assert path.halves is not None
        one, other = path.halves
        ways = [(one, other)] if one == other else [(one, other), (other, one)]
        walks = [self._walk(out, back) for out, back in ways]
        return self._once([found for found, _ in walks], min(whole for _, whole in walks))

    def _linked(self, link: EntityLink) -> Pairs:
        one, other, time = link_edges(self.database, self.entity, link)
        edges = np.concatenate([one, other]), np.concatenate([other, one]), np.concatenate([time, time])
        hop = Adjacency(edges, self.sources, self.limit, self.database, self.entity)
        return hop.reached(self.source, self.asof, self.cap, self.key)

    def _walk(self, out: HalfPath, back: HalfPath) -> tuple[Pairs, int]:
        """Return the pairs over two halves, and the number of task rows that were walked completely."""
        row, middle = self._first_hop(out)
        edges = _turned(half_edges(self.database, self.entity, back))
        row, other, whole = self._hop(row, middle, len(self.source), out.end, edges, self.entity)
        return (row, other), whole

    def _chained(self, first: HalfPath, second: HalfPath) -> tuple[Pairs, int]:
        """Return the pairs over two steps out and the same two back, and the number of task rows that were walked completely."""
        row, middle = self._first_hop(first)
        whole = len(self.source)
        for start, edges, end in (
            (first.end, half_edges(self.database, first.end, second), second.end),
            (second.end, _turned(half_edges(self.database, first.end, second)), first.end),
            (first.end, _turned(half_edges(self.database, self.entity, first)), self.entity),
        ):
            row, middle, whole = self._hop(row, middle, whole, start, edges, end)
        return (row, middle), whole

    def _hop(
        self, row: NDArray[np.int64], middle: NDArray[np.int64], whole: int, start: str, edges: Edges, end: str
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        """Walk one hop from pairs (task row, row of `start`) to distinct pairs (task row, row of `end`)."""
        reached = np.zeros(self.database[start].num_rows, dtype=bool)
        reached[middle] = True
        hop = Adjacency(edges, reached, self.limit, self.database, end)
        width = np.minimum(hop.visible(middle, self.asof[row])[1], self.cap)
        total = np.cumsum(np.bincount(row, weights=width, minlength=len(self.source)))
        whole = min(whole, int(np.searchsorted(total, self.most_pairs, side="right")))
        row, middle = row[row < whole], middle[row < whole]
        salt = mix(self.key[row], key_hashes(self.database, start, middle))
        query, found = hop.reached(middle, self.asof[row], self.cap, salt)
        size = max(1, self.database[end].num_rows)
        code = np.unique(row[query] * size + found)
        return code // size, code % size, whole

    def _first_hop(self, half: HalfPath) -> Pairs:
        """Return the distinct pairs (task row, row of the half's end)."""
        if half not in self.first:
            edges = half_edges(self.database, self.entity, half)
            hop = Adjacency(edges, self.sources, self.limit, self.database, half.end)
            row, middle = hop.reached(self.source, self.asof, self.cap, self.key)
            size = max(1, self.database[half.end].num_rows)
            code = np.unique(row * size + middle)
            self.first[half] = code // size, code % size
        return self.first[half]

    def _once(self, found: list[Pairs], whole: int) -> Pairs:
        """Return the distinct pairs of the first `whole` task rows whose other end is a target."""
        row = np.concatenate([rows for rows, _ in found])
        other = np.concatenate([others for _, others in found])
        rank = self.rank[other]
        keep = (other != self.source[row]) & (rank >= 0) & (row < whole)
        size = max(1, len(self.targets))
        code = np.unique(row[keep] * size + rank[keep])
        return code // size, self.targets[code % size]

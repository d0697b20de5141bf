"""The graph of a database in memory-mapped files, built in bounded memory; equal to `graph.build_graph` bit for bit.

Besides the times and parents of a table, which the database keeps, a build holds the numbers of one block of rows or edges at a
time, and of one table the flags of its rows. The edges of a relation are sorted by ranges of receivers: all edges of a receiver
lie in one range, so that the ranges one after another are the sorted whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.database.clock import ALWAYS, NEVER
from relselect.rdl.graph.adjacency import (
    ChildArrays,
    ChildRelation,
    EdgeType,
    ParentRelation,
    Relation,
    child_edge_type,
    parent_edge_type,
    shortcut_edge_type,
)
from relselect.rdl.graph.graph import ForeignKeyEdges, Graph, bridge_pairs, distinct_times
from relselect.rdl.graph.identity import row_identities
from relselect.rdl.graph.store import ArrayFolder, ArrayStore, ArrayWriter, blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.database import Database, Table

__all__ = ["stored_graph", "write_graph"]

#: Times or edges that are sorted at once.
_SORTED = 1 << 22
#: Reads some of the senders of a relation: rows of the child table -> rows of the sender.
Senders = Callable[["NDArray[np.int64]"], "NDArray[np.int64]"]


def stored_graph(store: ArrayStore, database: Database, *, shortcuts: bool = False) -> Graph:
    """Return the graph of a database with its arrays in files, written first where they are not there.

    Args:
        store: Where the files are.
        database: The database.
        shortcuts: See `relselect.rdl.graph.graph.build_graph`.

    Raises:
        UnwritableError: The files cannot be written.
        ConfigError: The files are damaged.
    """
    content = [database.fingerprint, shortcuts]
    return read_graph(store.get("graph", content, lambda writer: write_graph(writer, database, shortcuts=shortcuts)))


def write_graph(writer: ArrayWriter, database: Database, *, shortcuts: bool) -> None:
    """Write times, ranks, identities and relations, one table and one relation after another."""
    names = list(database.tables)
    parts = []
    for name in names:
        times = database.times(name)
        for low, high in blocks(len(times), _SORTED):
            part = times[low:high]
            parts.append(distinct_times([part[part != NEVER]]))
    distinct = distinct_times(parts)
    parts.clear()
    writer.whole("times", distinct)
    rank, identity, timeless = {}, {}, set()
    for place, name in enumerate(names):
        times = database.times(name)
        if np.isin(times, (ALWAYS, NEVER)).all():
            timeless.add(name)
        rank[name] = _by_block(writer, f"{place}/rank", times, lambda part: np.searchsorted(distinct, part))
        identity[name] = _identities(writer, f"{place}/identity", database[name])
    keys = [
        ForeignKeyEdges(name, key.name, key.table, parent)
        for name in names
        for key, parent in zip(database[name].foreign_keys, database.parents(name), strict=True)
    ]
    keys.sort(key=lambda each: (each.source, each.name, each.target))
    relations = _RelationWriter(writer, rank, identity, timeless, len(distinct))
    for key in keys:
        relations.children(key)
        relations.parents(key)
    for near, far in bridge_pairs(keys) if shortcuts else []:
        relations.shortcut(near, far)
    writer.facts = {"tables": names, "relations": relations.facts}


def _by_block(
    writer: ArrayWriter,
    name: str,
    values: NDArray[np.int64],
    work: Callable[[NDArray[np.int64]], NDArray[np.int64]],
) -> NDArray[np.int64]:
    file = writer.file(name, np.int64)
    for low, high in blocks(len(values)):
        file.append(work(values[low:high]))
    return file.read()


def _identities(writer: ArrayWriter, name: str, table: Table) -> NDArray[np.int64]:
    file = writer.file(name, np.int64)
    for low, high in blocks(table.num_rows):
        file.append(row_identities(replace(table, data=table.data.slice(low, high - low))))
    return file.read()


@dataclass
class _RelationWriter:
    """Writes relations.

    Attributes:
        writer: Writes the arrays.
        rank: Per table, the time rank of each row.
        identity: Per table, the content hash of each row.
        timeless: The tables without a time.
        never: The time rank "never visible".
    """

    writer: ArrayWriter
    rank: Mapping[str, NDArray[np.int64]]
    identity: Mapping[str, NDArray[np.int64]]
    timeless: set[str]
    never: int

    def __post_init__(self) -> None:
        self.facts: list[dict[str, Any]] = []

    def children(self, key: ForeignKeyEdges) -> None:
        """Write the relation to the children of a foreign key."""
        self._children(
            child_edge_type(key.source, key.name, key.target),
            key.parent,
            lambda rows: rows,
            lambda low, high: self.rank[key.source][low:high],
            key.source,
            len(self.rank[key.target]),
            key.source in self.timeless,
        )

    def shortcut(self, near: ForeignKeyEdges, far: ForeignKeyEdges) -> None:
        """Write the relation in which the parent by `near` receives from the parent by `far`; see `graph.build_graph`."""
        own, other = self.rank[near.source], self.rank[far.target]

        def rank(low: int, high: int) -> NDArray[np.int64]:
            parent = far.parent[low:high]
            found = np.full(high - low, self.never)
            has = parent >= 0
            found[has] = np.maximum(own[low:high][has], other[parent[has]])
            return found

        self._children(
            shortcut_edge_type(near.source, near.name, near.target, far.name, far.target),
            near.parent,
            lambda rows: far.parent[rows],
            rank,
            near.source,
            len(self.rank[near.target]),
            {near.source, far.target} <= self.timeless,
        )

    def _children(
        self,
        edge_type: EdgeType,
        node: NDArray[np.int64],
        senders: Senders,
        rank_of: Callable[[int, int], NDArray[np.int64]],
        source: str,
        nodes: int,
        timeless: bool,
    ) -> None:
        """Write a relation of receivers `node` (rows of `source`,), in order of receiver, time and identity."""
        place, stride = len(self.facts), self.never + 1
        pointer = _pointer(node, rank_of, nodes, self.never)
        self.writer.whole(f"r{place}/pointer", pointer)
        child, rank, key = (
            self.writer.file(f"r{place}/{name}", dtype)
            for name, dtype in (("child", np.int32), ("rank", np.int32), ("key", np.int64))
        )
        for first, last in _ranges(pointer, _SORTED):
            rows, ranks = _edges_of(node, rank_of, first, last, self.never)
            keys = node[rows] * stride + ranks
            order = np.lexsort((self.identity[source][rows], keys))
            child.append(senders(rows)[order])
            rank.append(ranks[order])
            key.append(keys[order])
        for file in (child, rank, key):
            file.close()
        width = int(np.diff(pointer).max(initial=0))
        self.facts.append(
            {"kind": "children", "edge_type": edge_type, "stride": stride, "width": width, "timeless": timeless}
        )

    def parents(self, key: ForeignKeyEdges) -> None:
        """Write the relation to the parents of a foreign key: time rank and row of each parent side by side."""
        file = self.writer.file(f"r{len(self.facts)}/pairs", np.int64, 2)
        ranks = self.rank[key.target]
        for low, high in blocks(len(key.parent)):
            parent = key.parent[low:high]
            found = np.full(high - low, self.never)
            has = parent >= 0
            found[has] = ranks[parent[has]]
            file.append(np.stack([found, parent], axis=1))
        file.close()
        towards = child_edge_type(key.source, key.name, key.target)
        back = parent_edge_type(key.source, key.name, key.target)
        self.facts.append({"kind": "parents", "edge_type": back, "opposite": towards})


def _pointer(
    node: NDArray[np.int64], rank_of: Callable[[int, int], NDArray[np.int64]], nodes: int, never: int
) -> NDArray[np.int64]:
    """Return where the edges of each receiver start, (nodes + 1,)."""
    counts = np.zeros(nodes, np.int64)
    for low, high in blocks(len(node)):
        part = node[low:high]
        kept = part[(part >= 0) & (rank_of(low, high) < never)]
        if len(kept):
            np.add.at(counts, kept, 1)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def _ranges(pointer: NDArray[np.int64], size: int) -> Sequence[tuple[int, int]]:
    """Return consecutive ranges of receivers with about `size` edges each; a receiver of more edges has a range of its own."""
    nodes, first, found = len(pointer) - 1, 0, []
    while first < nodes:
        last = int(np.searchsorted(pointer, pointer[first] + size, side="right")) - 1
        last = min(max(last, first + 1), nodes)
        if pointer[last] > pointer[first]:
            found.append((first, last))
        first = last
    return found


def _edges_of(
    node: NDArray[np.int64], rank_of: Callable[[int, int], NDArray[np.int64]], first: int, last: int, never: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows whose receiver lies in [first, last) and that are visible at some time, ascending, and their ranks."""
    rows, ranks = [], []
    for low, high in blocks(len(node)):
        part = node[low:high]
        inside = np.flatnonzero((part >= first) & (part < last))
        rank = rank_of(low, high)[inside]
        seen = rank < never
        rows.append(inside[seen] + low)
        ranks.append(rank[seen])
    return np.concatenate(rows), np.concatenate(ranks)


def read_graph(folder: ArrayFolder) -> Graph:
    """Return the graph that `write_graph` wrote; its tensors are the mapped files."""
    names = folder.facts["tables"]
    relations = [_relation(folder, place, facts) for place, facts in enumerate(folder.facts["relations"])]
    return Graph(
        folder.tensor("times"),
        {name: folder.tensor(f"{place}/rank") for place, name in enumerate(names)},
        {name: folder.tensor(f"{place}/identity") for place, name in enumerate(names)},
        {name: tuple(each for each in relations if each.edge_type[2] == name) for name in names},
    )


def _relation(folder: ArrayFolder, place: int, facts: Mapping[str, Any]) -> Relation:
    edge_type = _edge_type(facts["edge_type"])
    if facts["kind"] == "parents":
        pairs = folder.tensor(f"r{place}/pairs")
        return ParentRelation(edge_type, pairs[:, 1], pairs[:, 0], _edge_type(facts["opposite"]), pairs.numpy())
    pointer, child, rank, key = (folder.tensor(f"r{place}/{name}") for name in ("pointer", "child", "rank", "key"))
    stored = ChildArrays(pointer.numpy(), child.numpy(), rank.numpy())
    return ChildRelation(edge_type, pointer, child, key, facts["stride"], facts["width"], facts["timeless"], stored)


def _edge_type(names: Sequence[str]) -> EdgeType:
    source, name, target = names
    return source, name, target

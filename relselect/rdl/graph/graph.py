"""Heterogeneous temporal graph of a database: one node per row, two edge types per foreign key.

The label history of a task is a table like any other. A bridge table has two or more foreign keys, and no table refers to it.
Bridges may get shortcuts as well: one edge type from each of its parents to each other parent, with one edge per bridge row.
The graph holds no column values (see `relselect.rdl.graph.features`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.database.clock import ALWAYS, NEVER
from relselect.rdl.graph.adjacency import (
    EdgeType,
    Relation,
    child_edge_type,
    child_relation,
    parent_edge_type,
    parent_relation,
    shortcut_edge_type,
)
from relselect.rdl.graph.identity import row_identities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from relselect.database import Database

__all__ = [
    "ForeignKeyEdges",
    "Graph",
    "bridge_pairs",
    "build_graph",
    "database_graph",
    "distinct_times",
]


@dataclass(frozen=True)
class ForeignKeyEdges:
    """The edges of one foreign key.

    Attributes:
        source: The table that has the key.
        name: The key's name, unique within `source`.
        target: The table that it refers to.
        parent: int64 (rows of source,), the row index in `target` that each row refers to, -1 for none.
    """

    source: str
    name: str
    target: str
    parent: NDArray[np.int64]


@dataclass(frozen=True)
class Graph:
    """Nodes, their times and the relations between them.

    The time rank of a row is the position of its time among all distinct times of the database. A row of rank r is visible at
    `asof` when r < `asof_rank(asof)`.

    Attributes:
        times: int64 (distinct times,), ticks, ascending, over all tables.
        rank: Per node type int64 (rows,), time rank of each row, `len(times)` for a row that is never visible.
        identity: Per node type int64 (rows,), content hash of each row.
        relations: Per node type, the relations of which it is the receiver, in a fixed order.

    Example:
        >>> key = ForeignKeyEdges("orders", "user", "users", np.array([0, 0, 1]))
        >>> times = {"users": np.array([1, 1]), "orders": np.array([2, 5, 9])}
        >>> graph = build_graph(times, {name: np.arange(len(each)) for name, each in times.items()}, [key])
        >>> graph.edge_types
        (('orders', 'user', 'users'), ('users', 'rev_user', 'orders'))
        >>> start, count = graph.relations["users"][0].visible(torch.tensor([0]), graph.asof_rank(torch.tensor([4])))
        >>> count.tolist()
        [1]
    """

    times: Tensor
    rank: Mapping[str, Tensor]
    identity: Mapping[str, Tensor]
    relations: Mapping[str, tuple[Relation, ...]]

    @cached_property
    def node_types(self) -> tuple[str, ...]:
        """The tables, sorted by name."""
        return tuple(sorted(self.rank))

    @cached_property
    def edge_types(self) -> tuple[EdgeType, ...]:
        """The edge types, (sending table, name, receiving table), sorted."""
        return tuple(sorted(relation.edge_type for each in self.relations.values() for relation in each))

    def asof_rank(self, asof: Tensor) -> Tensor:
        """Return the number of distinct times up to `asof`, ticks of any shape: a row is visible when its rank is smaller."""
        return torch.searchsorted(self.times, asof, right=True)

    def only(self, edge_types: Sequence[EdgeType], *tables: str) -> Graph:
        """Return the graph with these edge types, and further tables without edges, alone.

        A later database may have tables that a network was not built for.
        """
        if self.edge_types == tuple(edge_types):
            return self
        wanted = set(edge_types)
        names = {end for each in edge_types for end in (each[0], each[2])} | set(tables)
        kept = {
            name: tuple(r for r in self.relations[name] if r.edge_type in wanted) for name in self.rank if name in names
        }
        return Graph(self.times, {n: self.rank[n] for n in kept}, {n: self.identity[n] for n in kept}, kept)

    def to(self, device: torch.device) -> Graph:
        """Return the graph with its tensors on `device`."""
        return Graph(
            self.times.to(device),
            {name: tensor.to(device) for name, tensor in self.rank.items()},
            {name: tensor.to(device) for name, tensor in self.identity.items()},
            {name: tuple(relation.to(device) for relation in each) for name, each in self.relations.items()},
        )


def build_graph(
    times: Mapping[str, NDArray[np.int64]],
    identities: Mapping[str, NDArray[np.int64]],
    foreign_keys: Sequence[ForeignKeyEdges],
    *,
    shortcuts: bool = False,
) -> Graph:
    """Build the graph from plain arrays.

    Args:
        times: Per table int64 (rows,), ticks; the smallest int64 for "always", the largest for "never visible".
        identities: Per table int64 (rows,), content hash of each row.
        foreign_keys: The foreign keys of all tables.
        shortcuts: Whether the parents of a bridge row become neighbours of one another as well.

    Returns:
        The graph, on the CPU.
    """
    distinct = distinct_times([values[values != NEVER] for values in times.values()])
    # NEVER is larger than every kept time, so its rank is len(distinct), which no as-of reaches
    rank = {name: np.searchsorted(distinct, values).astype(np.int64) for name, values in times.items()}
    timeless = {name for name, values in times.items() if np.isin(values, (ALWAYS, NEVER)).all()}
    build = _RelationBuilder(rank, identities, timeless, len(distinct))
    ordered = sorted(foreign_keys, key=lambda each: (each.source, each.name, each.target))
    relations = [relation for key in ordered for relation in build.both_directions(key)]
    if shortcuts:
        relations += [build.shortcut(near, far) for near, far in bridge_pairs(ordered)]
    return Graph(
        torch.from_numpy(distinct),
        {name: torch.from_numpy(values) for name, values in rank.items()},
        {name: torch.from_numpy(np.array(values)) for name, values in identities.items()},
        {name: tuple(each for each in relations if each.edge_type[2] == name) for name in times},
    )


def distinct_times(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the distinct ones of all times, ascending; sorting them is many times faster than `np.unique`, which hashes them.

    >>> distinct_times([np.array([3, 1]), np.array([3])]).tolist()
    [1, 3]
    """
    together = np.concatenate([np.empty(0, np.int64), *parts])
    together.sort()
    return together[np.r_[True, together[1:] != together[:-1]]] if len(together) else together


def bridge_pairs(keys: Sequence[ForeignKeyEdges]) -> list[tuple[ForeignKeyEdges, ForeignKeyEdges]]:
    """Return the ordered pairs of foreign keys of each bridge table."""
    referred = {key.target for key in keys}
    return [
        (near, far) for near, far in permutations(keys, 2) if near.source == far.source and near.source not in referred
    ]


@dataclass(frozen=True)
class _RelationBuilder:
    """Builds relations from foreign keys.

    Attributes:
        rank: Per table, the time rank of each row.
        identity: Per table, the content hash of each row.
        timeless: The tables without a time.
        never: The time rank "never visible".
    """

    rank: Mapping[str, NDArray[np.int64]]
    identity: Mapping[str, NDArray[np.int64]]
    timeless: set[str]
    never: int

    def both_directions(self, key: ForeignKeyEdges) -> tuple[Relation, Relation]:
        """Return the relation to the children of a foreign key and the relation to its parents."""
        towards = child_edge_type(key.source, key.name, key.target)
        children = child_relation(
            towards,
            key.parent,
            np.arange(len(key.parent)),
            self.rank[key.source],
            self.identity[key.source],
            len(self.rank[key.target]),
            self.never + 1,
            key.source in self.timeless,
        )
        back = parent_edge_type(key.source, key.name, key.target)
        return children, parent_relation(back, towards, key.parent, self.rank[key.target], self.never)

    def shortcut(self, near: ForeignKeyEdges, far: ForeignKeyEdges) -> Relation:
        """Return the relation in which the parent by `near` receives from the parent by `far` of the same bridge row."""
        rank = self.rank[far.target] if len(self.rank[far.target]) else np.zeros(1, np.int64)
        # the edge is visible once the bridge row and the far parent are; a row without a far parent has no edge
        both = np.maximum(self.rank[near.source], rank[np.maximum(far.parent, 0)])
        return child_relation(
            shortcut_edge_type(near.source, near.name, near.target, far.name, far.target),
            near.parent,
            far.parent,
            np.where(far.parent >= 0, both, self.never),
            self.identity[near.source],
            len(self.rank[near.target]),
            self.never + 1,
            {near.source, far.target} <= self.timeless,
        )


def database_graph(
    database: Database, identities: Mapping[str, NDArray[np.int64]] | None = None, *, shortcuts: bool = False
) -> Graph:
    """Build the graph of a database, on the CPU; see `build_graph`. The rows are hashed here where `identities` is None."""
    times = {name: database.times(name) for name in database.tables}
    keys = [
        ForeignKeyEdges(name, foreign_key.name, foreign_key.table, parent)
        for name, table in database.tables.items()
        for foreign_key, parent in zip(table.foreign_keys, database.parents(name), strict=True)
    ]
    if identities is None:
        identities = {name: row_identities(table) for name, table in database.tables.items()}
    return build_graph(times, identities, keys, shortcuts=shortcuts)

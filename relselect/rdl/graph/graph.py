"""The database as a heterogeneous temporal graph: a node per row, a pair of relations per foreign key.

The label history of a task is a table like any other. A bridge, a table that refers to two rows or more and that no other
refers to, may get shortcuts too: a relation from each of its parents to each other one, an edge per row of the bridge.
What this file does not hold: column values (see `features`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.database.clock import ALWAYS, NEVER
from relselect.rdl.graph.adjacency import EdgeType, Relation, child_relation, down, parent_relation, up, via
from relselect.rdl.graph.identity import row_identities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from relselect.database import Database
    from relselect.problem import Problem

__all__ = ["Graph", "Link", "build_graph", "database_graph", "problem_graph"]


@dataclass(frozen=True)
class Link:
    """A foreign key by row index: `parent[i]` is the row of `target` that row i of `source` names, -1 for none."""

    source: str
    name: str
    target: str
    parent: NDArray[np.int64]


@dataclass(frozen=True)
class Graph:
    """Nodes, their times and the relations between them.

    Attributes:
        times: int64 (distinct times,), ascending, over all tables; the time rank of a row is its place here.
        rank: Per node type int64 (rows,), time rank of each row, `len(times)` for a row that is never visible.
        identity: Per node type int64 (rows,), a hash of the row's content.
        relations: Per node type, the relations whose messages it receives, in a fixed order.
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
        """All relations as (sender, name, receiver), sorted."""
        return tuple(sorted(relation.edge_type for each in self.relations.values() for relation in each))

    def asof_rank(self, asof: Tensor) -> Tensor:
        """Return the number of distinct times visible at `asof`: a row is visible when its rank is smaller."""
        return torch.searchsorted(self.times, asof, right=True)

    def only(self, edge_types: Sequence[EdgeType]) -> Graph:
        """Return the graph with these relations alone: a later database may have tables that a model never saw."""
        if self.edge_types == tuple(edge_types):
            return self
        wanted = set(edge_types)
        names = {end for each in edge_types for end in (each[0], each[2])}
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
    links: Sequence[Link],
    *,
    shortcuts: bool = False,
) -> Graph:
    """Build the graph from plain arrays.

    Args:
        times: Per table int64 (rows,), ticks; the smallest int64 for "always", the largest for "never visible".
        identities: Per table int64 (rows,), content hash of each row.
        links: The foreign keys.
        shortcuts: Whether the parents of a bridge become neighbours of one another as well.

    Returns:
        The graph, on the CPU.
    """
    seen = [np.unique(values[values != NEVER]) for values in times.values()]
    distinct = np.unique(np.concatenate([np.empty(0, np.int64), *seen]))
    # NEVER is larger than every kept time, so its rank is len(distinct), which no as-of reaches
    rank = {name: np.searchsorted(distinct, values).astype(np.int64) for name, values in times.items()}
    timeless = {name for name, values in times.items() if (values == ALWAYS).all()}
    parts = _Parts(rank, identities, timeless, len(distinct))
    ordered = sorted(links, key=lambda each: (each.source, each.name, each.target))
    relations = [relation for link in ordered for relation in parts.key(link)]
    if shortcuts:
        relations += [parts.shortcut(near, far) for near, far in _bridged(ordered)]
    return Graph(
        torch.from_numpy(distinct),
        {name: torch.from_numpy(values) for name, values in rank.items()},
        {name: torch.from_numpy(np.array(values)) for name, values in identities.items()},
        {name: tuple(each for each in relations if each.edge_type[2] == name) for name in times},
    )


def _bridged(links: Sequence[Link]) -> list[tuple[Link, Link]]:
    """Return the ordered pairs of foreign keys of each bridge."""
    referred = {link.target for link in links}
    return [
        (near, far) for near, far in permutations(links, 2) if near.source == far.source and near.source not in referred
    ]


@dataclass(frozen=True)
class _Parts:
    """What relations are built from: per table time ranks and content hashes, the tables without time, the last rank."""

    rank: Mapping[str, NDArray[np.int64]]
    identity: Mapping[str, NDArray[np.int64]]
    timeless: set[str]
    never: int

    def key(self, link: Link) -> tuple[Relation, Relation]:
        """Return both relations of a foreign key."""
        towards = down(link.source, link.name, link.target)
        children = child_relation(
            towards,
            link.parent,
            np.arange(len(link.parent)),
            self.rank[link.source],
            self.identity[link.source],
            len(self.rank[link.target]),
            self.never + 1,
            link.source in self.timeless,
        )
        back = up(link.source, link.name, link.target)
        return children, parent_relation(back, towards, link.parent, self.rank[link.target], self.never)

    def shortcut(self, near: Link, far: Link) -> Relation:
        """Return the relation to the parent by `near` from the parent by `far` of the same bridge."""
        rank = self.rank[far.target] if len(self.rank[far.target]) else np.zeros(1, np.int64)
        # the edge is seen when the bridge's row and its far end are; a row whose far end is missing has no edge
        both = np.maximum(self.rank[near.source], rank[np.maximum(far.parent, 0)])
        return child_relation(
            via(near.source, near.name, near.target, far.name, far.target),
            near.parent,
            far.parent,
            np.where(far.parent >= 0, both, self.never),
            self.identity[near.source],
            len(self.rank[near.target]),
            self.never + 1,
            {near.source, far.target} <= self.timeless,
        )


def database_graph(database: Database, *, shortcuts: bool = False) -> Graph:
    """Build the graph of a database: a node type per table, two relations per foreign key; see `build_graph`."""
    times = {name: database.times(name) for name in database.tables}
    links = [
        Link(name, foreign_key.name, foreign_key.table, parent)
        for name, table in database.tables.items()
        for foreign_key, parent in zip(table.foreign_keys, database.parents(name), strict=True)
    ]
    identities = {name: row_identities(table) for name, table in database.tables.items()}
    return build_graph(times, identities, links, shortcuts=shortcuts)


def problem_graph(problem: Problem, device: torch.device, *, shortcuts: bool = False) -> Graph:
    """Return the graph of a problem's database on `device`, built once per problem."""
    key = ("rdl", "graph", shortcuts)
    host: Graph = problem.cached(key, lambda: database_graph(problem.database, shortcuts=shortcuts))
    if device.type == "cpu":
        return host
    return problem.cached((*key, str(device)), lambda: host.to(device))

"""The database as a heterogeneous temporal graph: a node per row, a pair of relations per foreign key.

The label history of a task is a table like any other. What this file does not hold: column values (see `features`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.rdl.adjacency import EdgeType, ParentRelation, Relation, child_relation
from relselect.rdl.identity import row_identities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from relselect.database import Database
    from relselect.problem import Problem

__all__ = ["Graph", "Link", "build_graph", "database_graph", "problem_graph"]

_NEVER = np.iinfo(np.int64).max


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

    @property
    def node_types(self) -> tuple[str, ...]:
        """The tables, sorted by name."""
        return tuple(sorted(self.rank))

    @property
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
) -> Graph:
    """Build the graph from plain arrays.

    Args:
        times: Per table int64 (rows,), ticks; the smallest int64 for "always", the largest for "never visible".
        identities: Per table int64 (rows,), content hash of each row.
        links: The foreign keys.

    Returns:
        The graph, on the CPU.
    """
    seen = [values[values != _NEVER] for values in times.values()]
    distinct = np.unique(np.concatenate([np.empty(0, np.int64), *seen]))
    # NEVER is larger than every kept time, so its rank is len(distinct), which no as-of reaches
    rank = {name: np.searchsorted(distinct, values).astype(np.int64) for name, values in times.items()}
    relations: dict[str, list[Relation]] = {name: [] for name in times}
    for link in sorted(links, key=lambda each: (each.source, each.name, each.target)):
        down = (link.source, link.name, link.target)
        relations[link.target].append(
            child_relation(
                down,
                link.parent,
                rank[link.source],
                identities[link.source],
                len(times[link.target]),
                len(distinct) + 1,
            )
        )
        up = (link.target, f"rev_{link.name}", link.source)
        relations[link.source].append(_parent_relation(up, link.parent, rank[link.target]))
    return Graph(
        torch.from_numpy(distinct),
        {name: torch.from_numpy(values) for name, values in rank.items()},
        {name: torch.from_numpy(np.array(values)) for name, values in identities.items()},
        {name: tuple(each) for name, each in relations.items()},
    )


def _parent_relation(
    edge_type: tuple[str, str, str], parent: NDArray[np.int64], rank: NDArray[np.int64]
) -> ParentRelation:
    # a table without rows still gets one rank, so that looking up "no parent" needs no special case
    padded = rank if len(rank) else np.zeros(1, np.int64)
    return ParentRelation(
        edge_type, torch.from_numpy(np.array(parent)), torch.from_numpy(padded[np.maximum(parent, 0)])
    )


def database_graph(database: Database) -> Graph:
    """Build the graph of a database: a node type per table, two relations per foreign key."""
    times = {name: database.times(name) for name in database.tables}
    links = [
        Link(name, foreign_key.name, foreign_key.table, parent)
        for name, table in database.tables.items()
        for foreign_key, parent in zip(table.foreign_keys, database.parents(name), strict=True)
    ]
    identities = {name: row_identities(table) for name, table in database.tables.items()}
    return build_graph(times, identities, links)


def problem_graph(problem: Problem, device: torch.device) -> Graph:
    """Return the graph of a problem's database on `device`, built once per problem."""
    host: Graph = problem.cached("rdl/graph", lambda: database_graph(problem.database))
    if device.type == "cpu":
        return host
    return problem.cached(f"rdl/graph/{device}", lambda: host.to(device))

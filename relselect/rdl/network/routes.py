"""Composite routes: one message across a bridge table, from one of its parents to another, in place of two plain messages.

A bridge table has two or more foreign keys. A plain message takes two layers from its parent S over the bridge row B to its
other parent D. A composite message fuses the row's vector with that of S and reaches D in one layer: W x_B + U x_S + b (the
atomic routes of RelGNN: Chen, Kanatsoulis and Leskovec, ICML 2025, arXiv 2502.06784). The convolution aggregates the fused
vectors at D as it aggregates any others.

The sampled trees hold S under B under D already, so the sampler knows nothing of routes: here the edges S -> B and B -> D of a
tree are replaced by one composite edge. All three rows are nodes of the tree, so each of them is visible at its as-of. Edges
stay plain where there is no pair of them: a bridge row without another visible parent, a bridge row at the last hop, whose
parents were not sampled, a bridge row that is the root or was reached from its own child, and all edges of tables with one
foreign key.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

import torch
from torch import nn

from relselect.rdl.graph.adjacency import child_edge_type, key_of
from relselect.rdl.network.scatter import gather

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from relselect.rdl.graph.adjacency import EdgeType
    from relselect.rdl.sampling.sampler import SampledTrees

__all__ = ["Fusion", "Route", "RoutedEdges", "composite_edges", "routes_of"]


@dataclass(frozen=True)
class Route:
    """The way from one parent of a bridge table to another.

    Attributes:
        near: The edge type from the bridge to the receiver.
        far: The edge type from the sender to the bridge, along another foreign key.
    """

    near: EdgeType
    far: EdgeType

    @property
    def bridge(self) -> str:
        """The bridge table."""
        return self.near[0]

    @property
    def fused(self) -> str:
        """The name of the vectors that the route sends, which no table has: the parts are joined by a control character."""
        return "\x1f".join((self.far[0], self.far[1], *self.near))

    @property
    def edge_type(self) -> EdgeType:
        """The type of its composite edges, from the fused vectors to the receiver."""
        return self.fused, "route", self.near[2]


@dataclass(frozen=True)
class RoutedEdges:
    """The edges of sampled trees, pairs of them replaced by composite edges.

    Attributes:
        edge_index: Per edge type int64 (2, edges), sender and receiver. The senders of composite edges are numbered in the order
            of the edges, one each.
        edges_per_hop: Per edge type the number of edges at each hop, from hop 1 on; a composite edge stands at the hop of its
            bridge row.
        ends: Per type of composite edges int64 (2, edges), the nodes of the bridge row and of the sending parent.
    """

    edge_index: Mapping[EdgeType, Tensor]
    edges_per_hop: Mapping[EdgeType, Sequence[int]]
    ends: Mapping[EdgeType, Tensor]


def routes_of(edge_types: Sequence[EdgeType]) -> tuple[Route, ...]:
    """Return the routes of a graph, sorted: one per ordered pair of foreign keys of one table.

    Args:
        edge_types: The edge types of the graph; those across bridges (shortcuts) are left alone.

    Example:
        >>> keys = [("orders", "user", "users"), ("users", "rev_user", "orders"),
        ...         ("orders", "shop", "shops"), ("shops", "rev_shop", "orders")]
        >>> [(each.far[0], each.bridge, each.near[2]) for each in routes_of(keys)]
        [('users', 'orders', 'shops'), ('shops', 'orders', 'users')]
    """
    known = set(edge_types)
    back = {}
    for edge_type in sorted(edge_types):
        if (name := key_of(edge_type)) is not None:
            towards = child_edge_type(edge_type[2], name, edge_type[0])
            if towards in known:
                back[towards] = edge_type
    return tuple(Route(near, back[far]) for near, far in permutations(sorted(back), 2) if near[0] == far[0])


def composite_edges(trees: SampledTrees, routes: Sequence[Route]) -> RoutedEdges:
    """Replace the edges S -> B -> D of sampled trees by composite edges S -> D, where there is such a pair.

    Args:
        trees: The trees.
        routes: The routes; with none of them all edges stay.

    Returns:
        Every edge of the trees once: as it was, or as a part of composite edges.
    """
    index, hops = dict(trees.edge_index), dict(trees.edges_per_hop)
    if not routes:
        return RoutedEdges(index, hops, {})
    parent = {route.far: _parents(trees, route.far) for route in routes}
    ends: dict[EdgeType, Tensor] = {}
    crossed: dict[str, Tensor] = {}
    for route in routes:
        pair, far = trees.edge_index[route.near], parent[route.far]
        kept = far[pair[0]] >= 0
        bridge, receiver = pair[:, kept]
        ends[route.edge_type] = torch.stack([bridge, far[bridge]])
        index[route.edge_type] = torch.stack([torch.arange(len(bridge), device=pair.device), receiver])
        hops[route.edge_type] = _counts(kept, trees.edges_per_hop[route.near])
        if route.bridge not in crossed:
            crossed[route.bridge] = torch.zeros_like(far, dtype=torch.bool)
        crossed[route.bridge][bridge] = True
    bridges = {**{route.near: 0 for route in routes}, **{route.far: 1 for route in routes}}
    for plain, end in bridges.items():  # bridge rows send along some of these and receive along the others
        pair = trees.edge_index[plain]
        left = ~crossed[plain[2 * end]][pair[end]]
        index[plain], hops[plain] = pair[:, left], _counts(left, trees.edges_per_hop[plain])
    return RoutedEdges(index, hops, ends)


def _parents(trees: SampledTrees, far: EdgeType) -> Tensor:
    """Return the node of the parent of each bridge row, int64 (bridge nodes,), -1 where it is not in the tree."""
    sender, bridge = trees.edge_index[far]
    found = torch.full_like(trees.rows[far[2]], -1)
    found[bridge] = sender
    return found


def _counts(kept: Tensor, sizes: Sequence[int]) -> list[int]:
    """Return how many are kept of each consecutive part of the given sizes."""
    counts: list[int] = torch.stack([part.sum() for part in torch.split(kept, list(sizes))]).tolist()
    return counts


class Fusion(nn.Module):
    """The vectors W x_B + U x_S + b that the composite edges of one route send.

    Args:
        channels: Width of all vectors.

    Example:
        >>> fuse, ends = Fusion(8), torch.tensor([[0, 2, 1], [0, 0, 1]])
        >>> fuse(torch.randn(3, 8), ends[0], torch.randn(2, 8), ends[1]).shape
        torch.Size([3, 8])
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bridge = nn.Linear(channels, channels)
        self.sender = nn.Linear(channels, channels, bias=False)

    def forward(self, bridges: Tensor, bridge: Tensor, senders: Tensor, sender: Tensor) -> Tensor:
        """Return the fused vectors of n composite edges, (n, channels).

        Args:
            bridges: (rows, channels), vectors of bridge rows.
            bridge: int64 (n,), the bridge row of each edge.
            senders: (rows, channels), vectors of the bridge's other parents.
            sender: int64 (n,), the parent of each edge.
        """
        return _mapped(self.bridge, bridges, bridge) + _mapped(self.sender, senders, sender)


def _mapped(linear: nn.Linear, x: Tensor, index: Tensor) -> Tensor:
    """Return linear(x)[index]; rows or edges are mapped, whichever are fewer."""
    out: Tensor = gather(linear(x), index) if len(x) < len(index) else linear(gather(x, index))
    return out

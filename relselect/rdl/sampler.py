"""The temporal sampler: one computation tree per task row, in vectorised torch, on any device.

Each tree grows from one task row (entity, cutoff, as-of) and holds only rows visible at its as-of: at every hop the visible
neighbours of a node are a prefix of its adjacency row. Trees of a batch are disjoint, and within a tree every sampled edge
leads to a node of its own: a row reached twice stands there twice. Both keep a tree independent of everything but itself;
encoding shares the rows again. A foreign key walked down is not walked up again at once (driver -> result -> that driver),
since the one parent it leads to is known already; up and down again (result -> race -> its results) is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch

from relselect.rdl.hashing import combine, draw_below

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from relselect.rdl.adjacency import EdgeType, Relation
    from relselect.rdl.graph import Graph

__all__ = ["Strategy", "TemporalSampler", "Trees"]

Strategy = Literal["last", "uniform"]


@dataclass(frozen=True)
class Trees:
    """Sampled trees of a batch, as PyG's heterogeneous layers take them.

    Nodes are numbered per node type, hop by hop; the roots are the first nodes of the entity table, in the order asked.

    Attributes:
        entity: The entity table.
        rows: Per node type int64 (nodes,), row index; -1 for a root whose entity is unknown or hidden.
        tree: Per node type int64 (nodes,), the batch position of the tree a node belongs to.
        edge_index: Per edge type int64 (2, edges), sender and receiver; receivers ascend within a hop.
        nodes_per_hop: Per node type the number of nodes at each hop, 0 to the last.
        edges_per_hop: Per edge type the number of edges at each hop, 1 to the last.
        degree: int64 (trees, relations of the entity table), visible neighbours of the roots, sampled or not.
    """

    entity: str
    rows: dict[str, Tensor]
    tree: dict[str, Tensor]
    edge_index: dict[EdgeType, Tensor]
    nodes_per_hop: dict[str, list[int]]
    edges_per_hop: dict[EdgeType, list[int]]
    degree: Tensor


@dataclass
class _Frontier:
    """The nodes of one type that the next hop grows from."""

    rows: Tensor
    tree: Tensor
    state: Tensor
    first: int
    came: tuple[tuple[EdgeType | None, int], ...]
    hidden: Tensor | None = None

    @classmethod
    def of(cls, parts: list[_Frontier]) -> _Frontier:
        """Join the nodes that several relations brought, in the order in which they were numbered."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            torch.cat([part.rows for part in parts]),
            torch.cat([part.tree for part in parts]),
            torch.cat([part.state for part in parts]),
            parts[0].first,
            tuple(each for part in parts for each in part.came),
        )

    def came_by(self, edge_type: EdgeType) -> list[slice]:
        """Return where the nodes stand that this relation brought."""
        found, start = [], 0
        for each, count in self.came:
            found.extend([slice(start, start + count)] if each == edge_type else [])
            start += count
        return found


@dataclass
class _Growth:
    """What has been sampled so far."""

    frontiers: dict[str, list[list[_Frontier]]]
    edges: dict[EdgeType, list[Tensor]] = field(default_factory=dict)
    edges_per_hop: dict[EdgeType, list[int]] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)


class TemporalSampler:
    """Samples trees of visible neighbours.

    Args:
        graph: The graph, on the device to sample on.
        fan_out: Most neighbours per node and relation, one number per hop.
        strategy: "last" takes the latest visible neighbours; "uniform" draws without replacement, each visible neighbour
            with the same probability. Ties in time at the edge of "last" are broken by content, never by row order.
        seed: Seeds the draws of "uniform"; "last" draws nothing.
    """

    def __init__(self, graph: Graph, fan_out: Sequence[int], strategy: Strategy = "last", seed: int = 0) -> None:
        self.graph = graph
        self.fan_out = tuple(fan_out)
        self.strategy = strategy
        self.seed = seed

    def sample(self, table: str, entity: Tensor, cutoff: Tensor, asof: Tensor) -> Trees:
        """Sample one tree per task row.

        Args:
            table: The entity table.
            entity: int64 (n,) row index in it, -1 for an unknown entity, which becomes a root without neighbours.
            cutoff: int64 (n,) ticks; only identifies the row for the draws.
            asof: int64 (n,) ticks; a neighbour is in a tree only when its time is at most this. An entity whose own row is
                later stays as an anonymous root: no parents, but those children that are visible.

        Returns:
            The trees.
        """
        asof_rank = self.graph.asof_rank(asof)
        growth = self._plant(table, entity, cutoff, asof_rank)
        degree = torch.zeros(len(entity), len(self.graph.relations[table]), dtype=torch.int64, device=entity.device)
        for hop, fan_out in enumerate(self.fan_out):
            current = {name: _Frontier.of(each[hop]) for name, each in growth.frontiers.items() if each[hop]}
            for each in growth.frontiers.values():
                each.append([])
            for name in sorted(current):
                for number, relation in enumerate(self.graph.relations[name]):
                    if relation.opposite and all(came == relation.opposite for came, _ in current[name].came):
                        continue
                    visible = self._grow(growth, current[name], relation, asof_rank, fan_out, hop)
                    if hop == 0:
                        degree[:, number] = visible
        return self._collect(table, growth, degree)

    def _plant(self, table: str, entity: Tensor, cutoff: Tensor, asof_rank: Tensor) -> _Growth:
        known = entity >= 0
        rows = entity.clamp(min=0)
        state = torch.zeros_like(entity)
        hidden = torch.ones_like(known)
        if len(self.graph.rank[table]):
            hidden = ~known | (self.graph.rank[table][rows] >= asof_rank)
            state = torch.where(known, self.graph.identity[table][rows], state)
        state = combine(combine(state + self.seed, cutoff), self.seed)
        root = _Frontier(
            entity, torch.arange(len(entity), device=entity.device), state, 0, ((None, len(entity)),), hidden
        )
        frontiers: dict[str, list[list[_Frontier]]] = {name: [[]] for name in self.graph.node_types}
        frontiers[table][0].append(root)
        growth = _Growth(frontiers, count=dict.fromkeys(self.graph.node_types, 0))
        growth.count[table] = len(entity)
        return growth

    def _grow(
        self, growth: _Growth, nodes: _Frontier, relation: Relation, asof_rank: Tensor, fan_out: int, hop: int
    ) -> Tensor:
        """Sample one relation of one frontier, append what it brings, return how many neighbours were visible."""
        sender = relation.edge_type[0]
        start, visible = self._visible(nodes, relation, asof_rank)
        if relation.to_parent:
            # at most one neighbour each: nothing to expand and nothing to draw
            receiver = torch.nonzero(visible).squeeze(1)
            slot = torch.zeros_like(receiver)
            positions = start[receiver]
        else:
            receiver, slot = _expand(visible.clamp(max=fan_out))
            if self.strategy == "last":
                positions = (start + visible - 1)[receiver] - slot
            else:
                positions = start[receiver] + self._draw(nodes, relation, visible, receiver, slot, fan_out)
        if not len(receiver):
            return visible
        state = receiver  # a placeholder: nobody reads the state of "last" or of leaves
        if self.strategy == "uniform" and hop + 1 < len(self.fan_out):
            state = combine(nodes.state[receiver] + relation.salt, slot)
        first = growth.count[sender]
        count = len(receiver)
        growth.frontiers[sender][hop + 1].append(
            _Frontier(
                relation.neighbours(positions), nodes.tree[receiver], state, first, ((relation.edge_type, count),)
            )
        )
        numbers = torch.arange(first, first + count, device=receiver.device)
        growth.edges.setdefault(relation.edge_type, []).append(torch.stack([numbers, receiver + nodes.first]))
        per_hop = growth.edges_per_hop.setdefault(relation.edge_type, [0] * len(self.fan_out))
        per_hop[hop] = count
        growth.count[sender] = first + count
        return visible

    def _draw(
        self, nodes: _Frontier, relation: Relation, visible: Tensor, receiver: Tensor, slot: Tensor, fan_out: int
    ) -> Tensor:
        """Draw a position per edge; only rows longer than the fan-out need a draw, and most are short."""
        crowded = torch.nonzero((visible > fan_out)[receiver]).squeeze(1)
        if not len(crowded):
            return slot
        receiver = receiver[crowded]
        state = nodes.state[receiver] + relation.salt
        drawn = _systematic(
            visible[receiver], slot[crowded], fan_out, combine(state, -1), combine(state, slot[crowded])
        )
        return slot.index_copy(0, crowded, drawn)

    def _visible(self, nodes: _Frontier, relation: Relation, asof_rank: Tensor) -> tuple[Tensor, Tensor]:
        if nodes.hidden is None:
            start, visible = relation.visible(nodes.rows, asof_rank[nodes.tree])
            for back in nodes.came_by(relation.opposite) if relation.opposite else []:
                visible[back] = 0
            return start, visible
        if not len(self.graph.rank[relation.edge_type[2]]):
            return nodes.rows, torch.zeros_like(nodes.rows)
        start, visible = relation.visible(nodes.rows.clamp(min=0), asof_rank[nodes.tree])
        blocked = nodes.hidden if relation.to_parent else nodes.rows < 0
        return start, visible.masked_fill(blocked, 0)

    def _collect(self, table: str, growth: _Growth, degree: Tensor) -> Trees:
        device = degree.device
        nothing = torch.empty(0, dtype=torch.int64, device=device)
        rows, tree, nodes_per_hop = {}, {}, {}
        for name, hops in growth.frontiers.items():
            parts = [part for hop in hops for part in hop]
            rows[name] = torch.cat([nothing, *(_shown(part) for part in parts)])
            tree[name] = torch.cat([nothing, *(part.tree for part in parts)])
            nodes_per_hop[name] = [sum(len(part.rows) for part in hop) for hop in hops]
        edge_index = {}
        for edge_type in self.graph.edge_types:
            parts_of = growth.edges.get(edge_type, [])
            edge_index[edge_type] = torch.cat([nothing.expand(2, 0), *parts_of], dim=1)
        zeros = [0] * len(self.fan_out)
        edges_per_hop = {edge_type: growth.edges_per_hop.get(edge_type, zeros) for edge_type in edge_index}
        return Trees(table, rows, tree, edge_index, nodes_per_hop, edges_per_hop, degree)


def _shown(nodes: _Frontier) -> Tensor:
    """Return the rows with those of hidden roots replaced by -1: their columns must not be read."""
    return nodes.rows if nodes.hidden is None else nodes.rows.masked_fill(nodes.hidden, -1)


def _expand(taken: Tensor) -> tuple[Tensor, Tensor]:
    """Turn counts (n,) into (index of the element, number within it), both (sum,)."""
    element = torch.repeat_interleave(taken)
    first = torch.cumsum(taken, 0) - taken
    return element, torch.arange(len(element), device=taken.device) - first[element]


def _systematic(visible: Tensor, slot: Tensor, fan_out: int, shift: Tensor, state: Tensor) -> Tensor:
    """Draw one position per slot, without replacement, each of `visible` positions with probability fan_out / visible.

    The row is cut into `fan_out` strata, one draw falls into each, and the row is turned by a random shift first, so that
    unequal strata favour nobody.
    """
    low = slot * visible // fan_out
    high = (slot + 1) * visible // fan_out
    drawn = low + draw_below(state, high - low)
    return (drawn + draw_below(shift, visible)) % visible

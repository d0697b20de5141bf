"""The temporal sampler: one computation tree per task row, on any device.

Each tree grows from one task row (entity, cutoff, as-of) and holds only rows visible at its as-of: at every hop the visible
neighbours of a node are a prefix of its adjacency row. Trees of a batch are disjoint, and within a tree every sampled edge
leads to a node of its own: a row reached twice stands there twice. Both keep a tree independent of everything but itself;
encoding shares the rows again. A foreign key walked down is not walked up again at once (driver -> result -> that driver),
since the one parent it leads to is known already; up and down again (result -> race -> its results) is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch

from relselect.rdl.graph.hashing import combine
from relselect.rdl.sampling.growth import Seeds, Step, TorchGrowth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from relselect.rdl.graph.adjacency import EdgeType, Relation
    from relselect.rdl.graph.graph import Graph
    from relselect.rdl.sampling.growth import Growth

__all__ = ["Engine", "FanOut", "Strategy", "TemporalSampler", "Trees"]

Strategy = Literal["last", "uniform"]
Engine = Literal["auto", "compiled", "torch"]
#: Most neighbours per node at one hop: one number for all relations, or numbers by relation; -1 for all neighbours.
FanOut = int | Mapping[tuple[str, str, str], int]

_ALL = 2**31 - 1
_TICKS = torch.iinfo(torch.int64)


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
        degree: int64 (trees, relations of the entity table), visible neighbours of the roots, sampled or not; 0 for
            relations that are not walked.
    """

    entity: str
    rows: dict[str, Tensor]
    tree: dict[str, Tensor]
    edge_index: dict[EdgeType, Tensor]
    nodes_per_hop: dict[str, list[int]]
    edges_per_hop: dict[EdgeType, list[int]]
    degree: Tensor


@dataclass
class _Ledger:
    """What has been sampled so far, in numbers.

    Attributes:
        nodes_per_hop: See `Trees`; hops to come stand at 0.
        edges_per_hop: See `Trees`.
        first: Per node type, the number of the first node of the current hop.
        came: Per node type, hop and relation that brought nodes there, first and last (exclusive) of them within the hop.
    """

    nodes_per_hop: dict[str, list[int]]
    edges_per_hop: dict[EdgeType, list[int]]
    first: dict[str, int]
    came: dict[tuple[str, int, EdgeType | None], tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph, hops: int, table: str, roots: int) -> _Ledger:
        """Begin with the roots."""
        nodes = {name: [0] * (hops + 1) for name in graph.rank}
        nodes[table][0] = roots
        return cls(nodes, {each: [0] * hops for each in graph.edge_types}, dict.fromkeys(graph.rank, 0))

    def reached(self, hop: int) -> list[str]:
        """Return the node types with nodes at a hop, sorted."""
        return sorted(name for name, counts in self.nodes_per_hop.items() if counts[hop])

    def step(self, relation: Relation, hop: int, fan_out: int) -> Step | None:
        """Return the step to take along a relation; None when there is nothing to find."""
        sender, _, receiver = relation.edge_type
        first, count = self.first[receiver], self.nodes_per_hop[receiver][hop]
        back = self.came.get((receiver, hop, relation.opposite), (0, 0))
        if not fan_out or back[1] - back[0] == count:
            return None
        start = self.first[sender] + sum(self.nodes_per_hop[sender][hop:])
        final = hop + 1 == len(self.edges_per_hop[relation.edge_type])
        return Step(relation, (first, first + count), back, start, fan_out, final)

    def record(self, step: Step, hop: int, count: int) -> None:
        """Take note of new nodes."""
        edge_type = step.relation.edge_type
        before = self.nodes_per_hop[edge_type[0]][hop + 1]
        self.came[edge_type[0], hop + 1, edge_type] = (before, before + count)
        self.nodes_per_hop[edge_type[0]][hop + 1] += count
        self.edges_per_hop[edge_type][hop] = count

    def advance(self, hop: int) -> None:
        """Go on to the next hop."""
        for name, counts in self.nodes_per_hop.items():
            self.first[name] += counts[hop]


class TemporalSampler:
    """Samples trees of visible neighbours.

    Args:
        graph: The graph, on the device to sample on.
        fan_out: Most neighbours per node and relation, one entry per hop: a number, or numbers by relation, where those
            not named are not walked; -1 takes all.
        strategy: "last" takes the latest visible neighbours; "uniform" draws without replacement, each visible neighbour
            with the same probability. Ties in time at the edge of "last" are broken by content, never by row order.
        seed: Seeds the draws of "uniform"; "last" draws nothing.
        window: Ticks before the as-of after which children must lie, so in (asof - window, asof]; None for all of the
            past. Parents, and children of tables without time, are visible all the same.
        engine: "torch" for any device, "compiled" for the CPU, the same trees bit for bit; "auto" chooses by the graph's.
    """

    def __init__(
        self,
        graph: Graph,
        fan_out: Sequence[FanOut],
        strategy: Strategy = "last",
        seed: int = 0,
        *,
        window: int | None = None,
        engine: Engine = "auto",
    ) -> None:
        self.graph = graph
        self.fan_out = tuple(fan_out)
        self.strategy = strategy
        self.seed = seed
        self.window = window
        on_cpu = graph.times.device.type == "cpu"
        self.engine: Engine = ("compiled" if on_cpu else "torch") if engine == "auto" else engine

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
        growth = self._plant(self._seeds(table, entity, cutoff, asof))
        ledger = _Ledger.of(self.graph, len(self.fan_out), table, len(entity))
        degree = torch.zeros(len(entity), len(self.graph.relations[table]), dtype=torch.int64, device=entity.device)
        for hop, fan_out in enumerate(self.fan_out):
            for name in ledger.reached(hop):
                for number, relation in enumerate(self.graph.relations[name]):
                    step = ledger.step(relation, hop, _most(fan_out, relation.edge_type))
                    if step is None:
                        continue
                    count, visible = growth.grow(step)
                    ledger.record(step, hop, count)
                    if hop == 0:
                        degree[:, number] = visible
            ledger.advance(hop)
        return self._collect(table, growth, ledger, degree)

    def _seeds(self, table: str, entity: Tensor, cutoff: Tensor, asof: Tensor) -> Seeds:
        graph = self.graph
        ceiling = graph.asof_rank(asof)
        known = entity >= 0
        state, hidden = torch.zeros_like(entity), torch.ones_like(known)
        if len(graph.rank[table]):
            rows = entity.clamp(min=0)
            hidden = ~known | (graph.rank[table][rows] >= ceiling)
            state = torch.where(known, graph.identity[table][rows], state)
        state = combine(combine(state + self.seed, cutoff), self.seed)
        floor = None
        if self.window is not None:
            # an as-of near the smallest int64 must not wrap around
            floor = graph.asof_rank(asof.clamp(min=_TICKS.min + self.window) - self.window)
        return Seeds(table, entity, hidden, state, ceiling, floor)

    def _plant(self, seeds: Seeds) -> Growth:
        if self.engine == "torch":
            return TorchGrowth(seeds, self.strategy == "uniform")
        from relselect.rdl.sampling.compiled import CompiledGrowth  # what samples on a GPU needs no compiler

        return CompiledGrowth(seeds, self.strategy == "uniform")

    def _collect(self, table: str, growth: Growth, ledger: _Ledger, degree: Tensor) -> Trees:
        nodes = {name: growth.nodes(name) for name in self.graph.node_types}
        return Trees(
            table,
            {name: rows for name, (rows, _) in nodes.items()},
            {name: tree for name, (_, tree) in nodes.items()},
            {edge_type: growth.edges(edge_type) for edge_type in self.graph.edge_types},
            ledger.nodes_per_hop,
            ledger.edges_per_hop,
            degree,
        )


def _most(fan_out: FanOut, edge_type: EdgeType) -> int:
    most = fan_out if isinstance(fan_out, int) else fan_out.get(edge_type, 0)
    return _ALL if most < 0 else most

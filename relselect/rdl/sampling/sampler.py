"""Temporal neighbour sampler: one computation tree per task row, on any device.

The tree of a task row (entity, cutoff, as-of) holds only rows that are visible at its as-of: at every hop the visible
neighbours of a node are a prefix of its adjacency row. Trees of a batch share no nodes, and every sampled edge leads to a new
node, so a row that is reached twice is two nodes. A tree therefore depends on its task row alone; `relselect.rdl.network.batch`
finds the distinct rows again, so that each is encoded once. After a step from parent to child the same foreign key is not
followed back (driver -> result -> the same driver), because it leads to the node just left; from child to parent and back
(result -> race -> the race's results) is followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import torch

from relselect.rdl.graph.hashing import combine
from relselect.rdl.sampling.tree_builder import Expansion, SeedNodes, TorchTreeBuilder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from relselect.rdl.graph.adjacency import EdgeType, Relation
    from relselect.rdl.graph.graph import Graph
    from relselect.rdl.sampling.tree_builder import TreeBuilder

__all__ = ["Engine", "FanOut", "SampledTrees", "Strategy", "TemporalSampler"]

Strategy = Literal["last", "uniform"]
Engine = Literal["auto", "compiled", "torch"]
#: Most neighbours per node at one hop: one number for all relations, or a number per edge type; -1 for all neighbours.
FanOut = int | Mapping[tuple[str, str, str], int]

_ALL = 2**31 - 1
_TICKS = torch.iinfo(torch.int64)


@dataclass(frozen=True)
class SampledTrees:
    """The sampled trees of a batch, in the form that PyG's heterogeneous layers and `trim_to_layer` take.

    Nodes are numbered per node type, hop by hop; the roots are the first nodes of the entity table, in the order of the task
    rows.

    Attributes:
        entity: The entity table.
        rows: Per node type int64 (nodes,), row index; -1 for a root whose entity is unknown or hidden.
        tree: Per node type int64 (nodes,), the position in the batch of the node's task row.
        edge_index: Per edge type int64 (2, edges), sender and receiver; receivers ascend within a hop.
        nodes_per_hop: Per node type the number of nodes at each hop, from hop 0 on.
        edges_per_hop: Per edge type the number of edges at each hop, from hop 1 on.
        degree: int64 (trees, relations of the entity table), the number of visible neighbours of each root, whether sampled
            or not; 0 for relations that are not followed.
    """

    entity: str
    rows: dict[str, Tensor]
    tree: dict[str, Tensor]
    edge_index: dict[EdgeType, Tensor]
    nodes_per_hop: dict[str, list[int]]
    edges_per_hop: dict[EdgeType, list[int]]
    degree: Tensor

    def to(self, device: torch.device) -> SampledTrees:
        """Return the trees on `device`."""
        rows, tree = (
            {name: each.to(device, non_blocking=True) for name, each in part.items()} for part in (self.rows, self.tree)
        )
        edges = {name: each.to(device, non_blocking=True) for name, each in self.edge_index.items()}
        degree = self.degree.to(device, non_blocking=True)
        return replace(self, rows=rows, tree=tree, edge_index=edges, degree=degree)


@dataclass
class _NodeCounts:
    """Counts of the nodes and edges sampled so far.

    Attributes:
        nodes_per_hop: See `SampledTrees`; 0 for hops that are not sampled yet.
        edges_per_hop: See `SampledTrees`.
        first: Per node type, the number of the first node of the current hop.
        came: Per (node type, hop, edge type), first and last (exclusive) of the nodes that were sampled there along that edge
            type, counted within the hop.
    """

    nodes_per_hop: dict[str, list[int]]
    edges_per_hop: dict[EdgeType, list[int]]
    first: dict[str, int]
    came: dict[tuple[str, int, EdgeType | None], tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, graph: Graph, hops: int, table: str, roots: int) -> _NodeCounts:
        """Return the counts of `roots` roots in `table` and nothing else."""
        nodes = {name: [0] * (hops + 1) for name in graph.rank}
        nodes[table][0] = roots
        return cls(nodes, {each: [0] * hops for each in graph.edge_types}, dict.fromkeys(graph.rank, 0))

    def reached(self, hop: int) -> list[str]:
        """Return the node types with nodes at a hop, sorted."""
        return sorted(name for name, counts in self.nodes_per_hop.items() if counts[hop])

    def expansion(self, relation: Relation, hop: int, fan_out: int) -> Expansion | None:
        """Return the expansion along a relation at a hop; None when no node is to be expanded."""
        sender, _, receiver = relation.edge_type
        first, count = self.first[receiver], self.nodes_per_hop[receiver][hop]
        back = self.came.get((receiver, hop, relation.opposite), (0, 0))
        if not fan_out or back[1] - back[0] == count:
            return None
        start = self.first[sender] + sum(self.nodes_per_hop[sender][hop:])
        final = hop + 1 == len(self.edges_per_hop[relation.edge_type])
        return Expansion(relation, (first, first + count), back, start, fan_out, final)

    def record(self, expansion: Expansion, hop: int, count: int) -> None:
        """Add the new nodes and edges of an expansion."""
        edge_type = expansion.relation.edge_type
        before = self.nodes_per_hop[edge_type[0]][hop + 1]
        self.came[edge_type[0], hop + 1, edge_type] = (before, before + count)
        self.nodes_per_hop[edge_type[0]][hop + 1] += count
        self.edges_per_hop[edge_type][hop] = count

    def advance(self, hop: int) -> None:
        """Move to the next hop."""
        for name, counts in self.nodes_per_hop.items():
            self.first[name] += counts[hop]


class TemporalSampler:
    """Samples a tree of visible neighbours per task row.

    Hop h gives every node of hop h - 1, per relation, min(F, v) neighbours of its v visible ones, with F the fan-out of the
    hop (neighbour sampling of GraphSAGE: Hamilton, Ying and Leskovec, NeurIPS 2017; restricted to the graph up to the as-of:
    Fey et al., "Position: Relational deep learning", ICML 2024). "last" takes those of the latest times; "uniform" includes each
    of the v with probability F / v, see `relselect.rdl.sampling.tree_builder.draw_positions`.

    Args:
        graph: The graph, on the device to sample on.
        fan_out: Most neighbours per node and relation, one entry per hop: a number, or a number per edge type, where edge types
            left out are not followed; -1 takes all neighbours.
        strategy: "last" or "uniform". "last" orders neighbours of equal time by a hash of their content, never by row order.
        seed: Seed of the draws of "uniform"; "last" draws nothing.
        window: Children must lie in (asof - window, asof], in ticks; None for all of the past. Parents, and children in tables
            without a time, are not restricted.
        engine: "torch" for any device, "compiled" for the CPU, with the same trees bit for bit; "auto" takes "compiled" where
            the graph is on the CPU.

    Example:
        >>> import numpy as np
        >>> from relselect.rdl.graph.graph import ForeignKeyEdges, build_graph
        >>> key = ForeignKeyEdges("orders", "user", "users", np.array([0, 0, 0, 1]))
        >>> times = {"users": np.array([0, 0]), "orders": np.array([1, 2, 3, 3])}
        >>> graph = build_graph(times, {name: np.arange(len(each)) for name, each in times.items()}, [key])
        >>> asof = torch.tensor([2, 9])
        >>> trees = TemporalSampler(graph, [5]).sample("users", torch.tensor([0, 1]), asof, asof)
        >>> trees.rows["orders"].tolist(), trees.tree["orders"].tolist()
        ([1, 0, 3], [0, 0, 1])
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

    def sample(self, table: str, entity: Tensor, cutoff: Tensor, asof: Tensor) -> SampledTrees:
        """Sample one tree per task row.

        Args:
            table: The entity table.
            entity: int64 (n,) row index in it, -1 for an unknown entity, which becomes a root without neighbours.
            cutoff: int64 (n,) ticks; only identifies the task row for the draws.
            asof: int64 (n,) ticks; a neighbour is sampled only if its time is at most this. An entity whose own row is later
                becomes a root of row -1 that has its visible children and no parents.

        Returns:
            The n trees.
        """
        builder = self._builder(self._seeds(table, entity, cutoff, asof))
        counts = _NodeCounts.of(self.graph, len(self.fan_out), table, len(entity))
        degree = torch.zeros(len(entity), len(self.graph.relations[table]), dtype=torch.int64, device=entity.device)
        for hop, fan_out in enumerate(self.fan_out):
            for name in counts.reached(hop):
                for number, relation in enumerate(self.graph.relations[name]):
                    expansion = counts.expansion(relation, hop, _most(fan_out, relation.edge_type))
                    if expansion is None:
                        continue
                    count, visible = builder.expand(expansion)
                    counts.record(expansion, hop, count)
                    if hop == 0:
                        degree[:, number] = visible
            counts.advance(hop)
        return self._collect(table, builder, counts, degree)

    def _seeds(self, table: str, entity: Tensor, cutoff: Tensor, asof: Tensor) -> SeedNodes:
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
        return SeedNodes(table, entity, hidden, state, ceiling, floor)

    def _builder(self, seeds: SeedNodes) -> TreeBuilder:
        if self.engine == "torch":
            return TorchTreeBuilder(seeds, self.strategy == "uniform")
        from relselect.rdl.sampling.compiled_tree_builder import CompiledTreeBuilder  # sampling on a GPU needs no numba

        return CompiledTreeBuilder(seeds, self.strategy == "uniform")

    def _collect(self, table: str, builder: TreeBuilder, counts: _NodeCounts, degree: Tensor) -> SampledTrees:
        nodes = {name: builder.nodes(name) for name in self.graph.node_types}
        return SampledTrees(
            table,
            {name: rows for name, (rows, _) in nodes.items()},
            {name: tree for name, (_, tree) in nodes.items()},
            {edge_type: builder.edges(edge_type) for edge_type in self.graph.edge_types},
            counts.nodes_per_hop,
            counts.edges_per_hop,
            degree,
        )


def _most(fan_out: FanOut, edge_type: EdgeType) -> int:
    most = fan_out if isinstance(fan_out, int) else fan_out.get(edge_type, 0)
    return _ALL if most < 0 else most

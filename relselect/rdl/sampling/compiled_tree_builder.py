"""Samples the neighbours along one relation at one hop, in compiled loops on the CPU.

`relselect.rdl.sampling.tree_builder` does the same in torch on any device and says what is kept per node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.rdl.graph.adjacency import ParentRelation
from relselect.rdl.sampling import kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from relselect.rdl.graph.adjacency import ChildRelation, EdgeType
    from relselect.rdl.sampling.tree_builder import Expansion, SeedNodes

__all__ = ["CompiledTreeBuilder"]


class CompiledTreeBuilder:
    """A `TreeBuilder` in compiled loops, which write nodes and edges straight into the arrays that are returned.

    Args:
        seeds: The seed nodes, on the CPU.
        uniform: Whether neighbours are drawn uniformly; otherwise the latest are taken.
    """

    def __init__(self, seeds: SeedNodes, uniform: bool) -> None:
        self._table, self._uniform = seeds.table, uniform
        self._entity, self._hidden = seeds.rows.numpy(), seeds.hidden.numpy()
        self._ceiling = seeds.ceiling.numpy()
        self._floor = np.empty(0, np.int64) if seeds.floor is None else seeds.floor.numpy()
        self._nodes: dict[str, _Buffer] = {}
        self._edges: dict[EdgeType, _Buffer] = {}
        roots = self._buffer(seeds.table)
        count = len(self._entity)
        space = roots.reserve(count)
        space[0] = np.where(self._hidden, -1, self._entity)
        space[1] = np.arange(count)
        if uniform:
            space[2] = seeds.state.numpy()
        roots.used = count

    def _buffer(self, table: str) -> _Buffer:
        if table not in self._nodes:
            self._nodes[table] = _Buffer(3 if self._uniform else 2)
        return self._nodes[table]

    def expand(self, expansion: Expansion) -> tuple[int, Tensor]:
        """See `TreeBuilder`."""
        sender, _, receiver = expansion.relation.edge_type
        first, last = expansion.receivers
        nodes = self._buffer(receiver).array[:, first:last]
        roots = receiver == self._table and first == 0
        rows = self._entity if roots else nodes[0]
        visible = np.empty(last - first, np.int64)
        out, edges = self._buffer(sender), self._edges.get(expansion.relation.edge_type) or _Buffer(2)
        self._edges[expansion.relation.edge_type] = edges
        numbers = (expansion.sender, first)
        if isinstance(expansion.relation, ParentRelation):
            hidden = self._hidden if roots else self._hidden[:0]
            count = kernels.take_parents(
                expansion.relation.array, expansion.relation.salt, rows, nodes[1], nodes[-1], hidden, self._ceiling,
                expansion.back, numbers, visible, self._space(out, len(rows), expansion), edges.reserve(len(rows)),
            )  # fmt: skip
        else:
            count = self._children(expansion, expansion.relation, rows, nodes, visible, out, edges)
        out.used += count
        edges.used += count
        return count, torch.from_numpy(visible)

    def _children(
        self,
        expansion: Expansion,
        relation: ChildRelation,
        rows: NDArray[np.int64],
        nodes: NDArray[np.int64],
        visible: NDArray[np.int64],
        out: _Buffer,
        edges: _Buffer,
    ) -> int:
        index = relation.arrays
        start = np.empty(len(rows), np.int64)
        floor = self._floor[:0] if relation.timeless else self._floor
        count = kernels.count_children(
            index.pointer, index.rank, rows, nodes[1], self._ceiling, floor, expansion.fan_out, start, visible
        )
        if count:
            kernels.take_children(
                index.child, relation.salt, nodes[1], nodes[-1], start, visible, expansion.fan_out, self._uniform,
                (expansion.sender, expansion.receivers[0]), self._space(out, count, expansion), edges.reserve(count),
            )  # fmt: skip
        return count

    def _space(self, out: _Buffer, count: int, expansion: Expansion) -> NDArray[np.int64]:
        space = out.reserve(count)
        return space[:2] if expansion.final else space

    def nodes(self, table: str) -> tuple[Tensor, Tensor]:
        """See `TreeBuilder`."""
        taken = self._buffer(table).taken()
        return torch.from_numpy(taken[0]), torch.from_numpy(taken[1])

    def edges(self, edge_type: EdgeType) -> Tensor:
        """See `TreeBuilder`."""
        return torch.from_numpy(self._edges.get(edge_type, _Buffer(2)).taken())


class _Buffer:
    """A growing array (width, n); its capacity at least doubles, so that appending costs amortised constant time."""

    def __init__(self, width: int) -> None:
        self.array = np.empty((width, 0), np.int64)
        self.used = 0

    def reserve(self, count: int) -> NDArray[np.int64]:
        """Return a view (width, count) of the columns after those in use."""
        if self.used + count > self.array.shape[1]:
            # one spare column: a view of less than the whole is never contiguous, so the loops are compiled for one layout
            larger = np.empty((len(self.array), max(self.used + count, 2 * self.array.shape[1]) + 1), np.int64)
            larger[:, : self.used] = self.array[:, : self.used]
            self.array = larger
        return self.array[:, self.used : self.used + count]

    def taken(self) -> NDArray[np.int64]:
        """Return the columns in use."""
        return self.array[:, : self.used]

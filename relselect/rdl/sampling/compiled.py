"""How trees grow by one relation at one hop, in compiled loops on the CPU; see `growth` for the same in torch."""

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
    from relselect.rdl.sampling.growth import Seeds, Step

__all__ = ["CompiledGrowth"]


class CompiledGrowth:
    """Growth in compiled loops, which write nodes and edges where they stay.

    Args:
        seeds: The roots, on the CPU.
        uniform: Whether neighbours are drawn; else the latest are taken.
    """

    def __init__(self, seeds: Seeds, uniform: bool) -> None:
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

    def grow(self, step: Step) -> tuple[int, Tensor]:
        """See `Growth`."""
        sender, _, receiver = step.relation.edge_type
        first, last = step.receivers
        nodes = self._buffer(receiver).array[:, first:last]
        roots = receiver == self._table and first == 0
        rows = self._entity if roots else nodes[0]
        visible = np.empty(last - first, np.int64)
        out, edges = self._buffer(sender), self._edges.get(step.relation.edge_type) or _Buffer(2)
        self._edges[step.relation.edge_type] = edges
        numbers = (step.sender, first)
        if isinstance(step.relation, ParentRelation):
            hidden = self._hidden if roots else self._hidden[:0]
            count = kernels.take_parents(
                step.relation.array, step.relation.salt, rows, nodes[1], nodes[-1], hidden, self._ceiling,
                step.back, numbers, visible, self._space(out, len(rows), step), edges.reserve(len(rows)),
            )  # fmt: skip
        else:
            count = self._children(step, step.relation, rows, nodes, visible, out, edges)
        out.used += count
        edges.used += count
        return count, torch.from_numpy(visible)

    def _children(
        self,
        step: Step,
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
            index.pointer, index.rank, rows, nodes[1], self._ceiling, floor, step.fan_out, start, visible
        )
        if count:
            kernels.take_children(
                index.child, relation.salt, nodes[1], nodes[-1], start, visible, step.fan_out, self._uniform,
                (step.sender, step.receivers[0]), self._space(out, count, step), edges.reserve(count),
            )  # fmt: skip
        return count

    def _space(self, out: _Buffer, count: int, step: Step) -> NDArray[np.int64]:
        space = out.reserve(count)
        return space[:2] if step.final else space

    def nodes(self, table: str) -> tuple[Tensor, Tensor]:
        """See `Growth`."""
        taken = self._buffer(table).taken()
        return torch.from_numpy(taken[0]), torch.from_numpy(taken[1])

    def edges(self, edge_type: EdgeType) -> Tensor:
        """See `Growth`."""
        return torch.from_numpy(self._edges.get(edge_type, _Buffer(2)).taken())


class _Buffer:
    """An array (width, n) whose n grows, at least doubling, so that all that is appended is copied twice at most."""

    def __init__(self, width: int) -> None:
        self.array = np.empty((width, 0), np.int64)
        self.used = 0

    def reserve(self, count: int) -> NDArray[np.int64]:
        """Return room for `count` more columns after those in use."""
        if self.used + count > self.array.shape[1]:
            # one column to spare: a view that is never the whole is of one kind, and loops are compiled for one kind
            larger = np.empty((len(self.array), max(self.used + count, 2 * self.array.shape[1]) + 1), np.int64)
            larger[:, : self.used] = self.array[:, : self.used]
            self.array = larger
        return self.array[:, self.used : self.used + count]

    def taken(self) -> NDArray[np.int64]:
        """Return what is in use."""
        return self.array[:, : self.used]

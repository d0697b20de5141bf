"""One relation of the graph as an index that answers: which neighbours of these nodes are visible at these times?

A foreign key gives two relations. Towards the parent a row has at most one neighbour, so the index is a plain array.
Towards the children it is a CSR whose rows are sorted by the children's time, so what is visible is a prefix of the row.
A bridge table's shortcut from one of its parents to another is a CSR too, by the time from which bridge and far end are seen.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from relselect.hashing import hash_text

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = [
    "ChildArrays",
    "ChildRelation",
    "EdgeType",
    "ParentRelation",
    "Relation",
    "child_relation",
    "down",
    "parent_relation",
    "up",
    "via",
]

EdgeType = tuple[str, str, str]
_UP, _DOWN, _VIA = "rev_", "key_", "via_"


def down(source: str, name: str, target: str) -> EdgeType:
    """Return the relation from the rows of `source` to the parents of `target` that its foreign key `name` gives them.

    The relation bears the key's name, unless that looks like one of those made here.
    """
    return source, f"{_DOWN}{name}" if name.startswith((_UP, _DOWN, _VIA)) else name, target


def up(source: str, name: str, target: str) -> EdgeType:
    """Return the relation from the parents of `target` to the rows of `source`, along the foreign key `name`."""
    return target, f"{_UP}{name}", source


def via(bridge: str, near: str, target: str, far: str, far_target: str) -> EdgeType:
    """Return the relation to the parents of `target` by the key `near` from those of `far_target` by the key `far`."""
    return far_target, f"{_VIA}{json.dumps([bridge, near, far])}", target


@dataclass(frozen=True)
class ParentRelation:
    """Edges from a row to the row its foreign key names.

    Attributes:
        edge_type: (parent table, name, child table): a message flows from the parent to the child.
        parent: int64 (children,), row index of the parent, -1 for none.
        rank: int64 (children,), time rank of that parent, that of what is never visible where there is none.
        opposite: The relation down the same foreign key: whoever came by it came from this very parent.
    """

    edge_type: EdgeType
    parent: Tensor
    rank: Tensor
    opposite: EdgeType

    def to(self, device: torch.device) -> ParentRelation:
        """Return the relation with its tensors on `device`."""
        return ParentRelation(self.edge_type, self.parent.to(device), self.rank.to(device), self.opposite)

    def visible(self, nodes: Tensor, ceiling: Tensor) -> Tensor:
        """Return whether each node's parent is there and visible, bool of the shape of `nodes`."""
        return self.rank[nodes] < ceiling

    @cached_property
    def salt(self) -> int:
        """A number of this relation for hashes, the same in every graph that has it."""
        return hash_text("\x1f".join(self.edge_type))

    @cached_property
    def array(self) -> NDArray[np.int64]:
        """(children, 2): time rank and row index of each row's parent side by side, for compiled loops on the CPU."""
        return torch.stack([self.rank, self.parent], dim=1).numpy()


class ChildArrays(NamedTuple):
    """A `ChildRelation` for compiled loops on the CPU: int64 (nodes + 1,), int32 (edges,) and int32 (edges,)."""

    pointer: NDArray[np.int64]
    child: NDArray[np.int32]
    rank: NDArray[np.int32]


@dataclass(frozen=True)
class ChildRelation:
    """Edges from a row to the rows whose foreign key names it, or across a bridge; each node's by time.

    Attributes:
        edge_type: (child table, name, parent table): a message flows from the child to the parent.
        pointer: int64 (nodes + 1,), where the neighbours of each node start.
        child: int64 (edges,), row index of each neighbour.
        key: int64 (edges,), node * stride + time rank of the edge, ascending.
        stride: Number of distinct time ranks, the rank of what is never visible included.
        width: Most neighbours of one node.
        timeless: The edges have no time: they are always visible, and no window leaves them out.
    """

    edge_type: EdgeType
    pointer: Tensor
    child: Tensor
    key: Tensor
    stride: int
    width: int
    timeless: bool = False

    def to(self, device: torch.device) -> ChildRelation:
        """Return the relation with its tensors on `device`."""
        tensors = (self.pointer.to(device), self.child.to(device), self.key.to(device))
        return ChildRelation(self.edge_type, *tensors, self.stride, self.width, self.timeless)

    def visible(self, nodes: Tensor, ceiling: Tensor, floor: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Find the visible neighbours of each node.

        Args:
            nodes: int64 (n,) rows.
            ceiling: int64 (n,) time rank below which an edge is visible.
            floor: int64 (n,) time rank from which on an edge lies in the window; None for no window.

        Returns:
            Where each node's visible neighbours start and how many there are, both int64 (n,).
        """
        own = nodes * self.stride
        if floor is None or self.timeless:
            start = self.pointer[nodes]
        else:
            start = torch.searchsorted(self.key, own + floor)
        return start, torch.searchsorted(self.key, own + ceiling) - start

    @property
    def opposite(self) -> None:
        """None: siblings, the row one came from among them, are worth a visit."""
        return None

    @cached_property
    def salt(self) -> int:
        """A number of this relation for hashes, the same in every graph that has it."""
        return hash_text("\x1f".join(self.edge_type))

    @cached_property
    def arrays(self) -> ChildArrays:
        """The index for compiled loops on the CPU, half as wide."""
        rank = (self.key % self.stride).to(torch.int32)
        return ChildArrays(self.pointer.numpy(), self.child.to(torch.int32).numpy(), rank.numpy())


Relation = ParentRelation | ChildRelation


def parent_relation(
    edge_type: EdgeType, opposite: EdgeType, parent: NDArray[np.int64], rank: NDArray[np.int64], never: int
) -> ParentRelation:
    """Index the parent of every row.

    Args:
        edge_type: (parent table, name, child table).
        opposite: The relation down the same foreign key.
        parent: (children,) row index of each row's parent, -1 for none.
        rank: (parents,) time rank of each parent.
        never: The rank of what is never visible.

    Returns:
        The index.
    """
    # a table without rows still gets one rank, so that looking up "no parent" needs no special case
    padded = rank if len(rank) else np.zeros(1, np.int64)
    ranks = np.where(parent >= 0, padded[np.maximum(parent, 0)], never)
    return ParentRelation(edge_type, torch.from_numpy(np.array(parent)), torch.from_numpy(ranks), opposite)


def child_relation(
    edge_type: EdgeType,
    node: NDArray[np.int64],
    child: NDArray[np.int64],
    rank: NDArray[np.int64],
    identity: NDArray[np.int64],
    nodes: int,
    stride: int,
    timeless: bool = False,
) -> ChildRelation:
    """Index the neighbours of every node by time.

    Args:
        edge_type: (child table, name, parent table).
        node: (edges,) row index of the node an edge leads to, -1 for none.
        child: (edges,) row index of the neighbour it comes from.
        rank: (edges,) time rank of each edge; `stride - 1` means never visible and is left out.
        identity: (edges,) content hash of each edge, which orders edges of equal time.
        nodes: Number of rows of the parent table.
        stride: Number of time ranks, the never-visible one included.
        timeless: See `ChildRelation`.

    Returns:
        The index, built by one sort of the edges.
    """
    kept = np.flatnonzero((node >= 0) & (rank < stride - 1))
    key = node[kept] * stride + rank[kept]
    order = np.lexsort((identity[kept], key))
    counts = np.bincount(node[kept], minlength=nodes)
    pointer = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
    tensors = (torch.from_numpy(pointer), torch.from_numpy(child[kept][order]), torch.from_numpy(key[order]))
    return ChildRelation(edge_type, *tensors, stride, int(counts.max(initial=0)), timeless)

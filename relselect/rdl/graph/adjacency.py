"""Index of one edge type: the neighbours of given nodes that are visible at given times.

A foreign key gives two edge types. Towards the parent a row has at most one neighbour, so the index is a plain array.
Towards the children the index is a CSR (compressed sparse rows) whose rows are sorted by the children's time, so the visible
children are a prefix of the row. The shortcut across a bridge table, from one of its parents to another, is a CSR as well,
sorted by the time from which both the bridge row and the far parent are visible.

This module does not choose among visible neighbours (see `relselect.rdl.sampling`).
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
    "child_edge_type",
    "child_relation",
    "key_of",
    "leads_to_child",
    "parent_edge_type",
    "parent_relation",
    "shortcut_edge_type",
]

EdgeType = tuple[str, str, str]
#: Prefixes of the names of edge types that are not simply named after their foreign key.
_TO_CHILD, _ESCAPED, _SHORTCUT = "rev_", "key_", "via_"


def child_edge_type(source: str, name: str, target: str) -> EdgeType:
    """Return the edge type from child to parent of the foreign key `name` of `source`, which refers to `target`.

    It carries the key's name; a key whose name begins with one of the prefixes made here gets another prefix, so that no two
    edge types of a graph are equal.

    Example:
        >>> child_edge_type("orders", "user", "users")
        ('orders', 'user', 'users')
    """
    return source, f"{_ESCAPED}{name}" if name.startswith((_TO_CHILD, _ESCAPED, _SHORTCUT)) else name, target


def parent_edge_type(source: str, name: str, target: str) -> EdgeType:
    """Return the edge type from parent to child of the foreign key `name` of `source`, which refers to `target`.

    Example:
        >>> parent_edge_type("orders", "user", "users")
        ('users', 'rev_user', 'orders')
    """
    return target, f"{_TO_CHILD}{name}", source


def leads_to_child(edge_type: EdgeType) -> bool:
    """Return whether the edges lead from parents to children, each of which has at most one parent there.

    Example:
        >>> leads_to_child(("users", "rev_user", "orders")), leads_to_child(("orders", "user", "users"))
        (True, False)
    """
    return edge_type[1].startswith(_TO_CHILD)


def key_of(edge_type: EdgeType) -> str | None:
    """Return the foreign key that edges from parents to children follow backwards; None for all other edge types.

    Example:
        >>> key_of(("users", "rev_user", "orders")), key_of(("orders", "user", "users"))
        ('user', None)
    """
    return edge_type[1].removeprefix(_TO_CHILD) if leads_to_child(edge_type) else None


def shortcut_edge_type(bridge: str, near: str, target: str, far: str, far_target: str) -> EdgeType:
    """Return the edge type across a bridge table, from one of its parents to another.

    Args:
        bridge: The bridge table.
        near: Its foreign key to the receiving table.
        target: The receiving table.
        far: Its foreign key to the sending table.
        far_target: The sending table.
    """
    return far_target, f"{_SHORTCUT}{json.dumps([bridge, near, far])}", target


@dataclass(frozen=True)
class ParentRelation:
    """The parent of every row of a table along one foreign key.

    Attributes:
        edge_type: (parent table, name, child table): a message flows from the parent to the child.
        parent: int64 (children,), row index of the parent, -1 for none.
        rank: int64 (children,), time rank of that parent; the rank "never visible" where there is none.
        opposite: The edge type of the same foreign key from child to parent. A node that was sampled along it has this
            parent in the tree already, so the parent is not sampled again.
        pairs: `array`, where it is stored already: `parent` and `rank` are then views of its columns.
    """

    edge_type: EdgeType
    parent: Tensor
    rank: Tensor
    opposite: EdgeType
    pairs: NDArray[np.int64] | None = None

    def to(self, device: torch.device) -> ParentRelation:
        """Return the relation with its tensors on `device`."""
        return ParentRelation(self.edge_type, self.parent.to(device), self.rank.to(device), self.opposite)

    def visible(self, nodes: Tensor, ceiling: Tensor) -> Tensor:
        """Return whether each node has a parent whose time rank is below `ceiling`, bool of the shape of `nodes`."""
        return self.rank[nodes] < ceiling

    @cached_property
    def salt(self) -> int:
        """A hash of the edge type, the same in every graph, which is mixed into the draws along this relation."""
        return hash_text("\x1f".join(self.edge_type))

    @cached_property
    def array(self) -> NDArray[np.int64]:
        """(children, 2): time rank and row index of each row's parent side by side, for compiled loops on the CPU."""
        return torch.stack([self.rank, self.parent], dim=1).numpy() if self.pairs is None else self.pairs


class ChildArrays(NamedTuple):
    """A `ChildRelation` for compiled loops on the CPU.

    Attributes:
        pointer: int64 (nodes + 1,), see `ChildRelation`.
        child: int32 (edges,), see `ChildRelation`.
        rank: int32 (edges,), time rank of each edge.
    """

    pointer: NDArray[np.int64]
    child: NDArray[np.int32]
    rank: NDArray[np.int32]


@dataclass(frozen=True)
class ChildRelation:
    """The children of every row of a table along one foreign key, or its neighbours across a bridge, sorted by time.

    Attributes:
        edge_type: (child table, name, parent table): a message flows from the child to the parent.
        pointer: int64 (nodes + 1,), where the neighbours of each node start.
        child: int64 or int32 (edges,), row index of each neighbour.
        key: int64 (edges,), node * stride + time rank of the edge, ascending.
        stride: Number of distinct time ranks, the rank "never visible" included.
        width: Largest number of neighbours of one node.
        timeless: Whether the edges have no time: they are always visible, whatever the window.
        stored: `arrays`, where they are stored already.
    """

    edge_type: EdgeType
    pointer: Tensor
    child: Tensor
    key: Tensor
    stride: int
    width: int
    timeless: bool = False
    stored: ChildArrays | None = None

    def to(self, device: torch.device) -> ChildRelation:
        """Return the relation with its tensors on `device`."""
        tensors = (self.pointer.to(device), self.child.to(device), self.key.to(device))
        return ChildRelation(self.edge_type, *tensors, self.stride, self.width, self.timeless)

    def visible(self, nodes: Tensor, ceiling: Tensor, floor: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Find the visible neighbours of each node.

        Args:
            nodes: int64 (n,) rows.
            ceiling: int64 (n,) edges of a smaller time rank are visible.
            floor: int64 (n,) edges of at least this time rank lie in the window; None for no window.

        Returns:
            (start, count), both int64 (n,): the visible neighbours of node i are `child[start[i] : start[i] + count[i]]`.
        """
        own = nodes * self.stride
        if floor is None or self.timeless:
            start = self.pointer[nodes]
        else:
            start = torch.searchsorted(self.key, own + floor)
        return start, torch.searchsorted(self.key, own + ceiling) - start

    @property
    def opposite(self) -> None:
        """None: after a step to the parent all its children are sampled, also the one the step came from."""
        return None

    @cached_property
    def salt(self) -> int:
        """A hash of the edge type, the same in every graph, which is mixed into the draws along this relation."""
        return hash_text("\x1f".join(self.edge_type))

    @cached_property
    def arrays(self) -> ChildArrays:
        """The index in int32, for compiled loops on the CPU."""
        if self.stored is not None:
            return self.stored
        rank = (self.key % self.stride).to(torch.int32)
        return ChildArrays(self.pointer.numpy(), self.child.to(torch.int32).numpy(), rank.numpy())


Relation = ParentRelation | ChildRelation


def parent_relation(
    edge_type: EdgeType, opposite: EdgeType, parent: NDArray[np.int64], rank: NDArray[np.int64], never: int
) -> ParentRelation:
    """Index the parent of every row.

    Args:
        edge_type: (parent table, name, child table).
        opposite: The edge type of the same foreign key from child to parent.
        parent: (children,) row index of each row's parent, -1 for none.
        rank: (parents,) time rank of each parent.
        never: The time rank "never visible".

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
        node: (edges,) row index of the receiver, -1 for none.
        child: (edges,) row index of the sender.
        rank: (edges,) time rank of each edge; edges of rank `stride - 1` are never visible and are left out.
        identity: (edges,) content hash of each edge, which orders edges of equal time.
        nodes: Number of rows of the parent table.
        stride: Number of time ranks, the rank "never visible" included.
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

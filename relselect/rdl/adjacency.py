"""One relation of the graph as an index that answers: which neighbours of these nodes are visible at these times?

A foreign key gives two relations. Towards the parent a row has at most one neighbour, so the index is a plain array.
Towards the children it is a CSR whose rows are sorted by the children's time, so what is visible is a prefix of the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.rdl.hashing import hash_text

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["ChildRelation", "EdgeType", "ParentRelation", "Relation", "child_relation"]

EdgeType = tuple[str, str, str]


@dataclass(frozen=True)
class ParentRelation:
    """Edges from a row to the row its foreign key names.

    Attributes:
        edge_type: (parent table, name, child table): a message flows from the parent to the child.
        parent: int64 (children,), row index of the parent, -1 for none.
        rank: int64 (children,), time rank of that parent, meaningless where there is none.
    """

    edge_type: EdgeType
    parent: Tensor
    rank: Tensor

    def to(self, device: torch.device) -> ParentRelation:
        """Return the relation with its tensors on `device`."""
        return ParentRelation(self.edge_type, self.parent.to(device), self.rank.to(device))

    def visible(self, nodes: Tensor, asof_rank: Tensor) -> tuple[Tensor, Tensor]:
        """Return where the visible neighbours start and how many there are, both int64 of the shape of `nodes`."""
        present = (self.parent[nodes] >= 0) & (self.rank[nodes] < asof_rank)
        return nodes, present.long()

    def neighbours(self, positions: Tensor) -> Tensor:
        """Return the neighbour rows at `positions`."""
        return self.parent[positions]

    @property
    def opposite(self) -> EdgeType | None:
        """The relation down the same foreign key: whoever came by it came from this very parent."""
        sender, name, receiver = self.edge_type
        return receiver, name.removeprefix("rev_"), sender

    @property
    def to_parent(self) -> bool:
        """Whether the neighbours are parents."""
        return True

    @property
    def salt(self) -> int:
        """A number of this relation for hashes, the same in every graph that has it."""
        return hash_text("\x1f".join(self.edge_type))


@dataclass(frozen=True)
class ChildRelation:
    """Edges from a row to the rows whose foreign key names it, each node's by time.

    Attributes:
        edge_type: (child table, name, parent table): a message flows from the child to the parent.
        pointer: int64 (parents + 1,), where the children of each node start.
        child: int64 (edges,), row index of each child.
        key: int64 (edges,), node * stride + time rank of the child, ascending.
        stride: Number of distinct time ranks, the rank of what is never visible included.
        width: Most children of one node.
    """

    edge_type: EdgeType
    pointer: Tensor
    child: Tensor
    key: Tensor
    stride: int
    width: int

    def to(self, device: torch.device) -> ChildRelation:
        """Return the relation with its tensors on `device`."""
        tensors = (self.pointer.to(device), self.child.to(device), self.key.to(device))
        return ChildRelation(self.edge_type, *tensors, self.stride, self.width)

    def visible(self, nodes: Tensor, asof_rank: Tensor) -> tuple[Tensor, Tensor]:
        """Return where the visible neighbours start and how many there are, both int64 of the shape of `nodes`."""
        start = self.pointer[nodes]
        end = torch.searchsorted(self.key, nodes * self.stride + asof_rank)
        return start, end - start

    def neighbours(self, positions: Tensor) -> Tensor:
        """Return the neighbour rows at `positions`."""
        return self.child[positions]

    @property
    def opposite(self) -> EdgeType | None:
        """None: siblings, the row one came from among them, are worth a visit."""
        return None

    @property
    def to_parent(self) -> bool:
        """Whether the neighbours are parents."""
        return False

    @property
    def salt(self) -> int:
        """A number of this relation for hashes, the same in every graph that has it."""
        return hash_text("\x1f".join(self.edge_type))


Relation = ParentRelation | ChildRelation


def child_relation(
    edge_type: EdgeType,
    parent: NDArray[np.int64],
    rank: NDArray[np.int64],
    identity: NDArray[np.int64],
    parents: int,
    stride: int,
) -> ChildRelation:
    """Index the children of every parent by time.

    Args:
        edge_type: (child table, name, parent table).
        parent: (children,) row index of each child's parent, -1 for none.
        rank: (children,) time rank of each child; `stride - 1` means never visible and is left out.
        identity: (children,) content hash of each child, which orders children of equal time.
        parents: Number of parent rows.
        stride: Number of time ranks, the never-visible one included.

    Returns:
        The index, built by one sort of the edges.
    """
    kept = np.flatnonzero((parent >= 0) & (rank < stride - 1))
    key = parent[kept] * stride + rank[kept]
    order = np.lexsort((identity[kept], key))
    child, key = kept[order], key[order]
    counts = np.bincount(parent[kept], minlength=parents)
    pointer = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])
    width = int(counts.max()) if parents else 0
    tensors = (torch.from_numpy(pointer), torch.from_numpy(child), torch.from_numpy(key))
    return ChildRelation(edge_type, *tensors, stride, width)

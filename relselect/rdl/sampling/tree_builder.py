"""Samples the neighbours along one relation at one hop, in vectorised torch on any device.

Compiled loops do the same on the CPU (see `relselect.rdl.sampling.compiled_tree_builder`) and give the same trees bit for bit.
Nodes of a type are numbered in the order in which they are sampled, so the nodes of one hop are consecutive. Per node its row,
its tree and a hash of its path from the root are kept; all its draws come from that hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from relselect.rdl.graph.adjacency import ParentRelation
from relselect.rdl.graph.hashing import GOLDEN, draw_below, mix

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.graph.adjacency import ChildRelation, EdgeType, Relation

__all__ = ["Expansion", "SeedNodes", "TorchTreeBuilder", "TreeBuilder", "draw_positions"]


@dataclass(frozen=True)
class SeedNodes:
    """The seed nodes of a batch: the roots of n trees.

    Attributes:
        table: The entity table.
        rows: int64 (n,) rows of the roots, -1 for an unknown entity.
        hidden: bool (n,), whether the root's own row is unknown or not visible: neither its columns nor its parents may be
            read.
        state: int64 (n,) hashes of the task rows.
        ceiling: int64 (n,) rows of a smaller time rank are visible.
        floor: int64 (n,) children of at least this time rank lie in the window; None for no window.
    """

    table: str
    rows: Tensor
    hidden: Tensor
    state: Tensor
    ceiling: Tensor
    floor: Tensor | None


@dataclass(frozen=True)
class Expansion:
    """The expansion of the nodes of one hop along one relation.

    Attributes:
        relation: The relation.
        receivers: First and last (exclusive) number of the nodes to expand.
        back: First and last (exclusive) of these nodes that were sampled along the same foreign key from their parent, counted
            from the first receiver; they are not expanded.
        sender: Number of the first new node.
        fan_out: Most neighbours per node.
        final: Whether this is the last hop, so that the new nodes need no hash.
    """

    relation: Relation
    receivers: tuple[int, int]
    back: tuple[int, int]
    sender: int
    fan_out: int
    final: bool


class TreeBuilder(Protocol):
    """Builds the trees of one batch, one expansion after another, from its seed nodes."""

    def expand(self, expansion: Expansion) -> tuple[int, Tensor]:
        """Sample along one relation at one hop.

        Returns:
            The number of new nodes, and int64 (receivers,), the number of visible neighbours of each receiver.
        """
        ...

    def nodes(self, table: str) -> tuple[Tensor, Tensor]:
        """Return the rows and trees of all nodes of a table, both int64 (nodes,); the row of a hidden root is -1."""
        ...

    def edges(self, edge_type: EdgeType) -> Tensor:
        """Return sender and receiver of all edges of a relation, int64 (2, edges)."""
        ...


class TorchTreeBuilder:
    """A `TreeBuilder` in vectorised torch, on the device of the seed nodes.

    Args:
        seeds: The seed nodes.
        uniform: Whether neighbours are drawn uniformly; otherwise the latest are taken.
    """

    def __init__(self, seeds: SeedNodes, uniform: bool) -> None:
        self._seeds, self._uniform = seeds, uniform
        everyone = torch.arange(len(seeds.rows), device=seeds.rows.device)
        # per table the parts sampled so far, each as (number of its first node, rows, trees, states)
        self._parts: dict[str, list[tuple[int, Tensor, Tensor, Tensor]]] = {
            seeds.table: [(0, seeds.rows, everyone, seeds.state)]
        }
        self._joined: dict[str, tuple[int, int, Tensor, Tensor, Tensor]] = {}
        self._edges: dict[EdgeType, list[Tensor]] = {}

    def expand(self, expansion: Expansion) -> tuple[int, Tensor]:
        """See `TreeBuilder`."""
        edge_type, first = expansion.relation.edge_type, expansion.receivers[0]
        rows, tree, state = self._receivers(edge_type[2], expansion.receivers)
        roots = edge_type[2] == self._seeds.table and first == 0
        base = mix(state + expansion.relation.salt + GOLDEN) if self._uniform else state
        if isinstance(expansion.relation, ParentRelation):
            found = self._parents(expansion.relation, expansion, rows, tree, roots)
            visible = found.long()
            receiver = torch.nonzero(found).squeeze(1)
            slot, senders = None, expansion.relation.parent[rows[receiver]]
        else:
            start, visible = self._children(expansion.relation, rows, tree, roots)
            receiver, slot, senders = self._take(expansion.relation, base, start, visible, expansion.fan_out)
        count = len(receiver)
        if count:
            if self._uniform and not expansion.final:
                state = mix(base[receiver] if slot is None else base[receiver] ^ slot)
            self._parts.setdefault(edge_type[0], []).append((expansion.sender, senders, tree[receiver], state))
            numbers = torch.arange(expansion.sender, expansion.sender + count, device=receiver.device)
            self._edges.setdefault(edge_type, []).append(torch.stack([numbers, receiver + first]))
        return count, visible

    def _receivers(self, table: str, receivers: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return rows, trees and states of consecutive nodes, concatenated once per hop."""
        first, last = receivers
        if self._joined.get(table, (-1,))[:2] != receivers:
            parts = [part[1:] for part in self._parts[table] if first <= part[0] < last]
            rows, tree, state = (torch.cat(each) for each in zip(*parts, strict=True)) if len(parts) > 1 else parts[0]
            self._joined[table] = (first, last, rows, tree, state)
        return self._joined[table][2:]

    def _parents(
        self, relation: ParentRelation, expansion: Expansion, rows: Tensor, tree: Tensor, roots: bool
    ) -> Tensor:
        if not len(relation.parent):
            return torch.zeros_like(rows, dtype=torch.bool)
        if roots:
            return relation.visible(rows.clamp(min=0), self._seeds.ceiling) & ~self._seeds.hidden
        found = relation.visible(rows, self._seeds.ceiling[tree])
        found[expansion.back[0] : expansion.back[1]] = False
        return found

    def _children(self, relation: ChildRelation, rows: Tensor, tree: Tensor, roots: bool) -> tuple[Tensor, Tensor]:
        floor = None if self._seeds.floor is None else self._seeds.floor[tree]
        if not roots:
            return relation.visible(rows, self._seeds.ceiling[tree], floor)
        if len(relation.pointer) == 1:
            return rows, torch.zeros_like(rows)
        start, visible = relation.visible(rows.clamp(min=0), self._seeds.ceiling, floor)
        return start, visible.masked_fill(rows < 0, 0)

    def _take(
        self, relation: ChildRelation, base: Tensor, start: Tensor, visible: Tensor, fan_out: int
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Return (receiver, slot, sender) of each edge; the slot is None where the latest neighbours are taken."""
        taken = visible.clamp(max=fan_out)
        receiver = torch.repeat_interleave(taken)
        number = torch.arange(len(receiver), device=receiver.device)
        before = torch.cumsum(taken, 0) - taken
        if not self._uniform:
            return receiver, None, relation.child[(start + visible - 1 + before)[receiver] - number].long()
        slot = number - before[receiver]
        positions = start[receiver] + slot
        if relation.width <= fan_out:
            return receiver, slot, relation.child[positions].long()
        # only nodes with more visible neighbours than the fan-out need a draw, and most have fewer
        crowded = torch.nonzero((visible > fan_out)[receiver]).squeeze(1)
        if len(crowded):
            at = receiver[crowded]
            positions[crowded] = start[at] + draw_positions(base[at], visible[at], slot[crowded], fan_out)
        return receiver, slot, relation.child[positions].long()

    def nodes(self, table: str) -> tuple[Tensor, Tensor]:
        """See `TreeBuilder`."""
        nothing = self._seeds.rows.new_empty(0)
        parts = self._parts.get(table, [])
        rows = [part[1] for part in parts]
        if table == self._seeds.table:
            rows[0] = rows[0].masked_fill(self._seeds.hidden, -1)
        return torch.cat([nothing, *rows]), torch.cat([nothing, *(part[2] for part in parts)])

    def edges(self, edge_type: EdgeType) -> Tensor:
        """See `TreeBuilder`."""
        nothing = self._seeds.rows.new_empty((2, 0))
        return torch.cat([nothing, *self._edges.get(edge_type, [])], dim=1)


def draw_positions(base: Tensor, visible: Tensor, slot: Tensor, fan_out: int) -> Tensor:
    """Draw one of a node's visible neighbours per slot, without replacement.

    With v visible neighbours and fan-out F, slot s draws uniformly from the stratum [floor(s v / F), floor((s + 1) v / F)), and
    all draws of a node are shifted by one random offset, uniform in [0, v), modulo v. The strata may differ in length by one;
    with the shift each neighbour is included with probability F / v exactly.

    Args:
        base: int64 (n,) hashes of the nodes and the relation.
        visible: int64 (n,) numbers v of visible neighbours, more than `fan_out`.
        slot: int64 (n,) slots s, in [0, fan_out).
        fan_out: The number F of slots per node.

    Returns:
        int64 (n,) positions, each in [0, visible).

    Example:
        >>> base, visible = torch.full((4,), 7), torch.full((4,), 10)
        >>> len(set(draw_positions(base, visible, torch.arange(4), 4).tolist()))
        4
    """
    low = slot * visible // fan_out
    high = (slot + 1) * visible // fan_out
    shift = draw_below(mix(base ^ -1), visible)
    drawn = low + draw_below(mix(base ^ slot), high - low) + shift
    return torch.where(drawn >= visible, drawn - visible, drawn)

"""How trees grow by one relation at one hop, in vectorised torch on any device.

On the CPU compiled loops do the same (see `compiled`), and give the same trees bit for bit. Nodes of a type are numbered in
the order in which they come, so those of one hop stand together; what is kept per node is its row, its tree and a hash of
the way there, which all its draws come from.
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

__all__ = ["Growth", "Seeds", "Step", "TorchGrowth", "draw"]


@dataclass(frozen=True)
class Seeds:
    """What a batch of n trees grows from.

    Attributes:
        table: The entity table.
        rows: int64 (n,) rows of the roots, -1 for an unknown entity.
        hidden: bool (n,), the root's own row is unknown or not visible: neither its columns nor its parents may be read.
        state: int64 (n,) hashes of the task rows.
        ceiling: int64 (n,) time rank below which a row is visible.
        floor: int64 (n,) time rank from which on a child lies in the window, None for no window.
    """

    table: str
    rows: Tensor
    hidden: Tensor
    state: Tensor
    ceiling: Tensor
    floor: Tensor | None


@dataclass(frozen=True)
class Step:
    """One relation at one hop.

    Attributes:
        relation: The relation.
        receivers: First and last (exclusive) number of the nodes of this hop that may receive.
        back: First and last (exclusive) of these that came down the same foreign key, counted from the first receiver.
        sender: Number of the first new node.
        fan_out: Most neighbours per node.
        final: No hop follows: nobody draws from the new nodes.
    """

    relation: Relation
    receivers: tuple[int, int]
    back: tuple[int, int]
    sender: int
    fan_out: int
    final: bool


class Growth(Protocol):
    """Grows the trees of one batch, from which it is built; asked for its nodes and edges at the end."""

    def grow(self, step: Step) -> tuple[int, Tensor]:
        """Take one step; return the number of new nodes and int64 (receivers,), how many neighbours were visible."""
        ...

    def nodes(self, table: str) -> tuple[Tensor, Tensor]:
        """Return the rows and trees of all nodes of a table, both int64 (nodes,); the row of a hidden root is -1."""
        ...

    def edges(self, edge_type: EdgeType) -> Tensor:
        """Return sender and receiver of all edges of a relation, int64 (2, edges)."""
        ...


class TorchGrowth:
    """Growth in vectorised torch, on the device of the seeds.

    Args:
        seeds: The roots.
        uniform: Whether neighbours are drawn; else the latest are taken.
    """

    def __init__(self, seeds: Seeds, uniform: bool) -> None:
        self._seeds, self._uniform = seeds, uniform
        everyone = torch.arange(len(seeds.rows), device=seeds.rows.device)
        # per table the parts that came, each as (number of its first node, rows, trees, states)
        self._parts: dict[str, list[tuple[int, Tensor, Tensor, Tensor]]] = {
            seeds.table: [(0, seeds.rows, everyone, seeds.state)]
        }
        self._joined: dict[str, tuple[int, int, Tensor, Tensor, Tensor]] = {}
        self._edges: dict[EdgeType, list[Tensor]] = {}

    def grow(self, step: Step) -> tuple[int, Tensor]:
        """See `Growth`."""
        edge_type, first = step.relation.edge_type, step.receivers[0]
        rows, tree, state = self._receivers(edge_type[2], step.receivers)
        roots = edge_type[2] == self._seeds.table and first == 0
        base = mix(state + step.relation.salt + GOLDEN) if self._uniform else state
        if isinstance(step.relation, ParentRelation):
            found = self._parents(step.relation, step, rows, tree, roots)
            visible = found.long()
            receiver = torch.nonzero(found).squeeze(1)
            slot, senders = None, step.relation.parent[rows[receiver]]
        else:
            start, visible = self._children(step.relation, rows, tree, roots)
            receiver, slot, senders = self._take(step.relation, base, start, visible, step.fan_out)
        count = len(receiver)
        if count:
            if self._uniform and not step.final:
                state = mix(base[receiver] if slot is None else base[receiver] ^ slot)
            self._parts.setdefault(edge_type[0], []).append((step.sender, senders, tree[receiver], state))
            numbers = torch.arange(step.sender, step.sender + count, device=receiver.device)
            self._edges.setdefault(edge_type, []).append(torch.stack([numbers, receiver + first]))
        return count, visible

    def _receivers(self, table: str, receivers: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return rows, trees and states of nodes that stand together, joined once per hop."""
        first, last = receivers
        if self._joined.get(table, (-1,))[:2] != receivers:
            parts = [part[1:] for part in self._parts[table] if first <= part[0] < last]
            rows, tree, state = (torch.cat(each) for each in zip(*parts, strict=True)) if len(parts) > 1 else parts[0]
            self._joined[table] = (first, last, rows, tree, state)
        return self._joined[table][2:]

    def _parents(self, relation: ParentRelation, step: Step, rows: Tensor, tree: Tensor, roots: bool) -> Tensor:
        if not len(relation.parent):
            return torch.zeros_like(rows, dtype=torch.bool)
        if roots:
            return relation.visible(rows.clamp(min=0), self._seeds.ceiling) & ~self._seeds.hidden
        found = relation.visible(rows, self._seeds.ceiling[tree])
        found[step.back[0] : step.back[1]] = False
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
        """Return receiver, slot and sender of each edge; no slot where none was asked for."""
        taken = visible.clamp(max=fan_out)
        receiver = torch.repeat_interleave(taken)
        number = torch.arange(len(receiver), device=receiver.device)
        before = torch.cumsum(taken, 0) - taken
        if not self._uniform:
            return receiver, None, relation.child[(start + visible - 1 + before)[receiver] - number]
        slot = number - before[receiver]
        positions = start[receiver] + slot
        if relation.width <= fan_out:
            return receiver, slot, relation.child[positions]
        # only rows longer than the fan-out need a draw, and most are short
        crowded = torch.nonzero((visible > fan_out)[receiver]).squeeze(1)
        if len(crowded):
            at = receiver[crowded]
            positions[crowded] = start[at] + draw(base[at], visible[at], slot[crowded], fan_out)
        return receiver, slot, relation.child[positions]

    def nodes(self, table: str) -> tuple[Tensor, Tensor]:
        """See `Growth`."""
        nothing = self._seeds.rows.new_empty(0)
        parts = self._parts.get(table, [])
        rows = [part[1] for part in parts]
        if table == self._seeds.table:
            rows[0] = rows[0].masked_fill(self._seeds.hidden, -1)
        return torch.cat([nothing, *rows]), torch.cat([nothing, *(part[2] for part in parts)])

    def edges(self, edge_type: EdgeType) -> Tensor:
        """See `Growth`."""
        nothing = self._seeds.rows.new_empty((2, 0))
        return torch.cat([nothing, *self._edges.get(edge_type, [])], dim=1)


def draw(base: Tensor, visible: Tensor, slot: Tensor, fan_out: int) -> Tensor:
    """Draw one position per slot, without replacement, each of `visible` positions with probability fan_out / visible.

    The row is cut into `fan_out` strata, one draw falls into each, and the row is turned by a random shift first, so that
    unequal strata favour nobody.

    Args:
        base: int64 (n,) hashes of the nodes.
        visible: int64 (n,) lengths of their rows, more than `fan_out`.
        slot: int64 (n,) numbers of the strata.
        fan_out: How many strata there are.

    Returns:
        int64 (n,) positions, each below its `visible`.
    """
    low = slot * visible // fan_out
    high = (slot + 1) * visible // fan_out
    shift = draw_below(mix(base ^ -1), visible)
    drawn = low + draw_below(mix(base ^ slot), high - low) + shift
    return torch.where(drawn >= visible, drawn - visible, drawn)

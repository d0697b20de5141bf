"""From task rows to what the network reads: sampled trees, the distinct rows in them, and the times as seen from the cutoff."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.rdl.network.time_encoding import calendar, elapsed

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.graph.features import TableTensors
    from relselect.rdl.graph.specification import TableSpec
    from relselect.rdl.network.level import Level
    from relselect.rdl.sampling.sampler import TemporalSampler, Trees

__all__ = ["Batch", "Batcher", "NodeBatch", "RowTensors", "compact"]

#: Beyond this many possible keys `compact` sorts instead of keeping a slot for each.
_MOST_SLOTS = 1 << 26


@dataclass(frozen=True)
class RowTensors:
    """Task rows as tensors, n rows.

    Attributes:
        entity: int64 (n,).
        cutoff: int64 (n,).
        asof: int64 (n,).
        delay: int64 (n,).
        features: The declared task-row features.
        label: float64 (n,), or None: single precision would round a large label before it is standardised.
    """

    entity: Tensor
    cutoff: Tensor
    asof: Tensor
    delay: Tensor
    features: TableTensors
    label: Tensor | None

    def __len__(self) -> int:
        return len(self.entity)


@dataclass(frozen=True)
class NodeBatch:
    """The nodes of one table: u distinct rows, seen from m distinct pairs of row and cutoff, at n places in the trees.

    Attributes:
        table: The table's columns.
        rows: int64 (u,), -1 for an unknown or hidden entity.
        known: bool (u, clocks), what each clock masks is known; a row is there once per state of its masks.
        row: int64 (m,), which of the u each pair sees.
        elapsed: float32 (m, moments), units of time from each moment to the cutoff, nan where missing or not known.
        place: int64 (n,), which of the m each node is.
    """

    table: TableTensors
    rows: Tensor
    known: Tensor
    row: Tensor
    elapsed: Tensor
    place: Tensor


@dataclass(frozen=True)
class Batch:
    """What the network reads for b task rows.

    Attributes:
        trees: The sampled trees.
        nodes: Per table.
        context: float32 (b, width), calendar and delay of the row, numbers of visible neighbours, and the labels' level.
        features: The declared task-row features.
        elapsed: float32 (b, moments among them).
        index: int64 (b,), which of the `RowTensors` they are.
    """

    trees: Trees
    nodes: Mapping[str, NodeBatch]
    context: Tensor
    features: TableTensors
    elapsed: Tensor
    index: Tensor


class Batcher:
    """Builds batches.

    Args:
        sampler: The sampler, with its graph on the device.
        tables: Per table, its columns on the device.
        specs: Per table, what the columns mean.
        task_spec: The same for task-row features.
        entity: The entity table.
        unit: Ticks of one unit of elapsed time.
        time_kind: "timestamp", "integer" or None; only timestamps have a calendar.
        level: The level of the labels, on the device, where the network reads it.
    """

    def __init__(
        self,
        sampler: TemporalSampler,
        tables: Mapping[str, TableTensors],
        specs: Mapping[str, TableSpec],
        task_spec: TableSpec,
        entity: str,
        unit: int,
        time_kind: str | None,
        level: Level | None = None,
    ) -> None:
        self.sampler = sampler
        self.tables = tables
        self.specs = specs
        self.task_spec = task_spec
        self.entity = entity
        self.unit = unit
        self.time_kind = time_kind
        self.level = level
        self._slots: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}

    def batch(self, rows: RowTensors, index: Tensor) -> Batch:
        """Build the batch of the task rows numbered `index` (b,)."""
        cutoff, asof = rows.cutoff[index], rows.asof[index]
        trees = self.sampler.sample(self.entity, rows.entity[index], cutoff, asof)
        dates, date = torch.unique(cutoff, return_inverse=True)
        # tables without a node stay in: what a network adds for "no neighbours" must not depend on the other trees
        nodes = {name: self._nodes(name, trees, dates, date, asof) for name in trees.rows}
        features = rows.features.take(index)
        return Batch(
            trees,
            nodes,
            self._context(trees, cutoff, asof, rows.delay[index]),
            features,
            elapsed(cutoff, features.moments, self.unit),
            index,
        )

    def _context(self, trees: Trees, cutoff: Tensor, asof: Tensor, delay: Tensor) -> Tensor:
        late = torch.log1p(delay.double() / self.unit).float()
        counts = torch.log1p(trees.degree.float())
        parts = [calendar(cutoff, self.time_kind), late.unsqueeze(1) / 4, counts / 4]
        if self.level is not None:
            parts.append(self.level.at(asof).unsqueeze(1))
        return torch.cat(parts, dim=1)

    def _nodes(self, name: str, trees: Trees, dates: Tensor, date: Tensor, asof: Tensor) -> NodeBatch:
        table, spec = self.tables[name], self.specs[name]
        rows, tree = trees.rows[name], trees.tree[name]
        clocks, size = len(spec.clocks), len(table) + 1
        key = rows + 1
        known = torch.zeros(len(rows), clocks, dtype=torch.bool, device=rows.device)
        if clocks and len(table):
            known = table.known[rows.clamp(min=0)] <= asof[tree].unsqueeze(1)
            bits = 1 << torch.arange(clocks, device=rows.device)
            key, size = (key << clocks) + (known.long() * bits).sum(1), size << clocks
        first, row_of = compact(key, size, self._slots, name)
        if not spec.moments:
            everyone = torch.arange(len(first), device=rows.device)
            return NodeBatch(table, rows[first], known[first], everyone, rows.new_empty(len(first), 0).float(), row_of)
        # what lies how far back is the same for all trees of one cutoff
        pairs, place = compact(row_of * len(dates) + date[tree], len(first) * len(dates), self._slots, f"{name}/dates")
        times = self._elapsed(table, spec, rows[pairs], known[pairs], dates[date[tree[pairs]]])
        return NodeBatch(table, rows[first], known[first], row_of[pairs], times, place)

    def _elapsed(self, table: TableTensors, spec: TableSpec, rows: Tensor, known: Tensor, cutoff: Tensor) -> Tensor:
        """Return the elapsed times of rows (m,) up to cutoffs (m,); nan for row -1 and for what is not known."""
        if not len(table):
            return torch.full((len(rows), len(spec.moments)), torch.nan, device=rows.device)
        times = elapsed(cutoff, table.moments[rows.clamp(min=0)], self.unit)
        hidden = (rows < 0).unsqueeze(1)
        if spec.clocks:
            under = torch.tensor([moment.clock for moment in spec.moments], dtype=torch.int64, device=rows.device)
            hidden = hidden | ~((under < 0) | known[:, under.clamp(min=0)])
        return times.masked_fill(hidden, torch.nan)


def compact(
    key: Tensor, size: int, slots: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]], name: str
) -> tuple[Tensor, Tensor]:
    """Find the distinct keys: (one position of each, the number of the distinct key per position).

    On the CPU a slot per possible key makes this linear and about ten times faster than sorting.

    Args:
        key: int64 (n,), in [0, size).
        size: Number of possible keys.
        slots: Working memory kept between calls; never needs clearing.
        name: Its entry for these keys.
    """
    if key.device.type != "cpu" or size > _MOST_SLOTS:
        _, place = torch.unique(key, return_inverse=True)
        count = int(place.max()) + 1 if len(place) else 0
        first = torch.full((count,), len(key), dtype=torch.int64, device=key.device)
        first.scatter_reduce_(0, place, torch.arange(len(key), device=key.device), "amin")
        return first, place
    if name not in slots or len(slots[name]) < size:
        slots[name] = np.empty(size, np.int64)
    slot, keys = slots[name], key.numpy()
    order = np.arange(len(keys))
    # assignment runs in order, so the last position of every key wins, whatever the slot held before
    slot[keys] = order
    last = np.flatnonzero(slot[keys] == order)
    slot[keys[last]] = np.arange(len(last))
    return torch.from_numpy(last), torch.from_numpy(slot[keys])

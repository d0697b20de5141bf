"""Builds the network's input for a batch of task rows: sampled trees, their distinct rows, and times relative to the cutoff.

A row that occurs in many trees is encoded once per batch, and its elapsed times are computed once per distinct cutoff. Column
values are not copied here: the encoders read them from the tables by row index.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.rdl.network.time_encoding import calendar, elapsed

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.graph.features import TableTensors
    from relselect.rdl.graph.table_encoding import TableEncoding
    from relselect.rdl.network.label_level import LabelLevel
    from relselect.rdl.sampling.sampler import SampledTrees, TemporalSampler

__all__ = ["Batch", "Batcher", "NodeBatch", "RowTensors", "compact"]

#: With more possible keys than this `compact` sorts instead of keeping a slot per key.
_MOST_SLOTS = 1 << 26


@dataclass(frozen=True)
class RowTensors:
    """n task rows as tensors.

    Attributes:
        entity: int64 (n,), row index in the entity table, -1 for an unknown entity.
        cutoff: int64 (n,), ticks.
        asof: int64 (n,), ticks.
        delay: int64 (n,), ticks: cutoff - asof.
        features: The declared task-row features.
        label: float64 (n,), or None where there are no labels; float32 would round a large label before it is standardised.
        weight: float32 (n,), weights in the loss in units of their mean; None where all are 1.
    """

    entity: Tensor
    cutoff: Tensor
    asof: Tensor
    delay: Tensor
    features: TableTensors
    label: Tensor | None
    weight: Tensor | None = None

    def __len__(self) -> int:
        return len(self.entity)


@dataclass(frozen=True)
class NodeBatch:
    """The n nodes of one table in a batch, as m distinct pairs of row and cutoff and u distinct rows.

    Attributes:
        table: The table's columns.
        rows: int64 (u,), row index, -1 for an unknown or hidden entity.
        known: bool (u, clocks), whether the values under each clock are known; a row of which more than one state occurs in the
            batch is listed once per state.
        row: int64 (m,), the row of each pair, as a position in `rows`.
        elapsed: float32 (m, time columns), units of time from each moment to the cutoff, NaN where missing or not known.
        place: int64 (n,), the pair of each node.
    """

    table: TableTensors
    rows: Tensor
    known: Tensor
    row: Tensor
    elapsed: Tensor
    place: Tensor

    def to(self, device: torch.device, table: TableTensors) -> NodeBatch:
        """Return the nodes on `device`, reading the columns of `table`, which are there."""
        parts = (self.rows, self.known, self.row, self.elapsed, self.place)
        return NodeBatch(table, *(each.to(device, non_blocking=True) for each in parts))


@dataclass(frozen=True)
class Batch:
    """The network's input for b task rows.

    Attributes:
        trees: The sampled trees.
        nodes: Per table, the nodes.
        context: float32 (b, width): calendar of the cutoff (4), log delay (1), log numbers of visible neighbours per relation of
            the entity table, and the label level where the network reads it.
        features: The declared task-row features.
        elapsed: float32 (b, time columns among them), units of time until the cutoff.
        index: int64 (b,), positions of the task rows in the `RowTensors`.
    """

    trees: SampledTrees
    nodes: Mapping[str, NodeBatch]
    context: Tensor
    features: TableTensors
    elapsed: Tensor
    index: Tensor

    def to(self, device: torch.device, tables: Mapping[str, TableTensors]) -> Batch:
        """Return the batch on `device`, reading the columns of `tables`, which are there."""
        return Batch(
            self.trees.to(device),
            {name: each.to(device, tables[name]) for name, each in self.nodes.items()},
            self.context.to(device, non_blocking=True),
            self.features.to(device),
            self.elapsed.to(device, non_blocking=True),
            self.index.to(device, non_blocking=True),
        )

    def tensors(self) -> Iterator[Tensor]:
        """Yield the tensors of this batch alone, which are not shared with others as the tables' columns are."""
        yield from (
            *self.trees.rows.values(),
            *self.trees.tree.values(),
            *self.trees.edge_index.values(),
            self.trees.degree,
        )
        for part in self.nodes.values():
            yield from (part.rows, part.known, part.row, part.elapsed, part.place)
        features = self.features
        yield from (features.numeric, features.codes, features.moments, features.known)
        for text in features.texts:
            yield from (text.code, text.vectors)
        yield from (self.context, self.elapsed, self.index)


class Batcher:
    """Builds batches of task rows.

    Args:
        sampler: The sampler, with its graph on the device.
        tables: Per table, its columns on the device.
        encodings: Per table, its fitted columns.
        task_encoding: The fitted task-row features.
        entity: The entity table.
        unit: Ticks of one unit of elapsed time.
        time_kind: "timestamp", "integer" or None; only timestamps have a calendar.
        level: The label level, on the device; None where the network does not read it.
        delivered: The device of the batches and the columns of all tables there, where that is another device than the graph's.
    """

    def __init__(
        self,
        sampler: TemporalSampler,
        tables: Mapping[str, TableTensors],
        encodings: Mapping[str, TableEncoding],
        task_encoding: TableEncoding,
        entity: str,
        unit: int,
        time_kind: str | None,
        level: LabelLevel | None = None,
        delivered: tuple[torch.device, Mapping[str, TableTensors]] | None = None,
    ) -> None:
        self.sampler = sampler
        self.tables = tables
        self.encodings = encodings
        self.task_encoding = task_encoding
        self.entity = entity
        self.unit = unit
        self.time_kind = time_kind
        self.level = level
        self.delivered = delivered
        self._slots: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]] = {}

    def batch(self, rows: RowTensors, index: Tensor) -> Batch:
        """Build the batch of the task rows at the positions `index`, int64 (b,); both are on the graph's device."""
        cutoff, asof = rows.cutoff[index], rows.asof[index]
        trees = self.sampler.sample(self.entity, rows.entity[index], cutoff, asof)
        dates, date = torch.unique(cutoff, return_inverse=True)
        # tables without a node are kept: what the network adds for "no neighbours" must not depend on the other trees
        nodes = {name: self._nodes(name, trees, dates, date, asof) for name in trees.rows}
        features = rows.features.take(index)
        batch = Batch(
            trees,
            nodes,
            self._context(trees, cutoff, asof, rows.delay[index]),
            features,
            elapsed(cutoff, features.moments, self.unit),
            index,
        )
        return batch if self.delivered is None else batch.to(*self.delivered)

    @property
    def device(self) -> torch.device:
        """The device of the graph, where the task rows must be."""
        return self.sampler.graph.times.device

    def _context(self, trees: SampledTrees, cutoff: Tensor, asof: Tensor, delay: Tensor) -> Tensor:
        late = torch.log1p(delay.double() / self.unit).float()
        counts = torch.log1p(trees.degree.float())
        parts = [calendar(cutoff, self.time_kind), late.unsqueeze(1) / 4, counts / 4]
        if self.level is not None:
            parts.append(self.level.at(asof).unsqueeze(1))
        return torch.cat(parts, dim=1)

    def _nodes(self, name: str, trees: SampledTrees, dates: Tensor, date: Tensor, asof: Tensor) -> NodeBatch:
        table, encoding = self.tables[name], self.encodings[name]
        rows, tree = trees.rows[name], trees.tree[name]
        clocks, size = len(encoding.clocks), len(table) + 1
        key = rows + 1
        known = torch.zeros(len(rows), clocks, dtype=torch.bool, device=rows.device)
        if clocks and len(table):
            known = table.known[rows.clamp(min=0)] <= asof[tree].unsqueeze(1)
            bits = 1 << torch.arange(clocks, device=rows.device)
            key, size = (key << clocks) + (known.long() * bits).sum(1), size << clocks
        first, row_of = compact(key, size, self._slots, name)
        if not encoding.moments:
            everyone = torch.arange(len(first), device=rows.device)
            return NodeBatch(table, rows[first], known[first], everyone, rows.new_empty(len(first), 0).float(), row_of)
        # elapsed times are the same in all trees of one cutoff
        pairs, place = compact(row_of * len(dates) + date[tree], len(first) * len(dates), self._slots, f"{name}/dates")
        times = self._elapsed(table, encoding, rows[pairs], known[pairs], dates[date[tree[pairs]]])
        return NodeBatch(table, rows[first], known[first], row_of[pairs], times, place)

    def _elapsed(
        self, table: TableTensors, encoding: TableEncoding, rows: Tensor, known: Tensor, cutoff: Tensor
    ) -> Tensor:
        """Return the elapsed times of rows (m,) until cutoffs (m,), NaN for row -1 and for moments that are not known."""
        if not len(table):
            return torch.full((len(rows), len(encoding.moments)), torch.nan, device=rows.device)
        times = elapsed(cutoff, table.moments[rows.clamp(min=0)], self.unit)
        hidden = (rows < 0).unsqueeze(1)
        if encoding.clocks:
            under = torch.tensor([moment.clock for moment in encoding.moments], dtype=torch.int64, device=rows.device)
            hidden = hidden | ~((under < 0) | known[:, under.clamp(min=0)])
        return times.masked_fill(hidden, torch.nan)


def compact(
    key: Tensor, size: int, slots: dict[str, np.ndarray[tuple[int], np.dtype[np.int64]]], name: str
) -> tuple[Tensor, Tensor]:
    """Find the distinct keys among n.

    On the CPU a slot per possible key makes this linear and about ten times faster than sorting.

    Args:
        key: int64 (n,), in [0, size).
        size: Number of possible keys.
        slots: Working memory that is kept between calls; it needs no clearing.
        name: The entry of the working memory for these keys.

    Returns:
        (first, place): int64 (distinct,), one position of each distinct key, and int64 (n,), the number of each key among the
        distinct ones, so that `key[first][place]` equals `key`.

    Example:
        >>> first, place = compact(torch.tensor([7, 3, 7]), 10, {}, "rows")
        >>> torch.tensor([7, 3, 7])[first][place].tolist()
        [7, 3, 7]
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
    # the last assignment to a slot wins, so each slot holds the last position of its key, whatever it held before
    slot[keys] = order
    last = np.flatnonzero(slot[keys] == order)
    slot[keys[last]] = np.arange(len(last))
    return torch.from_numpy(last), torch.from_numpy(slot[keys])

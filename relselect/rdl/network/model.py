"""The relational network: encodes rows, passes messages from the leaves of the trees to the roots, and maps roots to outputs.

Losses and predictions are made from the outputs in `relselect.rdl.network.target`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from relselect.rdl.network.convolutions import CONVOLUTIONS
from relselect.rdl.network.dropout import Dropout
from relselect.rdl.network.encoders import ENCODERS
from relselect.rdl.network.scatter import gather
from relselect.rdl.network.stacked_encoder import StackedEncoder
from relselect.rdl.network.time_encoding import TimeEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from relselect.rdl.graph.adjacency import EdgeType
    from relselect.rdl.graph.table_encoding import TableEncoding
    from relselect.rdl.network.batch import Batch, NodeBatch
    from relselect.rdl.network.target import Target
    from relselect.rdl.settings import NetworkSettings

__all__ = ["Blueprint", "RelationalNetwork", "edges_by_layer", "ranks_of"]

#: Entries of the context that every task row has: four for the calendar and one for the delay.
_CONTEXT = 5


@dataclass(frozen=True)
class Blueprint:
    """Everything that determines a network's architecture; equal blueprints give networks with the same parameter shapes.

    Attributes:
        entity: The entity table.
        edge_types: All edge types of the graph, sorted.
        encodings: Per table, its fitted columns.
        task_encoding: The fitted task-row features.
        target: How outputs become losses and predictions.
        settings: The options.
    """

    entity: str
    edge_types: tuple[EdgeType, ...]
    encodings: Mapping[str, TableEncoding]
    task_encoding: TableEncoding
    target: Target
    settings: NetworkSettings

    @property
    def reads_level(self) -> bool:
        """Whether the network reads the label level, see `relselect.rdl.network.label_level`."""
        return self.settings.level and self.target.kind == "regression"


def edges_by_layer(entity: str, edge_types: Sequence[EdgeType], layers: int) -> list[list[EdgeType]]:
    """Return the edge types that each layer computes: those whose receivers reach the root in the layers that follow.

    Args:
        entity: The entity table.
        edge_types: All edge types of the graph.
        layers: Number of layers.

    Returns:
        One list per layer; the last holds the edge types that end at the entity table.
    """
    reached = {entity}
    wanted = []
    for _ in range(layers):
        wanted.append([each for each in edge_types if each[2] in reached])
        reached |= {each[0] for each in wanted[-1]}
    return wanted[::-1]


def ranks_of(target: Tensor) -> Tensor:
    """Return each edge's rank among the edges of its receiver, int64 (edges,), 0 for the first.

    Args:
        target: int64 (edges,), the receivers, ascending; the sampler lists the latest neighbour of each first.

    Example:
        >>> ranks_of(torch.tensor([0, 0, 2, 2, 2])).tolist()
        [0, 1, 0, 1, 2]
    """
    return torch.arange(len(target), device=target.device) - torch.searchsorted(target, target)


class NodeUpdate(nn.Module):
    """The update of a receiver x by its message m: x + dropout(relu(layernorm(W x + b + m))), with W and b per table.

    Args:
        tables: The tables that receive messages.
        settings: Width and dropout.
    """

    def __init__(self, tables: Sequence[str], settings: NetworkSettings) -> None:
        super().__init__()
        self.place = {name: place for place, name in enumerate(tables)}
        self.selves = nn.ModuleList(nn.Linear(settings.channels, settings.channels) for _ in tables)
        self.norms = nn.ModuleList(nn.LayerNorm(settings.channels) for _ in tables)
        self.dropout = Dropout(settings.dropout)

    def forward(self, receivers: Mapping[str, Tensor], messages: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Update the receivers, (nodes, channels) per table, by their messages; tables without messages are left out."""
        out = {}
        for name, place in self.place.items():
            mixed = self.selves[place](receivers[name]) + messages[name]
            out[name] = receivers[name] + self.dropout(self.norms[place](mixed).relu())
        return out


class RelationalNetwork(nn.Module):
    """Encodes the rows of a batch of trees and passes messages from the leaves to the roots.

    Rows start at x = (1 + s(t)) * encode(row) + z(t), where s(t) and z(t) are the two halves of a `TimeEncoder` of the elapsed
    times t (FiLM: Perez et al., AAAI 2018). A learnt vector marks the roots among other rows of their table (the labelling
    trick: Zhang et al., NeurIPS 2021). Each layer applies a convolution and a `NodeUpdate`; layer l of L reads the hops up to L
    - l + 1. The head, a network with one hidden layer, reads the root's vector and the encoded task row side by side. With
    jumping knowledge (Xu et al., ICML 2018) the root's vector is a linear map of its vectors after all layers.

    Args:
        blueprint: What to build. Modules are kept in lists ordered by table name, because a table name may not be a valid module
            name.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        super().__init__()
        options, edge_types = blueprint.settings, blueprint.edge_types
        channels = options.channels
        self.entity, self.layers = blueprint.entity, options.layers
        self.outputs = blueprint.target.outputs
        self.layer_edges = edges_by_layer(self.entity, edge_types, options.layers)
        near = {self.entity} | {each[0] for each in self.layer_edges[0]} if self.layer_edges else {self.entity}
        self.tables = tuple(sorted(near))
        encodings = [blueprint.encodings[name] for name in self.tables]
        build = ENCODERS[options.encoder]
        self.encoders = nn.ModuleList(
            build(each, channels, options.encoder_blocks, options.dropout) for each in encodings
        )
        moments = [len(encoding.moments) for encoding in encodings]
        self.times = nn.ModuleList(TimeEncoder(count, 2 * channels) if count else nn.Identity() for count in moments)
        self.layer_tables = [sorted({each[2] for each in edges}) for edges in self.layer_edges]
        # children that were drawn at random have no order
        self.ordered = options.strategy == "last"
        convolve = CONVOLUTIONS[options.convolution]
        self.convolutions = nn.ModuleList(convolve(edges, channels, options.aggregation) for edges in self.layer_edges)
        self.updates = nn.ModuleList(NodeUpdate(self.layer_tables[layer], options) for layer in range(options.layers))
        self.seed = nn.Parameter(torch.zeros(channels)) if options.mark else None
        self.jump = nn.Linear(options.layers * channels, channels) if options.jumping else None
        self._build_head(blueprint)

    def _build_head(self, blueprint: Blueprint) -> None:
        channels, target = blueprint.settings.channels, blueprint.target
        relations = sum(each[2] == blueprint.entity for each in blueprint.edge_types)
        self.context = nn.Linear(_CONTEXT + relations + blueprint.reads_level, channels)
        self.task_row = StackedEncoder(blueprint.task_encoding, channels, 0, 0.0)
        self.task_times = (
            TimeEncoder(len(blueprint.task_encoding.moments), channels) if blueprint.task_encoding.moments else None
        )
        self.head = nn.Sequential(
            nn.LayerNorm(2 * channels),
            nn.Linear(2 * channels, channels),
            nn.ReLU(),
            Dropout(blueprint.settings.dropout),
            nn.Linear(channels, target.outputs),
        )
        last = self.head[-1]
        if isinstance(last, nn.Linear):
            nn.init.normal_(last.weight, std=0.02)
            with torch.no_grad():
                last.bias.copy_(torch.tensor(target.prior))

    def forward(self, batch: Batch) -> Tensor:
        """Return the outputs of a batch of b task rows, (b, outputs)."""
        out: Tensor = self.head(self.embed(batch))
        return out

    def embed(self, batch: Batch) -> Tensor:
        """Return the head's input of b task rows: root vector and encoded task row, (b, 2 * channels)."""
        x, trees = self._encode(batch.nodes), batch.trees
        ranks = {name: ranks_of(pair[1]) for name, pair in trees.edge_index.items()} if self.ordered else None
        after: list[Tensor] = []
        for layer in range(self.layers):
            hops = self.layers - layer
            sent = {name: sum(trees.nodes_per_hop[name][: hops + 1]) for name in x}
            kept = {name: sum(trees.nodes_per_hop[name][:hops]) for name in x}
            edges = {
                each: trees.edge_index[each][:, : sum(trees.edges_per_hop[each][:hops])]
                for each in self.layer_edges[layer]
            }
            if layer == 0:
                # most nodes are leaves: edges point at the encoded pairs of row and cutoff, so no vector is copied per leaf
                places = {name: part.place for name, part in batch.nodes.items()}
                senders, receivers = (
                    x,
                    {name: gather(each, places[name][: kept[name]]) for name, each in x.items()},
                )
                edges = {each: torch.stack([places[each[0]][pair[0]], pair[1]]) for each, pair in edges.items()}
                receivers[self.entity] = self._marked(receivers[self.entity], len(batch.index))
            else:
                senders = {name: each[: sent[name]] for name, each in x.items()}
                receivers = {name: each[: kept[name]] for name, each in x.items()}
            x = self._step(layer, senders, receivers, edges, ranks)
            after.append(x[self.entity][: len(batch.index)])
        root = x[self.entity] if self.jump is None else self.jump(torch.cat(after, dim=1))
        return torch.cat([root, self._context(batch)], dim=1)

    def _encode(self, nodes: Mapping[str, NodeBatch]) -> dict[str, Tensor]:
        """Encode the distinct pairs of row and cutoff of each table, (pairs, channels)."""
        x = {}
        for name, encoder, times in zip(self.tables, self.encoders, self.times, strict=True):
            part = nodes[name]
            encoded = encoder(part.table, part.rows, part.known)
            if part.elapsed.shape[1]:
                # scale and shift: a sum alone could not give a recent row more weight
                scale, shift = times(part.elapsed).chunk(2, dim=1)
                encoded = torch.addcmul(shift, gather(encoded, part.row), 1 + scale)
            x[name] = encoded
        return x

    @torch.no_grad()
    def mark_roots_by(self, vector: Tensor) -> None:
        """Set the mark of the roots, (channels,); nothing happens where the network has none."""
        if self.seed is not None:
            self.seed.copy_(vector)

    def _marked(self, x: Tensor, roots: int) -> Tensor:
        """Add the learnt mark to the roots, which are the first nodes."""
        if self.seed is None:
            return x
        return torch.cat([x[:roots] + self.seed, x[roots:]])

    def _step(
        self,
        layer: int,
        senders: dict[str, Tensor],
        receivers: dict[str, Tensor],
        edges: dict[EdgeType, Tensor],
        ranks: dict[EdgeType, Tensor] | None,
    ) -> dict[str, Tensor]:
        if ranks is not None:
            ranks = {name: ranks[name][: pair.shape[1]] for name, pair in edges.items()}
        messages = self.convolutions[layer](senders, receivers, edges, ranks)
        out: dict[str, Tensor] = self.updates[layer](receivers, messages)
        if self.entity not in out:
            out[self.entity] = receivers[self.entity]
        return out

    def _context(self, batch: Batch) -> Tensor:
        context: Tensor = self.context(batch.context)
        nothing = batch.index.new_empty(len(batch.index), 0).bool()
        everyone = torch.arange(len(batch.index), device=batch.index.device)
        context = context + self.task_row(batch.features, everyone, nothing)
        if self.task_times is not None:
            context = context + self.task_times(batch.elapsed)
        return context

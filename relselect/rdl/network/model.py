"""The relational network: encodes rows, passes messages from the leaves of the trees to the roots, and maps roots to outputs.

Losses and predictions are made from the outputs in `relselect.rdl.network.target`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from relselect.rdl.network.convolutions import CONVOLUTIONS
from relselect.rdl.network.dropout import Dropout
from relselect.rdl.network.encoders import ENCODERS
from relselect.rdl.network.language_layers import LanguageLayers
from relselect.rdl.network.routes import Fusion, composite_edges, routes_of
from relselect.rdl.network.scatter import gather
from relselect.rdl.network.stacked_encoder import StackedEncoder
from relselect.rdl.network.time_encoding import TimeEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from relselect.rdl.graph.adjacency import EdgeType
    from relselect.rdl.graph.features import TableTensors
    from relselect.rdl.graph.table_encoding import TableEncoding
    from relselect.rdl.network.batch import Batch, NodeBatch
    from relselect.rdl.network.routes import RoutedEdges
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


@dataclass(frozen=True)
class _Vectors:
    """The vectors of the nodes of a batch.

    Attributes:
        x: Per table (rows, channels).
        place: Per table int64 (nodes,), the row of each node; None where rows are nodes.
    """

    x: dict[str, Tensor]
    place: Mapping[str, Tensor] | None = None

    def places(self, table: str, nodes: Tensor) -> Tensor:
        """Return the rows of nodes."""
        return nodes if self.place is None else self.place[table][nodes]

    def sent(self, table: str, edges: Tensor) -> Tensor:
        """Return edges, int64 (2, edges), whose senders are nodes as edges whose senders are rows."""
        return edges if self.place is None else torch.stack([self.place[table][edges[0]], edges[1]])

    def first(self, table: str, count: int) -> Tensor:
        """Return the vectors of the first nodes."""
        return self.x[table][:count] if self.place is None else gather(self.x[table], self.place[table][:count])


class RelationalNetwork(nn.Module):
    """Encodes the rows of a batch of trees and passes messages from the leaves to the roots.

    Rows start at x = (1 + s(t)) * encode(row) + z(t), where s(t) and z(t) are the two halves of a `TimeEncoder` of the elapsed
    times t (FiLM: Perez et al., AAAI 2018). A learnt vector marks the roots among other rows of their table (the labelling
    trick: Zhang et al., NeurIPS 2021). Each layer applies a convolution and a `NodeUpdate`; layer l of L reads the hops up to L
    - l + 1. The head, a network with one hidden layer, reads the root's vector and the encoded task row side by side. With
    jumping knowledge (Xu et al., ICML 2018) the root's vector is a linear map of its vectors after all layers. Composite routes
    replace pairs of plain messages across bridge tables, see `relselect.rdl.network.routes`.

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
        said = {
            name: each.sentence
            for name, each in zip(self.tables, encodings, strict=True)
            if each.sentence is not None and each.sentence.tokens
        }
        self.said = frozenset(said)
        self.language = LanguageLayers(next(iter(said.values())), options.language_layers) if said else None
        moments = [len(encoding.moments) for encoding in encodings]
        self.times = nn.ModuleList(TimeEncoder(count, 2 * channels) if count else nn.Identity() for count in moments)
        self.layer_tables = [sorted({each[2] for each in edges}) for edges in self.layer_edges]
        self._build_routes(blueprint)
        # children that were drawn at random have no order
        self.ordered = options.strategy == "last"
        convolve = CONVOLUTIONS[options.convolution]
        self.convolutions = nn.ModuleList(
            convolve([*edges, *(each.edge_type for each in routes)], channels, options.aggregation)
            for edges, routes in zip(self.layer_edges, self.layer_routes, strict=True)
        )
        self.updates = nn.ModuleList(NodeUpdate(self.layer_tables[layer], options) for layer in range(options.layers))
        self.seed = nn.Parameter(torch.zeros(channels)) if options.mark else None
        self.jump = nn.Linear(options.layers * channels, channels) if options.jumping else None
        self._build_head(blueprint)

    def _build_routes(self, blueprint: Blueprint) -> None:
        """Find the routes of each layer: those whose two edges can lead to the root in the layers that follow."""
        wanted = blueprint.settings.routes == "composite" and self.layers > 1
        self.routes = routes_of(blueprint.edge_types) if wanted else ()
        self.layer_routes = [
            [
                each
                for each in self.routes
                if each.near in self.layer_edges[layer] and each.far in self.layer_edges[max(layer - 1, 0)]
            ]
            for layer in range(self.layers)
        ]
        self.fusions = nn.ModuleList(
            nn.ModuleList(Fusion(blueprint.settings.channels) for _ in routes) for routes in self.layer_routes
        )

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
        routed = composite_edges(trees, self.routes)
        ranks = {name: ranks_of(pair[1]) for name, pair in routed.edge_index.items()} if self.ordered else None
        # most nodes are leaves: edges point at the encoded pairs of row and cutoff, so no vector is copied per leaf
        encoded = _Vectors(x, {name: part.place for name, part in batch.nodes.items()})
        before, now = encoded, encoded
        after: list[Tensor] = []
        for layer in range(self.layers):
            hops = self.layers - layer
            kept = {name: sum(trees.nodes_per_hop[name][:hops]) for name in now.x}
            receivers = {name: now.first(name, count) for name, count in kept.items()}
            if layer == 0:
                receivers[self.entity] = self._marked(receivers[self.entity], len(batch.index))
            senders, edges = self._sent(layer, before, now, routed)
            x = self._step(layer, senders, receivers, edges, ranks)
            before, now = now, _Vectors(x)
            after.append(x[self.entity][: len(batch.index)])
        root = x[self.entity] if self.jump is None else self.jump(torch.cat(after, dim=1))
        return torch.cat([root, self._context(batch)], dim=1)

    def _sent(
        self, layer: int, before: _Vectors, now: _Vectors, routed: RoutedEdges
    ) -> tuple[dict[str, Tensor], dict[EdgeType, Tensor]]:
        """Return the senders of a layer and its edges, those that reach the root in the layers that follow.

        A composite message reads the bridge row as it is now and the other parent as it was a layer ago, as a plain message that
        has passed the bridge row would bring it: so much of the other parent's tree has been read by then, and not more is kept.
        """

        def reaching(edge_type: EdgeType, index: Tensor) -> Tensor:
            return index[:, : sum(routed.edges_per_hop[edge_type][: self.layers - layer])]

        senders, edges = dict(now.x), {}
        fusions = self.fusions[layer]
        assert isinstance(fusions, nn.ModuleList)
        for edge_type in self.layer_edges[layer]:
            edges[edge_type] = now.sent(edge_type[0], reaching(edge_type, routed.edge_index[edge_type]))
        for route, fuse in zip(self.layer_routes[layer], fusions, strict=True):
            bridge, far = reaching(route.edge_type, routed.ends[route.edge_type])
            near, other = now.places(route.bridge, bridge), before.places(route.far[0], far)
            senders[route.fused] = fuse(now.x[route.bridge], near, before.x[route.far[0]], other)
            edges[route.edge_type] = reaching(route.edge_type, routed.edge_index[route.edge_type])
        return senders, edges

    def _encode(self, nodes: Mapping[str, NodeBatch]) -> dict[str, Tensor]:
        """Encode the distinct pairs of row and cutoff of each table, (pairs, channels)."""
        x = {}
        for name, encoder, times in zip(self.tables, self.encoders, self.times, strict=True):
            part = nodes[name]
            encoded = encoder(self._read(name, part), part.rows, part.known)
            if part.elapsed.shape[1]:
                # scale and shift: a sum alone could not give a recent row more weight
                scale, shift = times(part.elapsed).chunk(2, dim=1)
                encoded = torch.addcmul(shift, gather(encoded, part.row), 1 + scale)
            x[name] = encoded
        return x

    def _read(self, name: str, part: NodeBatch) -> TableTensors:
        """Return the columns of a table; where layers of a language model are trained, with the vectors of the batch's rows."""
        if self.language is None or name not in self.said:
            return part.table
        *texts, sentences = part.table.texts
        return replace(part.table, texts=(*texts, self.language(sentences, part.rows)))

    def language_parameters(self) -> list[nn.Parameter]:
        """Return the weights of the language model that are trained; none where its vectors are finished."""
        return [] if self.language is None else list(self.language.parameters())

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

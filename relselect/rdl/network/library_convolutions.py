"""Message passing layers of PyTorch Geometric in the form of `Convolution`: PNA's aggregation and the graph transformer.

They are kept as PyG has them, and are slower on a CPU than the layers of this package.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch_geometric.nn import DegreeScalerAggregation, HGTConv

from relselect.rdl.network.convolution import Convolution
from relselect.rdl.network.scatter import gather

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.graph.adjacency import EdgeType

__all__ = ["HGT", "PNA"]

#: PNA's aggregators and scalers; the degree on which the scalers are centred is that of a full second hop.
_AGGREGATORS, _SCALERS, _TYPICAL = ["mean", "min", "max", "std"], ["identity", "amplification", "attenuation"], 4
_HEADS = 4


class PNA(Convolution):
    """Principal neighbourhood aggregation: W [s(n) a({x_j : j in N(i)}) for aggregators a, scalers s] + b.

    The aggregators are mean, minimum, maximum and standard deviation, the scalers 1, log(n + 1) / d and d / log(n + 1) with d the
    logarithm of a typical degree (Corso et al., "Principal neighbourhood aggregation for graph nets", NeurIPS 2020), computed by
    PyG's `DegreeScalerAggregation`. The aggregation option is not read.
    """

    @staticmethod
    def relation(channels: int, aggregation: str) -> nn.Module:
        """See `Convolution`."""
        return _Principal(channels)


class _Principal(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        with torch.device("cpu"):  # PyG reads the degrees here, also where only the shapes of a network are built
            degrees = torch.zeros(_TYPICAL + 1, dtype=torch.int64)
            degrees[_TYPICAL] = 1
            self.aggregate = DegreeScalerAggregation(_AGGREGATORS, _SCALERS, degrees)
        self.linear = nn.Linear(len(_AGGREGATORS) * len(_SCALERS) * channels, channels)

    def forward(self, senders: Tensor, receivers: Tensor, edges: Tensor) -> Tensor:
        size = len(receivers)
        if not edges.shape[1]:
            return self.linear.bias.expand(size, -1)
        seen = torch.bincount(edges[1], minlength=size) > 0
        joint = self.aggregate(gather(senders, edges[0]), edges[1], dim_size=size)
        out: Tensor = self.linear(torch.where(seen.unsqueeze(1), joint, 0.0))
        return out


class HGT(Convolution):
    """The heterogeneous graph transformer (Hu et al., WWW 2020) as PyG has it, without its skip connection.

    Attention weights are a softmax over the neighbours of a receiver under all relations together. The receiver's own part is in
    `NodeUpdate`. The aggregation option is not read.
    """

    def __init__(self, edge_types: Sequence[EdgeType], channels: int, aggregation: str) -> None:
        super().__init__(edge_types, channels, aggregation)
        self.tables = tuple(sorted({each[0] for each in edge_types} | {each[2] for each in edge_types}))
        #: PyG's modules are named after tables and relations, whose names may not be valid: both are numbered.
        self.codes = {name: f"t{place}" for place, name in enumerate(self.tables)}
        self.relation_codes = {each: self._code(place, each) for place, each in enumerate(self.edge_types)}
        metadata = ([self.codes[name] for name in self.tables], list(self.relation_codes.values()))
        self.layer = HGTConv(channels, channels, metadata, heads=math.gcd(channels, _HEADS))
        # sigmoid(inf) = 1: nothing of the receiver's own vector is added here
        del self.layer.skip
        self.layer.skip = {name: torch.tensor(math.inf) for name in metadata[0]}
        reached = {each[2] for each in self.edge_types}
        for name in set(self.tables) - reached:
            del self.layer.out_lin.lins[self.codes[name]]

    def _code(self, place: int, edge_type: EdgeType) -> EdgeType:
        return self.codes[edge_type[0]], f"r{place}", self.codes[edge_type[2]]

    @staticmethod
    def relation(channels: int, aggregation: str) -> nn.Module:
        """Return nothing to learn: the layer of all relations holds the weights."""
        return nn.Identity()

    def forward(
        self,
        senders: dict[str, Tensor],
        receivers: dict[str, Tensor],
        edges: dict[EdgeType, Tensor],
        ranks: Mapping[EdgeType, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Compute the messages of one layer; see `Convolution.forward`."""
        reached = {each[2] for each in self.edge_types}
        x, offset = {}, {}
        for name in self.tables:
            # PyG has one array per table: receivers first, senders behind them
            parts = [receivers[name]] if name in reached else []
            offset[name] = len(parts[0]) if parts else 0
            if name in {each[0] for each in self.edge_types}:
                parts.append(senders[name])
            x[self.codes[name]] = torch.cat(parts)
        index = {
            code: torch.stack([edges[each][0] + offset[each[0]], edges[each][1]])
            for each, code in self.relation_codes.items()
        }
        out = self.layer(x, index)
        return {name: out[self.codes[name]][: len(receivers[name])] for name in sorted(reached)}

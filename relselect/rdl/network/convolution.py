"""Message passing layers, by name.

A convolution sees one layer of the trees: the vectors of the senders, those of the receivers (the senders' first nodes, one hop
shorter), and the edges between them. It returns what reaches the receivers; the model adds the receivers' own part, norm and
activation. A new one says what one relation computes and enters `CONVOLUTIONS`; nothing else changes. What each must keep
(sums in any order of the edges, nothing from one receiver to another) is tested for all that are registered.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.functional import leaky_relu, linear
from torch_geometric.nn import Linear
from torch_geometric.nn.inits import glorot

from relselect.rdl.network.passing import gather, largest_of, pass_along, sum_into

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.graph.adjacency import EdgeType

__all__ = ["CONVOLUTIONS", "Convolution", "GATv2", "SAGE"]


class Convolution(nn.Module):
    """A layer with weights per relation, summed over the relations that reach a table.

    Args:
        edge_types: The relations of this layer.
        channels: Width of all vectors.
        aggregation: How the neighbours of one relation are joined, "mean", "sum" or "max"; those that weigh their
            neighbours by themselves do not read it.
    """

    def __init__(self, edge_types: Sequence[EdgeType], channels: int, aggregation: str) -> None:
        super().__init__()
        self.edge_types = tuple(edge_types)
        # the model holds one map per table for the receiver itself: a sum of one per relation would be the same function
        self.relations = nn.ModuleList(self.relation(channels, aggregation) for _ in edge_types)

    @staticmethod
    @abstractmethod
    def relation(channels: int, aggregation: str) -> nn.Module:
        """Return what one relation computes.

        It is called with senders (n, channels), receivers (m, channels) and edges, int64 (2, edges), and returns (m, channels).
        Where no edge leads to a receiver, what it returns must not depend on any vector.
        """

    def forward(
        self, senders: dict[str, Tensor], receivers: dict[str, Tensor], edges: dict[EdgeType, Tensor]
    ) -> dict[str, Tensor]:
        """Pass messages along one layer of edges.

        Args:
            senders: Per table (nodes, channels).
            receivers: Per table (fewer nodes, channels).
            edges: Per relation int64 (2, edges), sender and receiver.

        Returns:
            Per table that any relation reaches (receivers, channels).
        """
        reached: dict[str, Tensor] = {}
        for edge_type, relation in zip(self.edge_types, self.relations, strict=True):
            sender, _, receiver = edge_type
            message = relation(senders[sender], receivers[receiver], edges[edge_type])
            reached[receiver] = reached[receiver] + message if receiver in reached else message
        return reached


class SAGE(Convolution):
    """GraphSAGE (Hamilton et al. 2017) over one relation: W aggregate(neighbours) + b."""

    @staticmethod
    def relation(channels: int, aggregation: str) -> nn.Module:
        """See `Convolution`."""
        return _Aggregate(channels, aggregation)


class _Aggregate(nn.Module):
    def __init__(self, channels: int, aggregation: str) -> None:
        super().__init__()
        self.aggregation = aggregation
        self.lin_l = Linear(channels, channels)

    def forward(self, senders: Tensor, receivers: Tensor, edges: Tensor) -> Tensor:
        source, target, size = edges[0], edges[1], len(receivers)
        if self.aggregation == "max":
            out: Tensor = self.lin_l(largest_of(gather(senders, source), target, size))
            return out
        # a sum may be mapped before or after: the fewest rows are
        fewest = min(len(senders), len(source), size)
        if fewest == size:
            out = self.lin_l(self._shared(pass_along(senders, source, target, size), target))
            return out
        if fewest == len(senders):
            total = pass_along(linear(senders, self.lin_l.weight), source, target, size)
        else:
            total = sum_into(linear(gather(senders, source), self.lin_l.weight), target, size)
        return self._shared(total, target) + self.lin_l.bias

    def _shared(self, total: Tensor, target: Tensor) -> Tensor:
        """Turn sums over neighbours into what the aggregation asks for."""
        if self.aggregation == "sum":
            return total
        return total / torch.bincount(target, minlength=len(total)).clamp(min=1).unsqueeze(1)


class GATv2(Convolution):
    """Attention over the neighbours of one relation (GATv2: Brody, Alon and Yahav, ICLR 2022).

    Neighbour j of receiver i weighs softmax_j(a . leaky_relu(L x_j + R x_i)) per head, the message is the weighted sum of
    L x_j. Times enter by the vectors, which are encoded relative to the cutoff.
    """

    @staticmethod
    def relation(channels: int, aggregation: str) -> nn.Module:
        """See `Convolution`; weights take the place of `aggregation`."""
        return _Attention(channels)


class _Attention(nn.Module):
    """Four heads where the width allows, the names and starting weights of PyG's GATv2Conv."""

    def __init__(self, channels: int, heads: int = 4, slope: float = 0.2) -> None:
        super().__init__()
        self.heads, self.slope = math.gcd(channels, heads), slope
        self.lin_l = Linear(channels, channels, weight_initializer="glorot")
        self.lin_r = Linear(channels, channels, weight_initializer="glorot")
        self.att = nn.Parameter(torch.empty(1, self.heads, channels // self.heads))
        self.bias = nn.Parameter(torch.zeros(channels))
        glorot(self.att)

    def forward(self, senders: Tensor, receivers: Tensor, edges: Tensor) -> Tensor:
        source, target = edges[0], edges[1]
        # most senders have no edge of this relation, unless few rows are shared by many edges: map the fewer of the two
        many = len(senders) > len(source)
        sent = self.lin_l(gather(senders, source)) if many else gather(self.lin_l(senders), source)
        joint = leaky_relu(sent + gather(self.lin_r(receivers), target), self.slope)
        score = (joint.view(len(joint), *self.att.shape[1:]) * self.att).sum(2)
        # any shift of the scores of a receiver leaves its weights alone: the largest one keeps exp from overflowing
        with torch.no_grad():
            peak = largest_of(score, target, len(receivers))[target]
        raw = (score - peak).exp()
        weighted = (sent.view(len(sent), *self.att.shape[1:]) * raw.unsqueeze(2)).flatten(1)
        total = sum_into(raw, target, len(receivers))
        # receivers without neighbours keep the bias alone
        total = torch.where(total > 0, total, 1.0).repeat_interleave(sent.shape[1] // self.heads, dim=1)
        out: Tensor = sum_into(weighted, target, len(receivers)) / total + self.bias
        return out


#: What a configuration may name; each is called with (edge types, channels, aggregation).
CONVOLUTIONS: dict[str, Callable[[Sequence[EdgeType], int, str], nn.Module]] = {"sage": SAGE, "gatv2": GATv2}

"""Message passing layers (convolutions): what they have in common, GraphSAGE and attention.

A convolution maps the vectors of the senders, those of the receivers and the edges between them to one message per receiver.
`relselect.rdl.network.model.NodeUpdate` adds the receiver's own part, norm, activation and dropout. A new convolution implements
`Convolution.relation` and is registered in `relselect.rdl.network.convolutions`. The tests check every registered one: its result
must not depend on the order of the edges, and nothing may pass from one receiver to another.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn
from torch.nn.functional import leaky_relu, linear

from relselect.rdl.network.scatter import gather, gather_scatter_sum, scatter_max, scatter_sum

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.graph.adjacency import EdgeType

__all__ = ["SAGE", "Convolution", "GATv2", "glorot"]


def glorot(weight: Tensor) -> None:
    """Draw weights uniformly within sqrt(6 / (a + b)), a and b the last two sizes (Glorot and Bengio, AISTATS 2010), in place."""
    bound = math.sqrt(6.0 / (weight.shape[-2] + weight.shape[-1]))
    nn.init.uniform_(weight, -bound, bound)


class Convolution(nn.Module):
    """A layer with weights per edge type: the message to a receiver is the sum over edge types of what `relation` computes.

    This is the heterogeneous convolution of R-GCN (Schlichtkrull et al., ESWC 2018) with any layer in place of its linear map.

    Args:
        edge_types: The edge types of this layer.
        channels: Width of all vectors.
        aggregation: "mean", "sum" or "max" over the neighbours of one edge type; attention does not read it.

    Example:
        >>> layer = SAGE([("orders", "user", "users")], 8, "mean")
        >>> x = {"orders": torch.randn(3, 8), "users": torch.randn(2, 8)}
        >>> layer(x, x, {("orders", "user", "users"): torch.tensor([[0, 1, 2], [0, 0, 1]])})["users"].shape
        torch.Size([2, 8])
    """

    #: Whether `relation` takes the ranks of the edges, int64 (edges,), as a fourth argument.
    reads_ranks: ClassVar[bool] = False

    def __init__(self, edge_types: Sequence[EdgeType], channels: int, aggregation: str) -> None:
        super().__init__()
        self.edge_types = tuple(edge_types)
        # the model has one map per table for the receiver's own vector: one per edge type would add up to the same function
        self.relations = nn.ModuleList(self.relation(channels, aggregation) for _ in edge_types)

    @staticmethod
    @abstractmethod
    def relation(channels: int, aggregation: str) -> nn.Module:
        """Return the module of one edge type.

        It is called with senders (n, channels), receivers (m, channels) and edges, int64 (2, edges), and returns (m, channels).
        For a receiver without edges the result must not depend on any vector.
        """

    def forward(
        self,
        senders: dict[str, Tensor],
        receivers: dict[str, Tensor],
        edges: dict[EdgeType, Tensor],
        ranks: Mapping[EdgeType, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Compute the messages of one layer.

        Args:
            senders: Per table (nodes, channels).
            receivers: Per table (fewer nodes, channels).
            edges: Per edge type int64 (2, edges), sender and receiver.
            ranks: Per edge type int64 (edges,), the sender's rank among the receiver's neighbours, 0 for the latest; None
                where neighbours have no order. Only layers that tell neighbours apart by it read it.

        Returns:
            Per receiving table (receivers, channels).
        """
        reached: dict[str, Tensor] = {}
        for edge_type, relation in zip(self.edge_types, self.relations, strict=True):
            sender, _, receiver = edge_type
            rank = () if ranks is None or not self.reads_ranks else (ranks[edge_type],)
            message = relation(senders[sender], receivers[receiver], edges[edge_type], *rank)
            reached[receiver] = reached[receiver] + message if receiver in reached else message
        return reached


class SAGE(Convolution):
    """GraphSAGE: the message of one edge type to receiver i is W agg({x_j : j in N(i)}) + b.

    agg is the mean, the sum or the elementwise maximum over the neighbours N(i), and 0 without any (Hamilton, Ying and Leskovec,
    "Inductive representation learning on large graphs", NeurIPS 2017, without its concatenation: the receiver's own part
    is in `NodeUpdate`).
    """

    @staticmethod
    def relation(channels: int, aggregation: str) -> nn.Module:
        """See `Convolution`."""
        return _Aggregate(channels, aggregation)


class _Aggregate(nn.Module):
    def __init__(self, channels: int, aggregation: str) -> None:
        super().__init__()
        self.aggregation = aggregation
        self.lin_l = nn.Linear(channels, channels)

    def forward(self, senders: Tensor, receivers: Tensor, edges: Tensor) -> Tensor:
        source, target, size = edges[0], edges[1], len(receivers)
        if self.aggregation == "max":
            out: Tensor = self.lin_l(scatter_max(gather(senders, source), target, size))
            return out
        # the linear map commutes with the sum: it is applied where there are fewest rows
        fewest = min(len(senders), len(source), size)
        if fewest == size:
            out = self.lin_l(self._shared(gather_scatter_sum(senders, source, target, size), target))
            return out
        if fewest == len(senders):
            total = gather_scatter_sum(linear(senders, self.lin_l.weight), source, target, size)
        else:
            total = scatter_sum(linear(gather(senders, source), self.lin_l.weight), target, size)
        return self._shared(total, target) + self.lin_l.bias

    def _shared(self, total: Tensor, target: Tensor) -> Tensor:
        """Turn sums over neighbours into means where the aggregation is "mean"."""
        if self.aggregation == "sum":
            return total
        return total / torch.bincount(target, minlength=len(total)).clamp(min=1).unsqueeze(1)


class GATv2(Convolution):
    """GATv2: attention over the neighbours of one edge type.

    Per head, the message to receiver i is the sum over j in N(i) of a_ij L x_j, with the weights
    a_ij = softmax over j of a . leaky_relu(L x_j + R x_i); the heads are concatenated and a bias is added (Brody, Alon and Yahav,
    "How attentive are graph attention networks?", ICLR 2022). The aggregation is not read.
    """

    @staticmethod
    def relation(channels: int, aggregation: str) -> nn.Module:
        """See `Convolution`."""
        return _Attention(channels)


class _Attention(nn.Module):
    """GATv2 of one edge type, with four heads where the width is divisible by 4; parameters as in PyG's GATv2Conv."""

    def __init__(self, channels: int, heads: int = 4, slope: float = 0.2) -> None:
        super().__init__()
        self.heads, self.slope = math.gcd(channels, heads), slope
        self.lin_l, self.lin_r = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.att = nn.Parameter(torch.empty(1, self.heads, channels // self.heads))
        self.bias = nn.Parameter(torch.zeros(channels))
        for weight in (self.lin_l.weight, self.lin_r.weight, self.att):
            glorot(weight)

    def forward(self, senders: Tensor, receivers: Tensor, edges: Tensor) -> Tensor:
        source, target = edges[0], edges[1]
        # map senders or edges, whichever are fewer: most senders have no edge of this type, or many edges share few senders
        many = len(senders) > len(source)
        sent = self.lin_l(gather(senders, source)) if many else gather(self.lin_l(senders), source)
        joint = leaky_relu(sent + gather(self.lin_r(receivers), target), self.slope)
        score = (joint.view(len(joint), *self.att.shape[1:]) * self.att).sum(2)
        # softmax is invariant to a shift of the scores: subtracting the largest keeps exp from overflowing
        with torch.no_grad():
            peak = scatter_max(score, target, len(receivers))[target]
        raw = (score - peak).exp()
        weighted = (sent.view(len(sent), *self.att.shape[1:]) * raw.unsqueeze(2)).flatten(1)
        total = scatter_sum(raw, target, len(receivers))
        # receivers without neighbours get the bias alone
        total = torch.where(total > 0, total, 1.0).repeat_interleave(sent.shape[1] // self.heads, dim=1)
        out: Tensor = scatter_sum(weighted, target, len(receivers)) / total + self.bias
        return out

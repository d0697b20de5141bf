"""A message passing layer that counts, compares and chooses: nonlinear messages under several aggregates at once.

A sum of linear messages is a linear function of the neighbours' columns: thresholds, counts of rows with a property, maxima and
"the last value" are out of its reach. This layer passes each sender through a nonlinearity first, tells it its place among the
receiver's neighbours, and hands mean, scaled mean, maximum, last neighbour and count to the receiver side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn

from relselect.rdl.graph.adjacency import leads_to_child
from relselect.rdl.network.child_aggregates import AGGREGATES, child_aggregates
from relselect.rdl.network.convolution import Convolution
from relselect.rdl.network.scatter import gather, gather_scatter_sum, scatter_sum

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.graph.adjacency import EdgeType

__all__ = ["PLACES", "MultiAggregate", "place_of"]

#: Places that are told apart: the last four neighbours one by one, then up to 8, 16, 32 and more.
PLACES = 8
_SINGLE = 4


class MultiAggregate(Convolution):
    """Messages of several aggregates (PNA: Corso et al., NeurIPS 2020) of nonlinear messages with a place in time.

    With h_j = relu(layernorm(x_j)) and, for the children j of receiver i under one relation, m_j = relu(h_j + P[place(j)]), the
    message is

        V sum_j x_j + W [mean_j m_j ; log(1 + n) mean_j m_j ; max_j m_j ; m_last ; log(1 + n)] + b

    with n the number of sampled children, place(j) the rank of j counted from the latest (see `place_of`) and m_last the message
    of the latest. A receiver has at most one parent under a relation, whose message is V x_j + W h_j + b. A receiver without
    neighbours gets b. The norm is one per sending table; P, V, W and b are one per relation. W begins at zero, so that training
    begins as GraphSAGE with sums: the linear part alone is the better one where little can be learnt, and nonlinear messages
    from the first step on were found to fit noise instead. Where neighbours have no order (they were drawn at random) every
    place is 0 and m_last is the mean.

    Args:
        edge_types: The edge types of this layer.
        channels: Width of all vectors.
        aggregation: Not read.

    Example:
        >>> layer = MultiAggregate([("orders", "user", "users")], 8, "sum")
        >>> x = {"orders": torch.randn(3, 8), "users": torch.randn(2, 8)}
        >>> layer(x, x, {("orders", "user", "users"): torch.tensor([[0, 1, 2], [0, 0, 1]])})["users"].shape
        torch.Size([2, 8])
    """

    reads_ranks = True

    def __init__(self, edge_types: Sequence[EdgeType], channels: int, aggregation: str) -> None:
        super().__init__(edge_types, channels, aggregation)
        for place, edge_type in enumerate(self.edge_types):
            if leads_to_child(edge_type):
                self.relations[place] = _FromParent(channels)
        self.senders = tuple(sorted({each[0] for each in edge_types}))
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in self.senders)
        self.linears = nn.ParameterList(nn.Linear(channels, channels, bias=False).weight for _ in edge_types)

    @staticmethod
    def relation(channels: int, aggregation: str) -> nn.Module:
        """See `Convolution`."""
        return _FromChildren(channels)

    def forward(
        self,
        senders: dict[str, Tensor],
        receivers: dict[str, Tensor],
        edges: dict[EdgeType, Tensor],
        ranks: Mapping[EdgeType, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Compute the messages of one layer; see `Convolution.forward`."""
        active = {name: norm(senders[name]).relu() for name, norm in zip(self.senders, self.norms, strict=True)}
        out = super().forward(active, receivers, edges, ranks)
        for edge_type, weight in zip(self.edge_types, self.linears, strict=True):
            sender, _, receiver = edge_type
            source, target = edges[edge_type]
            total = _sum_of_linear(senders[sender], weight, source, target, len(receivers[receiver]))
            out[receiver] = out[receiver] + total
        return out


def place_of(rank: Tensor) -> Tensor:
    """Return the place, below `PLACES`, of ranks counted from the latest, int64 (n,).

    Example:
        >>> place_of(torch.tensor([0, 1, 2, 3, 4, 7, 8, 15, 16, 32, 500])).tolist()
        [0, 1, 2, 3, 4, 4, 5, 5, 6, 7, 7]
    """
    doubled = torch.log2((rank / _SINGLE).clamp(min=1.0)).long() + _SINGLE
    return torch.where(rank < _SINGLE, rank, doubled.clamp(max=PLACES - 1))


def _sum_of_linear(x: Tensor, weight: Tensor, source: Tensor, target: Tensor, size: int) -> Tensor:
    """Return the sums over the neighbours of W x_j, (size, channels); W is applied where there are fewest rows."""
    fewest = min(len(x), len(source), size)
    if fewest == size:
        return gather_scatter_sum(x, source, target, size) @ weight.T
    if fewest == len(x):
        return gather_scatter_sum(x @ weight.T, source, target, size)
    return scatter_sum(gather(x, source) @ weight.T, target, size)


class _FromParent(nn.Module):
    """W h_j + b for the one neighbour j, b without one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, channels)
        nn.init.zeros_(self.linear.weight)

    def forward(self, senders: Tensor, receivers: Tensor, edges: Tensor, rank: Tensor | None = None) -> Tensor:
        total = _sum_of_linear(senders, self.linear.weight, edges[0], edges[1], len(receivers))
        return total + self.linear.bias


class _FromChildren(nn.Module):
    """The aggregates of the children of one relation, mapped to one message; computed for receivers that have any."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(PLACES, channels) * 0.1)
        self.linear = nn.Linear(AGGREGATES * channels + 1, channels)
        nn.init.zeros_(self.linear.weight)

    def forward(self, senders: Tensor, receivers: Tensor, edges: Tensor, rank: Tensor | None = None) -> Tensor:
        if (edges[1, 1:] < edges[1, :-1]).any():
            order = torch.argsort(edges[1], stable=True)
            edges, rank = edges[:, order], None if rank is None else rank[order]
        source, target, size = edges[0], edges[1], len(receivers)
        begins = torch.ones_like(target, dtype=torch.bool)
        begins[1:] = target[1:] != target[:-1]
        segment = begins.cumsum(0) - 1
        reached = target[begins]
        place = torch.zeros_like(source) if rank is None else place_of(rank)
        ordered = rank is not None
        joint = child_aggregates(senders, self.places, source, segment, place, len(reached), ordered=ordered)
        # the count's column apart: a matrix of an odd width takes half as long again
        width, weight = joint.shape[1], self.linear.weight
        several = torch.bincount(segment, minlength=len(reached)).to(joint.dtype).log1p().unsqueeze(1)
        mapped = joint @ weight[:, :width].T + several * weight[:, width]
        return scatter_sum(mapped, reached, size) + self.linear.bias

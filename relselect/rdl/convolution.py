"""Message passing layers, by name.

A convolution sees one layer of the trees: the vectors of the senders, those of the receivers (the senders' first nodes, one hop
shorter), and the edges between them. It returns what reaches the receivers; the model adds the receivers' own part, norm and
activation. Others are added to `CONVOLUTIONS` without a change elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from torch import nn
from torch_geometric.nn import SAGEConv

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.adjacency import EdgeType

__all__ = ["CONVOLUTIONS", "SAGE"]


class SAGE(nn.Module):
    """GraphSAGE (Hamilton et al. 2017) with weights per relation, summed over the relations that reach a table.

    Args:
        edge_types: The relations of this layer.
        channels: Width of all vectors.
        aggregation: "mean", "sum" or "max" over the neighbours of one relation.
    """

    def __init__(self, edge_types: Sequence[EdgeType], channels: int, aggregation: str) -> None:
        super().__init__()
        self.edge_types = tuple(edge_types)
        # the model holds one map per table for the receiver itself: a sum of one per relation would be the same function
        self.relations = nn.ModuleList(
            SAGEConv((channels, channels), channels, aggr=aggregation, root_weight=False) for _ in edge_types
        )

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
            message = relation((senders[sender], receivers[receiver]), edges[edge_type])
            reached[receiver] = reached[receiver] + message if receiver in reached else message
        return reached


#: What a configuration may name; each is called with (edge types, channels, aggregation).
CONVOLUTIONS: dict[str, Callable[[Sequence[EdgeType], int, str], nn.Module]] = {"sage": SAGE}

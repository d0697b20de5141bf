"""The convolutions by name: the one place that says which there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from relselect.rdl.network.convolution import SAGE, Convolution, GATv2
from relselect.rdl.network.library_convolutions import HGT, PNA
from relselect.rdl.network.multi_aggregate import MultiAggregate

if TYPE_CHECKING:
    from relselect.rdl.graph.adjacency import EdgeType

__all__ = ["CONVOLUTIONS"]


class _Builds(Protocol):
    def __call__(self, edge_types: Sequence[EdgeType], channels: int, aggregation: str) -> Convolution: ...


#: Name -> convolution; each is called with (edge types, channels, aggregation). The first is the default.
CONVOLUTIONS: dict[str, _Builds] = {"multi": MultiAggregate, "sage": SAGE, "gatv2": GATv2, "pna": PNA, "hgt": HGT}

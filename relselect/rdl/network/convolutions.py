"""The convolutions by name: the one place that says which there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from relselect.rdl.network.convolution import SAGE, Convolution, GATv2
from relselect.rdl.network.multi_aggregate import MultiAggregate

if TYPE_CHECKING:
    from relselect.rdl.graph.adjacency import EdgeType

__all__ = ["CONVOLUTIONS"]


class _Builds(Protocol):
    def __call__(self, edge_types: Sequence[EdgeType], channels: int, aggregation: str) -> Convolution: ...


# PyTorch Geometric is imported where its layers are asked for: it takes as long as the rest together.
def _pna(edge_types: Sequence[EdgeType], channels: int, aggregation: str) -> Convolution:
    from relselect.rdl.network.library_convolutions import (
        PNA,
    )  # PyTorch Geometric is imported where its layers are asked for

    return PNA(edge_types, channels, aggregation)


def _hgt(edge_types: Sequence[EdgeType], channels: int, aggregation: str) -> Convolution:
    from relselect.rdl.network.library_convolutions import HGT

    return HGT(edge_types, channels, aggregation)


#: Name -> convolution; each is called with (edge types, channels, aggregation). The first is the default.
CONVOLUTIONS: dict[str, _Builds] = {"multi": MultiAggregate, "sage": SAGE, "gatv2": GATv2, "pna": _pna, "hgt": _hgt}

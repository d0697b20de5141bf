"""Weights of a graph network that belong to no table: pretraining finds them, and networks over language rows begin with them.

The same placement serves both: pretraining computes with the placed weights of many databases at once and differentiates through
the placement; a new network copies them into its own parameters, where they are trained on per table and relation, or frozen.
Deliberately not here: files (`relselect.rdl.training.pretrained`) and the pretraining itself (`relselect.pretraining`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from relselect.rdl.graph.adjacency import leads_to_child
from relselect.rdl.network.stacked_encoder import StackedEncoder
from relselect.rdl.network.time_encoding import TimeEncoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

    from relselect.rdl.graph.features import TextTensors
    from relselect.rdl.network.model import RelationalNetwork

__all__ = ["RowStatistics", "SharedLayers", "copy_shared", "placed_weights", "row_statistics"]

#: Smallest spread of the vectors of a table; a table whose rows all say the same would be divided by 0.
_LEAST_SPREAD = 0.05
#: Vectors that are read at once.
_PART = 8192


@dataclass(frozen=True)
class RowStatistics:
    """Where the language vectors of a table lie.

    Attributes:
        mean: float32 (width,), the mean vector m, which tells what the table is about.
        spread: The root mean square s of the entries of v - m over the rows.
        timed: Whether its rows have a time of their own, the first of its moments.
    """

    mean: Tensor
    spread: float
    timed: bool


def row_statistics(sentences: TextTensors, visible: Tensor, timed: bool) -> RowStatistics:
    """Return the statistics of the vectors of the visible rows.

    Args:
        sentences: The sentences of n rows.
        visible: bool (n,), the rows that may be read.
        timed: Whether the rows have a time of their own.
    """
    counts = torch.bincount(sentences.code[visible], minlength=len(sentences.vectors)).double()
    counts[0] = 0.0  # the vector of no sentence
    total = counts.sum().clamp(min=1.0)
    mean = torch.zeros(sentences.vectors.shape[1], dtype=torch.float64)
    squares = 0.0
    for begin in range(0, len(counts), _PART):
        values, weight = sentences.vectors[begin : begin + _PART].double(), counts[begin : begin + _PART]
        mean += weight @ values
        squares += float(weight @ values.square().mean(1))
    mean /= total
    variance = max(0.0, squares / float(total) - float(mean.square().mean()))
    return RowStatistics(mean.float(), max(_LEAST_SPREAD, variance**0.5), timed)


class SharedLayers(nn.Module):
    """Weights of a projection of language rows and of L layers of GraphSAGE that all tables of all databases share.

    A row with vector v of a table with mean m and spread s starts at W (v - m) / s + U m + b, scaled and shifted by the time
    that has passed since it. By m and s every table has a projection of its own, a table of another database too. Layer l adds
    to a receiver relu(layernorm(S x + sum over relations of (A mean of the neighbours + a))), with one A for messages of
    children and one for those of parents (Hamilton, Ying and Leskovec, NeurIPS 2017).

    Args:
        width: Entries of a language vector.
        channels: Width of all other vectors.
        layers: L.

    Example:
        >>> sum(each.numel() for each in SharedLayers(16, 8, 2).parameters())
        920
    """

    def __init__(self, width: int, channels: int, layers: int) -> None:
        super().__init__()
        self.width, self.channels, self.layers = width, channels, layers
        self.rows = nn.Linear(width, channels)
        self.tables = nn.Linear(width, channels, bias=False)
        self.times = TimeEncoder(1, 2 * channels)
        self.to_parents = _maps(channels, layers)
        self.to_children = _maps(channels, layers)
        self.selves = _maps(channels, layers)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(layers))


def _maps(channels: int, layers: int) -> nn.ModuleList:
    return nn.ModuleList(nn.Linear(channels, channels) for _ in range(layers))


def placed_weights(
    shared: SharedLayers, network: RelationalNetwork, statistics: Mapping[str, RowStatistics]
) -> dict[str, Tensor]:
    """Return the parameters of a network that the shared layers decide, by name; gradients reach the shared layers.

    Tables without statistics, such as past labels, keep parameters of their own, as do all relations that they are part of.

    Args:
        shared: The shared layers.
        network: A network of GraphSAGE layers with means, of the width and the number of layers of `shared`.
        statistics: Per table whose rows are read as language.
    """
    found: dict[str, Tensor] = {}
    for place, (table, encoder) in enumerate(zip(network.tables, network.encoders, strict=True)):
        if table in statistics and isinstance(encoder, StackedEncoder) and encoder.texts is not None:
            at = statistics[table]
            further = encoder.texts.linear.in_features - shared.width
            found |= _projection(shared, at, f"encoders.{place}", further)
            moments = network.times[place]
            if isinstance(moments, TimeEncoder):
                found |= _times(shared, at.timed, f"times.{place}", moments.linear.in_features)
    for layer, (edges, tables) in enumerate(zip(network.layer_edges, network.layer_tables, strict=True)):
        for place, edge in enumerate(edges):
            if edge[0] in statistics and edge[2] in statistics:
                one = (shared.to_children if leads_to_child(edge) else shared.to_parents)[layer]
                found |= _copied(one, f"convolutions.{layer}.relations.{place}.lin_l")
        for place, table in enumerate(tables):
            if table in statistics:
                found |= _copied(shared.selves[layer], f"updates.{layer}.selves.{place}")
                found |= _copied(shared.norms[layer], f"updates.{layer}.norms.{place}")
    return found


def _projection(shared: SharedLayers, at: RowStatistics, name: str, further: int) -> dict[str, Tensor]:
    """Return W (v - m) / s + U m + b as a map of v and a bias; hashed texts, `further` entries before v, begin at 0."""
    scaled = shared.rows.weight / at.spread
    mean = at.mean.to(scaled.device)
    bias = shared.rows.bias + shared.tables(mean) - scaled @ mean
    return {
        f"{name}.bias": bias,
        f"{name}.texts.linear.weight": torch.cat([scaled.new_zeros(len(scaled), further), scaled], dim=1),
    }


def _times(shared: SharedLayers, timed: bool, name: str, width: int) -> dict[str, Tensor]:
    """Return the encoder of the moments of a table: the row's own time as shared, further moments not read at first."""
    own, bias = shared.times.linear.weight, shared.times.linear.bias
    if not timed:
        return {f"{name}.linear.weight": own.new_zeros(len(own), width), f"{name}.linear.bias": torch.zeros_like(bias)}
    rest = own.new_zeros(len(own), width - own.shape[1])
    return {f"{name}.linear.weight": torch.cat([own, rest], dim=1), f"{name}.linear.bias": bias}


def _copied(module: nn.Module, name: str) -> dict[str, Tensor]:
    return {f"{name}.{key}": value for key, value in module.named_parameters()}


@torch.no_grad()
def copy_shared(
    shared: SharedLayers, networks: Iterable[RelationalNetwork], statistics: Mapping[str, RowStatistics]
) -> None:
    """Set the parameters of networks that the shared layers decide; see `placed_weights`."""
    for network in networks:
        own = dict(network.named_parameters())
        for name, value in placed_weights(shared, network, statistics).items():
            own[name].copy_(value)

"""The network: TabM, an ensemble of k multilayer perceptrons that share their weights but for scalings.

Source: Gorishniy, Kotelnikov and Babenko, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling" (ICLR
2025), with the layers of the package `tabm`; piecewise-linear embeddings of numbers by the package `rtdl_num_embeddings`
(Gorishniy, Rubachev and Babenko, NeurIPS 2022).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import rtdl_num_embeddings
import tabm
import torch
from scipy.special import ndtri
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["NetworkShape", "TabularNetwork"]

#: Channels of a category's embedding at most.
_CATEGORY_CHANNELS = 8
#: Bins of the piecewise-linear embedding: as many normal quantiles, which is what the numbers are encoded as.
_BINS = 16
#: Factor of the head's first weights, so that training starts at the prior.
_SMALL = 0.1
#: Largest values of each field of a shape, far above any that is tried.
_MOST = {
    "numbers": 1 << 20, "flags": 1 << 20, "embedding": 256, "outputs": 1 << 16, "members": 256, "width": 1 << 14, "blocks": 32,
}  # fmt: skip


@dataclass(frozen=True)
class NetworkShape:
    """What a network is built from.

    Attributes:
        numbers: Numbers read per row.
        flags: Flags read per row, after the numbers.
        cardinalities: Category numbers of each categorical column, 0 for unknown ones included.
        embedding: Channels of the piecewise-linear embedding of each number; 0 reads the number itself.
        outputs: Outputs per row: one, or one per class.
        members: Perceptrons in the ensemble, k.
        width: Channels of each layer.
        blocks: Layers.
        dropout: Share of the channels that a training step leaves out.
    """

    numbers: int
    flags: int
    cardinalities: tuple[int, ...]
    embedding: int
    outputs: int
    members: int
    width: int
    blocks: int
    dropout: float

    @property
    def read(self) -> int:
        """Channels that the first layer reads."""
        return self.numbers * (self.embedding or 1) + self.flags + sum(self.category_channels)

    @property
    def category_channels(self) -> list[int]:
        """Channels of the embedding of each categorical column."""
        return [min(_CATEGORY_CHANNELS, size) for size in self.cardinalities]

    def least_bytes(self) -> int:
        """Return what the weights of such a network take in single precision at least."""
        layers = self.width * (self.read + (self.blocks - 1) * self.width)
        members = self.members * (self.read + self.width * (3 * self.blocks - 1 + self.outputs))
        return 4 * (layers + members + sum(self.cardinalities))

    def to_json(self) -> dict[str, Any]:
        """Return the shape as JSON-able data."""
        return asdict(self) | {"cardinalities": list(self.cardinalities)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NetworkShape:
        """Return the shape that `to_json` wrote.

        Raises:
            KeyError: A field is missing.
            ValueError: A field is of another type or range.
        """
        found = {name: data[name] for name in cls.__dataclass_fields__}
        sizes = [
            *((found[name], most) for name, most in _MOST.items()),
            *((each, 1 << 20) for each in found["cardinalities"]),
        ]
        if any(type(value) is not int or not 0 <= value <= most for value, most in sizes):
            raise ValueError("a size of the network is no number of its range")
        if min(found["outputs"], found["members"], found["width"], found["blocks"]) < 1:
            raise ValueError("the network has no output, member, channel or layer")
        dropout = found["dropout"]
        if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
            raise ValueError("dropout is no share below 1")
        return cls(**{**found, "cardinalities": tuple(found["cardinalities"]), "dropout": float(dropout)})


class TabularNetwork(nn.Module):
    """Maps encoded rows to the outputs of every member.

    Args:
        shape: Its sizes.
    """

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.shape = shape
        self.categories = nn.ModuleList(
            nn.Embedding(size, width) for size, width in zip(shape.cardinalities, shape.category_channels, strict=True)
        )
        self.embedding = _embedding(shape) if shape.embedding and shape.numbers else None
        with warnings.catch_warnings():  # about chunks, which matter where one feature has several channels only
            warnings.simplefilter("ignore")
            self.backbone = tabm.make_tabm_backbone(
                d_in=shape.read,
                n_blocks=shape.blocks,
                d_block=shape.width,
                dropout=shape.dropout,
                k=shape.members,
                start_scaling_init="normal" if self.embedding is not None else "random-signs",
                start_scaling_init_chunks=_chunks(shape),
            )
        self.head = tabm.LinearEnsemble(shape.width, shape.outputs, k=shape.members)

    def start_at(self, outputs: Sequence[float]) -> None:
        """Let every member start near these values, one per output."""
        with torch.no_grad():
            self.head.weight.mul_(_SMALL)
            self.head.bias.copy_(torch.tensor(outputs, dtype=torch.float32).expand_as(self.head.bias))

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """Return outputs of shape (n, members, outputs) for numbers (n, numbers + flags) and category numbers (n, c)."""
        parts = [numbers]
        if self.embedding is not None:
            plain = self.shape.numbers
            parts = [self.embedding(numbers[:, :plain]).flatten(1), numbers[:, plain:]]
        parts += [layer(codes[:, place]) for place, layer in enumerate(self.categories)]
        read = torch.cat(parts, dim=1)
        members = read.unsqueeze(1).expand(-1, self.shape.members, -1)
        outputs: Tensor = self.head(self.backbone(members))
        return outputs


def _embedding(shape: NetworkShape) -> nn.Module:
    inner = ndtri([place / _BINS for place in range(1, _BINS)])
    edges = torch.tensor([-3.1, *inner, 3.1], dtype=torch.float32)
    return rtdl_num_embeddings.PiecewiseLinearEmbeddings(
        [edges.clone() for _ in range(shape.numbers)], shape.embedding, activation=False, version="B"
    )


def _chunks(shape: NetworkShape) -> list[int]:
    """Return the channels of each feature: the first scaling of a member is the same for all channels of one feature."""
    return [shape.embedding or 1] * shape.numbers + [1] * shape.flags + shape.category_channels

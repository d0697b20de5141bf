"""Rows as vectors through pytorch-frame: an encoder per column type, then its tabular ResNet (Gorishniy et al. 2021).

Heavier than the stacked encoder and richer: every column has a map of its own before the columns are mixed. The
encoder is what training waits for on a CPU, which is why this one is an option of the search space and not the default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from relselect.rdl.graph.features import MISSING, RESERVED, UNSEEN
from relselect.rdl.network.encoders import MaskedColumns, TextMap

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.graph.features import TableTensors
    from relselect.rdl.graph.specification import TableSpec

__all__ = ["FrameEncoder"]


class FrameEncoder(nn.Module):
    """Encodes the numbers and categories of rows of one table with `torch_frame.nn.ResNet`.

    A missing number is read as its median, beside a flag that says so; a missing category adds nothing; the vectors of
    texts are added by a linear map. A table without feature columns, and the row -1, each have a learnt constant.

    Args:
        spec: The fitted columns.
        channels: Width of the encoding.
        blocks: Residual blocks; at least one is built.
        dropout: Inside the blocks.
    """

    def __init__(self, spec: TableSpec, channels: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.columns = MaskedColumns(spec)
        self.bias = nn.Parameter(torch.randn(channels) * 0.1)
        self.unknown = nn.Parameter(torch.zeros(channels))
        flags = len(spec.numeric) + len(spec.clocks)
        self.flags = nn.Linear(flags, channels, bias=False) if flags else None
        self.texts = TextMap(spec, channels) if spec.texts else None
        self.network = _network(spec, channels, max(blocks, 1), dropout) if spec.numeric or spec.categories else None

    def forward(self, tensors: TableTensors, rows: Tensor, known: Tensor) -> Tensor:
        """Encode rows of a table.

        Args:
            tensors: The table's columns.
            rows: int64 (n,), -1 for a row that must not be read.
            known: bool (n, clocks), whether what each clock masks is known.

        Returns:
            (n, channels).
        """
        if not len(tensors):
            return self.unknown.expand(len(rows), -1)
        numbers, codes = self.columns(tensors, rows, known)
        encoded = self.bias.expand(len(rows), -1)
        missing = torch.isnan(numbers)
        if self.flags is not None:
            encoded = encoded + self.flags(torch.cat([missing.float(), known.float()], dim=1))
        if self.texts is not None:
            encoded = encoded + self.texts(tensors, rows, known)
        if self.network is not None and len(rows):
            encoded = encoded + self.network(_tensor_frame(numbers.masked_fill(missing, 0.0), codes))
        return torch.where((rows >= 0).unsqueeze(1), encoded, self.unknown)


def _names(numbers: int, categories: int) -> tuple[list[str], list[str]]:
    """Columns go by their place: their own names may hold anything."""
    return [f"number {place}" for place in range(numbers)], [f"category {place}" for place in range(categories)]


def _network(spec: TableSpec, channels: int, blocks: int, dropout: float) -> nn.Module:
    import torch_frame
    from torch_frame.data.stats import StatType
    from torch_frame.nn import EmbeddingEncoder, LinearEncoder, ResNet

    numbers, categories = _names(len(spec.numeric), len(spec.categories))
    # the numbers come scaled, so that the encoder's own scaling has nothing to do
    stats: dict[str, dict[Any, Any]] = {name: {StatType.MEAN: 0.0, StatType.STD: 1.0} for name in numbers}
    for name, column in zip(categories, spec.categories, strict=True):
        values = ["", *column.values]  # the first stands for values that the vocabulary lacks
        stats[name] = {StatType.COUNT: (values, [1] * len(values))}
    columns = {torch_frame.numerical: numbers, torch_frame.categorical: categories}
    return ResNet(
        channels=channels,
        out_channels=channels,
        num_layers=blocks,
        col_stats=stats,
        col_names_dict={kind: names for kind, names in columns.items() if names},
        stype_encoder_dict={torch_frame.numerical: LinearEncoder(), torch_frame.categorical: EmbeddingEncoder()},
        dropout_prob=dropout,
    )


def _tensor_frame(numbers: Tensor, codes: Tensor) -> object:
    import torch_frame

    assert UNSEEN == MISSING + 1
    assert RESERVED == UNSEEN + 1
    names = _names(numbers.shape[1], codes.shape[1])
    features = {torch_frame.numerical: numbers, torch_frame.categorical: codes - UNSEEN}  # missing becomes -1
    columns = dict(zip(features, names, strict=True))
    present = [kind for kind, found in columns.items() if found]
    return torch_frame.TensorFrame({k: features[k] for k in present}, {k: columns[k] for k in present})

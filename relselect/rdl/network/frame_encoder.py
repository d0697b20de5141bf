"""Row encoder of pytorch-frame: one encoder per column type, then its tabular ResNet (Gorishniy et al., NeurIPS 2021).

Every column has a map of its own before the columns are mixed, so this encoder has more weights and is slower than the stacked
encoder. On a CPU the encoder takes most of the training time; this one is therefore an option of the search space on a GPU and
not the default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from relselect.rdl.graph.features import MISSING, RESERVED, UNSEEN
from relselect.rdl.network.columns import MaskedColumns, TextMap

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.graph.features import TableTensors
    from relselect.rdl.graph.table_encoding import TableEncoding

__all__ = ["FrameEncoder"]


class FrameEncoder(nn.Module):
    """Encodes the numbers and categories of rows of one table with `torch_frame.nn.ResNet`.

    A missing number is read as the column's median, and a flag marks it; a missing category adds 0; the vectors of texts are
    added by a linear map. All rows of a table without feature columns have one learnt vector; the row -1 (an unknown or hidden
    entity) has another.

    Args:
        encoding: The fitted columns.
        channels: Width of the encoding.
        blocks: Number of residual blocks; at least one is built.
        dropout: Dropout inside the blocks.
    """

    def __init__(self, encoding: TableEncoding, channels: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.columns = MaskedColumns(encoding)
        self.bias = nn.Parameter(torch.randn(channels) * 0.1)
        self.unknown = nn.Parameter(torch.zeros(channels))
        flags = len(encoding.numeric) + len(encoding.clocks)
        self.flags = nn.Linear(flags, channels, bias=False) if flags else None
        self.texts = TextMap(encoding, channels) if encoding.text_widths else None
        self.network = (
            _network(encoding, channels, max(blocks, 1), dropout) if encoding.numeric or encoding.categories else None
        )

    def forward(self, tensors: TableTensors, rows: Tensor, known: Tensor) -> Tensor:
        """Encode rows of a table.

        Args:
            tensors: The table's columns.
            rows: int64 (n,), -1 for a row that must not be read.
            known: bool (n, clocks), whether the values under each clock are known.

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
    """Return names for the columns by their position: their own names may contain any character."""
    return [f"number {place}" for place in range(numbers)], [f"category {place}" for place in range(categories)]


def _network(encoding: TableEncoding, channels: int, blocks: int, dropout: float) -> nn.Module:
    import torch_frame
    from torch_frame.data.stats import StatType
    from torch_frame.nn import EmbeddingEncoder, LinearEncoder, ResNet

    numbers, categories = _names(len(encoding.numeric), len(encoding.categories))
    # the numbers are scaled already: the encoder's own scaling is the identity
    stats: dict[str, dict[Any, Any]] = {name: {StatType.MEAN: 0.0, StatType.STD: 1.0} for name in numbers}
    for name, column in zip(categories, encoding.categories, strict=True):
        values = ["", *column.values]  # the first stands for values outside the vocabulary
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

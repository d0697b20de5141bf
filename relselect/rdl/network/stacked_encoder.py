"""The default row encoder: one small network per table over all its columns at once.

One linear map reads all numbers of a table, one embedding table with offsets all its categories, and another linear map the
vectors of its texts (`relselect.rdl.graph.text`). Residual blocks may follow; by default none do, because the message passing
layers mix the columns enough. Times are not encoded here (see `relselect.rdl.network.time_encoding`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from relselect.rdl.graph.features import RESERVED, UNSEEN
from relselect.rdl.network.columns import MaskedColumns, TextMap
from relselect.rdl.network.draws import bernoulli
from relselect.rdl.network.dropout import Dropout
from relselect.rdl.network.scatter import gather

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.graph.features import TableTensors
    from relselect.rdl.graph.table_encoding import TableEncoding

__all__ = ["ResidualBlock", "StackedEncoder"]

#: Share of the categories that training replaces by the code of unseen values, so that this code is trained.
_UNSEEN_SHARE = 0.1


class ResidualBlock(nn.Module):
    """x + W2 dropout(relu(W1 layernorm(x) + b1)) + b2 (the block of a tabular ResNet, Gorishniy et al., NeurIPS 2021).

    Args:
        channels: Width of x, (n, channels).
        dropout: Share of the hidden activations dropped in training.
    """

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, channels),
            nn.ReLU(),
            Dropout(dropout),
            nn.Linear(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, channels) to (n, channels)."""
        out: Tensor = x + self.layers(x)
        return out


class StackedEncoder(nn.Module):
    """Encodes the numbers, categories and texts of rows of one table.

    b + W [numbers; missing flags; known flags] + sum over categorical columns of E[code] + T(texts), then residual blocks.
    All rows of a table without feature columns are encoded as b; the row -1 (an unknown or hidden entity) has another learnt
    vector.

    Args:
        encoding: The fitted columns.
        channels: Width of the encoding.
        blocks: Number of `ResidualBlock` on top of the sum.
        dropout: Dropout inside the blocks.
    """

    offsets: Tensor

    def __init__(self, encoding: TableEncoding, channels: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.columns = MaskedColumns(encoding)
        sizes = [len(column.values) + RESERVED for column in encoding.categories]
        offsets = torch.tensor([0, *sizes[:-1]] if sizes else [], dtype=torch.int64).cumsum(0)
        self.register_buffer("offsets", offsets, persistent=False)
        self.bias = nn.Parameter(torch.randn(channels) * 0.1)
        width = 2 * len(encoding.numeric) + len(encoding.clocks)
        self.linear = nn.Linear(width, channels, bias=False) if width else None
        # not an EmbeddingBag, which has no second derivative
        self.embedding = nn.Embedding(sum(sizes), channels) if sizes else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=0.3 / len(sizes) ** 0.5)
        self.texts = TextMap(encoding, channels) if encoding.text_widths else None
        self.blocks = nn.Sequential(*(ResidualBlock(channels, dropout) for _ in range(blocks)))
        self.unknown = nn.Parameter(torch.zeros(channels))

    def zero_category_embeddings(self) -> None:
        """Set the embeddings of all categories to 0, so that one that training never meets contributes nothing."""
        if self.embedding is not None:
            nn.init.zeros_(self.embedding.weight)

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
        missing = torch.isnan(numbers)
        parts = [numbers.masked_fill(missing, 0.0), missing.float(), known.float()]
        encoded = self.bias.expand(len(rows), -1)
        if self.linear is not None:
            encoded = encoded + self.linear(torch.cat(parts, dim=1))
        if self.embedding is not None:
            if self.training:
                # the embedding of unseen categories is trained only if training rows have some
                unseen = bernoulli(codes.shape, _UNSEEN_SHARE, codes.device)
                codes = torch.where(unseen, codes.clamp(max=UNSEEN), codes)
            # not by the module: its second derivative fails where a batch has no row of the table
            found = gather(self.embedding.weight, (codes + self.offsets).flatten())
            encoded = encoded + found.view(*codes.shape, self.embedding.embedding_dim).sum(1)
        if self.texts is not None:
            encoded = encoded + self.texts(tensors, rows, known)
        encoded = self.blocks(encoded)
        return torch.where((rows >= 0).unsqueeze(1), encoded, self.unknown)

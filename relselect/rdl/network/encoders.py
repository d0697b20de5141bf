"""Rows as vectors: one small network per table over all its columns at once.

All numbers of a table go through one linear map, all categories through one embedding table with offsets, the vectors of its
texts (`relselect.rdl.graph.text`) through another linear map; residual blocks may follow (by default none do: the message passing
layers mix enough). pytorch-frame's per-column encoders, which build (rows, columns, channels) first, stand beside it as
"frame". Any module with the same `forward` can be registered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from relselect.rdl.graph.features import MISSING, RESERVED, UNSEEN
from relselect.rdl.graph.text import WIDTH
from relselect.rdl.network.draws import happens
from relselect.rdl.network.dropout import Dropout

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.graph.features import TableTensors
    from relselect.rdl.graph.specification import TableSpec

__all__ = ["ENCODERS", "MaskedColumns", "ResidualBlock", "StackedEncoder", "TextMap"]

#: Share of a text's numbers dropped in training: texts tell rows apart, and are easily learnt by heart.
_TEXT_DROPOUT = 0.3
#: Share of the categories that training sees as if for the first time.
_UNSEEN_SHARE = 0.1


class ResidualBlock(nn.Module):
    """x + W2 relu(W1 norm(x)), with dropout."""

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


class MaskedColumns(nn.Module):
    """Reads rows of one table: values that are not known yet are missing.

    Args:
        spec: The fitted columns.
    """

    mask_of_number: Tensor
    mask_of_category: Tensor

    def __init__(self, spec: TableSpec) -> None:
        super().__init__()
        clocks = len(spec.clocks)
        # what no clock masks points at one more clock, which is always on
        number_clocks = [column.clock if column.clock >= 0 else clocks for column in spec.numeric]
        category_clocks = [column.clock if column.clock >= 0 else clocks for column in spec.categories]
        self.register_buffer("mask_of_number", torch.tensor(number_clocks, dtype=torch.int64), persistent=False)
        self.register_buffer("mask_of_category", torch.tensor(category_clocks, dtype=torch.int64), persistent=False)
        self.masked = clocks > 0

    def forward(self, tensors: TableTensors, rows: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return numbers (n, numbers), nan where missing, and codes (n, categories); row -1 reads some other row."""
        read = rows.clamp(min=0)
        numbers = tensors.numeric.index_select(0, read)
        codes = tensors.codes.index_select(0, read)
        if self.masked:
            always = torch.cat([known, known.new_ones(len(rows), 1)], dim=1)
            numbers = numbers.masked_fill(~always[:, self.mask_of_number], torch.nan)
            codes = codes.masked_fill(~always[:, self.mask_of_category], MISSING)
        return numbers, codes


class TextMap(nn.Module):
    """A linear map of the vectors of all texts of a table; a text that is missing or not known yet adds nothing.

    Args:
        spec: The fitted columns, with at least one text.
        channels: Width of the encoding.
    """

    def __init__(self, spec: TableSpec, channels: int) -> None:
        super().__init__()
        self.clocks = tuple(column.clock for column in spec.texts)
        self.dropout = Dropout(_TEXT_DROPOUT)
        self.linear = nn.Linear(len(spec.texts) * WIDTH, channels, bias=False)

    def forward(self, tensors: TableTensors, rows: Tensor, known: Tensor) -> Tensor:
        """Encode rows (n,) with `known` (n, clocks) as (n, channels); row -1 reads some other row."""
        read, parts = rows.clamp(min=0), []
        for text, clock in zip(tensors.texts, self.clocks, strict=True):
            code = text.code.index_select(0, read)
            code = code if clock < 0 else code.masked_fill(~known[:, clock], 0)
            parts.append(text.vectors.index_select(0, code).float())
        encoded: Tensor = self.linear(self.dropout(torch.cat(parts, dim=1)))
        return encoded


class StackedEncoder(nn.Module):
    """Encodes the numbers, categories and texts of rows of one table.

    A table without feature columns, and the row -1 (an unknown or hidden entity), each have a learnt constant.

    Args:
        spec: The fitted columns.
        channels: Width of the encoding.
        blocks: Residual blocks on top of the column maps.
        dropout: Inside the blocks.
    """

    offsets: Tensor

    def __init__(self, spec: TableSpec, channels: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.columns = MaskedColumns(spec)
        sizes = [len(column.values) + RESERVED for column in spec.categories]
        offsets = torch.tensor([0, *sizes[:-1]] if sizes else [], dtype=torch.int64).cumsum(0)
        self.register_buffer("offsets", offsets, persistent=False)
        self.bias = nn.Parameter(torch.randn(channels) * 0.1)
        width = 2 * len(spec.numeric) + len(spec.clocks)
        self.linear = nn.Linear(width, channels, bias=False) if width else None
        # not an EmbeddingBag, which has no second derivative
        self.embedding = nn.Embedding(sum(sizes), channels) if sizes else None
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=0.3 / len(sizes) ** 0.5)
        self.texts = TextMap(spec, channels) if spec.texts else None
        self.blocks = nn.Sequential(*(ResidualBlock(channels, dropout) for _ in range(blocks)))
        self.unknown = nn.Parameter(torch.zeros(channels))

    def forget_categories(self) -> None:
        """Let no category mean anything until training teaches it; one that training never meets then stays silent."""
        if self.embedding is not None:
            nn.init.zeros_(self.embedding.weight)

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
        missing = torch.isnan(numbers)
        parts = [numbers.masked_fill(missing, 0.0), missing.float(), known.float()]
        encoded = self.bias.expand(len(rows), -1)
        if self.linear is not None:
            encoded = encoded + self.linear(torch.cat(parts, dim=1))
        if self.embedding is not None:
            if self.training:
                # categories that come up after training have a meaning only if training saw some as if for the first time
                anew = happens(codes.shape, _UNSEEN_SHARE, codes.device)
                codes = torch.where(anew, codes.clamp(max=UNSEEN), codes)
            encoded = encoded + self.embedding(codes + self.offsets).sum(1)
        if self.texts is not None:
            encoded = encoded + self.texts(tensors, rows, known)
        encoded = self.blocks(encoded)
        return torch.where((rows >= 0).unsqueeze(1), encoded, self.unknown)


def _frame_encoder(spec: TableSpec, channels: int, blocks: int, dropout: float) -> nn.Module:
    from relselect.rdl.network.frame_encoder import FrameEncoder

    return FrameEncoder(spec, channels, blocks, dropout)


#: What a configuration may name; each is called with (spec, channels, blocks, dropout).
ENCODERS: dict[str, Callable[[TableSpec, int, int, float], nn.Module]] = {
    "stacked": StackedEncoder,
    "frame": _frame_encoder,
}

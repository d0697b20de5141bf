"""Reads the columns of sampled rows: masks values that are not known yet, and maps text vectors.

Every row encoder uses these modules, so that no encoder can read a value before it is known. They compute no encoding of
numbers and categories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from relselect.rdl.graph.features import MISSING
from relselect.rdl.network.dropout import Dropout

if TYPE_CHECKING:
    from torch import Tensor

    from relselect.rdl.graph.features import TableTensors
    from relselect.rdl.graph.table_encoding import TableEncoding

__all__ = ["MaskedColumns", "TextMap"]

#: Share of the entries of text vectors that is dropped in training: texts identify rows and are easily overfitted.
_TEXT_DROPOUT = 0.3


class MaskedColumns(nn.Module):
    """Reads the numbers and categories of rows of one table; values that are not known yet read as missing.

    Args:
        encoding: The fitted columns.
    """

    mask_of_number: Tensor
    mask_of_category: Tensor

    def __init__(self, encoding: TableEncoding) -> None:
        super().__init__()
        clocks = len(encoding.clocks)
        # columns without a clock point at one more clock, which is always known
        number_clocks = [column.clock if column.clock >= 0 else clocks for column in encoding.numeric]
        category_clocks = [column.clock if column.clock >= 0 else clocks for column in encoding.categories]
        self.register_buffer("mask_of_number", torch.tensor(number_clocks, dtype=torch.int64), persistent=False)
        self.register_buffer("mask_of_category", torch.tensor(category_clocks, dtype=torch.int64), persistent=False)
        self.masked = clocks > 0

    def forward(self, tensors: TableTensors, rows: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Read rows of a table.

        Args:
            tensors: The table's columns.
            rows: int64 (n,); row -1 reads some other row, so its result must not be used.
            known: bool (n, clocks), whether the values under each clock are known.

        Returns:
            Numbers, float32 (n, numeric columns), NaN where missing, and codes, int64 (n, categorical columns).
        """
        read = rows.clamp(min=0)
        numbers = tensors.numeric.index_select(0, read)
        codes = tensors.codes.index_select(0, read).long()
        if self.masked:
            always = torch.cat([known, known.new_ones(len(rows), 1)], dim=1)
            numbers = numbers.masked_fill(~always[:, self.mask_of_number], torch.nan)
            codes = codes.masked_fill(~always[:, self.mask_of_category], MISSING)
        return numbers, codes


class TextMap(nn.Module):
    """A linear map of the concatenated vectors of all texts of a row; a text that is missing or not known yet adds 0.

    Args:
        encoding: The fitted columns, with at least one text column or a sentence.
        channels: Width of the encoding.
    """

    def __init__(self, encoding: TableEncoding, channels: int) -> None:
        super().__init__()
        # a sentence holds what is known when its row is
        self.clocks = (*(column.clock for column in encoding.texts), *(-1,) * (encoding.sentence is not None))
        self.dropout = Dropout(_TEXT_DROPOUT)
        self.linear = nn.Linear(sum(encoding.text_widths), channels, bias=False)

    def forward(self, tensors: TableTensors, rows: Tensor, known: Tensor) -> Tensor:
        """Map rows (n,) with `known` (n, clocks) to (n, channels); see `MaskedColumns.forward`."""
        read, parts = rows.clamp(min=0), []
        for text, clock in zip(tensors.texts, self.clocks, strict=True):
            code = text.code.index_select(0, read).long()
            code = code if clock < 0 else code.masked_fill(~known[:, clock], 0)
            parts.append(text.read(code))
        encoded: Tensor = self.linear(self.dropout(torch.cat(parts, dim=1)))
        return encoded

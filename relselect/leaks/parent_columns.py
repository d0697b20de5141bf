"""Columns of a parent table that have no date of their own, as numbers, texts and levels.

Keys, times and columns that are masked by a clock are left out: what they say has a date.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.database.columns import as_float, as_strings, is_nested

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.database import Database

__all__ = ["ParentColumn", "parent_columns"]

#: A column with more levels is no flag and no level.
_FEW = 10
_MOST_DECIMALS = 4


@dataclass(frozen=True)
class ParentColumn:
    """A column at n parents.

    Attributes:
        name: Its name.
        codes: Numbers, or places in `labels`; nan where missing; shape (n,).
        labels: The texts of a text column; None for numbers.
        is_time: Whether it holds times, as ticks.
    """

    name: str
    codes: NDArray[np.float64]
    labels: tuple[str, ...] | None = None
    is_time: bool = False

    @property
    def numbers(self) -> NDArray[np.float64] | None:
        """The numbers, None for a text column."""
        return self.codes if self.labels is None else None

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Where it has a value, shape (n,)."""
        return ~np.isnan(self.codes)

    @cached_property
    def few(self) -> bool:
        """Whether it has at most ten levels."""
        return len(np.unique(self.codes[self.present])) <= _FEW

    @cached_property
    def rounding(self) -> float:
        """Half a unit of the last decimal that its values have, 0 where they have many."""
        values = self.codes[self.present]
        if self.labels is not None or self.is_time or not len(values):
            return 0.0
        for decimals in range(_MOST_DECIMALS + 1):
            if np.abs(values - np.round(values, decimals)).max() <= 1e-9 * max(1.0, np.abs(values).max()):
                return float(0.5 * 10.0**-decimals)
        return 0.0

    def as_labels(self, labels: tuple[str, ...]) -> NDArray[np.float64] | None:
        """Return the places of its texts in `labels`, nan for others, shape (n,); None for numbers."""
        if self.labels is None:
            return None
        place = {text: number for number, text in enumerate(labels)}
        known = np.array([*(place.get(text, np.nan) for text in self.labels), np.nan], dtype=np.float64)
        return known[np.where(self.present, self.codes, -1).astype(np.int64)]

    def ordered_by(self, values: NDArray[np.float64], used: NDArray[np.bool_]) -> NDArray[np.float64] | None:
        """Return the numbers of the `used` rows, or for few texts the mean of `values` of each; None for many texts."""
        if self.labels is None:
            return self.codes[used]
        if not self.few:
            return None
        codes, chosen = self.codes[used].astype(np.int64), values[used]
        rows = np.bincount(codes, minlength=len(self.labels))
        return (np.bincount(codes, weights=chosen, minlength=len(self.labels)) / np.maximum(rows, 1))[codes]

    def levels(self) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """Yield the words of each level and where it is, shape (n,): of a column with few values each, and NULL."""
        if self.few:
            for value in np.unique(self.codes[self.present]):
                words = f"{value:g}" if self.labels is None else repr(self.labels[int(value)])
                yield words, self.codes == value
        if not self.present.all() and self.present.any():
            yield "NULL", ~self.present
            yield "filled in", self.present


def parent_columns(
    database: Database, table: str, hidden: set[str], parents: NDArray[np.int64]
) -> Iterator[ParentColumn]:
    """Yield the undated columns of a table at some of its rows.

    Args:
        database: The database.
        table: The table.
        hidden: Columns that the task hides.
        parents: Row numbers, shape (n,).
    """
    declared = database[table]
    left_out = {*declared.primary_key, *hidden, *({declared.time} if declared.time else ())}
    for name in declared.columns:
        if name in left_out or declared.clock_of(name) is not None:
            continue
        values = declared.data[name].take(pa.array(parents))
        dtype = values.type
        if is_nested(dtype) or pa.types.is_null(dtype):
            continue
        kind = dtype.value_type if pa.types.is_dictionary(dtype) else dtype
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            codes, labels = as_strings(values)
            yield ParentColumn(name, np.where(codes >= 0, codes, np.nan).astype(np.float64), tuple(labels))
        else:
            is_time = bool(pa.types.is_timestamp(dtype) or pa.types.is_date(dtype))
            yield ParentColumn(name, as_float(values), None, is_time)

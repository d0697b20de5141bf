"""The one leak that stops a run: a column of the entity's own row that is the label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.database.columns import as_float, as_strings, is_nested
from relselect.tasks.metrics import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["column_is_label"]


def column_is_label(column: pa.ChunkedArray, entity: NDArray[np.int64], label: NDArray[np.float64], kind: Kind) -> bool:
    """Whether a column's values and the labels determine one another on every row that has a value.

    Args:
        column: A column of the entity table.
        entity: Row numbers, shape (n,), none negative.
        label: Shape (n,).
        kind: The kind of task; regression compares numbers, classification compares groups.
    """
    dtype = column.type
    if is_nested(dtype) or pa.types.is_null(dtype):
        return False
    if kind == "regression":
        if pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_dictionary(dtype):
            return False
        values = as_float(column)[entity]
        present = np.isfinite(values)
        return bool(
            present.sum() >= 10
            and present.mean() > 0.5
            and np.allclose(values[present], label[present], rtol=1e-9, atol=0.0)
        )
    if len(set(column.take(pa.array(entity[:2_000])).to_pylist())) > 100:
        return False
    codes = as_strings(column)[0][entity]
    present = codes >= 0
    pairs = np.unique(np.stack([codes[present], label[present].astype(np.int64)]), axis=1)
    groups, classes = len(np.unique(pairs[0])), len(np.unique(pairs[1]))
    return bool(present.mean() > 0.5 and classes > 1 and pairs.shape[1] == groups == classes)

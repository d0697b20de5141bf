"""Computes features of the task row itself: calendar parts of its cutoff, its delay, its declared columns.

Both engines read these values here; no table of the database is read.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from relselect.database.columns import as_float, as_strings, is_nested
from relselect.database.table import SemanticType
from relselect.dfs.plan.feature import Aggregate, Feature
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.errors import TaskError
from relselect.tasks import Rows

__all__ = ["task_row_values"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def task_row_values(feature: Feature, rows: Rows, vocabulary: Vocabulary, unit: int) -> Floats:
    """Return a feature of n task rows themselves, shape (n,), nan for missing.

    Args:
        feature: CALENDAR, DELAY or ROW.
        rows: The task rows.
        vocabulary: The categories.
        unit: Ticks of a day, or of one unit of integer times.

    Raises:
        TaskError: A declared column does not hold what training saw in it.
    """
    if feature.aggregate == Aggregate.DELAY:
        return rows.delay / unit
    if feature.aggregate == Aggregate.CALENDAR:
        return _calendar(feature.column or "", rows.cutoff)
    if rows.features is None:
        return np.full(len(rows), np.nan)
    column = _decoded(rows.features[feature.column])
    if not _holds(column.type, feature.type, unit):
        rule = f"holds {column.type}, where training saw {feature.type} values"
        raise TaskError(f"rows.{feature.column}", str(column.type), rule, "Convert the column")
    if feature.type == SemanticType.CATEGORICAL:
        codes, words = as_strings(column)
        return vocabulary.encode(("", feature.column or ""), codes.astype(np.float64), words)
    values = as_float(column)
    return (rows.cutoff - values) / unit if feature.type == SemanticType.TIMESTAMP else values


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


_NUMBERS = (
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_duration,
    pa.types.is_time,
)


def _holds(dtype: pa.DataType, kind: SemanticType, unit: int) -> bool:
    """Return whether values of an Arrow type can be read as the semantic type that training saw."""
    if pa.types.is_null(dtype):
        return True
    if kind == SemanticType.TIMESTAMP:
        return pa.types.is_timestamp(dtype) or pa.types.is_date(dtype) or (unit == 1 and pa.types.is_integer(dtype))
    if kind == SemanticType.CATEGORICAL:
        return not is_nested(dtype)
    return any(test(dtype) for test in _NUMBERS)


_PARTS: dict[str, Callable[[NDArray[np.datetime64]], Floats]] = {
    "month": lambda moment: (moment.astype("datetime64[M]").astype(np.int64) % 12 + 1).astype(np.float64),
    "day_of_year": lambda moment: (
        (moment.astype("datetime64[D]") - moment.astype("datetime64[Y]")).astype(np.float64) + 1
    ),
    "weekday": lambda moment: ((moment.astype("datetime64[D]").astype(np.int64) + 3) % 7).astype(np.float64),
    "hour": lambda moment: (moment.astype("datetime64[h]").astype(np.int64) % 24).astype(np.float64),
}


def _calendar(part: str, cutoff: Ints) -> Floats:
    """Return a calendar part of the cutoffs in UTC: month 1-12, day_of_year 1-366, weekday 0-6 (Monday 0), hour 0-23."""
    return _PARTS[part](cutoff.astype("datetime64[us]"))

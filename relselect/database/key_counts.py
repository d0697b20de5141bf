"""Counts null and dangling foreign keys and rows without a time, all of which a database may have.

What a database may not have is the work of `relselect.database.validation`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from relselect.database.clock import NEVER
from relselect.database.columns import combine_keys
from relselect.database.table import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["KeyCounts", "count_keys"]


@dataclass(frozen=True)
class KeyCounts:
    """Counts of rows whose foreign key or time is missing; such rows are allowed.

    Attributes:
        null_keys: (table, foreign key) -> rows whose foreign key is NULL.
        dangling_keys: (table, foreign key) -> rows whose foreign key matches no row of the table referred to.
        null_times: Table -> rows whose time is NULL; they are never visible.
    """

    null_keys: Mapping[tuple[str, str], int]
    dangling_keys: Mapping[tuple[str, str], int]
    null_times: Mapping[str, int]


def count_keys(
    tables: Mapping[str, Table],
    parents: Callable[[str], tuple[NDArray[np.int64], ...]],
    times: Callable[[str], NDArray[np.int64]],
) -> KeyCounts:
    """Count over all tables.

    Args:
        tables: The tables by name.
        parents: Table name -> the parents' row numbers per foreign key; see `Database.parents`.
        times: Table name -> the rows' times; see `Database.times`.
    """
    nulls: dict[tuple[str, str], int] = {}
    dangling: dict[tuple[str, str], int] = {}
    timeless: dict[str, int] = {}
    for name, table in tables.items():
        for key, rows in zip(table.foreign_keys, parents(name), strict=True):
            nulls[name, key.name] = combine_keys([table.data[column] for column in key.columns]).null_count
            dangling[name, key.name] = int((rows < 0).sum()) - nulls[name, key.name]
        if table.time is not None:
            timeless[name] = int((times(name) == NEVER).sum())
    return KeyCounts(MappingProxyType(nulls), MappingProxyType(dangling), MappingProxyType(timeless))

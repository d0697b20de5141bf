"""The input of a proposal: columns with their values and counts, and what the catalog declares.

Counts are computed when first used. Nothing is proposed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.columns import as_numpy, is_nested
from relselect.database.sources.catalog import Catalog, CatalogTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ColumnFacts", "Facts", "Kind", "InspectedTable", "facts_of"]

Kind = Literal["integer", "number", "text", "time", "boolean", "other"]

#: Distinct values of a referring column that are looked up, every k-th of them.
_LOOKED_UP = 20_000
#: Rows in which a value that comes twice rules a key out, before all rows are counted.
_GLANCE = 10_000


@dataclass(frozen=True, eq=False)
class ColumnFacts:
    """A column and its values; every count is computed when first used, and once.

    Attributes:
        table: The name of its table.
        name: Its name.
        position: Its position in the table, from 0.
        values: The values.
    """

    table: str
    name: str
    position: int
    values: pa.ChunkedArray = field(repr=False)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.values)

    @property
    def nulls(self) -> int:
        """The number of NULLs."""
        return int(self.values.null_count)

    @property
    def present(self) -> int:
        """The number of rows with a value."""
        return self.rows - self.nulls

    @property
    def null_share(self) -> float:
        """The share of NULLs; 0 without rows."""
        return self.nulls / self.rows if self.rows else 0.0

    @cached_property
    def plain(self) -> pa.ChunkedArray:
        """The values, dictionaries decoded."""
        dtype = self.values.type
        return pc.cast(self.values, dtype.value_type) if pa.types.is_dictionary(dtype) else self.values

    @cached_property
    def kind(self) -> Kind:
        """The kind of the values; floats and decimals that are all whole numbers are integers."""
        dtype = self.plain.type
        if is_nested(dtype) or pa.types.is_null(dtype) or pa.types.is_duration(dtype) or pa.types.is_time(dtype):
            return "other"
        if pa.types.is_boolean(dtype):
            return "boolean"
        if pa.types.is_timestamp(dtype) or pa.types.is_date(dtype):
            return "time"
        if pa.types.is_integer(dtype):
            return "integer" if dtype != pa.uint64() else "number"
        if pa.types.is_floating(dtype) or pa.types.is_decimal(dtype):
            return "integer" if self._whole else "number"
        return "text" if pa.types.is_string(dtype) or pa.types.is_large_string(dtype) else "other"

    @property
    def _whole(self) -> bool:
        """Whether floats or decimals are all whole numbers, as nullable integer keys are after pandas."""
        if self.present == 0:
            return False
        head = self.plain.drop_null().slice(0, _GLANCE)
        if pa.types.is_decimal(head.type):
            head = pc.cast(head, pa.float64())
        if not _all_whole(head):
            return False
        return self.present <= _GLANCE or _all_whole(pc.cast(self.plain, pa.float64(), safe=False))

    @cached_property
    def distinct(self) -> int:
        """The number of distinct values; 0 for types that cannot be compared."""
        return 0 if self.kind == "other" else int(pc.count_distinct(self.plain, mode="only_valid").as_py())

    @cached_property
    def unique(self) -> bool:
        """Whether no value occurs twice; the first rows are checked first, which mostly decides."""
        if self.kind == "other" or self.present == 0:
            return False
        if self.rows > 2 * _GLANCE:
            head = self.plain.slice(0, _GLANCE).drop_null()
            if int(pc.count_distinct(head).as_py()) < len(head):
                return False
        return self.distinct == self.present

    @cached_property
    def sample(self) -> NDArray[Any]:
        """Distinct values to look up, int64 or text, every k-th of them so that the shape is (at most 20,000,)."""
        values = pc.unique(self.plain.drop_null())
        step = max(1, -(-len(values) // _LOOKED_UP))
        return self._comparable(values.take(pa.array(np.arange(0, len(values), step))))

    @cached_property
    def keys(self) -> NDArray[np.int64] | frozenset[str]:
        """All distinct values, to look others up in: sorted int64 of shape (distinct,), or a set of texts."""
        values = self.plain.drop_null()
        if self.kind == "integer":
            return np.unique(self._comparable(values))
        return frozenset(self._comparable(pc.unique(values)).tolist())

    def _comparable(self, values: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
        if self.kind == "integer":
            whole = values if pa.types.is_integer(values.type) else pc.cast(values, pa.float64(), safe=False)
            return as_numpy(whole).astype(np.int64)
        return as_numpy(pc.cast(values, pa.string()))

    @cached_property
    def family(self) -> str:
        """The type family: foreign keys and the keys they refer to are of one family; see `find_problems`."""
        dtype = self.plain.type
        if pa.types.is_integer(dtype) or pa.types.is_floating(dtype):
            return "number"
        return "text" if self.kind == "text" else str(dtype)


def _all_whole(values: pa.ChunkedArray) -> bool:
    whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53))
    return bool(pc.all(pc.fill_null(whole, True)).as_py())


@dataclass(frozen=True, eq=False)
class InspectedTable:
    """A table that proposals are made for: its columns in order, its rows, and its catalog entry.

    Attributes:
        name: Its name.
        data: The rows.
        columns: The columns by name.
        entry: The catalog's entry; an empty one without a catalog.
    """

    name: str
    data: pa.Table = field(repr=False)
    columns: Mapping[str, ColumnFacts] = field(repr=False)
    entry: CatalogTable

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.data.num_rows)


@dataclass(frozen=True, eq=False)
class Facts:
    """All tables of a database, with their rows.

    Attributes:
        name: The database's name.
        tables: The tables by name.
        notes: One sentence per table, column or key that reading passed over.
        cache: Results of look-ups, by key.
    """

    name: str
    tables: Mapping[str, InspectedTable]
    notes: tuple[str, ...] = ()
    cache: dict[Any, Any] = field(default_factory=dict, repr=False)


def facts_of(
    tables: Mapping[str, pa.Table], name: str = "database", catalog: Catalog | None = None, notes: Sequence[str] = ()
) -> Facts:
    """Return the facts of Arrow tables.

    Args:
        tables: Table name -> rows.
        name: The database's name.
        catalog: What the database declares; nothing if None.
        notes: Further notes, after those of the catalog.
    """
    entries = {} if catalog is None else catalog.tables
    made = {
        table: InspectedTable(
            table,
            data,
            {column: ColumnFacts(table, column, place, data[column]) for place, column in enumerate(data.column_names)},
            entries.get(table) or CatalogTable(columns={}),
        )
        for table, data in tables.items()
    }
    return Facts(name, made, (*(() if catalog is None else catalog.notes), *notes))

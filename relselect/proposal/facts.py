"""What is known of a schema before anything is proposed: columns with their values, and what the catalog declares."""

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

__all__ = ["ColumnFacts", "Facts", "Kind", "TableFacts", "facts_of"]

Kind = Literal["integer", "number", "text", "time", "boolean", "other"]

#: Distinct values of a referring column that are looked up, every k-th of them.
_LOOKED_UP = 20_000
#: Rows in which a value that comes twice rules a key out, before all rows are counted.
_GLANCE = 10_000


@dataclass(frozen=True, eq=False)
class ColumnFacts:
    """A column and its values; everything about them is counted when it is asked for, once.

    Attributes:
        table: The name of its table.
        name: Its name.
        position: Its place in the table, from 0.
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
        """The number of rows without a value."""
        return int(self.values.null_count)

    @property
    def present(self) -> int:
        """The number of rows with a value."""
        return self.rows - self.nulls

    @property
    def null_share(self) -> float:
        """The share of rows without a value; 0 without rows."""
        return self.nulls / self.rows if self.rows else 0.0

    @cached_property
    def plain(self) -> pa.ChunkedArray:
        """The values, dictionaries decoded."""
        dtype = self.values.type
        return pc.cast(self.values, dtype.value_type) if pa.types.is_dictionary(dtype) else self.values

    @cached_property
    def kind(self) -> Kind:
        """What the values are; numbers that are all whole count as integers."""
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
        """Whether floats or decimals hold whole numbers, as nullable keys do that came through pandas."""
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
        """The number of distinct values; 0 for what cannot be compared."""
        return 0 if self.kind == "other" else int(pc.count_distinct(self.plain, mode="only_valid").as_py())

    @cached_property
    def unique(self) -> bool:
        """Whether no value comes twice; a glance at the first rows mostly tells."""
        if self.kind == "other" or self.present == 0:
            return False
        if self.rows > 2 * _GLANCE:
            head = self.plain.slice(0, _GLANCE).drop_null()
            if int(pc.count_distinct(head).as_py()) < len(head):
                return False
        return self.distinct == self.present

    @cached_property
    def sample(self) -> NDArray[Any]:
        """Distinct values to look up, int64 or text, of shape (at most 20,000,)."""
        values = pc.unique(self.plain.drop_null())
        step = max(1, -(-len(values) // _LOOKED_UP))
        return self._comparable(values.take(pa.array(np.arange(0, len(values), step))))

    @cached_property
    def keys(self) -> NDArray[np.int64] | frozenset[str]:
        """All values to look up in: sorted int64, or a set of texts."""
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
        """Columns of one family can refer to one another; see the checks of `Database`."""
        dtype = self.plain.type
        if pa.types.is_integer(dtype) or pa.types.is_floating(dtype):
            return "number"
        return "text" if self.kind == "text" else str(dtype)


def _all_whole(values: pa.ChunkedArray) -> bool:
    whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53))
    return bool(pc.all(pc.fill_null(whole, True)).as_py())


@dataclass(frozen=True, eq=False)
class TableFacts:
    """A table: its columns in order, and what the catalog says of it, if there is one.

    Attributes:
        name: Its name.
        data: The rows.
        columns: The columns by name.
        entry: The catalog's entry.
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
    """A schema with its rows.

    Attributes:
        name: The database's name.
        tables: The tables by name.
        notes: What reading passed over.
    """

    name: str
    tables: Mapping[str, TableFacts]
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
        notes: What reading passed over, beside what the catalog says of that.
    """
    entries = {} if catalog is None else catalog.tables
    made = {
        table: TableFacts(
            table,
            data,
            {column: ColumnFacts(table, column, place, data[column]) for place, column in enumerate(data.column_names)},
            entries.get(table) or CatalogTable(columns={}),
        )
        for table, data in tables.items()
    }
    return Facts(name, made, (*(() if catalog is None else catalog.notes), *notes))

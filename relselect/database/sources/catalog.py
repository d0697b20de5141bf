"""The protocol of a source (a database that can be read table by table), and the types of its catalog.

No source is chosen or opened here; see `relselect.database.sources.open`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Self

import pyarrow as pa

from relselect.database.schema import TableSchema, type_name
from relselect.database.sources.uri import Address
from relselect.database.table import ForeignKey
from relselect.errors import SchemaError, SchemaProblem

__all__ = ["Catalog", "CatalogColumn", "CatalogTable", "TableScan", "Source", "Stream"]

TableKind = Literal["table", "view", "partition"]


class CatalogColumn(NamedTuple):
    """A column: the Arrow type it is read as, and the type that the database declares, as text."""

    type: pa.DataType
    declared: str


@dataclass(frozen=True)
class CatalogTable:
    """The catalog's entry for one table: what the database itself declares.

    Attributes:
        columns: Column -> its types; the columns that can be read, in order.
        primary_key: The columns of the primary key, in its order; empty without one.
        foreign_keys: The declared foreign keys, to any table of the database; `ref_columns` in the order of `columns`.
        unique_keys: Other sets of columns that are declared unique.
        nullable: The columns that may be NULL.
        row_estimate: The approximate number of rows; None where the database keeps none.
        comment: The comment on the table.
        comments: Column -> comment.
        kind: "table", "view" (also a materialised one) or "partition" (a partitioned table, read as one table).
        left_out: Column -> reason, for columns that are read only when they are named.
    """

    columns: Mapping[str, CatalogColumn]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    nullable: frozenset[str] = frozenset()
    row_estimate: int | None = None
    comment: str = ""
    comments: Mapping[str, str] = field(default_factory=dict)
    kind: TableKind = "table"
    left_out: Mapping[str, str] = field(default_factory=dict)

    def schema(self, name: str) -> TableSchema:
        """Return the entry as a table without rows; a catalog declares neither times nor masks.

        Args:
            name: The table's name in the catalog.
        """
        columns = {column: type_name(entry.type) for column, entry in self.columns.items()}
        return TableSchema(name, columns, self.primary_key, foreign_keys=self.foreign_keys)


@dataclass(frozen=True)
class Catalog:
    """The tables of a database.

    Attributes:
        tables: By name; `schema.table` when several schemas are read.
        notes: One sentence per table that may not be read and per key that cannot be used.
    """

    tables: Mapping[str, CatalogTable]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableScan:
    """What is read of one table.

    Attributes:
        table: The table's name in the catalog.
        columns: The columns, in order.
        where: A trusted SQL predicate in the database's dialect.
        limit: The largest number of rows.
    """

    table: str
    columns: tuple[str, ...]
    where: str | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Stream:
    """The rows of a scan, batch by batch; every batch has the schema."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


class Source(ABC):
    """A database open for reading, table by table, all tables as of one moment; a context manager.

    Args:
        address: Where the database is.
    """

    #: The folder that relative task files start from, where the source is a folder.
    data_folder: Path | None = None

    def __init__(self, address: Address) -> None:
        self.address = address
        self._catalog: Catalog | None = None
        self._named: dict[str, str] = {}
        self._codes: dict[str, Collection[str]] = {}
        self._labels: frozenset[str] = frozenset()
        self._confined = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address.shown!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def uri(self) -> str:
        """The address without its password."""
        return self.address.shown

    def schemas(self) -> list[str]:
        """Return the schemas that hold tables; empty where a source has no schemas."""
        return []

    def prepare(
        self,
        files: Mapping[str, str],
        codes: Mapping[str, Collection[str]],
        labels: Collection[str] = (),
        *,
        confined: bool = False,
    ) -> None:
        """Set what a source of files needs before its catalog is read; databases ignore it.

        Args:
            files: Table -> its file or glob, where it is not `<table>.parquet` or `<table>.csv`.
            codes: Table -> columns that are read as text even where every value is a number.
            labels: Files of labels, which are no tables; paths from the folder of the data.
            confined: Whether links to files outside the folder are refused.
        """
        self._confined = confined
        self._named, self._codes, self._labels = dict(files), dict(codes), frozenset(map(os.path.normpath, labels))

    def catalog(self) -> Catalog:
        """Return the catalog; it is read once."""
        if self._catalog is None:
            self._catalog = self._read_catalog()
        return self._catalog

    @abstractmethod
    def _read_catalog(self) -> Catalog:
        """Read the catalog from the database."""

    @abstractmethod
    def stream(self, scan: TableScan) -> Stream:
        """Return the rows of a scan, whose names are those of the catalog, batch by batch.

        Raises:
            SchemaError: A column holds values that its type does not allow.
            SourceError: Reading fails, at the start or between two batches.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the connection; closing twice does nothing."""

    def read(
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        limit: int | None = None,
    ) -> pa.Table:
        """Read one table into memory.

        Args:
            table: Its name in the catalog.
            columns: The columns, in order; None for all that the catalog does not leave out.
            where: An SQL predicate in the database's dialect. It is trusted and becomes part of the query as it stands.
            limit: The largest number of rows.

        Raises:
            SchemaError: There is no such table or column, or a column holds values that its type does not allow.
            SourceError: The rows cannot be read.
        """
        stream = self.stream(self.scan(table, columns, where, limit))
        return pa.Table.from_batches(stream.batches, stream.schema)

    def scan(
        self, table: str, columns: Sequence[str] | None = None, where: str | None = None, limit: int | None = None
    ) -> TableScan:
        """Return a scan of a table, checked against the catalog; the arguments are those of `read`.

        Raises:
            SchemaError: There is no such table or column.
        """
        known = self.catalog().tables
        if table not in known:
            shown = ", ".join(sorted(known)[:12])
            raise SchemaError([SchemaProblem(table, None, table, "is no table of the database", f"There are: {shown}")])
        entry = known[table]
        asked = [name for name in entry.columns if name not in entry.left_out] if columns is None else list(columns)
        shown = ", ".join(list(entry.columns)[:12])
        missing = [name for name in asked if name not in entry.columns]
        if missing:
            rule = "is no column of the table"
            raise SchemaError([SchemaProblem(table, name, name, rule, f"The table has: {shown}") for name in missing])
        return TableScan(table, tuple(asked), where, limit)

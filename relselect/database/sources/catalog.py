"""What a database says about itself, and the protocol that every kind of source follows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Self

import pyarrow as pa

from relselect.database.sources.uri import Address, parse_uri
from relselect.database.table import ForeignKey
from relselect.errors import ConfigError, SchemaError, SchemaProblem

__all__ = ["Catalog", "CatalogColumn", "CatalogTable", "Scan", "Source", "Stream", "open_source"]

TableKind = Literal["table", "view", "partition"]


class CatalogColumn(NamedTuple):
    """A column: the Arrow type it is read as, and the type the database gives it, in the database's words."""

    type: pa.DataType
    declared: str


@dataclass(frozen=True)
class CatalogTable:
    """What a database says about one of its tables.

    Attributes:
        columns: The columns that can be read, in order.
        primary_key: The columns of the primary key, in its order; empty without one.
        foreign_keys: The declared references, `ref_columns` in the order of `columns`; to any table of the database.
        unique_keys: Other sets of columns that are declared unique.
        nullable: The columns that may be NULL.
        row_estimate: About how many rows there are, if the database knows.
        comment: What the database's comment says of the table.
        comments: Column -> comment.
        kind: "table", "view" (materialised ones too) or "partition" (a partitioned table, read as one).
        left_out: Columns that are read only when they are asked for by name -> why.
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


@dataclass(frozen=True)
class Catalog:
    """The tables of a database.

    Attributes:
        tables: By name; `schema.table` when several schemas are read.
        notes: What was passed over, in words: tables that may not be read, keys that cannot be used.
    """

    tables: Mapping[str, CatalogTable]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scan:
    """What is read of one table: columns in order, a trusted SQL predicate, at most so many rows."""

    table: str
    columns: tuple[str, ...]
    where: str | None = None
    limit: int | None = None


@dataclass(frozen=True)
class Stream:
    """Rows on their way: every batch has the schema."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


class Source(ABC):
    """A database that can be read, table by table, all of them from one moment; a context manager.

    Args:
        address: Where it is.
    """

    #: Where the files of tasks are looked for, if the source is a folder.
    data_folder: Path | None = None

    def __init__(self, address: Address) -> None:
        self.address = address
        self._catalog: Catalog | None = None
        self._named: dict[str, str] = {}
        self._codes: dict[str, Collection[str]] = {}

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

    def prepare(self, files: Mapping[str, str], codes: Mapping[str, Collection[str]]) -> None:
        """Note what a source of files has to know before it looks at itself; a database needs none of it.

        Args:
            files: Table -> its file or glob, where that does not go without saying.
            codes: Table -> columns whose values are codes or words however much they look like numbers.
        """
        self._named, self._codes = dict(files), dict(codes)

    def catalog(self) -> Catalog:
        """Return what the database says about itself; asked once."""
        if self._catalog is None:
            self._catalog = self._read_catalog()
        return self._catalog

    @abstractmethod
    def _read_catalog(self) -> Catalog:
        """Ask the database about itself."""

    @abstractmethod
    def stream(self, scan: Scan) -> Stream:
        """Return rows batch by batch; the names of a scan are those of the catalog.

        Raises:
            SchemaError: A column holds what its type does not allow.
            SourceError: The rows cannot be read, at once or half-way.
        """

    @abstractmethod
    def close(self) -> None:
        """End the connection; harmless when it has ended."""

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
            columns: The columns, in order; all but those that are left out if None.
            where: An SQL predicate in the database's dialect. It is trusted: it becomes part of the query as it stands.
            limit: At most so many rows.

        Raises:
            SchemaError: There is no such table or column, or a column holds what its type does not allow.
            SourceError: The rows cannot be read.
        """
        stream = self.stream(self.scan(table, columns, where, limit))
        return pa.Table.from_batches(stream.batches, stream.schema)

    def scan(
        self, table: str, columns: Sequence[str] | None = None, where: str | None = None, limit: int | None = None
    ) -> Scan:
        """Return what to read of a table, checked against the catalog."""
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
        return Scan(table, tuple(asked), where, limit)


def open_source(
    uri: str | Path,
    *,
    schema: str | Sequence[str] | None = None,
    statement_timeout: float | str = "10min",
    base: Path | None = None,
) -> Source:
    """Open a database for reading.

    Args:
        uri: See `relselect.database.sources.uri.parse_uri`.
        schema: The schema to read, or several; the database's default schema if None.
        statement_timeout: How long one query may take, e.g. 90 (seconds) or "10min".
        base: The folder that relative paths start from.

    Raises:
        ConfigError: The address is not understood.
        DataNotFound: There is no such database, schema or file.
        MissingExtra: The package for this kind of database is not installed.
        SourceError: The database cannot be reached or does not let us in.
    """
    address = parse_uri(uri, base)
    schemas = (schema,) if isinstance(schema, str) else tuple(schema or ())
    seconds = _seconds(statement_timeout)
    if address.kind == "postgresql":
        from relselect.database.sources.postgres import PostgresSource

        return PostgresSource(address, schemas, seconds)
    if address.kind == "duckdb":
        from relselect.database.sources.duckdb_file import DuckDBSource

        return DuckDBSource(address, schemas, seconds)
    if schemas not in ((), ("main",)):
        fix = "Leave `schema` out"
        raise ConfigError("schema", ", ".join(schemas), "is for databases that have schemas", fix)
    if address.kind == "sqlite":
        from relselect.database.sources.sqlite import SQLiteSource

        return SQLiteSource(address, seconds)
    from relselect.database.sources.file_source import FileSource

    return FileSource(address)


def _seconds(value: float | str) -> float:
    from relselect.budget import parse_seconds
    from relselect.errors import BudgetError

    try:
        return parse_seconds(value)
    except BudgetError as error:
        raise ConfigError("statement_timeout", value, error.rule, error.fix) from None

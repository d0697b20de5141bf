"""A relational database: tables that were validated together once, immutable, with indexes built when first used.

Reading is the work of `relselect.database.sources`, which this module alone calls; statistics and features are computed
elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.clock import ALWAYS, TimeKind, kind_of, ticks_of
from relselect.database.columns import combine_keys, find_keys
from relselect.database.contents import DatabaseContents, SourceFacts
from relselect.database.fingerprint import fingerprint_table
from relselect.database.key_counts import KeyCounts, count_keys
from relselect.database.missing import without_missing
from relselect.database.page import database_html
from relselect.database.parent_times import reference_keys
from relselect.database.placeholders import Placeholder, TimeSpan, time_span
from relselect.database.table import ForeignKey, Table
from relselect.database.validation import valid_tables
from relselect.errors import ConfigError
from relselect.events import Emit, silent
from relselect.hashing import fingerprint_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Database"]


class Database:
    """Tables that refer to one another, checked once and never changed.

    NaN and infinity become NULL (see `relselect.database.missing`).

    Args:
        tables: The tables.
        name: A name for reports.
        source: The manifest name, folder or address it was read from, if any; never with a password.
        tasks: Task name -> declaration (see `relselect.database.task_spec`).
        data_folder: The folder that relative task files start from.
        description: What the database holds, in words.
        notes: One sentence per table, column or key that reading passed over.
        spooled: Table -> bytes, for tables in memory-mapped files, whose space is freed with the last table.
        facts: The schemas that were read, and the tables of the source that were not.

    Raises:
        SchemaError: With every problem of every table.
    """

    def __init__(
        self,
        tables: Iterable[Table],
        name: str = "database",
        *,
        source: str | None = None,
        tasks: Mapping[str, Any] | None = None,
        data_folder: Path | None = None,
        description: str = "",
        notes: Sequence[str] = (),
        spooled: Mapping[str, int] | None = None,
        facts: SourceFacts | None = None,
    ) -> None:
        listed = [replace(table, data=without_missing(table.data)) for table in tables]
        self._setup(
            {table.name: table for table in valid_tables(listed)}, name, source, tasks, data_folder, description
        )
        self._note(notes, spooled or {}, facts)

    def _setup(
        self,
        tables: dict[str, Table],
        name: str,
        source: str | None,
        tasks: Mapping[str, Any] | None,
        data_folder: Path | None,
        description: str,
    ) -> None:
        self.name = name
        self.source = source
        self.description = description
        self.data_folder = data_folder
        self.tables: Mapping[str, Table] = MappingProxyType(tables)
        self.tasks: Mapping[str, Any] = MappingProxyType(dict(tasks or {}))
        self._cache: dict[Any, Any] = {}
        self._note((), {})

    def _note(self, notes: Sequence[str], spooled: Mapping[str, int], facts: SourceFacts | None = None) -> None:
        self.facts = facts or SourceFacts()
        self.notes = tuple(notes)
        self.spooled: Mapping[str, int] = MappingProxyType(dict(spooled))

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs: all but what is computed anew."""
        proxies = {"tables": dict(self.tables), "tasks": dict(self.tasks), "spooled": dict(self.spooled)}
        return {**vars(self), **proxies, "_cache": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a pickled state."""
        vars(self).update(state)
        for name in ("tables", "tasks", "spooled"):
            setattr(self, name, MappingProxyType(state[name]))

    @classmethod
    def _trusted(cls, tables: dict[str, Table], like: Database) -> Database:
        """Build from tables derived from a valid database, without checking them again."""
        database = cls.__new__(cls)
        database._setup(tables, like.name, like.source, like.tasks, like.data_folder, like.description)
        return database

    @classmethod
    def of(cls, contents: DatabaseContents) -> Database:
        """Build a database from what a source read.

        Raises:
            SchemaError: With every problem of every table.
        """
        return cls(
            contents.tables,
            contents.name,
            source=contents.source,
            tasks=contents.tasks,
            data_folder=contents.data_folder,
            description=contents.description,
            notes=contents.notes,
            spooled=contents.spooled,
            facts=contents.facts,
        )

    @classmethod
    def from_dataframes(
        cls,
        frames: Mapping[str, Any],
        *,
        keys: Mapping[str, str | Sequence[str]] | None = None,
        times: Mapping[str, str] | None = None,
        foreign_keys: Mapping[str, Mapping[str | tuple[str, ...], str]] | None = None,
        types: Mapping[str, Mapping[str, str]] | None = None,
        drop: Mapping[str, Sequence[str]] | None = None,
        known_at: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
        formats: Mapping[str, Mapping[str, str]] | None = None,
        name: str = "database",
    ) -> Database:
        """Build a database from pandas, Polars or Arrow frames.

        Args:
            frames: Table name -> frame.
            keys: Table -> primary key column, or columns for a composite key.
            times: Table -> the column that says when a row became known, or the path to a parent's, such as "order_id.placed_at".
            foreign_keys: Table -> {column or tuple of columns: table it refers to}.
            types: Table -> {column: semantic type}, in place of the inferred type.
            drop: Table -> columns to leave out, such as columns written after the row.
            known_at: Table -> {clock column: columns known only from that time on}.
            formats: Table -> {column: how texts are read, such as "DD.MM.YYYY" or "1.234,56"}; see docs/sources.md.
            name: A name for reports.

        Raises:
            SchemaError: With every problem of every table.

        >>> import pandas as pd
        >>> db = Database.from_dataframes(
        ...     {"users": pd.DataFrame({"id": [1, 2]}), "orders": pd.DataFrame({"user": [1, 1, 2], "total": [5.0, 7.0, 1.0]})},
        ...     keys={"users": "id"}, foreign_keys={"orders": {"user": "users"}})
        >>> db.parents("orders")[0].tolist()
        [0, 0, 1]
        """
        from relselect.database.sources.frames import tables_from_frames

        notes: list[str] = []
        tables = tables_from_frames(
            frames,
            keys=keys or {},
            times=times or {},
            foreign_keys=foreign_keys or {},
            types=types or {},
            drop=drop or {},
            known_at=known_at or {},
            formats=formats or {},
            notes=notes,
        )
        return cls(tables, name, notes=notes)

    @classmethod
    def from_folder(cls, path: str | Path, manifest: str | Path | None = None) -> Database:
        """Build a database from a folder of Parquet or CSV files and its `database.yaml`.

        Args:
            path: The folder, or a manifest file that says where its data are.
            manifest: The manifest, when it is not `database.yaml` in that folder.

        Raises:
            SchemaError: With every problem of every table and file.
            ConfigError: The manifest is not understood.
            DataNotFound: The folder, or the environment variable a manifest names, does not exist.
        """
        from relselect.database.sources.folder import read_folder

        return cls.of(read_folder(path, manifest))

    @classmethod
    def from_uri(
        cls,
        uri: str | Path,
        *,
        schema: str | Sequence[str] | None = None,
        tables: Sequence[str] | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
        where: Mapping[str, str] | None = None,
        limit: int | Mapping[str, int] | None = None,
        manifest: str | Path | None = None,
        keys: Mapping[str, str | Sequence[str]] | None = None,
        times: Mapping[str, str] | None = None,
        foreign_keys: Mapping[str, Mapping[str | tuple[str, ...], str]] | None = None,
        types: Mapping[str, Mapping[str, str]] | None = None,
        drop: Mapping[str, Sequence[str]] | None = None,
        known_at: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
        formats: Mapping[str, Mapping[str, str]] | None = None,
        cache: str | Path | None = None,
        memory_limit: int | str | None = None,
        statement_timeout: float | str = "10min",
        name: str | None = None,
        on_event: Emit = silent,
    ) -> Database:
        """Read a database: PostgreSQL, an SQLite or DuckDB file, or a folder of Parquet and CSV files.

        Nothing is ever written to it. Primary and foreign keys come from the database's own catalog; declarations of a
        manifest replace them, and the arguments below replace both. No catalog declares times and masks: declare them
        here or in the manifest. Rows come in the order in which the database stores them.

        Args:
            uri: `postgresql://user@host:5432/database`, `sqlite:///file`, `duckdb:///file`, `file:///folder`, or a
                path. Passwords come from PGPASSWORD or ~/.pgpass; ${VARIABLE} is read from the environment.
            schema: The schema to read, or several, whose tables are then named `schema.table`; None for the default
                schema.
            tables: The tables to read; None for all tables but views (for all views where there are no tables).
            columns: Table -> columns to read, besides keys, times and clocks, which are always read.
            where: Table -> an SQL predicate in the database's dialect, such as "created_at >= '2020-01-01'". It is
                trusted and becomes part of the query as it stands: never build one from untrusted input.
            limit: The largest number of rows per table, or table -> rows.
            manifest: A manifest file with declarations and tasks.
            keys: See `from_dataframes`; replaces the database's own, by table.
            times: See `from_dataframes`.
            foreign_keys: See `from_dataframes`; replaces the database's own, by table.
            types: See `from_dataframes`.
            drop: Table -> columns that are not read.
            known_at: See `from_dataframes`.
            formats: See `from_dataframes`.
            cache: A folder for tables that exceed `memory_limit`.
            memory_limit: What all tables together may fill in memory: bytes, or text such as "4GB" (1000**3) or "4GiB"
                (1024**3); a quarter of the free memory if None. Further tables go to memory-mapped files without a
                name, whose sizes are in `spooled`.
            statement_timeout: The longest time of one query: seconds, or text such as "10min".
            name: A name for reports; the database's own if None.
            on_event: Called with what happens.

        Raises:
            SchemaError: With every problem of the declarations and the tables.
            ConfigError: The address, an option or a predicate is not understood.
            DataNotFound: There is no such database, schema or file.
            MissingExtra: The package for this kind of database is not installed.
            SourceError: The database cannot be reached, refuses the connection, or the connection is lost.
        """
        from relselect.database.sources.declarations import ReadOptions
        from relselect.database.sources.reading import read_uri

        options = ReadOptions(
            tables=tables,
            columns=columns or {},
            where=where or {},
            limit=limit,
            keys=keys or {},
            times=times or {},
            foreign_keys=foreign_keys or {},
            types=types or {},
            drop=drop or {},
            known_at=known_at or {},
            formats=formats or {},
        )
        contents = read_uri(
            uri,
            options=options,
            schema=schema,
            manifest=manifest,
            cache=cache,
            memory_limit=memory_limit,
            statement_timeout=statement_timeout,
            name=name,
            on_event=on_event,
        )
        return cls.of(contents)

    @classmethod
    def from_relbench(
        cls,
        name_or_path: str | Path,
        *,
        cache: str | Path | None = None,
        drop: Mapping[str, Sequence[str]] | None = None,
    ) -> Database:
        """Read a RelBench dataset that is on this machine; nothing is downloaded and the package is not needed.

        Args:
            name_or_path: Its name, such as "rel-f1", or its folder, in the layout of RelBench 1, 2 or 3.
            cache: The folder with named datasets; else RELBENCH_CACHE_DIR, ~/.cache/relbench and the Hugging Face cache.
            drop: Table -> columns to leave out, as some tasks ask for.

        Returns:
            The database with all its rows; its tasks are in `tasks`, ready for `Task.from_relbench`.

        Raises:
            DataNotFound: There is no such dataset on this machine.
            SchemaError: With every problem of the files.
        """
        from relselect.database.sources.relbench import read_relbench

        return cls.of(read_relbench(name_or_path, cache, drop or {}))

    @classmethod
    def from_entityset(cls, entityset: Any) -> Database:
        """Build a database from a featuretools EntitySet.

        Indexes become primary keys, time indexes times, secondary time indexes `known_at`, relationships foreign keys.

        Args:
            entityset: The EntitySet.

        Raises:
            SchemaError: With every problem of every table.
        """
        from relselect.database.sources.entityset import read_entityset

        return cls.of(read_entityset(entityset))

    def close(self) -> None:
        """Drop the tables; their memory and files are freed once nothing else refers to them."""
        self.tables = MappingProxyType({})
        self._cache = {}

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Database({self.name!r}, {len(self.tables)} tables, {self.num_rows:,} rows)"

    def _repr_html_(self) -> str:
        return database_html(self)

    def __deepcopy__(self, memo: Any) -> Database:
        return self  # its tables never change

    def __getitem__(self, table: str) -> Table:
        if table not in self.tables:
            raise ConfigError(
                "table", table, f"is no table of {self.name}", f"Use one of: {', '.join(sorted(self.tables))}"
            )
        return self.tables[table]

    @property
    def num_rows(self) -> int:
        """Rows of all tables."""
        return sum(table.num_rows for table in self.tables.values())

    @property
    def time_kind(self) -> TimeKind | None:
        """The kind of the time columns: "timestamp" or "integer"; None when no table has one."""
        for table in self.tables.values():
            if table.time:
                return kind_of(table.data[table.time].type)
        return None

    def times(self, table: str) -> NDArray[np.int64]:
        """Return when each row became known, in ticks, shape (rows,): `ALWAYS` without a time column, `NEVER` for NULL."""
        return self._cached(("times", table), lambda: self._times(self[table]))

    def _times(self, table: Table) -> NDArray[np.int64]:
        if table.time is None:
            return np.full(table.num_rows, ALWAYS, dtype=np.int64)
        return ticks_of(table.data[table.time])

    def value_times(self, table: str, column: str) -> NDArray[np.int64] | None:
        """Return when each value of a masked column became known, in ticks, shape (rows,); None without a mask."""
        clock = self[table].clock_of(column)
        if clock is None:
            return None
        return self._cached(
            ("value_times", table, clock), lambda: np.maximum(ticks_of(self[table].data[clock]), self.times(table))
        )

    def parents(self, table: str) -> tuple[NDArray[np.int64], ...]:
        """Return, per foreign key, the parent's row number of shape (rows,); -1 where it is null or dangling."""
        return self._cached(("parents", table), lambda: tuple(self._parent(table, k) for k in self[table].foreign_keys))

    def _parent(self, table: str, key: ForeignKey) -> NDArray[np.int64]:
        return self._find(key.table, reference_keys(self[table], key, self[key.table]))

    def rows_of(self, table: str, keys: pa.Table | Sequence[Any]) -> NDArray[np.int64]:
        """Return the row numbers of primary key values, -1 for unknown ones.

        Args:
            table: A table with a primary key.
            keys: n values, or an Arrow table with one column per key column in the order of the key.

        Returns:
            int64 array of shape (n,).
        """
        columns = keys.columns if isinstance(keys, pa.Table) else [pa.chunked_array([pa.array(keys)])]
        if len(columns[0]) == 0:
            return np.empty(0, dtype=np.int64)
        return self._find(table, combine_keys(list(columns)))

    def _find(self, table: str, wanted: pa.Array) -> NDArray[np.int64]:
        own = self._cached(
            ("keys", table), lambda: combine_keys([self[table].data[c] for c in self[table].primary_key])
        )
        return find_keys(own, wanted)

    @property
    def counts(self) -> KeyCounts:
        """Counts of null and dangling foreign keys and of rows without a time."""
        return self._cached("counts", lambda: count_keys(self.tables, self.parents, self.times))

    @property
    def last_time(self) -> int | None:
        """The latest time of any row but placeholders such as 2099-12-31, in ticks, or None when there is none."""
        return None if self._time_span is None else self._time_span.last

    @property
    def first_time(self) -> int | None:
        """The earliest time of any row but placeholders such as 1900-01-01, in ticks, or None when there is none."""
        return None if self._time_span is None else self._time_span.first

    @property
    def placeholder_times(self) -> tuple[Placeholder, ...]:
        """Rows whose time is far from all others; see `relselect.database.placeholders`."""
        return () if self._time_span is None else self._time_span.placeholders

    @property
    def _time_span(self) -> TimeSpan | None:
        timed = {name: table for name, table in self.tables.items() if table.time}
        return self._cached("time span", lambda: time_span({name: self.times(name) for name in timed}, self.time_kind))

    @property
    def fingerprint(self) -> str:
        """The sha256 of the declarations and the content of all tables, in hexadecimal."""
        return self._cached(
            "fingerprint", lambda: fingerprint_json({name: self.table_fingerprint(name) for name in self.tables})
        )

    def table_fingerprint(self, table: str) -> str:
        """Return the sha256 of one table's declarations and content, in hexadecimal."""
        return self._cached(("fingerprint", table), lambda: fingerprint_table(self[table]))

    def censored(self, asof: int) -> Database:
        """Return the database as it was at `asof`: later rows gone, values not yet known NULL."""
        return Database._trusted({name: self._censored(name, asof) for name in self.tables}, self)

    def _censored(self, name: str, asof: int) -> Table:
        table = self[name]
        data = table.data
        for clock, columns in table.known_at.items():
            hidden = pa.array(self._hidden(name, clock, asof))
            for column in (*columns, clock):
                place = data.column_names.index(column)
                masked = pc.if_else(hidden, pa.scalar(None, type=data[column].type), data[column])
                data = data.set_column(place, column, masked)
        if table.time is not None:
            data = data.filter(pa.array(self.times(name) <= asof))
        return replace(table, data=data)

    def _hidden(self, name: str, column: str, asof: int) -> NDArray[np.bool_]:
        known = self.value_times(name, column)
        return np.zeros(self[name].num_rows, dtype=bool) if known is None else known > asof

    def with_table(self, table: Table) -> Database:
        """Return this database with a table added or replaced; the table is not validated."""
        return Database._trusted({**self.tables, table.name: table}, self)

    def _cached(self, key: Any, build: Any) -> Any:
        if key not in self._cache:
            value = build()
            for array in value if isinstance(value, tuple) else (value,):
                if isinstance(array, np.ndarray):
                    array.flags.writeable = False
            self._cache[key] = value
        return self._cache[key]

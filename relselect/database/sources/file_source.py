"""Reads a folder, a glob or a single file of Parquet or CSV as a source; files declare no keys.

In a folder every data file is a table, and so is every subfolder of data files, with or without hive partitions
(`column=value`). Parquet is read batch by batch; a CSV file is read whole, since its types are inferred from its values.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.confined import check_confined
from relselect.database.schema import repeated
from relselect.database.sources.catalog import Catalog, CatalogColumn, CatalogTable, Source, Stream, TableScan
from relselect.database.sources.csv_dialect import csv_dialect
from relselect.database.sources.files import SUFFIXES, codes_of, find_files, read_files, table_name
from relselect.database.sources.frames import plain
from relselect.database.sources.hive import partition_of, partition_types, with_partition
from relselect.database.sources.limits import TimeLimit, TookTooLong, check_predicate, memory_limit
from relselect.database.sources.uri import Address
from relselect.errors import ConfigError, DataNotFound, SchemaError, SchemaProblem, SourceError

__all__ = ["FileSource"]

_ROWS = 1 << 17
#: A predicate reads no file and no variable of the calling Python code, and changes no setting.
_LOCKED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "max_temp_directory_size": "0B",
}


class FileSource(Source):
    """A folder, a glob or one data file; see `relselect.database.sources.catalog.Source`.

    Args:
        address: Where it is.
        timeout: Seconds that one predicate may take.
    """

    def __init__(self, address: Address, timeout: float = 600.0) -> None:
        super().__init__(address)
        self._timeout = timeout
        assert address.path is not None
        self.data_folder = _root(address.path)
        self._files: dict[str, list[Path]] = {}

    def close(self) -> None:
        """Do nothing: files are closed after each read."""

    def stream(self, scan: TableScan) -> Stream:
        """Return rows batch by batch; see `Source.stream`."""
        self.catalog()
        paths = self._files[scan.table]
        if scan.where is None and all(path.name.endswith(".parquet") for path in paths):
            schema = pa.schema([self._schema(scan.table).field(name) for name in scan.columns])
            return Stream(schema, _limited(self._parquet(paths, schema, scan), scan.limit))
        data = read_files(paths, scan.table, self._codes.get(scan.table, ()), self.data_folder)
        if isinstance(data, list):
            raise SchemaError(data)
        _same(scan, data.column_names, paths)
        data = data.select(list(scan.columns)) if scan.where is None else _filtered(data, scan, self._timeout)
        data = data if scan.limit is None else data.slice(0, scan.limit)
        return Stream(data.schema, iter(data.to_batches(_ROWS)))

    def _parquet(self, paths: Sequence[Path], schema: pa.Schema, scan: TableScan) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        partitions = [partition_of(path, self._above) for path in paths]
        types = partition_types(partitions, self._codes.get(scan.table, ()))
        for path, partition in zip(paths, partitions, strict=True):
            try:
                with pq.ParquetFile(path, memory_map=True) as file:
                    _same(scan, [*file.schema_arrow.names, *partition], [path])
                    own = [name for name in scan.columns if name in file.schema_arrow.names]
                    own = own or file.schema_arrow.names[:1]  # for the number of rows
                    for batch in file.iter_batches(_ROWS, columns=own):
                        rows = pa.Table.from_batches([batch]).replace_schema_metadata(None)
                        rows = with_partition(plain(rows), partition, types)
                        yield from _as(rows.select(schema.names), schema).to_batches()
            except (pa.ArrowException, OSError) as error:
                raise SchemaError([_unreadable(scan.table, path, error)]) from None

    @property
    def _above(self) -> Path:
        assert self.data_folder is not None
        return self.data_folder

    def _read_catalog(self) -> Catalog:
        self._files = self._found()
        for table, file in self._named.items():
            self._files[table] = find_files(self._above, table, file)
        for table, paths in self._files.items() if self._confined else ():
            for path in paths:
                check_confined(f"tables.{table}", path.name, path, self._above)
        problems: list[SchemaProblem] = []
        tables = {}
        for table, paths in self._files.items():
            try:
                schema = self._schema(table)
            except SchemaError as error:
                problems += error.problems
                continue
            columns = {field.name: CatalogColumn(field.type, str(field.type)) for field in schema}
            binary = {field.name: "holds bytes" for field in schema if pa.types.is_binary(field.type)}
            tables[table] = CatalogTable(
                columns=columns, nullable=frozenset(columns), row_estimate=_rows(paths), left_out=binary
            )
        if problems:
            raise SchemaError(problems)
        if not tables:
            raise DataNotFound("uri", self.uri, "holds no Parquet or CSV files", "Check the path")
        return Catalog(tables, tuple(self._notes()))

    def _notes(self) -> Iterator[str]:
        """Yield a sentence for every CSV file that is not plain UTF-8."""
        for table, paths in self._files.items():
            for path in paths:
                note = None if path.name.endswith(".parquet") else csv_dialect(path).note
                if note is not None:
                    yield f"{table}: {path.name} {note}"

    def _found(self) -> dict[str, list[Path]]:
        """Return the data files by table, in the order of their paths."""
        path, root = self.address.path, self._above
        assert path is not None
        if path.is_dir():
            candidates = [file for file in root.rglob("*") if table_name(file) and file.is_file()]
        elif path.is_file():
            candidates = [path]
        else:
            pattern = str(path.relative_to(root))
            candidates = [file for file in root.glob(pattern) if table_name(file) and file.is_file()]
        tables: dict[str, list[Path]] = {}
        for file in sorted(candidates):
            relative = file.relative_to(root)
            name = None if str(relative) in self._labels else _table_of(relative)
            if name is not None:
                tables.setdefault(name, []).append(file)
        return {name: _one_format(root, name, files) for name, files in tables.items()}

    def _schema(self, table: str) -> pa.Schema:
        """Return the Arrow schema of a table; that of CSV files is inferred from their first block."""
        paths = self._files[table]
        if not paths:
            rule, fix = f"is not in {self._above}", "Correct `file` in the manifest"
            raise SchemaError([SchemaProblem(table, None, self._named.get(table, table), rule, fix)])
        empty, problems = [], []
        codes = {*self._codes.get(table, ()), *codes_of(paths)}
        partitions = [partition_of(path, self._above) for path in paths]
        types = partition_types(partitions, codes)
        for path in paths:
            try:
                empty.append(with_partition(_empty(path, codes), {}, types))
            except (pa.ArrowException, OSError) as error:
                problems.append(_unreadable(table, path, error))
            problems += _twice(table, path, empty[-1].column_names if empty else ())
        if problems:
            raise SchemaError(problems)
        if len({frozenset(each.column_names) for each in empty}) > 1:
            problems_ = read_files(paths, table, codes, self._above)
            raise SchemaError(problems_ if isinstance(problems_, list) else [])
        try:
            return pa.unify_schemas([each.schema for each in empty], promote_options="permissive")
        except pa.ArrowTypeError as error:
            rule, fix = (
                "its files hold different types in one column",
                "Convert one of them, or declare its type as text",
            )
            raise SchemaError([SchemaProblem(table, None, str(error), rule, fix)]) from None


def _root(path: Path) -> Path:
    """Return the folder that tables are found in: that before the first part of the path with a wildcard."""
    if path.is_dir():
        return path
    if path.is_file():
        return path.parent
    for number, part in enumerate(path.parts):
        if any(sign in part for sign in "*?["):
            return Path(*path.parts[:number])
    return path.parent


def _table_of(relative: Path) -> str | None:
    """Return the table of a file below the root: its own name, or that of its folder outside hive partitions."""
    folders = [part for part in relative.parts[:-1] if "=" not in part]
    if not folders and len(relative.parts) == 1:
        return table_name(relative)
    return folders[0] if len(folders) == 1 and "=" not in relative.parts[0] else None


def _one_format(root: Path, name: str, files: list[Path]) -> list[Path]:
    """Return `orders.parquet` alone if there is `orders.csv` too, as in a folder with a manifest."""
    alone = [file for file in files if file.parent == root]
    return find_files(root, name, None) or alone[:1] if alone else files


def _empty(path: Path, codes: Collection[str]) -> pa.Table:
    if path.name.endswith(".parquet"):
        import pyarrow.parquet as pq

        schema = pq.read_schema(path, memory_map=True).remove_metadata()
        names = [name for name in schema.names if not name.startswith("__index_level_")]
        return plain(schema.empty_table().select(names))
    from pyarrow import csv

    dialect = csv_dialect(path)
    convert = csv.ConvertOptions(column_types={name: pa.string() for name in codes})
    parse = csv.ParseOptions(
        delimiter=dialect.separator, newlines_in_values=True, invalid_row_handler=lambda row: "skip"
    )
    read = csv.ReadOptions(encoding=dialect.encoding or "utf8")
    with csv.open_csv(path, read_options=read, parse_options=parse, convert_options=convert) as reader:
        # text that is not UTF-8 is typed as bytes here; reading the file reports its place
        types = [pa.string() if pa.types.is_binary(field.type) else field.type for field in reader.schema]
        return pa.schema(list(zip(reader.schema.names, types, strict=True))).empty_table()


def _rows(paths: Sequence[Path]) -> int | None:
    import pyarrow.parquet as pq

    if not all(path.name.endswith(".parquet") for path in paths):
        return None
    return sum(pq.read_metadata(path, memory_map=True).num_rows for path in paths)


def _filtered(data: pa.Table, scan: TableScan, seconds: float) -> pa.Table:
    """Return the rows that satisfy the predicate, which is in DuckDB's dialect."""
    import duckdb

    argument, where, memory = f"where[{scan.table!r}]", scan.where or "", memory_limit()
    check_predicate(argument, where, "DuckDB")
    connection = duckdb.connect(config={**_LOCKED, "memory_limit": f"{memory >> 20}MiB"})
    limit = TimeLimit(seconds, connection.interrupt, memory=2 * memory)
    try:
        connection.execute("SET TimeZone = 'UTC'")  # times without a zone are UTC on every machine
        connection.execute("SET lock_configuration = true")
        connection.register("rows_", data.append_column("__row", pa.array(range(data.num_rows))))
        query = f"SELECT __row FROM rows_ WHERE ({where}\n) ORDER BY __row"
        kept = limit.run(lambda: connection.sql(query).to_arrow_table())
    except TookTooLong:
        fix = "Raise statement_timeout=, or write a predicate over the table's own columns"
        raise SourceError(argument, where, f"took longer than {seconds:g} s", fix) from None
    except (duckdb.Error, MemoryError, pa.ArrowMemoryError) as error:
        message = (str(error) or type(error).__name__).splitlines()[0]
        fix = "Correct the predicate; files are asked in DuckDB's dialect"
        raise ConfigError(argument, where, f"DuckDB refuses it: {message}", fix) from None
    finally:
        if not limit.given_up:
            connection.close()
    return data.select(list(scan.columns)).take(kept["__row"])


def _limited(batches: Iterator[pa.RecordBatch], limit: int | None) -> Iterator[pa.RecordBatch]:
    left = limit
    for batch in batches:
        if left is not None:
            batch = batch.slice(0, left)
            left -= batch.num_rows
        yield batch
        if left == 0:
            return


def _as(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    columns: list[Any] = [
        column if column.type == field.type else pc.cast(column, field.type)
        for column, field in zip(rows.columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _same(scan: TableScan, names: Collection[str], paths: Sequence[Path]) -> None:
    """Refuse files that have lost columns since the catalog was read."""
    rule, fix = "is not there any more: the file has been replaced while it was read", "Read again when it is whole"
    gone = [name for name in scan.columns if name not in names]
    if gone:
        raise SchemaError([SchemaProblem(scan.table, name, paths[0].name, rule, fix) for name in gone])


def _twice(table: str, path: Path, names: Sequence[str]) -> list[SchemaProblem]:
    found = repeated(names)
    return [SchemaProblem(table, name, path.name, "is the name of two columns", "Rename one of them") for name in found]


def _unreadable(table: str, path: Path, error: Exception) -> SchemaProblem:
    rule = f"is not readable: {str(error).splitlines()[0]}"
    fix = f"Write the file again; {', '.join(SUFFIXES)} are read"
    return SchemaProblem(table, None, path.name, rule, fix)

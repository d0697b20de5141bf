"""Reads Parquet and CSV files into Arrow tables; problems of a file are returned, not raised.

Nothing is cached, and no declaration is applied except which CSV columns are text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.schema import repeated
from relselect.database.sources.csv_dialect import CsvDialect, csv_dialect
from relselect.database.sources.frames import plain
from relselect.database.sources.hive import partition_of, partition_types, with_partition
from relselect.errors import SchemaProblem

__all__ = ["SUFFIXES", "codes_of", "find_files", "read_file", "read_files", "table_name"]

#: The suffixes of data files, in the order in which the file of a table is looked for.
SUFFIXES = (".parquet", ".csv", ".csv.gz", ".tsv", ".tsv.gz")
_TEXT_SUFFIXES = SUFFIXES[1:]

_LARGEST_BLOCK = (1 << 31) - 1
_RAGGED_SHOWN = 3


def table_name(path: Path) -> str | None:
    """Return the name of the table in a data file; None when it is no data file."""
    return next((path.name.removesuffix(suffix) for suffix in SUFFIXES if path.name.endswith(suffix)), None)


def find_files(root: Path, table: str, file: str | None) -> list[Path]:
    """Return the files of a table, sorted: a declared path or glob, else `<table>` with one of `SUFFIXES`."""
    if file is None:
        return [path for path in (root / f"{table}{suffix}" for suffix in SUFFIXES) if path.is_file()][:1]
    if any(sign in file for sign in "*?["):
        return sorted(path for path in root.glob(file) if path.is_file())
    return [root / file] if (root / file).is_file() else []


def read_files(
    paths: Sequence[Path], table: str, text: Collection[str] = (), root: Path | None = None
) -> pa.Table | list[SchemaProblem]:
    """Read files with the same columns as one table.

    Args:
        paths: The files, in the order of their rows.
        table: The table's name, for problems.
        text: Columns of CSV files that are read as text (codes with leading zeros).
        root: The root of hive partitions: folders below it named `column=value` add that column to their files.

    Returns:
        The table, or every problem of the files.
    """
    parts: list[pa.Table] = []
    problems: list[SchemaProblem] = []
    partitions = [{} if root is None else partition_of(path, root) for path in paths]
    types = partition_types(partitions, text)
    text = {*text, *codes_of(paths)}
    for path, partition in zip(paths, partitions, strict=True):
        read = read_file(path, table, text)
        if isinstance(read, pa.Table):
            parts.append(with_partition(read, partition, types))
        else:
            problems += read
    if problems:
        return problems
    if len({frozenset(part.column_names) for part in parts}) > 1:
        return [_other_columns(table, paths, parts)]
    try:
        return parts[0] if len(parts) == 1 else pa.concat_tables(parts, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        return [
            SchemaProblem(
                table, None, str(error), "its files hold different types in one column", "Convert one of them"
            )
        ]


def codes_of(paths: Sequence[Path]) -> set[str]:
    """Return the columns that are codes in any CSV file of a table, so that all of them read alike."""
    return {
        name
        for path in paths
        if not path.name.endswith(".parquet") and path.is_file()
        for name in csv_dialect(path).codes
    }


def read_file(path: Path, table: str, text: Collection[str] = ()) -> pa.Table | list[SchemaProblem]:
    """Read one file; Parquet is memory-mapped.

    Args:
        path: A Parquet or CSV file.
        table: The table's name, for problems.
        text: Columns of a CSV file that are read as text.

    Returns:
        The table, or every problem of the file.
    """
    try:
        if path.name.endswith(".parquet"):
            return _read_parquet(path)
        if path.name.endswith(_TEXT_SUFFIXES):
            return _read_csv(path, table, text)
    except (pa.ArrowInvalid, OSError) as error:
        return [
            SchemaProblem(
                table, None, path.name, f"is not readable: {str(error).splitlines()[0]}", "Write the file again"
            )
        ]
    return [SchemaProblem(table, None, path.name, "is neither Parquet nor CSV", f"Use one of: {', '.join(SUFFIXES)}")]


def _read_parquet(path: Path) -> pa.Table:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, memory_map=True) as file:
        names = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
        return plain(file.read(columns=names).replace_schema_metadata(None))


def _read_csv(path: Path, table: str, text: Collection[str]) -> pa.Table | list[SchemaProblem]:
    dialect = csv_dialect(path)
    if dialect.encoding is None:
        rule = f"is not UTF-8 at byte {dialect.bad_byte}"
        return [SchemaProblem(table, None, path.name, rule, "Save the file as UTF-8")]
    ragged: list[Any] = []
    text = {*text, *dialect.codes}
    data = _parse(path, dialect, text, ragged, use_threads=True)
    if ragged:
        # Only the slower single-threaded reader reports row numbers.
        ragged.clear()
        _parse(path, dialect, text, ragged, use_threads=False)
        return [_ragged(path, table, ragged)]
    twice = repeated(data.column_names)
    if twice:
        return [
            SchemaProblem(table, name, path.name, "occurs twice in the header", "Rename one of them") for name in twice
        ]
    return _empty_is_null(data)


def _parse(path: Path, dialect: CsvDialect, text: Collection[str], ragged: list[Any], *, use_threads: bool) -> pa.Table:
    from pyarrow import csv

    def note(row: Any) -> str:
        ragged.append(row)
        return "skip"

    parse = csv.ParseOptions(delimiter=dialect.separator, newlines_in_values=True, invalid_row_handler=note)
    options: dict[str, Any] = {"use_threads": use_threads, "encoding": dialect.encoding}
    convert = csv.ConvertOptions(column_types={column: pa.string() for column in text})
    try:
        return csv.read_csv(path, csv.ReadOptions(**options), parse, convert)
    except pa.ArrowInvalid as error:
        if "conversion error" not in str(error):
            raise
        # Types were inferred from the first block of the file; infer them again from all of it.
        ragged.clear()
        whole = csv.ReadOptions(**options, block_size=min(_LARGEST_BLOCK, 64 * path.stat().st_size + 1))
        return csv.read_csv(path, whole, parse, convert)


def _ragged(path: Path, table: str, rows: Sequence[Any]) -> SchemaProblem:
    shown = "; ".join(f"row {row.number} has {row.actual_columns}: {row.text[:40]}" for row in rows[:_RAGGED_SHOWN])
    more = f" and {len(rows) - _RAGGED_SHOWN} more" if len(rows) > _RAGGED_SHOWN else ""
    return SchemaProblem(
        table,
        None,
        path.name,
        f"has rows without {rows[0].expected_columns} values ({shown}{more})",
        "Quote values that hold separators or line breaks, and fill short rows",
    )


def _empty_is_null(data: pa.Table) -> pa.Table:
    """Return the table with NULL for empty texts: CSV cannot distinguish the two."""
    columns = []
    for column in data.columns:
        if pa.types.is_string(column.type):
            column = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
        columns.append(column)
    return pa.table(columns, names=data.column_names)


def _other_columns(table: str, paths: Sequence[Path], parts: Iterable[pa.Table]) -> SchemaProblem:
    names = [set(part.column_names) for part in parts]
    number = next(i for i, columns in enumerate(names) if columns != names[0])
    differing = ", ".join(sorted(names[0] ^ names[number]))
    return SchemaProblem(
        table,
        None,
        paths[number].name,
        f"differs from {paths[0].name} in columns: {differing}",
        "Give all files of a table the same columns, or narrow the glob",
    )

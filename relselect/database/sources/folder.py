"""Reads a folder of Parquet and CSV files that a manifest declares.

A folder without a manifest is refused with a manifest to start from; nothing is inferred.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from relselect.database.confined import check_confined
from relselect.database.contents import DatabaseContents
from relselect.database.formats import Formatting, format_problems
from relselect.database.manifest import (
    MANIFEST_NAME,
    Manifest,
    TableSpec,
    is_confined,
    load_manifest,
    resolve_root,
    schema_of,
)
from relselect.database.schema import column_types
from relselect.database.sources.files import SUFFIXES, find_files, read_files
from relselect.database.sources.frames import unknown_drops
from relselect.database.sources.reading import read_manifest_uri
from relselect.database.sources.skeleton import undeclared
from relselect.database.table import Table
from relselect.database.validation import find_problems
from relselect.errors import DataNotFound, SchemaError, SchemaProblem

__all__ = ["read_folder"]


def read_folder(
    path: str | Path, manifest: Manifest | str | Path | None = None, *, source: str | None = None
) -> DatabaseContents:
    """Read a folder of files, or the database that the manifest in it names.

    Args:
        path: A folder with `database.yaml` in it; a manifest file; or, with `manifest`, the folder of the data.
        manifest: The manifest, or its file, where it is not in the folder. Its `root` is then ignored.
        source: The origin to record; the path if None.

    Returns:
        The tables, Parquet columns memory-mapped where the format allows.

    Raises:
        DataNotFound: The folder does not exist or holds no data, or `RELSELECT_DATA` is needed and not set.
        ConfigError: There is no manifest; the message holds one to start from.
        SchemaError: With every problem of manifest and files.
    """
    path, confined = Path(path), True
    if path.is_file():
        found = load_manifest(path)
        if found.uri is not None:
            return read_manifest_uri(found, path, source)
        root = resolve_root(found, path.parent)
    elif not path.is_dir():
        raise DataNotFound("path", str(path), "there is no such folder", f"Pass a folder with {MANIFEST_NAME} in it")
    elif manifest is not None:
        found = manifest if isinstance(manifest, Manifest) else load_manifest(manifest)
        root, confined = path, False
    elif (path / MANIFEST_NAME).is_file():
        found = load_manifest(path / MANIFEST_NAME)
        if found.uri is not None:
            return read_manifest_uri(found, path / MANIFEST_NAME, source)
        root = resolve_root(found, path)
    else:
        raise undeclared(path)
    return _read(found, root, source or str(path), confined=confined and is_confined(found))


def _read(manifest: Manifest, root: Path, source: str, *, confined: bool) -> DatabaseContents:
    tables: list[Table] = []
    problems: list[SchemaProblem] = []
    notes: list[str] = []
    for name, spec in manifest.tables.items():
        data = _read_table(root, name, spec, notes, confined=confined)
        if isinstance(data, pa.Table):
            schema = schema_of(manifest.tables, name, column_types(data.schema))
            tables.append(schema.with_rows(data, spec.description))
        else:
            problems += data
    if problems:
        unread = set(manifest.tables) - {table.name for table in tables}
        more = [problem for problem in find_problems(tables) if problem.value not in unread] if tables else []
        raise SchemaError(problems + more)
    return DatabaseContents(tables, manifest.name, source, manifest.tasks, root, manifest.description, notes)


def _read_table(
    root: Path, name: str, spec: TableSpec, notes: list[str], *, confined: bool
) -> pa.Table | list[SchemaProblem]:
    paths = find_files(root, name, spec.file)
    if not paths:
        wanted = spec.file or " or ".join(f"{name}{suffix}" for suffix in SUFFIXES[:2])
        return [
            SchemaProblem(
                name, None, wanted, f"is not in {root}", "Put the file there or correct `file` in the manifest"
            )
        ]
    for path in paths if confined else ():
        check_confined(f"tables.{name}", path.name, path, root)
    text = [column for column, semantic in spec.types.items() if semantic in ("categorical", "text")]
    data = read_files(paths, name, {*text, *spec.formats}, root)
    if isinstance(data, list):
        return data
    wrong = [
        *unknown_drops(name, spec.drop, data.column_names),
        *format_problems(name, spec.formats, data.column_names),
    ]
    if wrong:
        return wrong
    formatting = Formatting(name, spec.formats)
    formatted = formatting.table(data.drop_columns(spec.drop))
    notes += formatting.notes()
    return formatting.problems() or formatted

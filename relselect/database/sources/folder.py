"""A folder of Parquet and CSV files with its manifest, as a database."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from relselect.database.database import Database
from relselect.database.manifest import ForeignKeySpec, Manifest, TableSpec, load_manifest, resolve_root
from relselect.database.sources.files import SUFFIXES, find_files, read_files, table_name
from relselect.database.sources.frames import unknown_drops
from relselect.database.sources.skeleton import skeleton
from relselect.database.table import ForeignKey, SemanticType, Table
from relselect.database.validation import find_problems
from relselect.errors import ConfigError, DataNotFound, SchemaError, SchemaProblem

__all__ = ["MANIFEST_NAME", "read_folder", "undeclared"]

#: The manifest's name when it stands beside its data.
MANIFEST_NAME = "database.yaml"


def read_folder(
    path: str | Path, manifest: Manifest | str | Path | None = None, *, source: str | None = None
) -> Database:
    """Read a database from files.

    Args:
        path: A folder with `database.yaml` in it; a manifest file; or, with `manifest`, the folder of the data.
        manifest: The manifest, or its file, when it does not stand in the folder. The folder then goes before its root.
        source: What to note as the origin; the path when left out.

    Returns:
        The database, Parquet columns memory-mapped where the format allows.

    Raises:
        DataNotFound: The folder does not exist or holds no data, or `RELSELECT_DATA` is needed and not set.
        ConfigError: Nothing declares the keys; the message holds a manifest to start from.
        SchemaError: With every problem of manifest, files and tables.
    """
    path = Path(path)
    if path.is_file():
        found = load_manifest(path)
        if found.uri is not None:
            return _read_uri(found, path, source)
        root = resolve_root(found, path.parent)
    elif not path.is_dir():
        raise DataNotFound("path", str(path), "there is no such folder", f"Pass a folder with {MANIFEST_NAME} in it")
    elif manifest is not None:
        found = manifest if isinstance(manifest, Manifest) else load_manifest(manifest)
        root = path
    elif (path / MANIFEST_NAME).is_file():
        found = load_manifest(path / MANIFEST_NAME)
        if found.uri is not None:
            return _read_uri(found, path / MANIFEST_NAME, source)
        root = resolve_root(found, path)
    else:
        raise undeclared(path)
    return _read(found, root, source or str(path))


def _read_uri(manifest: Manifest, path: Path, source: str | None) -> Database:
    from relselect.database.sources.reading import read_manifest_uri

    return read_manifest_uri(manifest, path, source)


def _read(manifest: Manifest, root: Path, source: str) -> Database:
    tables: list[Table] = []
    problems: list[SchemaProblem] = []
    for name, spec in manifest.tables.items():
        data = _read_table(root, name, spec)
        if isinstance(data, pa.Table):
            tables.append(_table(name, spec, data, manifest))
        else:
            problems += data
    if problems:
        unread = set(manifest.tables) - {table.name for table in tables}
        more = [problem for problem in find_problems(tables) if problem.value not in unread] if tables else []
        raise SchemaError(problems + more)
    return Database(
        tables, manifest.name, source=source, tasks=manifest.tasks, data_folder=root, description=manifest.description
    )


def _read_table(root: Path, name: str, spec: TableSpec) -> pa.Table | list[SchemaProblem]:
    paths = find_files(root, name, spec.file)
    if not paths:
        wanted = spec.file or " or ".join(f"{name}{suffix}" for suffix in SUFFIXES[:2])
        return [
            SchemaProblem(
                name, None, wanted, f"is not in {root}", "Put the file there or correct `file` in the manifest"
            )
        ]
    text = [column for column, semantic in spec.types.items() if semantic in ("categorical", "text")]
    data = read_files(paths, name, text, root)
    if isinstance(data, list):
        return data
    missing = unknown_drops(name, spec.drop, data.column_names)
    return missing or data.drop_columns(spec.drop)


def _table(name: str, spec: TableSpec, data: pa.Table, manifest: Manifest) -> Table:
    return Table(
        name=name,
        data=data,
        primary_key=_columns(spec.primary_key),
        time=spec.time,
        foreign_keys=tuple(_foreign_key(key, manifest) for key in spec.foreign_keys),
        types={column: SemanticType(semantic) for column, semantic in spec.types.items()},
        known_at={clock: tuple(columns) for clock, columns in spec.known_at.items()},
        description=spec.description,
    )


def _foreign_key(spec: ForeignKeySpec, manifest: Manifest) -> ForeignKey:
    return ForeignKey(_columns(spec.columns), spec.table, _columns(manifest.tables[spec.table].primary_key))


def _columns(value: str | list[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)


def undeclared(folder: Path) -> DataNotFound | ConfigError:
    """Return the error for a folder whose keys nothing declares; it holds a manifest to start from."""
    files = {name: path for path in sorted(folder.iterdir()) if (name := table_name(path)) is not None}
    if not files:
        return DataNotFound(
            "path", str(folder), f"holds neither {MANIFEST_NAME} nor Parquet or CSV files", "Check the path"
        )
    rule = f"holds {len(files)} data files, but nothing declares keys, times and references"
    fix = (
        f"Run `relselect init {folder}`, which proposes them with reasons; or save this as {folder / MANIFEST_NAME}, "
        f"after a look at the guesses:\n\n{skeleton(folder.name, files)}"
    )
    return ConfigError("path", str(folder), rule, fix)

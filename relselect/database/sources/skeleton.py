"""A manifest to start from, for a folder that has none.

Keys, times and foreign keys are guessed from column names alone and are commented out, so that the text declares
nothing; proposals with reasons are the work of `relselect.proposal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from relselect.database.manifest import MANIFEST_NAME
from relselect.database.sources.files import read_file, table_name
from relselect.errors import ConfigError, DataNotFound

__all__ = ["skeleton", "undeclared"]


def skeleton(name: str, files: Mapping[str, Path]) -> str:
    """Return the text of a manifest for `files`.

    Args:
        name: The database's name.
        files: Table name -> file.
    """
    schemas = {table: _schema(path, table) for table, path in files.items()}
    keys = {table: key for table, schema in schemas.items() if (key := _key(table, schema))}
    lines = [f"name: {name}", "tables:"]
    for table, schema in schemas.items():
        lines += [f"  {table}:", f"    file: {files[table].name}", *_guesses(table, schema, keys)]
    return "\n".join(lines)


def undeclared(folder: Path) -> DataNotFound | ConfigError:
    """Return the error for a folder without a manifest; its message holds a manifest to start from."""
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


def _schema(path: Path, table: str) -> pa.Schema:
    if path.name.endswith(".parquet"):
        import pyarrow.parquet as pq

        try:
            return pq.read_schema(path, memory_map=True)
        except pa.ArrowInvalid:
            return pa.schema([])
    data = read_file(path, table)
    return data.schema if isinstance(data, pa.Table) else pa.schema([])


def _singular(table: str) -> str:
    lower = table.lower()
    if lower.endswith("ies"):
        return lower[:-3] + "y"
    return lower[:-1] if lower.endswith("s") and not lower.endswith("ss") else lower


def _flat(column: str) -> str:
    return column.lower().replace("_", "")


def _own_names(table: str) -> set[str]:
    """Return the names under which other tables refer to the key of `table`, without underscores, in lower case."""
    return {_flat(form) + "id" for form in (table, _singular(table))}


def _key(table: str, schema: pa.Schema) -> str | None:
    named = {_flat(column): column for column in schema.names}
    return next((named[form] for form in ("id", *sorted(_own_names(table))) if form in named), None)


def _guesses(table: str, schema: pa.Schema, keys: Mapping[str, str]) -> list[str]:
    lines = [f"    # primary_key: {keys[table]}"] if table in keys else []
    time = next((f.name for f in schema if pa.types.is_timestamp(f.type) or pa.types.is_date(f.type)), None)
    if time:
        lines.append(f"    # time: {time}  # when the row became known")
    references = [
        f"    #   - {{columns: {column}, table: {parent}}}"
        for column in schema.names
        for parent in keys
        if parent != table and _flat(column) in _own_names(parent)
    ]
    return [*lines, "    # foreign_keys:", *references] if references else lines

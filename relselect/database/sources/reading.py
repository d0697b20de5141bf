"""From an address to a database: catalog, declarations, rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from relselect.database.database import Database
from relselect.database.manifest import Manifest, load_manifest, resolve_root
from relselect.database.sources.catalog import Catalog, Source, open_source
from relselect.database.sources.declarations import Declared, Wishes, declare
from relselect.database.sources.folder import MANIFEST_NAME, undeclared
from relselect.database.sources.spool import Spool
from relselect.database.sources.uri import is_uri, literal_password, parse_uri, redact
from relselect.database.table import Table
from relselect.errors import ConfigError, SchemaError, SchemaProblem
from relselect.events import Emit, Notice, StageFinished, StageStarted, silent

__all__ = ["Declaring", "read_manifest_uri", "read_uri"]

#: Says what is read and how it is declared; see `declare`.
Declaring = Callable[[Catalog, Manifest | None, Wishes], tuple[list[Declared], list[SchemaProblem], list[str]]]


def read_uri(
    uri: str | Path,
    *,
    wishes: Wishes | None = None,
    schema: str | Sequence[str] | None = None,
    manifest: Manifest | str | Path | None = None,
    cache: str | Path | None = None,
    memory_limit: int | str | None = None,
    statement_timeout: float | str = "10min",
    name: str | None = None,
    base: Path | None = None,
    source: str | None = None,
    on_event: Emit = silent,
    declaring: Declaring = declare,
) -> Database:
    """Read a database; see `Database.from_uri`.

    Args:
        uri: Where it is.
        wishes: What is read and declared.
        schema: The schemas to read; goes before the manifest's.
        manifest: Declarations over those of the catalog.
        cache: The folder for tables that do not fit into memory.
        memory_limit: What tables may fill in memory.
        statement_timeout: How long one query may take.
        name: A name for reports.
        base: The folder that relative paths and the tasks' files start from.
        source: What to note as the origin; the path, or the address without its password, when left out.
        on_event: Called with what happens.
        declaring: Puts catalog, manifest and wishes together; in its place somebody who knows better what is needed.
    """
    wishes = wishes or Wishes()
    options: dict[str, Any] = {"cache": cache, "memory_limit": memory_limit, "statement_timeout": statement_timeout,
               "name": name, "on_event": on_event, "wishes": wishes, "declaring": declaring}  # fmt: skip
    beside = _manifest_beside(uri) if manifest is None else None
    if beside is not None:
        found = load_manifest(beside)
        if found.uri is not None:
            return read_manifest_uri(found, beside, source, schema=schema, **options)
        return read_uri(resolve_root(found, beside.parent), manifest=found, source=source or str(uri), **options)
    loaded = manifest if isinstance(manifest, Manifest) or manifest is None else load_manifest(manifest)
    folder = base or (Path(manifest).parent if isinstance(manifest, str | Path) else None)
    schemas = schema if schema is not None or loaded is None else loaded.schemas
    spool = Spool(memory_limit, cache)
    with open_source(uri, schema=schemas, statement_timeout=statement_timeout, base=base) as opened:
        if loaded is None and not wishes.declares and declaring is declare and opened.data_folder is not None:
            raise undeclared(opened.data_folder)
        opened.prepare(*_hints(loaded, wishes))
        declared, problems, notes = declaring(opened.catalog(), loaded, wishes)
        if problems:
            raise SchemaError(problems)
        tables = _read(opened, declared, spool, on_event)
        told = [*opened.catalog().notes, *notes]
        shown, title = opened.address.origin, opened.address.name
        folder = opened.data_folder or folder
    for note in told:
        on_event(Notice("source", note, "warning"))
    return Database(
        tables,
        name or (loaded.name if loaded else title),
        source=source or shown,
        tasks=loaded.tasks if loaded else None,
        data_folder=folder,
        description=loaded.description if loaded else "",
        notes=told,
        spooled=spool.sizes,
    )


def read_manifest_uri(manifest: Manifest, path: Path, source: str | None = None, **options: Any) -> Database:
    """Read the database that a manifest's `uri` names.

    Args:
        manifest: The manifest.
        path: Its file: relative paths start from its folder.
        source: What to note as the origin; the file when left out.
        **options: As for `read_uri`.

    Raises:
        ConfigError: The address holds a password.
    """
    assert manifest.uri is not None
    if literal_password(manifest.uri):
        raise ConfigError(
            "uri",
            redact(manifest.uri),
            "a manifest holds no password",
            "Write ${PGPASSWORD} or another ${VARIABLE} in its place, or leave it out and set PGPASSWORD",
        )
    uri = manifest.uri if is_uri(manifest.uri) else Path(manifest.uri)
    return read_uri(uri, manifest=manifest, base=path.resolve().parent, source=source or str(path), **options)


def _manifest_beside(uri: str | Path) -> Path | None:
    """Return the manifest that an address is or that lies in the folder it names."""
    if isinstance(uri, str) and is_uri(uri) and not uri.startswith("file://"):
        return None
    path = parse_uri(uri).path
    if path is not None and path.is_file() and path.suffix in (".yaml", ".yml"):
        return path
    return path / MANIFEST_NAME if path is not None and (path / MANIFEST_NAME).is_file() else None


def _hints(manifest: Manifest | None, wishes: Wishes) -> tuple[dict[str, str], dict[str, set[str]]]:
    """What a folder has to know of the declarations before its files are read."""
    specs = {} if manifest is None else manifest.tables
    types = [(name, spec.types) for name, spec in specs.items()] + list(wishes.types.items())
    codes: dict[str, set[str]] = {}
    for name, kinds in types:
        codes.setdefault(name, set()).update(c for c, kind in kinds.items() if kind in ("categorical", "text"))
    return {name: spec.file for name, spec in specs.items() if spec.file is not None}, codes


def _read(source: Source, declared: Sequence[Declared], spool: Spool, emit: Emit) -> list[Table]:
    tables: list[Table] = []
    problems: list[SchemaProblem] = []
    for each in declared:
        begun = time.monotonic()
        emit(StageStarted("read", each.scan.table))
        try:
            stream = source.stream(each.scan)
            data = spool.collect(each.scan.table, stream.schema, stream.batches)
        except SchemaError as error:
            problems += error.problems
            continue
        tables.append(each.table(data))
        size = spool.sizes.get(each.scan.table)
        where = "" if size is None else f", {size / 2**20:,.0f} MiB in a file"
        detail = f"{each.scan.table}: {data.num_rows:,} rows{where}"
        emit(StageFinished("read", time.monotonic() - begun, detail))
    if problems:
        raise SchemaError(problems)
    return tables

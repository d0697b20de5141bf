"""Reads the tables at an address: catalog first, then declarations, then rows.

The tables are not validated together here; `Database` does that.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from relselect.database.confined import check_confined
from relselect.database.contents import DatabaseContents, SourceFacts
from relselect.database.formats import Formatting
from relselect.database.manifest import MANIFEST_NAME, Manifest, is_confined, load_manifest, resolve_root
from relselect.database.missing import batches_without_missing
from relselect.database.schema import as_columns
from relselect.database.sources.catalog import Source
from relselect.database.sources.declarations import Declared, Declaring, ReadOptions, declare
from relselect.database.sources.files import table_name
from relselect.database.sources.open import open_source
from relselect.database.sources.skeleton import undeclared
from relselect.database.sources.spool import Spool
from relselect.database.sources.uri import Address, check_variables, is_uri, literal_password, parse_uri, redact
from relselect.errors import ConfigError, SchemaError, SchemaProblem
from relselect.events import Emit, Notice, StageFinished, StageStarted, silent

__all__ = ["parse_manifest_uri", "read_manifest_uri", "read_tables", "read_uri"]


def read_uri(
    uri: str | Path,
    *,
    options: ReadOptions | None = None,
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
    usual_schemas: Sequence[str] = (),
    confined: bool = False,
) -> DatabaseContents:
    """Read the tables at an address; see `Database.from_uri`, also for the errors.

    Args:
        uri: The address, a path, or a manifest.
        options: What is read and declared.
        schema: The schemas to read, in place of the manifest's.
        manifest: Declarations that replace those of the catalog.
        cache: The folder for tables that exceed `memory_limit`.
        memory_limit: What the tables may fill in memory; see `relselect.database.byte_sizes`.
        statement_timeout: The longest time of one query.
        name: A name for reports.
        base: The folder that relative paths and the tasks' files start from.
        source: The origin to record; the path, or the address without its password, if None.
        on_event: Called with every event.
        declaring: Merges catalog, manifest and options; `declare` unless the caller knows what is needed.
        usual_schemas: The schemas to read where neither the caller nor a manifest names any, and the source has schemas.
        confined: Whether links to files outside the folder are refused, because a manifest names the folder.
    """
    options = options or ReadOptions()
    beside = _manifest_beside(uri) if manifest is None else None
    if beside is not None:
        further: dict[str, Any] = {"cache": cache, "memory_limit": memory_limit, "statement_timeout": statement_timeout,
                   "name": name, "on_event": on_event, "options": options, "declaring": declaring,
                   "usual_schemas": usual_schemas}  # fmt: skip
        found = load_manifest(beside)
        if found.uri is not None:
            return read_manifest_uri(found, beside, source, schema=schema, **further)
        return read_uri(resolve_root(found, beside.parent), manifest=found, source=source or str(uri),
                        confined=is_confined(found), **further)  # fmt: skip
    loaded = manifest if isinstance(manifest, Manifest) or manifest is None else load_manifest(manifest)
    schemas = schema if schema is not None or loaded is None else loaded.schemas
    if schemas is None and usual_schemas and parse_uri(uri, base).has_schemas:
        schemas = usual_schemas
    spool = Spool(memory_limit, cache)
    with open_source(uri, schema=schemas, statement_timeout=statement_timeout, base=base) as opened:
        if loaded is None and not options.declares and declaring is declare and opened.data_folder is not None:
            raise undeclared(opened.data_folder)
        opened.prepare(*_hints(loaded, options), confined=confined)
        declared, problems, notes = declaring(opened.catalog(), loaded, options)
        if problems:
            raise SchemaError(problems)
        rows = read_tables(opened, declared, spool, on_event, notes)
        notes = [*opened.catalog().notes, *notes]
    for note in notes:
        on_event(Notice("source", note, "warning"))
    return DatabaseContents(
        tables=[each.table(rows[each.scan.table]) for each in declared],
        name=name or (loaded.name if loaded else opened.address.name),
        source=source or opened.address.origin,
        tasks=loaded.tasks if loaded else {},
        data_folder=opened.data_folder or base or (Path(manifest).parent if isinstance(manifest, str | Path) else None),
        description=loaded.description if loaded else "",
        notes=notes,
        spooled=spool.sizes,
        facts=SourceFacts(as_columns(schemas or ()), tuple(sorted(set(opened.catalog().tables) - set(rows)))),
    )


def read_manifest_uri(manifest: Manifest, path: Path, source: str | None = None, **options: Any) -> DatabaseContents:
    """Read the database that a manifest's `uri` names.

    Args:
        manifest: The manifest.
        path: Its file: relative paths start from its folder.
        source: The origin to record; the file if None.
        **options: Further arguments of `read_uri`.

    Raises:
        ConfigError: The address holds a password, or names a variable that a manifest may not read.
    """
    assert manifest.uri is not None
    check_variables(manifest.uri)
    if literal_password(manifest.uri):
        raise ConfigError(
            "uri",
            redact(manifest.uri),
            "a manifest holds no password",
            "Write ${PGPASSWORD} or another ${VARIABLE} in its place, or leave it out and set PGPASSWORD",
        )
    base = path.resolve().parent
    address = parse_manifest_uri(manifest.uri, base)
    confined = address.path is not None and "${" not in manifest.uri  # what the environment names is the caller's
    uri = manifest.uri if is_uri(manifest.uri) else Path(manifest.uri)
    return read_uri(uri, manifest=manifest, base=base, source=source or str(path), confined=confined, **options)


def parse_manifest_uri(uri: str, folder: Path) -> Address:
    """Parse the address that a manifest names; a local one lies in the manifest's folder.

    Args:
        uri: The address or path.
        folder: The folder of the manifest.

    Raises:
        ConfigError: It is not understood, or leads out of the folder and the caller does not allow that.
        DataNotFound: A variable is not set, or a file does not exist.
    """
    address = parse_uri(uri if is_uri(uri) else Path(uri), folder)
    if address.path is not None and "${" not in uri:
        check_confined("uri", address.shown, address.path, folder)
    return address


def _manifest_beside(uri: str | Path) -> Path | None:
    """Return the manifest that an address names, or that is in the folder it names; None without one."""
    if isinstance(uri, str) and is_uri(uri) and not uri.startswith("file://"):
        return None
    path = parse_uri(uri).path
    if path is not None and path.is_file() and path.suffix in (".yaml", ".yml"):
        return path
    return path / MANIFEST_NAME if path is not None and (path / MANIFEST_NAME).is_file() else None


def _hints(manifest: Manifest | None, options: ReadOptions) -> tuple[dict[str, str], dict[str, set[str]], set[str]]:
    """Return table -> file, table -> columns read as text, and files of labels, as a source of files needs them."""
    specs = {} if manifest is None else manifest.tables
    types = [(name, spec.types) for name, spec in specs.items()] + list(options.types.items())
    codes: dict[str, set[str]] = {}
    for name, kinds in types:
        codes.setdefault(name, set()).update(c for c, kind in kinds.items() if kind in ("categorical", "text"))
    for name, formats in [(name, spec.formats) for name, spec in specs.items()] + list(options.formats.items()):
        codes.setdefault(name, set()).update(formats)
    tasks = [] if manifest is None else manifest.tasks.values()
    labels = {path for task in tasks for path in task.label_files if not specs.keys() & {table_name(Path(path))}}
    return {name: spec.file for name, spec in specs.items() if spec.file is not None}, codes, labels


def read_tables(
    source: Source, declared: Sequence[Declared], spool: Spool, emit: Emit, notes: list[str] | None = None
) -> dict[str, pa.Table]:
    """Read the rows of tables.

    Args:
        source: The open source.
        declared: The tables.
        spool: Holds the rows, in memory or in files.
        emit: Called when the reading of each table starts and ends.
        notes: Gets a sentence for every column with values that do not fit its format.

    Returns:
        Table name -> rows.

    Raises:
        SchemaError: With every table that holds what its types do not allow.
        SourceError: Reading fails.
    """
    tables: dict[str, pa.Table] = {}
    problems: list[SchemaProblem] = []
    for each in declared:
        begun = time.monotonic()
        name = each.scan.table
        emit(StageStarted("read", name))
        formatting = Formatting(name, each.schema.formats)
        try:
            stream = source.stream(each.scan)
            batches = formatting.batches(stream.batches)
            tables[name] = spool.collect(name, formatting.schema(stream.schema), batches_without_missing(batches))
        except SchemaError as error:
            problems += error.problems
            continue
        problems += formatting.problems()
        if notes is not None:
            notes += formatting.notes()
        size = spool.sizes.get(name)
        where = "" if size is None else f", {size / 2**20:,.0f} MiB in a file"
        emit(StageFinished("read", time.monotonic() - begun, f"{name}: {tables[name].num_rows:,} rows{where}"))
    if problems:
        raise SchemaError(problems)
    return tables

"""Reads a database for proposals: every table, with the declarations of the catalog alone.

Manifests and declarations by hand are not read here; overrides are applied in `relselect.proposal.proposal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from relselect.database.sources.catalog import Catalog, Source
from relselect.database.sources.declarations import ReadOptions, declare
from relselect.database.sources.files import find_files
from relselect.database.sources.open import open_source
from relselect.database.sources.reading import read_tables
from relselect.database.sources.spool import Spool
from relselect.database.sources.uri import Address
from relselect.errors import DataNotFound, SchemaError
from relselect.events import Emit, silent
from relselect.proposal.facts import Facts, facts_of

__all__ = ["Origin", "read_facts"]


@dataclass(frozen=True)
class Origin:
    """Where tables were read from, as a manifest records it.

    Attributes:
        address: The address; its text contains no password.
        schema: The schemas that the caller named.
        folder: The folder of the files, if each table is found there by its name; else None.
    """

    address: Address
    schema: tuple[str, ...]
    folder: Path | None


def read_facts(
    uri: str | Path,
    *,
    schema: str | Sequence[str] | None = None,
    tables: Sequence[str] | None = None,
    cache: str | Path | None = None,
    statement_timeout: float | str = "10min",
    on_event: Emit = silent,
) -> tuple[Facts, Origin]:
    """Read every table of a database; see `Database.from_uri` for the arguments.

    Where no schema is named and the default one holds no tables, all schemas that hold tables are read, and a note says so.

    Raises:
        SchemaError: With every table that does not exist or holds what its types do not allow.
        ConfigError: The address is not understood.
        DataNotFound: There is no such database, schema or file.
        SourceError: The database cannot be reached, or the connection is lost.
    """
    schemas = (schema,) if isinstance(schema, str) else tuple(schema or ())
    with open_source(uri, schema=schema, statement_timeout=statement_timeout) as source:
        try:
            catalog = source.catalog()
        except DataNotFound:
            if schemas or not (schemas := tuple(source.schemas())):
                raise
        else:
            return _read(source, catalog, schemas, tables, Spool(None, cache), on_event)
    note = f"The default schema holds no tables; read instead: {', '.join(schemas)}. Name others with --schema."
    with open_source(uri, schema=schemas, statement_timeout=statement_timeout) as source:
        facts, origin = _read(source, source.catalog(), schemas, tables, Spool(None, cache), on_event)
        return replace(facts, notes=(note, *facts.notes)), origin


def _read(
    source: Source,
    catalog: Catalog,
    schemas: tuple[str, ...],
    tables: Sequence[str] | None,
    spool: Spool,
    on_event: Emit,
) -> tuple[Facts, Origin]:
    declared, problems, notes = declare(catalog, None, ReadOptions(tables=tables))
    if problems:
        raise SchemaError(problems)
    read = read_tables(source, declared, spool, on_event)
    facts = facts_of(read, source.address.name, catalog, notes)
    return facts, Origin(source.address, schemas, _folder(source, list(read)))


def _folder(source: Source, tables: Sequence[str]) -> Path | None:
    """Return the folder of a source in which every table is found by its name; else None."""
    root = source.data_folder
    if root is None or source.address.path is None or not source.address.path.is_dir():
        return None
    return root if all(find_files(root, table, None) for table in tables) else None

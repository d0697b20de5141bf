"""Reads a database for proposals: every table, with the declarations of the catalog alone.

Manifests and declarations by hand are not read here; overrides are applied in `relselect.proposal.proposal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from relselect.database.sources.catalog import Source
from relselect.database.sources.declarations import ReadOptions, declare
from relselect.database.sources.files import find_files
from relselect.database.sources.open import open_source
from relselect.database.sources.reading import read_tables
from relselect.database.sources.spool import Spool
from relselect.database.sources.uri import Address
from relselect.errors import SchemaError
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

    Raises:
        SchemaError: With every table that does not exist or holds what its types do not allow.
        ConfigError: The address is not understood.
        DataNotFound: There is no such database, schema or file.
        SourceError: The database cannot be reached, or the connection is lost.
    """
    spool = Spool(None, cache)
    with open_source(uri, schema=schema, statement_timeout=statement_timeout) as source:
        declared, problems, notes = declare(source.catalog(), None, ReadOptions(tables=tables))
        if problems:
            raise SchemaError(problems)
        read = read_tables(source, declared, spool, on_event)
        facts = facts_of(read, source.address.name, source.catalog(), notes)
        schemas = (schema,) if isinstance(schema, str) else tuple(schema or ())
        return facts, Origin(source.address, schemas, _folder(source, list(read)))


def _folder(source: Source, tables: Sequence[str]) -> Path | None:
    """Return the folder of a source in which every table is found by its name; else None."""
    root = source.data_folder
    if root is None or source.address.path is None or not source.address.path.is_dir():
        return None
    return root if all(find_files(root, table, None) for table in tables) else None

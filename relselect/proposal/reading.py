"""A database read for proposals: every table with what the catalog declares, no manifest, nothing declared by hand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from relselect.database.sources.catalog import Source, open_source
from relselect.database.sources.declarations import Declared, Wishes, declare
from relselect.database.sources.files import find_files
from relselect.database.sources.spool import Spool
from relselect.database.sources.uri import Address
from relselect.errors import SchemaError, SchemaProblem
from relselect.events import Emit, StageFinished, StageStarted, silent
from relselect.proposal.facts import Facts, facts_of

__all__ = ["Origin", "read_facts"]


@dataclass(frozen=True)
class Origin:
    """Where tables came from, as far as a manifest has to say it.

    Attributes:
        address: The address; what it shows has no password.
        schema: The schemas that were asked for.
        folder: The folder of the files, if each table is a file there that its name finds.
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
        SchemaError: With every table that is not there or cannot be read.
        ConfigError: The address is not understood.
        DataNotFound: There is no such database, schema or file.
        SourceError: The database cannot be reached, or is lost half-way.
    """
    spool = Spool(None, cache)
    with open_source(uri, schema=schema, statement_timeout=statement_timeout) as source:
        declared, problems, notes = declare(source.catalog(), None, Wishes(tables=tables))
        if problems:
            raise SchemaError(problems)
        read = {}
        for each in declared:
            found = _read(source, each, spool, on_event)
            if isinstance(found, list):
                problems += found
            else:
                read[each.scan.table] = found
        if problems:
            raise SchemaError(problems)
        facts = facts_of(read, source.address.name, source.catalog(), notes)
        schemas = (schema,) if isinstance(schema, str) else tuple(schema or ())
        return facts, Origin(source.address, schemas, _folder(source, list(read)))


def _read(source: Source, each: Declared, spool: Spool, emit: Emit) -> pa.Table | list[SchemaProblem]:
    begun = time.monotonic()
    emit(StageStarted("read", each.scan.table))
    try:
        stream = source.stream(each.scan)
        data = spool.collect(each.scan.table, stream.schema, stream.batches)
    except SchemaError as error:
        return list(error.problems)
    emit(StageFinished("read", time.monotonic() - begun, f"{each.scan.table}: {data.num_rows:,} rows"))
    return data


def _folder(source: Source, tables: Sequence[str]) -> Path | None:
    """Return the folder of a source of files whose names are those of the tables."""
    root = source.data_folder
    if root is None or source.address.path is None or not source.address.path.is_dir():
        return None
    return root if all(find_files(root, table, None) for table in tables) else None

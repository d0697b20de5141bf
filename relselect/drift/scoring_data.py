"""Reads the tables and columns that a predictor needs from a source, and compares them with training.

The source's catalog is compared first, so that a missing table or column is reported before any row is read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relselect.database import Database
from relselect.database.contents import SourceFacts
from relselect.database.formats import formatted_types
from relselect.database.parent_times import time_path
from relselect.database.schema import TableSchema
from relselect.database.sources.catalog import Catalog, CatalogTable, TableScan
from relselect.database.sources.declarations import Declared, ReadOptions, declare
from relselect.database.sources.reading import read_uri
from relselect.drift.changes import Change, DatabaseDrift, changed_data, changed_schemas
from relselect.drift.needs import Needs
from relselect.drift.snapshot import TrainingSnapshot
from relselect.errors import SchemaError, SchemaProblem

if TYPE_CHECKING:
    from relselect.database.manifest import Manifest
    from relselect.problem import Types

__all__ = ["ScoringData", "read_scoring_data"]


@dataclass(frozen=True)
class ScoringData:
    """The data that a predictor reads, and what has changed since training.

    Attributes:
        database: The tables and columns that the predictor needs, declared as in training.
        drift: The changes since training.
    """

    database: Database
    drift: DatabaseDrift


def read_scoring_data(
    snapshot: TrainingSnapshot,
    needs: Needs,
    types: Types,
    uri: str | Path,
    where: Mapping[str, str] | None = None,
    facts: SourceFacts | None = None,
    **options: Any,
) -> ScoringData:
    """Read the tables and columns that a predictor needs, and no others.

    Args:
        snapshot: The snapshot of training.
        needs: The tables and columns to read.
        types: Table -> column -> semantic type resolved in training.
        uri: An address as for `Database.from_uri`, or a manifest.
        where: Table -> predicate that selects its rows, in place of the manifest's.
        facts: The schemas that training read, which are read again, and the tables that it passed over.
        **options: As for `relselect.database.sources.reading.read_uri`.

    Raises:
        SchemaError: Needed tables or columns are missing or of an unusable type; it lists all of them.
    """
    facts = facts or SourceFacts()
    comparison = _Comparison(snapshot, needs, types, facts.unread)
    kinds = {name: dict(schema.types) for name, schema in needs.items()}
    codes = {name: {**_as_text(schema), **kinds[name]} for name, schema in needs.items()}
    selected = ReadOptions(where=where or {}, types=codes)
    options["usual_schemas"] = facts.schemas
    database = Database.of(read_uri(uri, options=selected, declaring=comparison.declare, **options))
    findings = [*comparison.findings, *changed_data(snapshot, database, types)]
    return ScoringData(database, DatabaseDrift.of(findings))


def _as_text(schema: TableSchema) -> dict[str, str]:
    """Return the columns that are read as text, as categorical: a source of files would read digits as numbers."""
    return {
        column: "categorical"
        for column, dtype in schema.columns.items()
        if dtype == "string" or column in schema.formats
    }


@dataclass
class _Comparison:
    """Compares a catalog with training, then declares the needed tables as they were declared in training."""

    snapshot: TrainingSnapshot
    needs: Needs
    types: Types
    passed_over: tuple[str, ...] = ()
    findings: list[Change] = field(default_factory=list)

    def declare(
        self, catalog: Catalog, manifest: Manifest | None, options: ReadOptions
    ) -> tuple[list[Declared], list[SchemaProblem], list[str]]:
        """Return what to read, what is wrong with the options, and notes; see `declarations.declare`.

        Raises:
            SchemaError: A needed table or column is missing or of an unusable type.
        """
        problems = _unknown(options.where, self.needs)
        now = _schemas(catalog, manifest, self.needs, self.snapshot.tables)
        self.findings = changed_schemas(self.snapshot, self.needs, now, self.types, self.passed_over)
        problems += [each.as_problem() for each in self.findings if each.severity == "error"]
        if problems:
            raise SchemaError(problems)
        limits = {} if manifest is None else {name: spec.where for name, spec in manifest.tables.items()}
        where = {**limits, **options.where}
        return [_declared(schema, catalog.tables[n], where.get(n)) for n, schema in self.needs.items()], [], []


def _unknown(where: Mapping[str, str], needs: Needs) -> list[SchemaProblem]:
    shown = ", ".join(needs)
    rule, fix = "is named in where but not read by the predictor", f"It reads: {shown}"
    return [SchemaProblem(name, None, "where", rule, fix) for name in where if name not in needs]


def _declared(schema: TableSchema, entry: CatalogTable, where: str | None) -> Declared:
    """Return what is read of a table; a time that it takes from a parent is no column of the source."""
    columns = tuple(column for column in schema.columns if column in entry.columns)
    return Declared(scan=TableScan(schema.name, columns, where), schema=schema)


def _schemas(
    catalog: Catalog, manifest: Manifest | None, needs: Needs, trained: Collection[str]
) -> dict[str, TableSchema]:
    """Return the schema of every table of a catalog as it is declared now; views and whatever else nobody reads are none."""
    declared = {each.scan.table: each for each in declare(catalog, manifest, ReadOptions())[0]}
    return {
        name: _with_path(_schema(name, entry, declared.get(name), needs.get(name)), needs)
        for name, entry in catalog.tables.items()
        if name in declared or name in trained
    }


def _with_path(schema: TableSchema, needs: Needs) -> TableSchema:
    """Return the schema of a table now with the time that it takes from a parent, as in training, as a column."""
    trained = needs.get(schema.name)
    time = None if trained is None else trained.time
    if trained is None or time is None or time in schema.columns or time_path(trained, needs) is None:
        return schema
    return replace(schema, columns={**schema.columns, time: trained.columns[time]}, time=time)


def _schema(name: str, entry: CatalogTable, declared: Declared | None, needed: TableSchema | None) -> TableSchema:
    """Return the schema of a table; a column that the manifest drops is left out unless the predictor needs it."""
    catalogued = entry.schema(name)
    if needed is not None:
        catalogued = replace(catalogued, columns=formatted_types(catalogued.columns, needed.formats))
    if declared is None:
        return catalogued
    kept = {*declared.scan.columns, *(needed.columns if needed is not None else ())}
    columns = {column: dtype for column, dtype in catalogued.columns.items() if column in kept}
    schema = declared.schema
    return TableSchema(name, columns, schema.primary_key, schema.time, schema.foreign_keys)

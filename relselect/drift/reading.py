"""From an address to the tables a predictor needs: the catalog is compared first, then those columns are read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relselect.database import Database
from relselect.database.schema import TableSchema, declared_types
from relselect.database.sources.catalog import Catalog, CatalogTable, TableScan
from relselect.database.sources.declarations import Declared, ReadOptions, declare
from relselect.database.sources.reading import read_uri
from relselect.drift.findings import Drift, Finding, changed_data, changed_shapes
from relselect.drift.needs import Needs
from relselect.drift.snapshot import Shape, Snapshot, type_name
from relselect.errors import SchemaError, SchemaProblem

if TYPE_CHECKING:
    from relselect.database.manifest import Manifest
    from relselect.problem import Types

__all__ = ["Reading", "read_for"]


@dataclass(frozen=True)
class Reading:
    """What was read for a predictor.

    Attributes:
        database: The tables and columns it needs, declared as in training.
        drift: What has changed since.
    """

    database: Database
    drift: Drift


def read_for(
    snapshot: Snapshot,
    needs: Needs,
    types: Types,
    uri: str | Path,
    where: Mapping[str, str] | None = None,
    **options: Any,
) -> Reading:
    """Read what a predictor needs, and nothing else.

    Args:
        snapshot: What training read.
        needs: The tables and columns to read.
        types: The column types that training resolved.
        uri: As for `Database.from_uri`, or a manifest.
        where: Table -> a predicate, in place of the manifest's.
        **options: As for `relselect.database.sources.reading.read_uri`.

    Raises:
        SchemaError: With everything that the predictor needs and that is missing or of an unreadable type.
    """
    comparison = _Comparison(snapshot, needs, types)
    kinds = {name: dict(shape.types) for name, shape in needs.items()}
    codes = {name: {**_as_text(shape), **kinds[name]} for name, shape in needs.items()}
    selected = ReadOptions(where=where or {}, types=codes)
    database = Database.of(read_uri(uri, options=selected, declaring=comparison.declare, **options))
    findings = [*comparison.findings, *changed_data(snapshot, database, types)]
    return Reading(database, Drift.of(findings))


def _as_text(shape: Shape) -> dict[str, str]:
    """Return the columns that were text: a source of files must not take their digits for numbers this time."""
    return {column: "categorical" for column, dtype in shape.columns.items() if dtype == "string"}


@dataclass
class _Comparison:
    """Declares what is read as it was in training, after a look at what the catalog has."""

    snapshot: Snapshot
    needs: Needs
    types: Types
    findings: list[Finding] = field(default_factory=list)

    def declare(
        self, catalog: Catalog, manifest: Manifest | None, options: ReadOptions
    ) -> tuple[list[Declared], list[SchemaProblem], list[str]]:
        """Return what to read, what is wrong with the options, and notes; see `declarations.declare`.

        Raises:
            SchemaError: Something that is needed is not there.
        """
        problems = _unknown(options.where, self.needs)
        now = _shapes(catalog, manifest, self.needs)
        self.findings = changed_shapes(self.snapshot, self.needs, now, self.types)
        problems += [each.as_problem() for each in self.findings if each.severity == "error"]
        if problems:
            raise SchemaError(problems)
        limits = {} if manifest is None else {name: spec.where for name, spec in manifest.tables.items()}
        return [_declared(n, shape, {**limits, **options.where}.get(n)) for n, shape in self.needs.items()], [], []


def _unknown(where: Mapping[str, str], needs: Needs) -> list[SchemaProblem]:
    shown = ", ".join(needs)
    rule, fix = "is named in where but not read by the predictor", f"It reads: {shown}"
    return [SchemaProblem(name, None, "where", rule, fix) for name in where if name not in needs]


def _declared(name: str, shape: Shape, where: str | None) -> Declared:
    return Declared(
        scan=TableScan(name, tuple(shape.columns), where),
        schema=TableSchema(
            name=name,
            columns=shape.columns,
            primary_key=shape.primary_key,
            time=shape.time,
            foreign_keys=shape.foreign_keys,
            known_at=shape.known_at,
            types=declared_types(shape.types),
        ),
    )


def _shapes(catalog: Catalog, manifest: Manifest | None, needs: Needs) -> dict[str, Shape]:
    """Return every table of a catalog as it would be declared today."""
    declared = {each.scan.table: each for each in declare(catalog, manifest, ReadOptions())[0]}
    return {
        name: _shape(entry, declared.get(name), needs[name].columns if name in needs else ())
        for name, entry in catalog.tables.items()
    }


def _shape(entry: CatalogTable, declared: Declared | None, needed: Collection[str]) -> Shape:
    """Return a table without the columns that a manifest drops, save for those that are needed all the same."""
    columns = {name: type_name(column.type) for name, column in entry.columns.items()}
    if declared is None:
        return Shape(columns, entry.primary_key, None, entry.foreign_keys)
    columns = {name: dtype for name, dtype in columns.items() if name in declared.scan.columns or name in needed}
    return Shape(columns, declared.schema.primary_key, declared.schema.time, declared.schema.foreign_keys)

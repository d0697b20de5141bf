"""Declarations of a source's tables: those of its catalog, replaced by a manifest's, replaced by the caller's options.

What a manifest or the options leave out stays as the catalog declares it; what they contain replaces it, an empty list
included. No rows are read here, and the tables are not validated (`Database` does that).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from relselect.database.formats import format_problems, formatted_types
from relselect.database.manifest import Manifest, TableSpec
from relselect.database.parent_times import time_path
from relselect.database.schema import TableSchema, as_columns, declared_types
from relselect.database.sources.catalog import Catalog, CatalogTable, TableScan
from relselect.database.sources.frames import unknown_types
from relselect.database.table import ForeignKey, SemanticType, Table
from relselect.errors import ConfigError, SchemaProblem

__all__ = ["Declared", "Declaring", "ReadOptions", "declare"]

_EXAMPLES = {
    "columns": '{"orders": ["id", "total"]}',
    "where": """{"orders": "total > 0"}""",
    "keys": '{"orders": "id"}',
    "times": '{"orders": "placed"}',
    "foreign_keys": '{"orders": {"customer": "customers"}}',
    "types": '{"orders": {"zip": "categorical"}}',
    "drop": '{"orders": ["status"]}',
    "known_at": '{"orders": {"closed": ["outcome"]}}',
    "formats": '{"orders": {"placed": "DD.MM.YYYY hh:mm"}}',
}


@dataclass(frozen=True)
class ReadOptions:
    """What is read and how it is declared, by table: the arguments of `Database.from_uri`, which documents them.

    Raises:
        ConfigError: An argument is no mapping by table, `tables` is no list, or a limit is no positive number of rows.
    """

    tables: Sequence[str] | None = None
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    limit: int | Mapping[str, int] | None = None
    keys: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    times: Mapping[str, str] = field(default_factory=dict)
    foreign_keys: Mapping[str, Mapping[str | tuple[str, ...], str]] = field(default_factory=dict)
    types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    drop: Mapping[str, Sequence[str]] = field(default_factory=dict)
    known_at: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    formats: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the shape of every argument."""
        for argument, example in _EXAMPLES.items():
            value = getattr(self, argument)
            if not isinstance(value, Mapping):
                raise ConfigError(argument, value, "must say what by table", f"Write {argument}={example}")
        if isinstance(self.tables, str):
            raise ConfigError("tables", self.tables, "must be a list", f"Write tables=[{self.tables!r}]")
        limits = self.limit.values() if isinstance(self.limit, Mapping) else [self.limit]
        for limit in limits:
            if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
                raise ConfigError("limit", limit, "must be a whole number from 1", "Write limit=1000")

    @property
    def declares(self) -> bool:
        """Whether keys, foreign keys or times are declared."""
        return bool(self.keys or self.times or self.foreign_keys)

    def limit_of(self, table: str) -> int | None:
        """Return the largest number of rows to read of a table; None for all."""
        return self.limit.get(table) if isinstance(self.limit, Mapping) else self.limit


@dataclass(frozen=True)
class Declared:
    """One table to read.

    Attributes:
        scan: What is read of it.
        schema: Its declarations; the types of its columns are those of the catalog, before any row was read.
        description: What a row is, in words.
    """

    scan: TableScan
    schema: TableSchema
    description: str = ""

    def table(self, data: pa.Table) -> Table:
        """Return the table with its rows."""
        return self.schema.with_rows(data, self.description)


#: The signature of `declare`.
Declaring = Callable[[Catalog, Manifest | None, ReadOptions], tuple[list[Declared], list[SchemaProblem], list[str]]]


def declare(
    catalog: Catalog, manifest: Manifest | None, options: ReadOptions
) -> tuple[list[Declared], list[SchemaProblem], list[str]]:
    """Merge catalog, manifest and options.

    Args:
        catalog: The tables of the source.
        manifest: Declarations that replace those of the catalog.
        options: Declarations that replace both, and what is read.

    Returns:
        The tables to read; every problem of the options; and one sentence per column or key that is left out.
    """
    names, problems = _chosen(catalog, manifest, options)
    specs = {} if manifest is None else manifest.tables
    drafts: dict[str, Declared] = {}
    notes: list[str] = []
    for name in names:
        builder = _Builder(name, catalog.tables[name], specs.get(name), options)
        drafts[name] = builder.build()
        problems += builder.problems
        notes += builder.notes
    for name, columns in _asked_by_children(drafts, catalog).items():
        builder = _Builder(name, catalog.tables[name], specs.get(name), options, columns)
        drafts[name] = builder.build()
    finished = []
    for draft in drafts.values():
        kept, left = _references(draft, drafts, catalog)
        finished.append(replace(draft, schema=replace(draft.schema, foreign_keys=kept)))
        notes += left
    return finished, problems, notes


def _chosen(catalog: Catalog, manifest: Manifest | None, options: ReadOptions) -> tuple[list[str], list[SchemaProblem]]:
    """Return the tables to read: those of the options, else the manifest's, else all (views where there are no tables)."""
    asked: Iterable[str]
    if options.tables is not None:
        asked = list(options.tables)
    elif manifest is not None and manifest.tables:
        asked = list(manifest.tables)
    else:
        asked = [name for name, table in catalog.tables.items() if table.kind != "view"] or list(catalog.tables)
    shown = ", ".join(sorted(catalog.tables)[:12])
    by_argument = {"tables": asked, **{argument: value for argument, value in vars(options).items()
                                       if argument != "tables" and isinstance(value, Mapping)}}  # fmt: skip
    problems = [
        SchemaProblem(
            name,
            None,
            argument,
            f"is named in {argument} but is no table of the database that may be read",
            f"There are: {shown}",
        )
        for argument, value in by_argument.items()
        for name in value
        if name not in catalog.tables
    ]
    unread = [
        SchemaProblem(name, None, argument, f"is named in {argument} but not read", "Name it in tables= too")
        for argument, value in by_argument.items()
        for name in value
        if name in catalog.tables and name not in asked
    ]
    return [name for name in dict.fromkeys(asked) if name in catalog.tables], problems + unread


def _asked_by_children(drafts: Mapping[str, Declared], catalog: Catalog) -> dict[str, set[str]]:
    """Return table -> columns that are not read yet and that another table takes its time from."""
    schemas = {
        name: replace(draft.schema, columns=catalog.tables[name].schema(name).columns) for name, draft in drafts.items()
    }
    found: dict[str, set[str]] = {}
    for schema in schemas.values():
        if schema.time is None or schema.time in schema.columns:
            continue
        path = time_path(schema, schemas)
        if path is not None and path.column not in drafts[path.parent].scan.columns:
            found.setdefault(path.parent, set()).add(path.column)
    return found


class _Builder:
    """Builds one table's declarations and collects the problems and the notes."""

    def __init__(
        self,
        name: str,
        entry: CatalogTable,
        spec: TableSpec | None,
        options: ReadOptions,
        further: Collection[str] = (),
    ) -> None:
        self.name, self.entry, self.spec, self.options = name, entry, spec, options
        self.further = further
        self.problems: list[SchemaProblem] = []
        self.notes: list[str] = []

    def build(self) -> Declared:
        drop = [*(self.spec.drop if self.spec else ()), *self.options.drop.get(self.name, ())]
        self._check_columns(drop, "drop")
        key = self._primary_key(drop)
        time = self.options.times.get(self.name, self.spec.time if self.spec else None)
        known_at = self._known_at()
        foreign = self._foreign_keys(drop)
        types = self._types()
        formats = self._formats()
        used = [*key, *(column for each in foreign for column in each.columns), *([time] if time else [])]
        used += [column for clock, masked in known_at.items() for column in (clock, *masked)]
        columns = self._columns(drop, [*used, *types, *formats, *self.further])
        catalogued = formatted_types(self.entry.schema(self.name).columns, formats)
        schema = replace(
            self.entry.schema(self.name),
            columns={column: catalogued[column] for column in columns},
            primary_key=key,
            time=time,
            foreign_keys=foreign,
            known_at=known_at,
            types=types,
            formats={column: text for column, text in formats.items() if column in columns},
        )
        scan = TableScan(self.name, columns, self._where(), self.options.limit_of(self.name))
        return Declared(scan, schema, (self.spec.description if self.spec else "") or self.entry.comment)

    def _primary_key(self, drop: Sequence[str]) -> tuple[str, ...]:
        if self.name in self.options.keys:
            return as_columns(self.options.keys[self.name])
        if self.spec is not None and "primary_key" in self.spec.model_fields_set:
            return as_columns(self.spec.primary_key or ())
        return () if set(self.entry.primary_key) & set(drop) else self.entry.primary_key

    def _known_at(self) -> dict[str, tuple[str, ...]]:
        declared = self.options.known_at.get(self.name, self.spec.known_at if self.spec else {})
        return {clock: as_columns(columns) for clock, columns in declared.items()}

    def _foreign_keys(self, drop: Sequence[str]) -> tuple[ForeignKey, ...]:
        if self.name in self.options.foreign_keys:
            declared = self.options.foreign_keys[self.name]
            return tuple(ForeignKey(as_columns(columns), parent) for columns, parent in declared.items())
        if self.spec is not None and "foreign_keys" in self.spec.model_fields_set:
            return tuple(ForeignKey(as_columns(key.columns), key.table) for key in self.spec.foreign_keys)
        return tuple(key for key in self.entry.foreign_keys if not set(key.columns) & set(drop))

    def _columns(self, drop: Sequence[str], used: Sequence[str]) -> tuple[str, ...]:
        """Return the columns to read, in the order of the table: those of the options and those with a declaration."""
        asked = self.options.columns.get(self.name)
        self._check_columns(asked or (), "columns")
        wanted = {*(asked or ()), *used}
        if asked is None:
            left = {column: why for column, why in self.entry.left_out.items() if column not in wanted}
            self.notes += [
                f"{self.name}.{column} {why} and is not read" for column, why in left.items() if column not in drop
            ]
            wanted |= {column for column in self.entry.columns if column not in left}
        read = tuple(column for column in self.entry.columns if column in wanted and column not in drop)
        if not read:
            fix = "Name columns of it in columns=, or leave the table out with tables="
            self.problems.append(SchemaProblem(self.name, None, "no columns", "has no column left to read", fix))
        return read

    def _where(self) -> str | None:
        return self.options.where.get(self.name, self.spec.where if self.spec else None)

    def _check_columns(self, columns: Iterable[str], argument: str) -> None:
        shown = ", ".join(list(self.entry.columns)[:12])
        self.problems += [
            SchemaProblem(
                self.name,
                column,
                argument,
                f"is named in {argument} but is no column of the table",
                f"Use one of: {shown}",
            )
            for column in columns
            if column not in self.entry.columns
        ]

    def _formats(self) -> dict[str, str]:
        declared = {**(self.spec.formats if self.spec else {}), **self.options.formats.get(self.name, {})}
        found = list(format_problems(self.name, declared, self.entry.columns))
        self.problems += found
        wrong = {problem.column for problem in found}
        return {column: text for column, text in declared.items() if column not in wrong}

    def _types(self) -> dict[str, SemanticType]:
        declared = {**(self.spec.types if self.spec else {}), **self.options.types.get(self.name, {})}
        self.problems += unknown_types(self.name, declared)
        return declared_types({column: each for column, each in declared.items() if each in set(SemanticType)})


def _references(
    draft: Declared, drafts: Mapping[str, Declared], catalog: Catalog
) -> tuple[tuple[ForeignKey, ...], list[str]]:
    """Return the foreign keys with the columns they refer to, and a note on each that is left out.

    Those of the catalog that refer to tables or keys that are not read are left out.
    """
    kept, notes = [], []
    for key in draft.schema.foreign_keys:
        parent = drafts.get(key.table)
        if parent is not None and not key.ref_columns:
            kept.append(replace(key, ref_columns=parent.schema.primary_key))
        elif key not in catalog.tables[draft.scan.table].foreign_keys:
            kept.append(key)  # declared by hand: the validation of the database reports what is wrong with it
        elif parent is None:
            notes.append(f"{draft.scan.table}.{key.name} refers to {key.table}, which is not read")
        elif set(key.ref_columns) == set(parent.schema.primary_key):
            kept.append(key)
        else:
            notes.append(f"{draft.scan.table}.{key.name} refers to {key.table} by another key than its primary key")
    return tuple(kept), notes

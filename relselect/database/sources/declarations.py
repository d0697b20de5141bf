"""What is declared about the tables of a source: the catalog's keys, a manifest over them, the caller's words over both.

What a manifest or the caller leaves out stays as the catalog has it; what they give replaces it, an empty list included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from relselect.database.manifest import Manifest, TableSpec
from relselect.database.sources.catalog import Catalog, CatalogTable, Scan
from relselect.database.table import ForeignKey, SemanticType, Table
from relselect.errors import ConfigError, SchemaProblem

__all__ = ["Declared", "Wishes", "declare"]

_EXAMPLES = {
    "columns": '{"orders": ["id", "total"]}',
    "where": """{"orders": "total > 0"}""",
    "keys": '{"orders": "id"}',
    "times": '{"orders": "placed"}',
    "foreign_keys": '{"orders": {"customer": "customers"}}',
    "types": '{"orders": {"zip": "categorical"}}',
    "drop": '{"orders": ["status"]}',
    "known_at": '{"orders": {"closed": ["outcome"]}}',
}


@dataclass(frozen=True)
class Wishes:
    """What the caller of `Database.from_uri` asks for, by table; see there."""

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

    def __post_init__(self) -> None:
        """Refuse what is given in another shape.

        Raises:
            ConfigError: An argument is no mapping by table, or a limit is no number of rows.
        """
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
        """Whether anything is said about keys or times."""
        return bool(self.keys or self.times or self.foreign_keys)

    def limit_of(self, table: str) -> int | None:
        """Return how many rows of a table are wanted."""
        return self.limit.get(table) if isinstance(self.limit, Mapping) else self.limit


@dataclass(frozen=True)
class Declared:
    """Everything declared about one table, and what is read of it."""

    scan: Scan
    primary_key: tuple[str, ...]
    time: str | None
    foreign_keys: tuple[ForeignKey, ...]
    types: Mapping[str, str]
    known_at: Mapping[str, tuple[str, ...]]
    description: str

    def table(self, data: Any) -> Table:
        """Return the table with its rows."""
        return Table(
            name=self.scan.table,
            data=data,
            primary_key=self.primary_key,
            time=self.time,
            foreign_keys=self.foreign_keys,
            types={column: SemanticType(semantic) for column, semantic in self.types.items()},
            known_at=self.known_at,
            description=self.description,
        )


def declare(
    catalog: Catalog, manifest: Manifest | None, wishes: Wishes
) -> tuple[list[Declared], list[SchemaProblem], list[str]]:
    """Put catalog, manifest and wishes together.

    Returns:
        The tables to read; everything that is wrong with the wishes; and what was left out, in words.
    """
    names, problems = _chosen(catalog, manifest, wishes)
    specs = {} if manifest is None else manifest.tables
    drafts: dict[str, Declared] = {}
    notes: list[str] = []
    for name in names:
        builder = _Builder(name, catalog.tables[name], specs.get(name), wishes)
        drafts[name] = builder.build()
        problems += builder.problems
        notes += builder.notes
    finished = []
    for draft in drafts.values():
        kept, left = _references(draft, drafts, catalog)
        finished.append(replace(draft, foreign_keys=kept))
        notes += left
    return finished, problems, notes


def _chosen(catalog: Catalog, manifest: Manifest | None, wishes: Wishes) -> tuple[list[str], list[SchemaProblem]]:
    """Return the tables to read: those asked for, else the manifest's, else all tables (views where there are none)."""
    asked: Iterable[str]
    if wishes.tables is not None:
        asked = list(wishes.tables)
    elif manifest is not None and manifest.tables:
        asked = list(manifest.tables)
    else:
        asked = [name for name, table in catalog.tables.items() if table.kind != "view"] or list(catalog.tables)
    shown = ", ".join(sorted(catalog.tables)[:12])
    by_argument = {"tables": asked, **{argument: value for argument, value in vars(wishes).items()
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


class _Builder:
    """One table's declarations, made in the order: key, time, masks, references, columns."""

    def __init__(self, name: str, entry: CatalogTable, spec: TableSpec | None, wishes: Wishes) -> None:
        self.name, self.entry, self.spec, self.wishes = name, entry, spec, wishes
        self.problems: list[SchemaProblem] = []
        self.notes: list[str] = []

    def build(self) -> Declared:
        drop = [*(self.spec.drop if self.spec else ()), *self.wishes.drop.get(self.name, ())]
        self._known(drop, "drop")
        key = self._primary_key(drop)
        time = self.wishes.times.get(self.name, self.spec.time if self.spec else None)
        known_at = self._known_at()
        foreign = self._foreign_keys(drop)
        types = {**(self.spec.types if self.spec else {}), **self.wishes.types.get(self.name, {})}
        self._check_types(types)
        used = [*key, *(column for each in foreign for column in each.columns), *([time] if time else [])]
        used += [column for clock, masked in known_at.items() for column in (clock, *masked)]
        columns = self._columns(drop, [*used, *types])
        return Declared(
            scan=Scan(self.name, columns, self._where(), self.wishes.limit_of(self.name)),
            primary_key=key,
            time=time,
            foreign_keys=foreign,
            types=types,
            known_at=known_at,
            description=(self.spec.description if self.spec else "") or self.entry.comment,
        )

    def _primary_key(self, drop: Sequence[str]) -> tuple[str, ...]:
        if self.name in self.wishes.keys:
            return _tuple(self.wishes.keys[self.name])
        if self.spec is not None and "primary_key" in self.spec.model_fields_set:
            return _tuple(self.spec.primary_key or ())
        return () if set(self.entry.primary_key) & set(drop) else self.entry.primary_key

    def _known_at(self) -> dict[str, tuple[str, ...]]:
        given = self.wishes.known_at.get(self.name, self.spec.known_at if self.spec else {})
        return {clock: _tuple(columns) for clock, columns in given.items()}

    def _foreign_keys(self, drop: Sequence[str]) -> tuple[ForeignKey, ...]:
        if self.name in self.wishes.foreign_keys:
            given = self.wishes.foreign_keys[self.name]
            return tuple(ForeignKey(_tuple(columns), parent) for columns, parent in given.items())
        if self.spec is not None and "foreign_keys" in self.spec.model_fields_set:
            return tuple(ForeignKey(_tuple(key.columns), key.table) for key in self.spec.foreign_keys)
        return tuple(key for key in self.entry.foreign_keys if not set(key.columns) & set(drop))

    def _columns(self, drop: Sequence[str], used: Sequence[str]) -> tuple[str, ...]:
        """Return the columns to read, in the order of the table: those asked for and those that are declared."""
        asked = self.wishes.columns.get(self.name)
        self._known(asked or (), "columns")
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
        return self.wishes.where.get(self.name, self.spec.where if self.spec else None)

    def _known(self, columns: Iterable[str], argument: str) -> None:
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

    def _check_types(self, types: Mapping[str, str]) -> None:
        self.problems += [
            SchemaProblem(
                self.name, column, str(semantic), "is no semantic type", f"Use one of: {', '.join(SemanticType)}"
            )
            for column, semantic in types.items()
            if semantic not in set(SemanticType)
        ]


def _references(
    draft: Declared, drafts: Mapping[str, Declared], catalog: Catalog
) -> tuple[tuple[ForeignKey, ...], list[str]]:
    """Return the references with the keys they lead to; those of the catalog to tables that are not read are given up."""
    kept, notes = [], []
    for key in draft.foreign_keys:
        parent = drafts.get(key.table)
        if parent is not None and not key.ref_columns:
            kept.append(replace(key, ref_columns=parent.primary_key))
        elif key not in catalog.tables[draft.scan.table].foreign_keys:
            kept.append(key)  # declared by hand: the check of the database tells what is wrong with it
        elif parent is None:
            notes.append(f"{draft.scan.table}.{key.name} refers to {key.table}, which is not read")
        elif set(key.ref_columns) == set(parent.primary_key):
            kept.append(key)
        else:
            notes.append(f"{draft.scan.table}.{key.name} refers to {key.table} by another key than its primary key")
    return tuple(kept), notes


def _tuple(columns: str | Sequence[str]) -> tuple[str, ...]:
    return (columns,) if isinstance(columns, str) else tuple(columns)

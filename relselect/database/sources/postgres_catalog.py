"""Reads the catalog of a PostgreSQL database from pg_catalog: tables, columns, keys, foreign keys, comments.

Rows are read in `relselect.database.sources.postgres`; constraints other than keys are not looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from relselect.database.sources.catalog import Catalog, CatalogColumn, CatalogTable, TableKind
from relselect.database.sources.keys import groups_of, usable_keys
from relselect.database.sources.postgres_types import ColumnQuery, PgColumn, PgType, query_of
from relselect.database.table import ForeignKey

__all__ = ["PgTable", "read_catalog", "schemas_with_tables"]

Ask = Callable[..., list[dict[str, Any]]]

_KINDS: dict[str, TableKind] = {"p": "partition", "v": "view", "m": "view"}

#: Partitions and inheriting tables are read through their parents; tables of extensions are left out.
_TABLES = """
SELECT c.oid::int8 AS id, n.nspname::text AS schema, c.relname::text AS name, c.relkind::text AS kind,
       CASE WHEN c.relkind = 'p' THEN (
            SELECT sum(leaf.reltuples) FILTER (WHERE leaf.reltuples >= 0) FROM pg_partition_tree(c.oid) tree
            JOIN pg_class leaf ON leaf.oid = tree.relid WHERE tree.isleaf)
            WHEN c.relkind IN ('r', 'm') THEN c.reltuples END::float8 AS rows,
       obj_description(c.oid, 'pg_class') AS comment,
       has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT') AS readable,
       c.relkind <> 'm' OR c.relispopulated AS populated
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname IN (SELECT json_array_elements_text($1::json))
  AND NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid)
  AND NOT EXISTS (SELECT 1 FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname
"""
_COLUMNS = """
SELECT a.attrelid::int8 AS id, a.attnum::int4 AS number, a.attname::text AS name, a.atttypid::int8 AS type,
       a.atttypmod::int4 AS typmod, format_type(a.atttypid, a.atttypmod) AS declared, NOT a.attnotnull AS nullable,
       has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS readable, col_description(a.attrelid, a.attnum) AS comment
FROM pg_attribute a
WHERE a.attrelid IN (SELECT json_array_elements_text($1::json)::int8::oid) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""
_TYPES = """
SELECT oid::int8 AS id, typname::text AS name, typtype::text AS kind, typcategory::text AS category,
       typbasetype::int8 AS base, typtypmod::int4 AS typmod, typelem::int8 AS element
FROM pg_type WHERE typtype <> 'c'
"""
_REFERENCES = """
SELECT conrelid::int8 AS id, conkey::int4[] AS columns, confrelid::int8 AS parent, confkey::int4[] AS parents,
       confrelid::regclass::text AS called
FROM pg_constraint
WHERE contype = 'f' AND conparentid = 0 AND conrelid IN (SELECT json_array_elements_text($1::json)::int8::oid)
ORDER BY conrelid, conkey, conname
"""
_KEYS = """
SELECT indrelid::int8 AS id, indisprimary AS "primary", (indkey::int2[])[0:indnkeyatts - 1]::int4[] AS columns
FROM pg_index
WHERE indisunique AND indisvalid AND indpred IS NULL AND indexprs IS NULL
  AND indrelid IN (SELECT json_array_elements_text($1::json)::int8::oid)
ORDER BY indrelid, indnkeyatts, indexrelid
"""
_SCHEMAS = """
SELECT n.nspname::text AS name FROM pg_namespace n
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND has_schema_privilege(n.oid, 'USAGE')
  AND EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f'))
ORDER BY 1
"""


@dataclass(frozen=True)
class PgTable:
    """Schema and name of a table of the catalog, and column -> its query."""

    schema: str
    name: str
    queries: Mapping[str, ColumnQuery]


def schemas_with_tables(ask: Ask) -> list[str]:
    """Return the schemas that have tables, without those of the server."""
    return [row["name"] for row in ask(_SCHEMAS)]


def read_catalog(ask: Ask, schemas: Iterable[str]) -> tuple[Catalog, dict[str, PgTable]]:
    """Read the catalog of some schemas.

    Args:
        ask: Runs a query, with one JSON-able parameter if it takes one, and returns rows as dictionaries.
        schemas: The schemas; the tables of several are named `schema.table`.

    Returns:
        The catalog, and table -> its place and column queries.
    """
    schemas = list(schemas)
    tables = ask(_TABLES, schemas)
    notes = [f"{row['schema']}.{row['name']} may not be read by this user" for row in tables if not row["readable"]]
    notes += [f"{row['name']} is not populated" for row in tables if not row["populated"]]
    tables = [row for row in tables if row["readable"] and row["populated"]]
    ids = [row["id"] for row in tables]
    names = {row["id"]: row["name"] if len(schemas) == 1 else f"{row['schema']}.{row['name']}" for row in tables}
    rows_of_catalog = _CatalogRows(ids, ask, names)
    entries: dict[str, CatalogTable] = {}
    places: dict[str, PgTable] = {}
    for row in tables:
        queries = rows_of_catalog.queries(row["id"])
        if queries:
            entries[names[row["id"]]] = rows_of_catalog.table(row, queries)
            places[names[row["id"]]] = PgTable(row["schema"], row["name"], queries)
        else:
            notes.append(f"{names[row['id']]} has no columns")
    tables_, key_notes = usable_keys(entries)
    return Catalog(tables_, (*notes, *rows_of_catalog.notes, *key_notes)), places


class _CatalogRows:
    """Columns, keys and foreign keys of all tables, by the object and column numbers of PostgreSQL."""

    def __init__(self, ids: list[int], ask: Ask, names: Mapping[int, str]) -> None:
        self.names = names
        self.notes: list[str] = []
        types = {row.pop("id"): PgType(**row) for row in ask(_TYPES)}
        self.columns: dict[int, dict[int, dict[str, Any]]] = defaultdict(dict)
        self.types: dict[tuple[int, int], PgColumn] = {}
        for row in ask(_COLUMNS, ids):
            if row["readable"]:
                self.columns[row["id"]][row["number"]] = row
                self.types[row["id"], row["number"]] = _resolved(row["type"], row["typmod"], types)
            else:
                self.notes.append(f"{names[row['id']]}.{row['name']} may not be read by this user")
        self.references = [row for row in ask(_REFERENCES, ids) if self._complete(row)]
        self.keys = [row for row in ask(_KEYS, ids) if self._known(row["id"], row["columns"])]
        self.forms = self._key_forms()

    def _known(self, table: int, numbers: Iterable[int]) -> bool:
        return all(number in self.columns[table] for number in numbers)

    def _complete(self, row: dict[str, Any]) -> bool:
        """Whether both sides of a foreign key are read; else add a note."""
        if not self._known(row["id"], row["columns"]):
            return False
        if row["parent"] in self.names and self._known(row["parent"], row["parents"]):
            return True
        columns = "+".join(self._named(row["id"], row["columns"]))
        self.notes.append(f"{self.names[row['id']]}.{columns} refers to {row['called']}, which is not read")
        return False

    def _key_forms(self) -> dict[tuple[int, int], str]:
        """Return key column -> `key_form`, the same for all columns that are compared with one another."""
        links = [
            ((row["id"], mine), (row["parent"], theirs))
            for row in self.references
            for mine, theirs in zip(row["columns"], row["parents"], strict=True)
        ]
        alone = [
            ((row["id"], each), (row["id"], each)) for row in self.keys if row["primary"] for each in row["columns"]
        ]
        forms: dict[tuple[int, int], str] = {}
        for group in groups_of(links + alone):
            found = {self.types[column].key_form for column in group} - {"plain"}
            forms.update(dict.fromkeys(group, min(found, default="plain")))
        return forms

    def queries(self, table: int) -> dict[str, ColumnQuery]:
        return {
            row["name"]: query_of(self.types[table, number], self.forms.get((table, number)))
            for number, row in self.columns[table].items()
        }

    def table(self, row: dict[str, Any], queries: Mapping[str, ColumnQuery]) -> CatalogTable:
        number, columns = row["id"], self.columns[row["id"]]
        keys = [(each["primary"], self._named(number, each["columns"])) for each in self.keys if each["id"] == number]
        blobs = {
            each["name"]: "holds bytes" for each in columns.values() if str(queries[each["name"]].type) == "binary"
        }
        return CatalogTable(
            columns={
                each["name"]: CatalogColumn(queries[each["name"]].type, each["declared"]) for each in columns.values()
            },
            primary_key=next((key for primary, key in keys if primary), ()),
            foreign_keys=tuple(
                ForeignKey(
                    self._named(number, each["columns"]),
                    self.names[each["parent"]],
                    self._named(each["parent"], each["parents"]),
                )
                for each in self.references
                if each["id"] == number
            ),
            unique_keys=tuple(key for primary, key in keys if not primary),
            nullable=frozenset(each["name"] for each in columns.values() if each["nullable"]),
            row_estimate=None if row["rows"] is None or row["rows"] < 0 else int(row["rows"]),
            comment=row["comment"] or "",
            comments={each["name"]: each["comment"] for each in columns.values() if each["comment"]},
            kind=_KINDS.get(row["kind"], "table"),
            left_out=blobs,
        )

    def _named(self, table: int, numbers: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.columns[table][number]["name"] for number in numbers)


def _resolved(type_id: int, typmod: int, types: Mapping[int, PgType]) -> PgColumn:
    """Return a column with its domains resolved to the base type."""
    found = types.get(type_id)
    while found is not None and found.kind == "d":
        typmod = found.typmod if typmod < 0 else typmod
        found = types.get(found.base)
    if found is None:  # a composite type
        found = PgType("composite", "c", "C", 0, -1, 0)
    element = types.get(found.element) if found.category == "A" else None
    return PgColumn(found, typmod, element)

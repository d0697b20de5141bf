"""Features as one SQL statement. Nothing here runs it or knows of plans.

The statement reads a table of task rows and the database's tables, and returns one row per task row. Each path is one
common table expression over one scan of its rows; windows and conditions are filters of its aggregates.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlglot
from sqlglot import exp

from relselect.dfs.plan.feature import Aggregate, Feature
from relselect.dfs.plan.schema import Schema
from relselect.dfs.sql.builder import Builder, FeatureColumn, valued
from relselect.dfs.sql.catalog import SqlCatalog, WarehouseCatalog
from relselect.dfs.sql.dialects import Dialect, dialect_of
from relselect.dfs.sql.nodes import (
    Node,
    alias,
    column,
    equal,
    relation,
)
from relselect.dfs.sql.path_rows import KeyColumn
from relselect.dfs.sql.task_rows import TaskRowTable, of_task_row, task_rows
from relselect.errors import ConfigError
from relselect.problem import LABELS

__all__ = ["printed_statement", "statement"]

A = Aggregate
#: Features of one statement at most: PostgreSQL returns 1,664 columns at most.
_MOST = {"postgres": 1600}


def printed_statement(
    entity: str,
    features: Sequence[Feature],
    schema: Schema,
    dialect: str,
    *,
    targets: str,
    labels: str,
    row: str,
    cutoff: str,
    asof: str | None,
    namespace: str | None,
) -> str:
    """Return features as the text of one SQL statement, made from a schema alone; the names are those of `Plan.to_sql`.

    Args:
        entity: The entity's table.
        features: k features, right by the schema.
        schema: The database's tables.
        dialect: As sqlglot names it.
        targets: The table of task rows.
        labels: The table of past labels.
        row: The column of the task rows that names a row.
        cutoff: The column of cutoffs.
        asof: The column of asofs; None for the cutoff itself.
        namespace: The database schema of the tables; None for the session's own.

    Raises:
        ConfigError: The dialect is not known, or names collide.
    """
    spoken = dialect_of(dialect)
    _check_names(schema, spoken)
    catalog = WarehouseCatalog(schema, spoken, {LABELS: labels}, namespace)
    keys = schema.tables[entity].primary_key
    given = [row, *keys, cutoff, *([asof] if asof is not None else [])]
    if len({name.lower() for name in given}) < len(given):
        rule = "are columns of the task rows and must differ, by more than case"
        raise ConfigError("row, key, cutoff, asof", given, rule, "Name row, cutoff and asof otherwise")
    static = schema.time_kind is None
    kinds = [part.kind for part in catalog.identity(entity, "x")]
    asked = TaskRowTable(
        targets, row, tuple(zip(keys, kinds, strict=True)), cutoff, None if static else asof, static=static
    )
    of = [feature.name for feature in features]
    names = _names(of, spoken, row)
    body = statement(catalog, asked, entity, features, names).sql(dialect=dialect, pretty=True)
    if not spoken.verified:
        _parse(body, dialect)
    return "\n".join([*_header(entity, of, spoken, names), body])


def _parse(body: str, dialect: str) -> None:
    try:
        sqlglot.parse_one(body, read=dialect)
    except sqlglot.ParseError:
        rule = "cannot say what a plan needs"
        raise ConfigError("dialect", dialect, rule, 'Use "duckdb" or "postgres", which are verified') from None


def _names(of: Sequence[str], dialect: Dialect, row: str) -> list[str]:
    """Return what the columns of features of some names are called."""
    most = _MOST.get(dialect.name)
    if most is not None and len(of) > most:
        fix = f"Take fewer at a time: plan.take(range({most}))"
        raise ConfigError("plan", f"{len(of)} features", f"{dialect.name} returns at most {most} columns", fix)
    if not dialect.numbered and len({name.lower() for name in (*of, row)}) == len(of) + 1:
        return list(of)
    stem = "f" if not row.lower().startswith("f") else "feature_"
    return [f"{stem}{number}" for number in range(1, len(of) + 1)]


def _header(entity: str, of: Sequence[str], dialect: Dialect, names: Sequence[str]) -> list[str]:
    lines = [] if dialect.verified else [f"-- unverified: this {dialect.name} text was parsed, never executed"]
    lines.append(f"-- {len(of)} features of {json.dumps(entity, ensure_ascii=False)}")
    if list(names) != list(of):
        lines += [f"-- {name}: {json.dumps(each, ensure_ascii=False)}" for name, each in zip(names, of, strict=True)]
    return lines


def _check_names(schema: Schema, dialect: Dialect) -> None:
    """DuckDB compares names without case, so two that differ by it alone would mean one."""
    if dialect.name != "duckdb":
        return
    for place, names in [("table", schema.tables), *((n, table.columns) for n, table in schema.tables.items())]:
        seen: dict[str, str] = {}
        for name in names:
            other = seen.setdefault(name.lower(), name)
            if other != name:
                raise ConfigError(
                    place, name, f"differs from {other} by case alone, which DuckDB ignores", "Rename one of them"
                )


def statement(
    catalog: SqlCatalog, targets: TaskRowTable, entity: str, features: Sequence[Feature], names: Sequence[str]
) -> exp.Select:
    """Return the statement that computes features.

    Args:
        catalog: The database.
        targets: The task rows.
        entity: The entity's table.
        features: k features.
        names: What their columns are called, k of them.
    """
    builder = Builder(catalog, [*catalog.schema.tables, targets.table])
    asked = builder.put(builder.names.new("asked"), task_rows(catalog, targets, features), "task rows")
    keys = tuple(KeyColumn(f"k{place}", kind) for place, (_, kind) in enumerate(targets.keys))
    related = list(dict.fromkeys(leaf for feature in features if not feature.of_task_row for leaf in feature.leaves))
    found: dict[Feature, FeatureColumn] = {}
    select = exp.select(copy=False).from_(relation(asked), copy=False)
    if related:
        subjects = builder.entities(asked, keys, entity, related)
        found = builder.evaluate(subjects, related)
        # Values of the subjects' own relation need a join to it; other relations are joined by the task row's number.
        met = equal(column(subjects.relation, "r"), column(asked, "r"))
        if any(where.relation is None for where in found.values()):
            select = select.join(relation(subjects.relation), on=met, join_type="left", copy=False)
        select = builder.joined(select, asked, ("r",), found)
    columns: list[Node] = [alias(column(asked, "r"), targets.row)]
    for feature, name in zip(features, names, strict=True):
        own = feature.of_task_row
        value = of_task_row(catalog, asked, feature, features) if own else valued(feature, found)
        columns.append(alias(value, name))
    select = select.select(*columns, copy=False)
    for name, expression in builder.expressions:
        select = select.with_(exp.to_identifier(name, quoted=True), as_=expression, copy=False)
    return select

"""A plan as one SQL statement.

The statement reads a table of task rows and the database's tables, and returns one row per task row. Each path is one
common table expression over one scan of its rows; windows and conditions are filters of its aggregates.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlglot
from sqlglot import exp

from relselect.dfs.plan.feature import Aggregate, Feature
from relselect.dfs.plan.plan import Plan
from relselect.dfs.plan.schema import Schema
from relselect.dfs.sql.builder import Builder, Found, filled
from relselect.dfs.sql.catalog import Catalog, Warehouse
from relselect.dfs.sql.dialects import Dialect, dialect_of
from relselect.dfs.sql.nodes import (
    Node,
    alias,
    column,
    equal,
    relation,
)
from relselect.dfs.sql.targets import OF_TASK_ROW, Targets, asked_rows, of_task_row
from relselect.dfs.sql.walk import Part
from relselect.errors import ConfigError, PlanError
from relselect.problem import LABELS

__all__ = ["statement", "to_sql"]

A = Aggregate
#: Columns that PostgreSQL allows in a result, with room for the row's own.
_MOST = {"postgres": 1600}


def to_sql(
    plan: Plan,
    dialect: str = "duckdb",
    *,
    targets: str = "targets",
    labels: str = LABELS,
    row: str = "row_id",
    cutoff: str = "cutoff",
    asof: str | None = None,
    namespace: str | None = None,
) -> str:
    """Return a plan as one SQL statement, made from its schema alone.

    The table of task rows has the column `row`, the entity's key under the names it has in the entity's table, `cutoff`
    (a timestamp, or an integer where the database's times are integers), and the declared task-row features under their
    own names, booleans as 0 and 1. Static tasks need the cutoff only where a feature counts from it.

    The statement returns `row` and one column per feature. DuckDB's carry the features' names; elsewhere they are called
    f1, f2, ... and listed in the leading comment, because names may be longer than a database allows (63 bytes in
    PostgreSQL). Categories are returned as text. DuckDB and PostgreSQL are verified; text for other dialects is parsed by
    sqlglot, says "unverified" in its first line, and has run nowhere.

    Args:
        plan: Carries its schema.
        dialect: As sqlglot names it.
        targets: The table of task rows; `schema.table` in another schema.
        labels: What the table of past labels is called: the entity's key as `entity_0`, `entity_1`, ..., then `label`,
            `cutoff` and `known`, the moment from which the label is known.
        row: The column of the task rows that names a row.
        cutoff: The column that holds the cutoff.
        asof: The column that says up to when rows are visible, never later than the cutoff; None for the cutoff itself.
        namespace: The schema that holds the database's tables. None for the session's own, and then tables called
            `schema.table`, as where several schemas were read, are looked for in theirs.

    Raises:
        PlanError: The plan carries no schema, or reads what the schema lacks.
        ConfigError: The dialect is not known, or names collide.
    """
    if plan.schema is None:
        raise PlanError(["the plan carries no schema. Bind it to a problem first: plan.bound(problem)."])
    plan.check(plan.schema)
    spoken = dialect_of(dialect)
    _check_names(plan.schema, spoken)
    catalog = Warehouse(plan.schema, spoken, {LABELS: labels}, namespace)
    keys = plan.schema.tables[plan.entity].primary_key
    given = [row, *keys, cutoff, *([asof] if asof is not None else [])]
    if len({name.lower() for name in given}) < len(given):
        rule = "are columns of the task rows and must differ, by more than case"
        raise ConfigError("row, key, cutoff, asof", given, rule, "Name row, cutoff and asof otherwise")
    static = plan.schema.time_kind is None
    kinds = [part.kind for part in catalog.identity(plan.entity, "x")]
    asked = Targets(targets, row, tuple(zip(keys, kinds, strict=True)), cutoff, None if static else asof, static=static)
    names = _names(plan, spoken, row)
    tree = statement(catalog, asked, plan.entity, plan.features, names)
    body = tree.sql(dialect=dialect, pretty=True)
    if not spoken.verified:
        _parse(body, dialect)
    return "\n".join([*_header(plan, spoken, names), body])


def _parse(body: str, dialect: str) -> None:
    try:
        sqlglot.parse_one(body, read=dialect)
    except sqlglot.ParseError:
        rule = "cannot say what a plan needs"
        raise ConfigError("dialect", dialect, rule, 'Use "duckdb" or "postgres", which are verified') from None


def _names(plan: Plan, dialect: Dialect, row: str) -> list[str]:
    """Return what the features' columns are called."""
    most = _MOST.get(dialect.name)
    if most is not None and len(plan) > most:
        fix = f"Take fewer at a time: plan.take(range({most}))"
        raise ConfigError("plan", f"{len(plan)} features", f"{dialect.name} returns at most {most} columns", fix)
    if not dialect.numbered and len({name.lower() for name in (*plan.names, row)}) == len(plan) + 1:
        return list(plan.names)
    stem = "f" if not row.lower().startswith("f") else "feature_"
    return [f"{stem}{number}" for number in range(1, len(plan) + 1)]


def _header(plan: Plan, dialect: Dialect, names: list[str]) -> list[str]:
    lines = [] if dialect.verified else [f"-- unverified: this {dialect.name} text was parsed, never executed"]
    lines.append(f"-- {len(plan)} features of {json.dumps(plan.entity, ensure_ascii=False)}")
    if names != list(plan.names):
        lines += [
            f"-- {name}: {json.dumps(of, ensure_ascii=False)}" for name, of in zip(names, plan.names, strict=True)
        ]
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
    catalog: Catalog, targets: Targets, entity: str, features: Sequence[Feature], names: Sequence[str]
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
    asked = builder.put(builder.names.new("asked"), asked_rows(catalog, targets, features), "task rows")
    keys = tuple(Part(f"k{place}", kind) for place, (_, kind) in enumerate(targets.keys))
    related = [feature for feature in features if feature.aggregate not in OF_TASK_ROW]
    found: dict[Feature, Found] = {}
    select = exp.select(copy=False).from_(relation(asked), copy=False)
    if related:
        stand = builder.entities(asked, keys, entity, related)
        found = builder.evaluate(stand, related)
        # Rows at the stand itself are reached through it, rows of other relations by their own number.
        met = equal(column(stand.relation, "r"), column(asked, "r"))
        if any(where.relation is None for where in found.values()):
            select = select.join(relation(stand.relation), on=met, join_type="left", copy=False)
        select = builder.joined(select, asked, ("r",), found)
    columns: list[Node] = [alias(column(asked, "r"), targets.row)]
    for feature, name in zip(features, names, strict=True):
        own = feature.aggregate in OF_TASK_ROW
        value = of_task_row(catalog, asked, feature, features) if own else filled(feature, found[feature].value.copy())
        columns.append(alias(value, name))
    select = select.select(*columns, copy=False)
    for name, expression in builder.expressions:
        select = select.with_(exp.to_identifier(name, quoted=True), as_=expression, copy=False)
    return select

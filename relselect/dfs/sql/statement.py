"""A plan as one SQL statement.

The statement reads a table of task rows and the database's tables, and returns one row per task row. Each path is one
common table expression over one scan of its rows; windows and conditions are filters of its aggregates.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from relselect.database.clock import EVERYTHING
from relselect.database.table import SemanticType
from relselect.dfs.feature import Aggregate, Feature
from relselect.dfs.plan import Plan
from relselect.dfs.schema import Schema
from relselect.dfs.sql.builder import Builder, Found, filled, unit_of
from relselect.dfs.sql.catalog import Catalog, Warehouse
from relselect.dfs.sql.dialects import Dialect, dialect_of
from relselect.dfs.sql.nodes import (
    Node,
    alias,
    at_most,
    bigint,
    call,
    case,
    column,
    divided,
    double,
    equal,
    integer,
    minus,
    or_else,
    real,
    relation,
)
from relselect.dfs.sql.readings import Reading, read_as
from relselect.dfs.sql.walk import Part
from relselect.errors import ConfigError, PlanError
from relselect.problem import LABELS

__all__ = ["Targets", "statement", "to_sql"]

A = Aggregate
_OF_TASK_ROW = (A.CALENDAR, A.DELAY, A.ROW)
#: Columns that PostgreSQL allows in a result, with room for the row's own.
_MOST = {"postgres": 1600}
_PARTS = {"month": "MONTH", "day_of_year": "DOY", "hour": "HOUR"}


@dataclass(frozen=True)
class Targets:
    """The table of task rows.

    Attributes:
        table: Its name.
        row: The column that names a row.
        keys: The columns that hold the entity's key, and what they are compared as.
        cutoff: The column of cutoffs; None where no feature counts from them.
        asof: The column that says what is visible; None where that is the cutoff.
        ticks: Whether moments are stored as ticks already, declared features as what they are read as, and `asof` says
            all; else they are timestamps, or integers in an integer-time database.
        static: Whether everything is visible.
    """

    table: str
    row: str
    keys: tuple[tuple[str, str], ...]
    cutoff: str | None
    asof: str | None
    ticks: bool = False
    static: bool = False


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
        targets: The table of task rows.
        labels: What the table of past labels is called: the entity's key as `entity_0`, `entity_1`, ..., then `label`,
            `cutoff` and `known`, the moment from which the label is known.
        row: The column of the task rows that names a row.
        cutoff: The column that holds the cutoff.
        asof: The column that says up to when rows are visible, never later than the cutoff; None for the cutoff itself.
        namespace: The schema that holds the database's tables, None for the session's own.

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
        sqlglot.parse_one(body, read=dialect)
    return "\n".join([*_header(plan, spoken, names), body])


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
    asked = builder.put(builder.names.new("asked"), _asked(catalog, targets, features), "task rows")
    keys = tuple(Part(f"k{place}", kind) for place, (_, kind) in enumerate(targets.keys))
    related = [feature for feature in features if feature.aggregate not in _OF_TASK_ROW]
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
        own = feature.aggregate in _OF_TASK_ROW
        value = _of_task_row(catalog, asked, feature, features) if own else filled(feature, found[feature].value.copy())
        columns.append(alias(value, name))
    select = select.select(*columns, copy=False)
    for name, expression in builder.expressions:
        select = select.with_(exp.to_identifier(name, quoted=True), as_=expression, copy=False)
    return select


def _asked(catalog: Catalog, targets: Targets, features: Sequence[Feature]) -> exp.Select:
    """Return the task rows under names of our own."""
    columns = [alias(column(targets.table, targets.row), "r")]
    columns += [
        alias(_key(catalog.dialect, column(targets.table, name), kind), f"k{place}")
        for place, (name, kind) in enumerate(targets.keys)
    ]
    columns += [alias(node, name) for name, node in _moments(catalog, targets, features).items()]
    for place, feature in _declared(features).items():
        node: Node = column(targets.table, feature.column or "")
        columns.append(alias(node if targets.ticks else _declared_value(catalog, feature, node), place))
    return exp.select(*columns, copy=False).from_(relation(targets.table), copy=False)


def _key(dialect: Dialect, value: Node, kind: str) -> Node:
    return dialect.words(value) if kind == "text" else value


def _moments(catalog: Catalog, targets: Targets, features: Sequence[Feature]) -> dict[str, Node]:
    def ticks(name: str) -> Node:
        value = column(targets.table, name)
        if targets.ticks:
            return value
        kind = "int64" if catalog.schema.time_kind == "integer" else "timestamp[us]"
        return read_as(catalog.dialect, kind, value, Reading.TICKS)

    needed = not targets.static or any(map(_counts_from_cutoff, features))
    cutoff = ticks(targets.cutoff) if targets.cutoff is not None and needed else bigint(integer(0))
    if targets.static:
        return {"cutoff": cutoff, "asof": bigint(integer(EVERYTHING))}
    if targets.asof is None:
        return {"cutoff": cutoff, "asof": cutoff.copy()}
    if targets.ticks:
        return {"cutoff": cutoff, "asof": ticks(targets.asof)}
    seen = or_else(ticks(targets.asof), cutoff.copy())
    return {"cutoff": cutoff, "asof": call("LEAST", seen, cutoff.copy())}


def _counts_from_cutoff(feature: Feature) -> bool:
    counts = feature.aggregate in (A.CALENDAR, A.SINCE_FIRST, A.SINCE_LAST) or feature.type == SemanticType.TIMESTAMP
    return counts or feature.window is not None or (feature.base is not None and _counts_from_cutoff(feature.base))


def _declared(features: Sequence[Feature]) -> dict[str, Feature]:
    """Return the declared task-row features by the names of their columns."""
    found = dict.fromkeys(feature for feature in features if feature.aggregate == A.ROW)
    return {f"d{place}": feature for place, feature in enumerate(found)}


def _declared_value(catalog: Catalog, feature: Feature, value: Node) -> Node:
    if feature.type == SemanticType.CATEGORICAL:
        return catalog.dialect.words(value)
    if feature.type == SemanticType.TIMESTAMP:
        return read_as(catalog.dialect, "timestamp[us]", value, Reading.NUMBER)
    return read_as(catalog.dialect, "double", value, Reading.NUMBER)


def _of_task_row(catalog: Catalog, asked: str, feature: Feature, features: Sequence[Feature]) -> Node:
    """Return what the task row itself says."""
    unit = unit_of(catalog.schema.time_kind)
    cutoff = column(asked, "cutoff")
    if feature.aggregate == A.CALENDAR:
        return _calendar(catalog.dialect, feature.column or "", cutoff)
    if feature.aggregate == A.DELAY:
        delay = minus(cutoff, call("LEAST", column(asked, "asof"), cutoff.copy()))
        known = at_most(column(asked, "asof"), integer(EVERYTHING - 1))
        return case((known, _scaled(double(delay), unit)), default=real(0))
    name = next(name for name, declared in _declared(features).items() if declared == feature)
    value: Node = column(asked, name)
    return _scaled(minus(double(cutoff), value), unit) if feature.type == SemanticType.TIMESTAMP else value


def _scaled(ticks: Node, unit: int) -> Node:
    return ticks if unit == 1 else divided(ticks, real(unit))


def _calendar(dialect: Dialect, part: str, cutoff: Node) -> Node:
    moment = dialect.moment(cutoff)
    if part == "weekday":
        # Sunday is 0 in DOW, Monday is 0 here.
        sunday_first = exp.Extract(this=exp.Var(this="DOW"), expression=moment)
        return exp.Mod(
            this=exp.Paren(this=exp.Add(this=bigint(sunday_first), expression=integer(6))), expression=integer(7)
        )
    return exp.Extract(this=exp.Var(this=_PARTS[part]), expression=moment)

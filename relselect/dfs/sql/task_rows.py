"""The table of task rows of a statement, and the features of the task row itself: calendar, delay, declared columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from relselect.database.clock import EVERYTHING
from relselect.database.table import SemanticType
from relselect.dfs.plan.feature import Aggregate, Feature
from relselect.dfs.sql.builder import unit_of
from relselect.dfs.sql.catalog import SqlCatalog
from relselect.dfs.sql.dialects import Dialect
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
    integer,
    minus,
    or_else,
    real,
    stored,
)
from relselect.dfs.sql.readings import ColumnReading, read_as

__all__ = ["TaskRowTable", "of_task_row", "task_rows"]

A = Aggregate
_PARTS = {"month": "MONTH", "day_of_year": "DOY", "weekday": "DOW", "hour": "HOUR"}


@dataclass(frozen=True)
class TaskRowTable:
    """The table of task rows.

    Attributes:
        table: Its name.
        row: The column that identifies a row.
        keys: The columns that hold the entity's key, and the kinds of type that they are compared as.
        cutoff: The column of cutoffs; None where no feature counts from them.
        asof: The column of asofs; None where every asof is the cutoff.
        ticks: Whether times are stored as ticks, declared features already converted, and `asof` is never NULL. Otherwise
            times are timestamps, or integers in an integer-time database.
        static: Whether everything is visible.
    """

    table: str
    row: str
    keys: tuple[tuple[str, str], ...]
    cutoff: str | None
    asof: str | None
    ticks: bool = False
    static: bool = False


def task_rows(catalog: SqlCatalog, targets: TaskRowTable, features: Sequence[Feature]) -> exp.Select:
    """Return the task rows as the columns r, k0, k1, ..., cutoff, asof, until, and d0, d1, ... for declared features."""
    columns = [alias(column(targets.table, targets.row), "r")]
    columns += [
        alias(_key(catalog.dialect, column(targets.table, name), kind), f"k{place}")
        for place, (name, kind) in enumerate(targets.keys)
    ]
    columns += [alias(node, name) for name, node in _moments(catalog, targets, features).items()]
    for place, feature in _declared(features).items():
        node: Node = column(targets.table, feature.column or "")
        columns.append(alias(node if targets.ticks else _declared_value(catalog, feature, node), place))
    return exp.select(*columns, copy=False).from_(stored(targets.table), copy=False)


def _key(dialect: Dialect, value: Node, kind: str) -> Node:
    return dialect.words(value) if kind == "text" else value


def _moments(catalog: SqlCatalog, targets: TaskRowTable, features: Sequence[Feature]) -> dict[str, Node]:
    """Return the clocks of task rows in ticks; `until`, where their windows end, is `min(cutoff, asof)` as in `window_start`."""

    def ticks(name: str) -> Node:
        value = column(targets.table, name)
        if targets.ticks:
            return value
        kind = "int64" if catalog.schema.time_kind == "integer" else "timestamp[us]"
        return read_as(catalog.dialect, kind, value, ColumnReading.TICKS)

    needed = not targets.static or any(map(_counts_from_cutoff, features))
    cutoff = ticks(targets.cutoff) if targets.cutoff is not None and needed else bigint(integer(0))
    if targets.static:
        return {"cutoff": cutoff, "asof": bigint(integer(EVERYTHING)), "until": cutoff.copy()}
    if targets.asof is None:
        return {"cutoff": cutoff, "asof": cutoff.copy(), "until": cutoff.copy()}
    if targets.ticks:
        until = call("LEAST", ticks(targets.asof), cutoff.copy())
        return {"cutoff": cutoff, "asof": ticks(targets.asof), "until": until}
    asof = call("LEAST", or_else(ticks(targets.asof), cutoff.copy()), cutoff.copy())
    return {"cutoff": cutoff, "asof": asof, "until": asof.copy()}


def _counts_from_cutoff(feature: Feature) -> bool:
    return any(
        each.aggregate in (A.CALENDAR, A.SINCE_FIRST, A.SINCE_LAST)
        or each.type == SemanticType.TIMESTAMP
        or each.window is not None
        for each in feature.chain
    )


def _declared(features: Sequence[Feature]) -> dict[str, Feature]:
    """Return the declared task-row features by the names of their columns."""
    found = dict.fromkeys(feature for feature in features if feature.aggregate == A.ROW)
    return {f"d{place}": feature for place, feature in enumerate(found)}


def _declared_value(catalog: SqlCatalog, feature: Feature, value: Node) -> Node:
    if feature.type == SemanticType.CATEGORICAL:
        return catalog.dialect.words(value)
    if feature.type == SemanticType.TIMESTAMP:
        return read_as(catalog.dialect, "timestamp[us]", value, ColumnReading.NUMBER)
    return read_as(catalog.dialect, "double", value, ColumnReading.NUMBER)


def of_task_row(catalog: SqlCatalog, asked: str, feature: Feature, features: Sequence[Feature]) -> Node:
    """Return the value of a feature of the task row itself."""
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
    found = bigint(exp.Extract(this=exp.Var(this=_PARTS[part]), expression=moment))
    if part != "weekday":
        return found
    # Sunday is 0 in DOW, Monday is 0 here.
    return exp.Mod(this=exp.Paren(this=exp.Add(this=found, expression=integer(6))), expression=integer(7))

"""Translates features into common table expressions. Nothing here formats or runs SQL.

Features are evaluated for *subjects*: a relation of rows with a cutoff and an asof each. The first subjects are the task rows,
joined to their entities' rows. The feature inside a nested feature is evaluated for other subjects: the pairs of an outer
subject and a row that it sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlglot import exp

from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.plan.feature import Aggregate, Feature, Route
from relselect.dfs.sql.aggregates import PathAggregates
from relselect.dfs.sql.catalog import KeyPart, SqlCatalog, matches
from relselect.dfs.sql.names import UniqueNames
from relselect.dfs.sql.nodes import (
    Node,
    alias,
    at_most,
    case,
    column,
    divided,
    double,
    equal,
    every,
    integer,
    minus,
    or_else,
    real,
    relation,
)
from relselect.dfs.sql.path_rows import KeyColumn, MaskClock, ParentRow, PathRows
from relselect.dfs.sql.readings import ColumnReading, reading_of
from relselect.dfs.sql.value_counts import value_counts
from relselect.dfs.sql.visible_rows import ReadColumns, VisibleRows

__all__ = ["Builder", "FeatureColumn", "Subjects", "filled", "unit_of", "valued"]

A = Aggregate
_ORDERED = (A.FIRST, A.LAST)
_BY_VALUE_COUNTS = (A.MODE, A.ENTROPY)
#: The clocks of every relation of subjects; windows end at `until`.
_CLOCKS = ("cutoff", "asof", "until")
#: The column that identifies a task row.
_TASK_ROW = ("r",)


class FeatureColumn(NamedTuple):
    """Where a feature's values are found.

    Attributes:
        relation: A relation with the ids of the subjects; None for the subjects' own relation.
        value: The value there.
    """

    relation: str | None
    value: Node


@dataclass(frozen=True)
class Subjects:
    """Rows that features are evaluated for.

    Attributes:
        relation: Their common table expression, with the columns `cutoff`, `asof` and `until`.
        table: The table that the features' paths start at.
        ids: The columns that identify a subject.
        parents: Steps up -> the parent's row that paths with these steps go down from.
        values: Steps up, column and reading -> the column that holds the value read there, and the column that holds the time
            from which it is known (None for at once).
    """

    relation: str
    table: str
    ids: tuple[str, ...]
    parents: Mapping[Route, ParentRow]
    values: Mapping[tuple[Route, str, ColumnReading], tuple[str, str | None]]


def unit_of(time_kind: str | None) -> int:
    """Return the ticks of one day, or 1 where times are integers or there are none."""
    return DAY if time_kind == "timestamp" else 1


class Builder:
    """Collects the common table expressions of one statement.

    Args:
        catalog: The database.
        taken: Names that the expressions must not have.
    """

    def __init__(self, catalog: SqlCatalog, taken: Sequence[str]) -> None:
        self.catalog = catalog
        self.names = UniqueNames([*taken, "g", "i", "x"])
        self.unit = unit_of(catalog.schema.time_kind)
        self.expressions: list[tuple[str, exp.Select]] = []

    def put(self, name: str, select: exp.Select, comment: str = "") -> str:
        """Add a common table expression and return its name."""
        if comment:
            select.add_comments([f" {comment} "])
        self.expressions.append((name, select))
        return name

    # subjects

    def entities(self, asked: str, keys: tuple[KeyColumn, ...], entity: str, features: Sequence[Feature]) -> Subjects:
        """Return the task rows whose entity's row exists and is visible, as subjects.

        Args:
            asked: The relation of task rows, with the columns `r`, `cutoff`, `asof` and `until`.
            keys: Its columns that identify the entity.
            entity: The entity's table.
            features: The features that will be evaluated for them.
        """
        path = PathRows(self.catalog, entity, (), (), [*_TASK_ROW, *_CLOCKS])
        rows = self.names.new(f"rows_{entity}")
        visible = VisibleRows(
            self.catalog.dialect, rows, asked, _TASK_ROW, path.time, tuple(zip(keys, path.keys, strict=True))
        )
        return self._subjects(visible, path, features, "seen", f"{entity}, as far as visible")

    def _subjects(
        self,
        visible: VisibleRows,
        path: PathRows,
        features: Sequence[Feature],
        stem: str,
        comment: str,
        *,
        more_ids: tuple[str, ...] = (),
        window: int | None = None,
    ) -> Subjects:
        parents = {feature.parts[0]: None for feature in features if feature.parts[1]}
        values = {
            (feature.path, feature.column or "", reading_of(feature)): None
            for feature in features
            if feature.aggregate == A.DIRECT
        }
        found_parents = {up: path.parent_row(up) for up in parents}
        found_values = {wanted: path.direct(*wanted) for wanted in values}
        # The table of the entity is joined once; only tables below it need to be narrowed to the owners asked about.
        rows = path.select() if stem == "seen" else path.select(self._owner_is_asked(visible, path))
        self.put(visible.rows, rows, comment)
        columns: list[Node] = [*visible.identified(), visible.cutoff, visible.asof, visible.until]
        columns += [column(visible.rows, name) for name in path.column_names]
        name = self.names.new(stem)
        select = exp.select(*columns, copy=False).from_(relation(visible.asked), copy=False)
        self.put(name, select.join(relation(visible.rows), on=every(visible.visibility(window)), copy=False))
        return Subjects(name, path.table, (*visible.ids, *more_ids), found_parents, found_values)

    # features

    def evaluate(self, subjects: Subjects, features: Sequence[Feature]) -> dict[Feature, FeatureColumn]:
        """Return where the values of features are found, by feature."""
        found: dict[Feature, FeatureColumn] = {}
        groups: dict[tuple[Route, bool], list[Feature]] = {}
        for feature in features:
            if feature.aggregate == A.DIRECT:
                found[feature] = FeatureColumn(None, self._direct(subjects, feature))
            else:
                groups.setdefault((feature.path, feature.base is not None), []).append(feature)
        for (route, nested), members in groups.items():
            found |= self._nested(subjects, route, members) if nested else self._plain(subjects, route, members)
        return found

    def _direct(self, subjects: Subjects, feature: Feature) -> Node:
        value, time = subjects.values[feature.path, feature.column or "", reading_of(feature)]
        result: Node = column(subjects.relation, value)
        if feature.type == SemanticType.TIMESTAMP:
            result = minus(double(column(subjects.relation, "cutoff")), result)
            result = result if self.unit == 1 else divided(result, real(self.unit))
        if time is None:
            return result
        return case((at_most(column(subjects.relation, time), column(subjects.relation, "asof")), result))

    def _plain(self, subjects: Subjects, route: Route, features: list[Feature]) -> dict[Feature, FeatureColumn]:
        """Evaluate the features of one path that read columns."""
        up, down, then = features[0].parts
        path = PathRows(self.catalog, up[-1].table if up else subjects.table, down, then, [*_CLOCKS, *subjects.ids])
        reads = [(feature, self._read(path, feature)) for feature in features]
        rows = self.names.new(f"rows_{path.table}")
        visible = self._visible_rows(subjects, up, path, rows)
        self.put(rows, path.select(self._owner_is_asked(visible, path)), _path(route))
        return self._aggregated(visible, reads)

    def _owner_is_asked(self, visible: VisibleRows, path: PathRows) -> Node | None:
        """Return the condition that some subject asks about a row's owner, so that no other rows are sorted.

        None for pairs: they are many and ask about most rows, so the condition would cost more than it saves.
        """
        if visible.ids != _TASK_ROW:
            return None
        theirs = [KeyPart(column("o", mine.name), mine.kind) for mine, _ in visible.keys]
        met = every(matches(*sides, self.catalog.dialect) for sides in zip(theirs, path.owner(), strict=True))
        asked = exp.select(integer(1), copy=False).from_(relation(visible.asked, "o"), copy=False)
        return exp.Exists(this=asked.where(met, copy=False))

    def _visible_rows(self, subjects: Subjects, up: Route, path: PathRows, rows: str) -> VisibleRows:
        parent_row = subjects.parents[up]
        keys = tuple(zip(parent_row.keys, path.keys, strict=True))
        return VisibleRows(
            self.catalog.dialect, rows, subjects.relation, subjects.ids, path.time, keys, parent_row.time
        )

    def _read(self, path: PathRows, feature: Feature) -> ReadColumns:
        value: tuple[str, ...] = ()
        if feature.type == SemanticType.KEY:
            value = path.parent_key()
        elif feature.column is not None:
            value = (path.value(feature.column, reading_of(feature)),)
        clocks: list[MaskClock | None] = [path.clock(feature.column)] if feature.column is not None else []
        return self._timed(path, feature, value, clocks)

    def _timed(
        self, path: PathRows, feature: Feature, value: tuple[str, ...], clocks: list[MaskClock | None]
    ) -> ReadColumns:
        condition = None
        if feature.where is not None:
            condition = path.condition(feature.where.column, feature.where.value)
            clocks = [*clocks, path.clock(feature.where.column, of_rows=True)]
        moment = path.moment(frozenset(clock for clock in clocks if clock is not None))
        masked = feature.column if feature.column is not None and path.clock(feature.column) else None
        sequence = path.sequence(moment, masked) if feature.aggregate in _ORDERED else None
        plain = feature.aggregate == A.NUM_UNIQUE and feature.base is None
        previous = path.previous(value, moment, condition) if plain else None
        return ReadColumns(value, moment, condition, sequence, previous)

    def _nested(self, subjects: Subjects, route: Route, features: list[Feature]) -> dict[Feature, FeatureColumn]:
        """Evaluate the features of one path that aggregate a feature of its rows."""
        up, down, _ = features[0].parts
        path = PathRows(self.catalog, up[-1].table if up else subjects.table, down, (), [*_CLOCKS, *subjects.ids])
        timed = {feature: self._timed(path, feature, (), []) for feature in features}
        bases = list(dict.fromkeys(feature.base for feature in features if feature.base is not None))
        more_ids = path.number() if any(base.parts[1] for base in bases) else ()
        visible = self._visible_rows(subjects, up, path, self.names.new(f"rows_{path.table}"))
        window = visible.longest_window([(feature, timed[feature]) for feature in features])
        pairs = self._subjects(visible, path, bases, "pairs", _path(route), more_ids=more_ids, window=window)
        values = self._with_values(pairs, self.evaluate(pairs, bases), path.names)
        paired = VisibleRows(self.catalog.dialect, values[0], values[0], subjects.ids, path.time, ())
        reads = []
        for feature in features:
            read = timed[feature]
            name = values[1][feature.base] if feature.base is not None else ""
            reads.append((feature, ReadColumns((name,), read.moment, read.condition, read.sequence)))
        return self._aggregated(paired, reads)

    def _with_values(
        self, pairs: Subjects, found: dict[Feature, FeatureColumn], names: UniqueNames
    ) -> tuple[str, dict[Feature | None, str]]:
        """Return the relation of pairs with the values of nested features, and the columns of these by feature."""
        columns: dict[Feature | None, str] = {}
        selected: list[Node] = [exp.Column(this=exp.Star(), table=exp.to_identifier(pairs.relation, quoted=True))]
        for feature, where in found.items():
            columns[feature] = names.new("base")
            selected.append(
                alias(
                    double(filled(feature, where.value)) if not feature.categorical else where.value, columns[feature]
                )
            )
        select = exp.select(*selected, copy=False).from_(relation(pairs.relation), copy=False)
        return self.put(self.names.new("valued"), self.joined(select, pairs.relation, pairs.ids, found)), columns

    def joined(
        self, select: exp.Select, to: str, ids: tuple[str, ...], found: Mapping[Feature, FeatureColumn]
    ) -> exp.Select:
        """Join the relations that hold features to the relation `to`, which has the same ids."""
        for name in dict.fromkeys(where.relation for where in found.values() if where.relation is not None):
            met = every(equal(column(name, key), column(to, key)) for key in ids)
            select = select.join(relation(name), on=met, join_type="left", copy=False)
        return select

    def _aggregated(
        self, visible: VisibleRows, reads: list[tuple[Feature, ReadColumns]]
    ) -> dict[Feature, FeatureColumn]:
        """Aggregate features whose values are columns of the rows."""
        aggregates = PathAggregates(visible, self.names, self.unit)
        plain: dict[Feature, tuple[str, Node]] = {}
        by_value: dict[str, list[tuple[str, Feature, ReadColumns]]] = {}
        for number, (feature, read) in enumerate(reads, start=1):
            if feature.aggregate in _BY_VALUE_COUNTS or (feature.aggregate == A.NUM_UNIQUE and visible.paired):
                by_value.setdefault(read.value[0], []).append((f"f{number}", feature, read))
            else:
                plain[feature] = (f"f{number}", aggregates.feature(feature, read))
        found: dict[Feature, FeatureColumn] = {}
        if plain:
            name = self._put_all(aggregates.expressions(list(plain.values())))
            found |= {
                feature: FeatureColumn(name, column(name, column_name)) for feature, (column_name, _) in plain.items()
            }
        for members in by_value.values():
            name = self._put_all(value_counts(visible, self.names, members))
            found |= {feature: FeatureColumn(name, column(name, column_name)) for column_name, feature, _ in members}
        return found

    def _put_all(self, parts: list[tuple[str, exp.Select]]) -> str:
        for name, select in parts:
            self.put(name, select)
        return parts[-1][0]


def valued(feature: Feature, found: Mapping[Feature, FeatureColumn]) -> Node:
    """Return a feature's value from where its leaves are found; a ratio or difference of missing operands is missing."""
    values = [filled(leaf, found[leaf].value.copy()) for leaf in feature.leaves]
    if not feature.operands:
        return values[0]
    first, second = map(double, values)
    if feature.aggregate == A.DIFFERENCE:
        return minus(first, second)
    return divided(first, exp.Nullif(this=second, expression=real(0)))


def filled(feature: Feature, value: Node) -> Node:
    """Return a feature's value, 0 in place of a missing count or sum."""
    nothing = {A.COUNT: integer(0), A.SUM: real(0)}.get(feature.aggregate)
    return value if nothing is None else or_else(value, nothing)


def _path(route: Route) -> str:
    """Return a path for comments; sqlglot's generator escapes whatever would close one."""
    return ".".join(f"{hop.table}[{hop.key}]" if hop.down else f"{hop.table}({hop.key})" for hop in route)

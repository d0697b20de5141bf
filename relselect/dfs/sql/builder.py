"""From features to common table expressions.

Whoever is asked about stands somewhere: a task row at its entity's row, a nested feature at a row that the outer feature
aggregates. A `Stand` is a relation of such places with a cutoff and an asof each; features are evaluated on a stand, and a
nested feature makes a new stand of the pairs of an old one and the rows it sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlglot import exp

from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.plan.feature import Aggregate, Feature, Route
from relselect.dfs.sql.catalog import Catalog, Key, matches
from relselect.dfs.sql.names import Names
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
from relselect.dfs.sql.readings import Reading, reading_of
from relselect.dfs.sql.scan import Scan
from relselect.dfs.sql.source import Read, Source
from relselect.dfs.sql.tally import tally
from relselect.dfs.sql.walk import Clock, Part, Place, Walk

__all__ = ["Builder", "Found", "Stand", "unit_of"]

A = Aggregate
_ORDERED = (A.FIRST, A.LAST)
_TALLIED = (A.MODE, A.ENTROPY)
#: When who asks asks, up to when they see, and where their windows end.
_CLOCKS = ("cutoff", "asof", "until")
#: The column that identifies a task row.
_TASK_ROW = ("r",)


class Found(NamedTuple):
    """Where a feature stands: in a relation keyed like its stand, None for the stand itself."""

    relation: str | None
    value: Node


@dataclass(frozen=True)
class Stand:
    """Rows that features are evaluated for.

    Attributes:
        relation: Its common table expression, with the columns `cutoff`, `asof` and `until`.
        table: The table whose rows stand for the entity.
        ids: The columns that identify a row.
        places: The rows above that features start from, by steps up.
        values: Columns of values read above, and since when they are known, by steps up, column and reading.
    """

    relation: str
    table: str
    ids: tuple[str, ...]
    places: Mapping[Route, Place]
    values: Mapping[tuple[Route, str, Reading], tuple[str, str | None]]


def unit_of(time_kind: str | None) -> int:
    """Return the ticks of one day, or 1 where times are integers or there are none."""
    return DAY if time_kind == "timestamp" else 1


class Builder:
    """Collects common table expressions.

    Args:
        catalog: The database.
        taken: Names that they must not have.
    """

    def __init__(self, catalog: Catalog, taken: Sequence[str]) -> None:
        self.catalog = catalog
        self.names = Names([*taken, "g", "i", "x"])
        self.unit = unit_of(catalog.schema.time_kind)
        self.expressions: list[tuple[str, exp.Select]] = []

    def put(self, name: str, select: exp.Select, comment: str = "") -> str:
        """Add a common table expression and return its name."""
        if comment:
            select.add_comments([f" {comment} "])
        self.expressions.append((name, select))
        return name

    # stands

    def entities(self, asked: str, keys: tuple[Part, ...], entity: str, features: Sequence[Feature]) -> Stand:
        """Return the stand of task rows: those whose entity's row is there and visible.

        Args:
            asked: The relation of task rows, with the columns `r`, `cutoff`, `asof` and `until`.
            keys: Its columns that identify the entity.
            entity: The entity's table.
            features: What will be evaluated.
        """
        walk = Walk(self.catalog, entity, (), (), [*_TASK_ROW, *_CLOCKS])
        rows = self.names.new(f"rows_{entity}")
        source = Source(
            self.catalog.dialect, rows, asked, _TASK_ROW, walk.time, tuple(zip(keys, walk.keys, strict=True))
        )
        return self._stand(source, walk, features, "seen", f"{entity}, as far as visible")

    def _stand(
        self,
        source: Source,
        walk: Walk,
        features: Sequence[Feature],
        stem: str,
        comment: str,
        *,
        further: tuple[str, ...] = (),
        window: int | None = None,
    ) -> Stand:
        places = {feature.parts[0]: None for feature in features if feature.parts[1]}
        values = {
            (feature.path, feature.column or "", reading_of(feature)): None
            for feature in features
            if feature.aggregate == A.DIRECT
        }
        found_places = {up: walk.place(up) for up in places}
        found_values = {wanted: walk.direct(*wanted) for wanted in values}
        # The entity's own rows are met once.
        rows = walk.select() if stem == "seen" else walk.select(self._owned(source, walk))
        self.put(source.rows, rows, comment)
        columns: list[Node] = [*source.identified(), source.cutoff, source.asof, source.until]
        columns += [column(source.rows, name) for name in walk.given]
        name = self.names.new(stem)
        select = exp.select(*columns, copy=False).from_(relation(source.asked), copy=False)
        self.put(name, select.join(relation(source.rows), on=every(source.visible(window)), copy=False))
        return Stand(name, walk.table, (*source.ids, *further), found_places, found_values)

    # features

    def evaluate(self, stand: Stand, features: Sequence[Feature]) -> dict[Feature, Found]:
        """Return where the features of a stand are found."""
        found: dict[Feature, Found] = {}
        groups: dict[tuple[Route, bool], list[Feature]] = {}
        for feature in features:
            if feature.aggregate == A.DIRECT:
                found[feature] = Found(None, self._direct(stand, feature))
            else:
                groups.setdefault((feature.path, feature.base is not None), []).append(feature)
        for (route, nested), members in groups.items():
            found |= self._nested(stand, route, members) if nested else self._plain(stand, route, members)
        return found

    def _direct(self, stand: Stand, feature: Feature) -> Node:
        value, time = stand.values[feature.path, feature.column or "", reading_of(feature)]
        said: Node = column(stand.relation, value)
        if feature.type == SemanticType.TIMESTAMP:
            said = minus(double(column(stand.relation, "cutoff")), said)
            said = said if self.unit == 1 else divided(said, real(self.unit))
        if time is None:
            return said
        return case((at_most(column(stand.relation, time), column(stand.relation, "asof")), said))

    def _plain(self, stand: Stand, route: Route, features: list[Feature]) -> dict[Feature, Found]:
        """All features of one path that read columns."""
        up, down, then = features[0].parts
        walk = Walk(self.catalog, up[-1].table if up else stand.table, down, then, [*_CLOCKS, *stand.ids])
        reads = [(feature, self._read(walk, feature)) for feature in features]
        rows = self.names.new(f"rows_{walk.table}")
        source = self._source(stand, up, walk, rows)
        self.put(rows, walk.select(self._owned(source, walk)), _path(route))
        return self._scanned(source, reads)

    def _owned(self, source: Source, walk: Walk) -> Node | None:
        """Whether a row's owner is asked about: what few task rows see is not sorted with all the rest.

        Pairs are many and ask about most rows, so they are not looked through.
        """
        if source.ids != _TASK_ROW:
            return None
        theirs = [Key(column("o", mine.name), mine.kind) for mine, _ in source.keys]
        met = every(matches(*sides, self.catalog.dialect) for sides in zip(theirs, walk.owner(), strict=True))
        asked = exp.select(integer(1), copy=False).from_(relation(source.asked, "o"), copy=False)
        return exp.Exists(this=asked.where(met, copy=False))

    def _source(self, stand: Stand, up: Route, walk: Walk, rows: str) -> Source:
        place = stand.places[up]
        keys = tuple(zip(place.keys, walk.keys, strict=True))
        return Source(self.catalog.dialect, rows, stand.relation, stand.ids, walk.time, keys, place.time)

    def _read(self, walk: Walk, feature: Feature) -> Read:
        value: tuple[str, ...] = ()
        if feature.type == SemanticType.KEY:
            value = walk.parent()
        elif feature.column is not None:
            value = (walk.value(feature.column, reading_of(feature)),)
        clocks: list[Clock | None] = [walk.clock(feature.column)] if feature.column is not None else []
        return self._timed(walk, feature, value, clocks)

    def _timed(self, walk: Walk, feature: Feature, value: tuple[str, ...], clocks: list[Clock | None]) -> Read:
        condition = None
        if feature.where is not None:
            condition = walk.condition(feature.where.column, feature.where.value)
            clocks = [*clocks, walk.clock(feature.where.column, of_rows=True)]
        moment = walk.moment(frozenset(clock for clock in clocks if clock is not None))
        masked = feature.column if feature.column is not None and walk.clock(feature.column) else None
        sequence = walk.sequence(moment, masked) if feature.aggregate in _ORDERED else None
        plain = feature.aggregate == A.NUM_UNIQUE and feature.base is None
        previous = walk.previous(value, moment, condition) if plain else None
        return Read(value, moment, condition, sequence, previous)

    def _nested(self, stand: Stand, route: Route, features: list[Feature]) -> dict[Feature, Found]:
        """All features of one path that aggregate a feature of its rows."""
        up, down, _ = features[0].parts
        walk = Walk(self.catalog, up[-1].table if up else stand.table, down, (), [*_CLOCKS, *stand.ids])
        timed = {feature: self._timed(walk, feature, (), []) for feature in features}
        bases = list(dict.fromkeys(feature.base for feature in features if feature.base is not None))
        further = walk.number() if any(base.parts[1] for base in bases) else ()
        source = self._source(stand, up, walk, self.names.new(f"rows_{walk.table}"))
        window = source.widest([(feature, timed[feature]) for feature in features])
        pairs = self._stand(source, walk, bases, "pairs", _path(route), further=further, window=window)
        values = self._valued(pairs, self.evaluate(pairs, bases), walk.names)
        paired = Source(self.catalog.dialect, values[0], values[0], stand.ids, walk.time, ())
        reads = []
        for feature in features:
            read = timed[feature]
            name = values[1][feature.base] if feature.base is not None else ""
            reads.append((feature, Read((name,), read.moment, read.condition, read.sequence)))
        return self._scanned(paired, reads)

    def _valued(self, pairs: Stand, found: dict[Feature, Found], names: Names) -> tuple[str, dict[Feature | None, str]]:
        """Return the pairs with the nested features beside them, and the names of these."""
        columns: dict[Feature | None, str] = {}
        said: list[Node] = [exp.Column(this=exp.Star(), table=exp.to_identifier(pairs.relation, quoted=True))]
        for feature, where in found.items():
            columns[feature] = names.new("base")
            said.append(
                alias(
                    double(filled(feature, where.value)) if not feature.categorical else where.value, columns[feature]
                )
            )
        select = exp.select(*said, copy=False).from_(relation(pairs.relation), copy=False)
        return self.put(self.names.new("valued"), self.joined(select, pairs.relation, pairs.ids, found)), columns

    def joined(self, select: exp.Select, to: str, ids: tuple[str, ...], found: Mapping[Feature, Found]) -> exp.Select:
        """Join the relations that features are found in to a relation with the same ids."""
        for name in dict.fromkeys(where.relation for where in found.values() if where.relation is not None):
            met = every(equal(column(name, key), column(to, key)) for key in ids)
            select = select.join(relation(name), on=met, join_type="left", copy=False)
        return select

    def _scanned(self, source: Source, reads: list[tuple[Feature, Read]]) -> dict[Feature, Found]:
        """Compute features whose values stand in the rows."""
        scan = Scan(source, self.names, self.unit)
        plain: dict[Feature, tuple[str, Node]] = {}
        counted: dict[str, list[tuple[str, Feature, Read]]] = {}
        for number, (feature, read) in enumerate(reads, start=1):
            if feature.aggregate in _TALLIED or (feature.aggregate == A.NUM_UNIQUE and source.paired):
                counted.setdefault(read.value[0], []).append((f"f{number}", feature, read))
            else:
                plain[feature] = (f"f{number}", scan.feature(feature, read))
        found: dict[Feature, Found] = {}
        if plain:
            name = self._put_all(scan.expressions(list(plain.values())))
            found |= {feature: Found(name, column(name, known_as)) for feature, (known_as, _) in plain.items()}
        for members in counted.values():
            name = self._put_all(tally(source, self.names, members))
            found |= {feature: Found(name, column(name, known_as)) for known_as, feature, _ in members}
        return found

    def _put_all(self, parts: list[tuple[str, exp.Select]]) -> str:
        for name, select in parts:
            self.put(name, select)
        return parts[-1][0]


def filled(feature: Feature, value: Node) -> Node:
    """Return a feature's value with the count or sum of nothing, which is 0."""
    nothing = {A.COUNT: integer(0), A.SUM: real(0)}.get(feature.aggregate)
    return value if nothing is None else or_else(value, nothing)


def _path(route: Route) -> str:
    """Return a path for readers; the generator keeps comments from being closed."""
    return ".".join(f"{hop.table}[{hop.key}]" if hop.down else f"{hop.table}({hop.key})" for hop in route)

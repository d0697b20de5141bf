"""One pass over the rows that task rows see: all aggregates of a path, windows and conditions as filters.

Deviations are taken from a value among those aggregated, so that a key at 1e9 with a tiny variance keeps its digits: the
owner's first value where all history counts, the mean of the window where not (which reads the windows' rows a second time).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot import exp

from relselect.database.table import SemanticType
from relselect.dfs.plan.feature import Aggregate, Feature
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
    inner,
    integer,
    later,
    minus,
    or_else,
    plus,
    present,
    real,
    relation,
    text,
    times,
)
from relselect.dfs.sql.visible_rows import ReadColumns, VisibleRows

__all__ = ["PathAggregates"]

A = Aggregate


class _Request:
    """A feature and what it reads."""

    def __init__(self, feature: Feature, read: ReadColumns) -> None:
        self.feature, self.read, self.window = feature, read, feature.window
        self.value = read.value[0] if read.value else ""
        #: Which rows are aggregated, and with the value read: what tells aggregates of one scan apart.
        self.rows = (read.moment, read.condition, feature.window)
        self.key = (self.value, *self.rows)


class PathAggregates:
    """The aggregates of one path.

    Args:
        source: The rows.
        names: Gives names to common table expressions.
        unit: Ticks of one day, or 1 for integer times.
    """

    def __init__(self, source: VisibleRows, names: UniqueNames, unit: int) -> None:
        self.source, self.unit = source, unit
        self.dialect = source.dialect
        self._names = names
        self._aggregates: dict[object, tuple[str, Node]] = {}
        self._anchors: dict[str, dict[object, tuple[str, Node]]] = {}
        self._near: list[tuple[Feature, ReadColumns]] = []
        self._asked: list[tuple[Feature, ReadColumns]] = []
        self._first_name, self._near_name = names.new("firsts"), names.new("means")

    # pieces

    def _aggregate(self, key: object, make: Callable[[], Node]) -> Node:
        """Return the aggregate that a key stands for."""
        if key not in self._aggregates:
            self._aggregates[key] = (f"a{len(self._aggregates) + 1}", make())
        return column("g", self._aggregates[key][0])

    def _count(self, asked: _Request, *more: Node, of: str = "rows") -> Node:
        when = self.source.when(asked.read, asked.window, *more)
        return self._aggregate((of, asked.rows), lambda: self.dialect.count(when))

    def _of(self, kind: str, make: Callable[[Node], Node], name: str, asked: _Request, *more: Node) -> Node:
        """Return an aggregate of a column; further conditions go by the kind."""
        return self._aggregate(
            (kind, name, asked.rows),
            lambda: self.dialect.aggregate(
                make, self.source.row(name), self.source.when(asked.read, asked.window, *more)
            ),
        )

    def _least(self, name: str, asked: _Request) -> Node:
        return self._of("least", lambda node: exp.Min(this=node), name, asked)

    def _most(self, name: str, asked: _Request) -> Node:
        return self._of("most", lambda node: exp.Max(this=node), name, asked)

    def _age(self, ticks: Node) -> Node:
        """Return how long before the cutoff a moment is."""
        cutoff = self._aggregate("cutoff", lambda: exp.Max(this=self.source.cutoff))
        return self._scaled(minus(double(cutoff), ticks))

    def _scaled(self, length: Node) -> Node:
        return length if self.unit == 1 else divided(length, real(self.unit))

    # anchors

    def _anchor(self, asked: _Request, *, of_time: bool) -> Node:
        """Return a value, or a moment, that lies among those aggregated."""
        read, row = asked.read, self.source.row
        there = present(row(read.value[0]))
        if asked.window is None and not self.source.paired:
            when = every([there, *([row(read.condition)] if read.condition is not None else [])])
            name, value = self._first_name, self.dialect.edge(row(read.value[0]), row(read.moment), when, last=False)
        else:
            self._near.append((asked.feature, read))
            when = self.source.when(read, asked.window, there) or exp.true()
            name, value = self._near_name, self.dialect.mean(row(read.value[0]), when)
        if of_time:
            value = self.dialect.aggregate(lambda one: exp.Min(this=one), row(read.moment), when)
        among = self._anchors.setdefault(name, {})
        known_as, _ = among.setdefault((of_time, *asked.key), (f"c{len(among) + 1}", value))
        return column(name, known_as)

    def _deviation(self, asked: _Request) -> Node:
        return minus(self.source.row(asked.value), self._anchor(asked, of_time=False))

    # features

    def feature(self, feature: Feature, read: ReadColumns) -> Node:
        """Return a feature in terms of the aggregates, which it puts among those to compute."""
        asked = _Request(feature, read)
        self._asked.append((feature, read))
        found = self._of_rows(asked) or self._of_shares(asked) or self._of_values(asked)
        aged = feature.type == SemanticType.TIMESTAMP and feature.aggregate in (A.MIN, A.MAX, A.FIRST, A.LAST)
        return self._age(found) if aged else found

    def _of_rows(self, asked: _Request) -> Node | None:
        moment = asked.read.moment
        match asked.feature.aggregate:
            case A.COUNT:
                return self._count(asked)
            case A.SINCE_LAST:
                return self._age(double(self._most(moment, asked)))
            case A.SINCE_FIRST:
                return self._age(double(self._least(moment, asked)))
            case A.TIME_BETWEEN:
                number = self._count(asked)
                span = minus(self._most(moment, asked), self._least(moment, asked))
                gaps = double(minus(number.copy(), integer(1)))
                return case((later(number, integer(1)), self._scaled(divided(double(span), gaps))))
        return None

    def _of_shares(self, asked: _Request) -> Node | None:
        match asked.feature.aggregate:
            case A.PERCENT_TRUE:
                hits = self._count(asked, equal(self.source.row(asked.value), real(1)), of=f"true {asked.value}")
                return self._ratio(hits, self._count(asked))
            case A.SHARE:
                category = asked.feature.category or ""
                same = equal(self.source.row(asked.value), text(category))
                hits = self._count(asked, same, of=f"same {asked.value} {category}")
                return self._ratio(hits, self._values(asked))
            case A.NUM_UNIQUE:
                there = [present(self.source.row(name)) for name in asked.read.value]
                number = self._count(asked, self._new(asked), *there, of=f"new {asked.value}")
                return case((later(self._count(asked), integer(0)), double(number)))
        return None

    def _values(self, asked: _Request) -> Node:
        """Return the number of values that are there."""
        return self._count(asked, present(self.source.row(asked.value)), of=f"there {asked.value}")

    def _new(self, asked: _Request) -> Node:
        """Whether a row says something for the first time in its window."""
        previous = asked.read.previous or ""
        first: Node = exp.Is(this=self.source.row(previous), expression=exp.Null())
        if asked.window is None:
            return first
        before = at_most(self.source.row(previous), self.source.since(asked.window))
        return exp.Paren(this=exp.Or(this=first, expression=before))

    def _ratio(self, part: Node, whole: Node) -> Node:
        return divided(double(part), exp.Nullif(this=double(whole), expression=real(0)))

    def _of_values(self, asked: _Request) -> Node:
        feature = asked.feature
        when = self.source.when(asked.read, asked.window)
        value = self.source.row(asked.value)
        match feature.aggregate:
            case A.SUM:
                return or_else(self._aggregate(("sum", *asked.key), lambda: self.dialect.total(value, when)), real(0))
            case A.MEAN:
                return self._aggregate(("mean", *asked.key), lambda: self.dialect.mean(value, when))
            case A.MIN:
                return self._least(asked.value, asked)
            case A.MAX:
                return self._most(asked.value, asked)
            case A.MEDIAN | A.QUANTILE:
                level = 0.5 if feature.level is None else feature.level
                return self._aggregate((level, *asked.key), lambda: self.dialect.quantile(value, level, when))
            case A.FIRST | A.LAST:
                last = feature.aggregate == A.LAST
                order = self.source.row(asked.read.sequence or "")
                return self._aggregate(
                    (feature.aggregate, *asked.key), lambda: self.dialect.edge(value, order, when, last=last)
                )
            case A.STD:
                apart = self._deviation(asked)
                return self._aggregate(
                    ("std", *asked.key),
                    lambda: self.dialect.aggregate(lambda node: exp.StddevSamp(this=node), apart, when),
                )
            case A.SKEW:
                return self._skew(asked)
            case A.TREND:
                return self._trend(asked)
        raise NotImplementedError(f"no SQL for {feature.name}")

    def _skew(self, asked: _Request) -> Node:
        """The bias-corrected Fisher-Pearson coefficient G1 (Joanes and Gill 1998), from power sums around the anchor."""

        def power(degree: int) -> Node:
            raised = times(*(self._deviation(asked) for _ in range(degree)))
            when = self.source.when(asked.read, asked.window)
            return self._aggregate(("power", degree, *asked.key), lambda: self.dialect.total(raised, when))

        number = self._values(asked)
        n = double(number)
        first, second, third = power(1), power(2), power(3)
        mean = divided(first, n)
        spread = minus(second, times(n.copy(), mean.copy(), mean.copy()))
        lopsided = plus(
            minus(third, times(real(3), mean.copy(), second.copy())),
            times(real(2), n.copy(), mean.copy(), mean.copy(), mean.copy()),
        )
        scale = divided(
            times(n.copy(), exp.Sqrt(this=minus(n.copy(), real(1)))),
            exp.Nullif(this=minus(n.copy(), real(2)), expression=real(0)),
        )
        positive = case((later(spread, real(0)), spread.copy()))
        skew = divided(times(scale, lopsided), exp.Pow(this=positive, expression=real(1.5)))
        flat = equal(self._least(asked.value, asked), self._most(asked.value, asked))
        return self._from_three(number.copy(), flat, skew)

    def _trend(self, asked: _Request) -> Node:
        moment = asked.read.moment

        def there() -> Node:
            return present(self.source.row(asked.value))

        along = minus(self.source.row(moment), self._anchor(asked, of_time=True))
        apart, when = self._deviation(asked), self.source.when(asked.read, asked.window, there())
        slope = self._aggregate(
            ("slope", *asked.key), lambda: self.dialect.slope(apart, self._scaled(double(along)), when)
        )
        first = self._of(f"first {asked.value}", lambda node: exp.Min(this=node), moment, asked, there())
        last = self._of(f"last {asked.value}", lambda node: exp.Max(this=node), moment, asked, there())
        return self._from_three(self._values(asked), equal(first, last), slope)

    def _from_three(self, number: Node, degenerate: Node, value: Node) -> Node:
        """Return a value that needs three values, and is 0 where they do not differ."""
        return case((later(number, integer(2)), case((degenerate, real(0)), default=value)))

    # the whole

    def expressions(self, found: Sequence[tuple[str, Node]]) -> list[tuple[str, exp.Select]]:
        """Return the common table expressions; the last holds the features.

        Args:
            found: Names of features, and what `feature` returned for them.
        """
        parts = []
        beside: list[tuple[str, Node]] = []
        source = self.source
        for name, among in self._anchors.items():
            columns: list[Node] = [alias(node, known_as) for known_as, node in among.values()]
            if name == self._first_name:
                keys = [part.name for _, part in source.keys]
                select = exp.select(*(source.row(key) for key in keys), *columns, copy=False)
                select = select.from_(relation(source.rows), copy=False)
                parts.append((name, select.group_by(*(source.row(key) for key in keys), copy=False)))
                beside.append((name, source.met(name)))
            else:
                parts.append((name, source.select(columns, window=source.widest(self._near))))
                met = every(equal(column(source.asked, key), column(name, key)) for key in source.ids)
                beside.append((name, met))
        aggregates = [alias(node, known_as) for known_as, node in self._aggregates.values()]
        grouped = source.select(aggregates, beside, source.widest(self._asked))
        features = [alias(node, name) for name, node in found]
        outer = exp.select(*(column("g", key) for key in source.ids), *features, copy=False)
        parts.append((self._names.new("path"), outer.from_(inner(grouped, "g"), copy=False)))
        return parts

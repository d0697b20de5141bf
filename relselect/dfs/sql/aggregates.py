"""Writes all aggregates of one path as a single pass over the visible rows, windows and conditions as filters.

Deviations (for standard deviation, skewness and trend) are taken from an anchor near the values, so that values around 1e9
with a tiny variance keep their digits: the owner's first value over all history, the mean inside a window. The mean costs a
second pass over the windows' rows.
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
    """A feature and the columns it reads."""

    def __init__(self, feature: Feature, read: ReadColumns) -> None:
        self.feature, self.read, self.window = feature, read, feature.window
        self.value = read.value[0] if read.value else ""
        #: Features with equal `rows` aggregate the same rows; with equal `key` the same values of the same rows.
        self.rows = (read.moment, read.condition, feature.window)
        self.key = (self.value, *self.rows)


class PathAggregates:
    """Collects the aggregates of one path, each distinct one once.

    Args:
        visible: The rows.
        names: Names common table expressions.
        unit: Ticks of one day, or 1 for integer times.
    """

    def __init__(self, visible: VisibleRows, names: UniqueNames, unit: int) -> None:
        self.visible, self.unit = visible, unit
        self.dialect = visible.dialect
        self._names = names
        self._aggregates: dict[object, tuple[str, Node]] = {}
        self._anchors: dict[str, dict[object, tuple[str, Node]]] = {}
        self._window_requests: list[tuple[Feature, ReadColumns]] = []
        self._requests: list[tuple[Feature, ReadColumns]] = []
        self._firsts_name, self._means_name = names.new("firsts"), names.new("means")

    # pieces

    def _aggregate(self, key: object, make: Callable[[], Node]) -> Node:
        """Return the aggregate of a key, made at its first use."""
        if key not in self._aggregates:
            self._aggregates[key] = (f"a{len(self._aggregates) + 1}", make())
        return column("g", self._aggregates[key][0])

    def _count(self, request: _Request, *more: Node, of: str = "rows") -> Node:
        when = self.visible.when(request.read, request.window, *more)
        return self._aggregate((of, request.rows), lambda: self.dialect.count(when))

    def _of(self, kind: str, make: Callable[[Node], Node], name: str, request: _Request, *more: Node) -> Node:
        """Return an aggregate of a column; `kind` must tell aggregates with different further conditions apart."""
        return self._aggregate(
            (kind, name, request.rows),
            lambda: self.dialect.aggregate(
                make, self.visible.row(name), self.visible.when(request.read, request.window, *more)
            ),
        )

    def _least(self, name: str, request: _Request) -> Node:
        return self._of("least", lambda node: exp.Min(this=node), name, request)

    def _most(self, name: str, request: _Request) -> Node:
        return self._of("most", lambda node: exp.Max(this=node), name, request)

    def _age(self, ticks: Node) -> Node:
        """Return how long before the cutoff a moment is."""
        cutoff = self._aggregate("cutoff", lambda: exp.Max(this=self.visible.cutoff))
        return self._scaled(minus(double(cutoff), ticks))

    def _scaled(self, length: Node) -> Node:
        return length if self.unit == 1 else divided(length, real(self.unit))

    # anchors

    def _anchor(self, request: _Request, *, of_time: bool) -> Node:
        """Return a value, or a time, near those aggregated."""
        read, row = request.read, self.visible.row
        there = present(row(read.value[0]))
        if request.window is None and not self.visible.paired:
            when = every([there, *([row(read.condition)] if read.condition is not None else [])])
            name, value = self._firsts_name, self.dialect.edge(row(read.value[0]), row(read.moment), when, last=False)
        else:
            self._window_requests.append((request.feature, read))
            when = self.visible.when(read, request.window, there) or exp.true()
            name, value = self._means_name, self.dialect.mean(row(read.value[0]), when)
        if of_time:
            value = self.dialect.aggregate(lambda one: exp.Min(this=one), row(read.moment), when)
        among = self._anchors.setdefault(name, {})
        column_name, _ = among.setdefault((of_time, *request.key), (f"c{len(among) + 1}", value))
        return column(name, column_name)

    def _deviation(self, request: _Request) -> Node:
        return minus(self.visible.row(request.value), self._anchor(request, of_time=False))

    # features

    def feature(self, feature: Feature, read: ReadColumns) -> Node:
        """Return a feature in terms of the aggregates; those that it needs are added."""
        request = _Request(feature, read)
        self._requests.append((feature, read))
        found = self._of_rows(request) or self._of_shares(request) or self._of_values(request)
        aged = feature.type == SemanticType.TIMESTAMP and feature.aggregate in (A.MIN, A.MAX, A.FIRST, A.LAST)
        return self._age(found) if aged else found

    def _of_rows(self, request: _Request) -> Node | None:
        moment = request.read.moment
        match request.feature.aggregate:
            case A.COUNT:
                return self._count(request)
            case A.SINCE_LAST:
                return self._age(double(self._most(moment, request)))
            case A.SINCE_FIRST:
                return self._age(double(self._least(moment, request)))
            case A.TIME_BETWEEN:
                number = self._count(request)
                span = minus(self._most(moment, request), self._least(moment, request))
                gaps = double(minus(number.copy(), integer(1)))
                return case((later(number, integer(1)), self._scaled(divided(double(span), gaps))))
        return None

    def _of_shares(self, request: _Request) -> Node | None:
        match request.feature.aggregate:
            case A.PERCENT_TRUE:
                hits = self._count(request, equal(self.visible.row(request.value), real(1)), of=f"true {request.value}")
                return self._ratio(hits, self._count(request))
            case A.SHARE:
                category = request.feature.category or ""
                same = equal(self.visible.row(request.value), text(category))
                hits = self._count(request, same, of=f"same {request.value} {category}")
                return self._ratio(hits, self._values(request))
            case A.NUM_UNIQUE:
                there = [present(self.visible.row(name)) for name in request.read.value]
                number = self._count(request, self._new(request), *there, of=f"new {request.value}")
                return case((later(self._count(request), integer(0)), double(number)))
        return None

    def _values(self, request: _Request) -> Node:
        """Return the number of values that are not missing."""
        return self._count(request, present(self.visible.row(request.value)), of=f"there {request.value}")

    def _new(self, request: _Request) -> Node:
        """Return the condition that a row's value is the first of its kind in the window."""
        previous = request.read.previous or ""
        first: Node = exp.Is(this=self.visible.row(previous), expression=exp.Null())
        if request.window is None:
            return first
        before = at_most(self.visible.row(previous), self.visible.since(request.window))
        return exp.Paren(this=exp.Or(this=first, expression=before))

    def _ratio(self, part: Node, whole: Node) -> Node:
        return divided(double(part), exp.Nullif(this=double(whole), expression=real(0)))

    def _of_values(self, request: _Request) -> Node:
        feature = request.feature
        when = self.visible.when(request.read, request.window)
        value = self.visible.row(request.value)
        match feature.aggregate:
            case A.SUM:
                return or_else(self._aggregate(("sum", *request.key), lambda: self.dialect.total(value, when)), real(0))
            case A.MEAN:
                return self._aggregate(("mean", *request.key), lambda: self.dialect.mean(value, when))
            case A.MIN:
                return self._least(request.value, request)
            case A.MAX:
                return self._most(request.value, request)
            case A.MEDIAN | A.QUANTILE:
                level = 0.5 if feature.level is None else feature.level
                return self._aggregate((level, *request.key), lambda: self.dialect.quantile(value, level, when))
            case A.FIRST | A.LAST:
                last = feature.aggregate == A.LAST
                order = self.visible.row(request.read.sequence or "")
                return self._aggregate(
                    (feature.aggregate, *request.key), lambda: self.dialect.edge(value, order, when, last=last)
                )
            case A.STD:
                apart = self._deviation(request)
                return self._aggregate(
                    ("std", *request.key),
                    lambda: self.dialect.aggregate(lambda node: exp.StddevSamp(this=node), apart, when),
                )
            case A.SKEW:
                return self._skew(request)
            case A.TREND:
                return self._trend(request)
        raise NotImplementedError(f"no SQL for {feature.name}")

    def _skew(self, request: _Request) -> Node:
        """The bias-corrected Fisher-Pearson coefficient G1 (Joanes and Gill 1998), from power sums around the anchor."""

        def power(degree: int) -> Node:
            raised = times(*(self._deviation(request) for _ in range(degree)))
            when = self.visible.when(request.read, request.window)
            return self._aggregate(("power", degree, *request.key), lambda: self.dialect.total(raised, when))

        number = self._values(request)
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
        flat = equal(self._least(request.value, request), self._most(request.value, request))
        return self._from_three(number.copy(), flat, skew)

    def _trend(self, request: _Request) -> Node:
        moment = request.read.moment

        def there() -> Node:
            return present(self.visible.row(request.value))

        along = minus(self.visible.row(moment), self._anchor(request, of_time=True))
        apart, when = self._deviation(request), self.visible.when(request.read, request.window, there())
        slope = self._aggregate(
            ("slope", *request.key), lambda: self.dialect.slope(apart, self._scaled(double(along)), when)
        )
        first = self._of(f"first {request.value}", lambda node: exp.Min(this=node), moment, request, there())
        last = self._of(f"last {request.value}", lambda node: exp.Max(this=node), moment, request, there())
        return self._from_three(self._values(request), equal(first, last), slope)

    def _from_three(self, number: Node, degenerate: Node, value: Node) -> Node:
        """Return a statistic of at least three values (missing for fewer), 0 where it is degenerate."""
        return case((later(number, integer(2)), case((degenerate, real(0)), default=value)))

    # the whole

    def expressions(self, found: Sequence[tuple[str, Node]]) -> list[tuple[str, exp.Select]]:
        """Return the common table expressions; the last holds the features.

        Args:
            found: Column names, and what `feature` returned for them.
        """
        parts = []
        beside: list[tuple[str, Node]] = []
        visible = self.visible
        for name, among in self._anchors.items():
            columns: list[Node] = [alias(node, column_name) for column_name, node in among.values()]
            if name == self._firsts_name:
                keys = [part.name for _, part in visible.keys]
                select = exp.select(*(visible.row(key) for key in keys), *columns, copy=False)
                select = select.from_(relation(visible.rows), copy=False)
                parts.append((name, select.group_by(*(visible.row(key) for key in keys), copy=False)))
                beside.append((name, visible.met(name)))
            else:
                parts.append((name, visible.select(columns, window=visible.longest_window(self._window_requests))))
                met = every(equal(column(visible.asked, key), column(name, key)) for key in visible.ids)
                beside.append((name, met))
        aggregates = [alias(node, column_name) for column_name, node in self._aggregates.values()]
        grouped = visible.select(aggregates, beside, visible.longest_window(self._requests))
        features = [alias(node, name) for name, node in found]
        outer = exp.select(*(column("g", key) for key in visible.ids), *features, copy=False)
        parts.append((self._names.new("path"), outer.from_(inner(grouped, "g"), copy=False)))
        return parts

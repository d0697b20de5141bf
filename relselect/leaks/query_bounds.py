"""What a comparison in a query says about the times of rows: bounds by the cutoff, and whether they lie past it.

A bound is a comparison of a row's time with the cutoff (`at <= cutoff + INTERVAL 30 DAY`), or of their difference with a
constant (`date_diff('day', cutoff, at) <= 30`, `age(at, cutoff) < INTERVAL 1 MONTH`, `cutoff - at > INTERVAL 0 DAY`). Times
that are rounded to a day or a month count as themselves, and constants that are not written out as positive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["CUTOFF_COLUMNS", "CUTOFF_TABLES", "QuerySource", "compare", "has_cutoff", "read_by", "sides"]

#: Names of the relation of cutoffs in queries, ours and RelBench's.
CUTOFF_TABLES = frozenset({"cutoffs", "population", "timestamp_df", "timestamps"})
#: Names of the column of the cutoff.
CUTOFF_COLUMNS = frozenset({"cutoff", "timestamp"})
#: Functions of (part, start, end) that the parser does not know, and functions of (part, difference).
_PARTS_BETWEEN = frozenset({"date_sub", "datesub", "date_diff", "datediff"})
_PART_OF = frozenset({"date_part", "datepart"})
_SIGNED = re.compile(r"\s*(-?)\s*(\d+(?:\.\d+)?)")


@dataclass
class QuerySource:
    """A relation in a FROM clause.

    Attributes:
        tables: Timed tables that it reads and that no comparison has bounded yet.
        cutoffs: Its columns that hold the cutoff.
        lower: Whether one of its columns has the cutoff, or an expression of it, as a lower bound.
        upper: Whether one of its columns has the cutoff, or an expression of it, as an upper bound.
        ahead: Whether the upper bound is later than the cutoff.
    """

    tables: tuple[str, ...] = ()
    cutoffs: frozenset[str] = frozenset()
    lower: bool = False
    upper: bool = False
    ahead: bool = False

    def bound(self, order: int, ahead: bool) -> None:
        """Note a bound: from above where `order` is negative, from below where it is positive, from both where it is 0."""
        self.lower |= order >= 0
        self.upper |= order <= 0
        self.ahead |= order <= 0 and ahead


def compare(node: Any, sources: Mapping[str, QuerySource]) -> None:
    """Note the bounds that one comparison gives to the relations of a query.

    Args:
        node: A comparison by <, <=, >, >=, = or BETWEEN; anything else gives no bound.
        sources: Alias -> relation of the FROM clause.
    """
    for left, order, right in _comparisons(node):
        for mine, other, turned in ((left, right, order), (right, left, -order)):
            if has_cutoff(other, sources) and not has_cutoff(mine, sources):
                ahead = _moves(other, 1) or _moves(mine, -1)
                for source in read_by(mine, sources):
                    source.bound(turned, ahead)
            elif _is_constant(other):
                _compare_difference(mine, turned, other, sources)


def _compare_difference(node: Any, order: int, constant: Any, sources: Mapping[str, QuerySource]) -> None:
    """Note the bound that a comparison of a constant with the difference of a row's time and the cutoff gives."""
    found = _difference(node)
    if found is None:
        return
    if found.absolute and order > 0:
        return  # both past and future of the cutoff are left open
    time, cutoff, turn = found.end, found.start, found.turn
    if has_cutoff(time, sources):
        time, cutoff, turn = cutoff, time, -turn
    if has_cutoff(time, sources) or not has_cutoff(cutoff, sources):
        return
    sign = _sign(constant) * (1 if found.absolute else turn)
    order = 0 if found.absolute else order * turn
    ahead = sign > 0 or _moves(cutoff, 1) or _moves(time, -1)
    for source in read_by(time, sources):
        source.bound(order, ahead)


def _comparisons(node: Any) -> Iterator[tuple[Any, int, Any]]:
    """Yield (left, order, right): order is -1 where left is the lesser, 1 where it is the greater, 0 where both are equal."""
    from sqlglot import exp

    if isinstance(node, exp.Between):
        yield node.this, 1, node.args["low"]
        yield node.this, -1, node.args["high"]
    elif isinstance(node, exp.EQ):
        yield node.left, 0, node.right
    elif isinstance(node, exp.GT | exp.GTE):
        yield node.left, 1, node.right
    elif isinstance(node, exp.LT | exp.LTE):
        yield node.left, -1, node.right


def sides(node: Any) -> Iterator[tuple[Any, Any, bool]]:
    """Yield the two sides of an inequality both ways round, and whether the second bounds the first from above."""
    for left, order, right in _comparisons(node):
        if order:
            yield left, right, order < 0
            yield right, left, order > 0


def read_by(node: Any, sources: Mapping[str, QuerySource]) -> list[QuerySource]:
    """Return the relations whose columns an expression reads; an unqualified column may be of any of them."""
    from sqlglot import exp

    aliases = {column.table.lower() for column in node.find_all(exp.Column)}
    return [source for alias, source in sources.items() if source.tables and aliases & {alias, ""}]


def has_cutoff(node: Any, sources: Mapping[str, QuerySource]) -> bool:
    """Whether an expression reads the cutoff, of a relation of the query or of one around it."""
    from sqlglot import exp

    for column in node.find_all(exp.Column):
        name, qualifier = column.name.lower(), column.table.lower()
        if qualifier and qualifier not in sources:
            if name in CUTOFF_COLUMNS:  # a relation around this subquery
                return True
            continue
        near = [sources[qualifier]] if qualifier else list(sources.values())
        if any(name in source.cutoffs for source in near):
            return True
    return False


@dataclass(frozen=True)
class _Difference:
    """turn * (end - start), or its absolute value."""

    end: Any
    start: Any
    turn: int = 1
    absolute: bool = False


def _difference(node: Any, turn: int = 1, absolute: bool = False) -> _Difference | None:
    """Return the difference of two expressions that a number or an interval is made of; None where it is none."""
    from sqlglot import exp

    if isinstance(node, exp.Sub) or type(node).__name__ in ("DateDiff", "TimestampDiff", "DatetimeDiff"):
        return _Difference(node.this, node.expression, turn, absolute)
    if isinstance(node, exp.Anonymous):
        name, values = str(node.this).lower(), node.expressions
        if name == "age" and len(values) == 2:
            return _Difference(values[0], values[1], turn, absolute)
        if name in _PARTS_BETWEEN and len(values) == 3:
            return _Difference(values[2], values[1], turn, absolute)
        if len(values) == 1 or (name in _PART_OF and len(values) == 2):
            return _difference(values[-1], turn, absolute)
        return None
    if isinstance(node, exp.Neg):
        return _difference(node.this, -turn, absolute)
    if isinstance(node, exp.Mul | exp.Div) and _is_constant(node.expression):
        return _difference(node.this, turn * (_sign(node.expression) or 1), absolute)
    if isinstance(node, exp.Extract):
        return _difference(node.expression, turn, absolute)
    if isinstance(node, exp.Abs):
        return _difference(node.this, turn, absolute=True)
    if isinstance(node, exp.Paren | exp.Cast | exp.Func):
        return _difference(node.this, turn, absolute)
    return None


def _is_constant(node: Any) -> bool:
    from sqlglot import exp

    return node.find(exp.Column, exp.Query) is None


def _sign(constant: Any) -> int:
    """Return the sign of a number or an interval; 1 where it is not written out."""
    from sqlglot import exp

    if isinstance(constant, exp.Literal):
        found = _SIGNED.match(str(constant.this))
        if found is None:
            return 1
        return (-1 if found[1] else 1) if float(found[2]) else 0
    if isinstance(constant, exp.Neg):
        return -_sign(constant.this)
    if isinstance(constant, exp.Mul | exp.Div):
        return _sign(constant.left) * _sign(constant.right)
    if isinstance(constant, exp.Anonymous):
        return _sign(constant.expressions[0]) if len(constant.expressions) == 1 else 1
    if isinstance(constant, exp.Paren | exp.Cast | exp.Interval | exp.Func) and constant.this is not None:
        return _sign(constant.this)
    return 1


def _moves(node: Any, direction: int) -> bool:
    """Whether something is added to an expression (direction 1), or subtracted from it (-1)."""
    from sqlglot import exp

    for each in node.find_all(exp.Add, exp.DateAdd, exp.Sub, exp.DateSub):
        added = 1 if isinstance(each, exp.Add | exp.DateAdd) else -1
        amount = each.this if _is_constant(each.this) and not _is_constant(each.expression) else each.expression
        if added * _sign(amount) == direction:
            return True
    return False

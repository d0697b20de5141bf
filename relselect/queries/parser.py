"""Parses predictive queries by recursive descent: one method per rule of the grammar in `docs/queries.md`.

A parser written by hand knows what was expected at every place, which errors say; the grammar has one line per method, so a
parser generator would save nothing. Names are not looked up here (`relselect.queries.names` does that).
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Final, NoReturn

from relselect.errors import QueryError, QueryProblem
from relselect.queries.syntax import (
    AGGREGATES,
    UNITS,
    AggregateCall,
    ColumnReference,
    Condition,
    Constant,
    Junction,
    Membership,
    Negation,
    NullTest,
    Operand,
    OperandComparison,
    Pattern,
    PredictiveQuery,
    QueryWindow,
)
from relselect.queries.tokens import Token, TokenKind, tokenize

__all__ = ["parse_query"]

_OPERATORS: Final = ("=", "!=", "<>", "<", "<=", ">", ">=")
_UNIT_NAMES: Final = {name: unit for unit in UNITS for name in (unit, unit[:-1])}
#: Brackets and NOTs within one another; more are no question of a person.
_DEEPEST = 50
_SHAPE = "Write PREDICT target FOR EACH table.key [WHERE condition]"
_WINDOW = "Write e.g. COUNT(orders.*, 0, 30, days): after 0 and up to 30 days from the cutoff"
_NO_ASSUMING = (
    "asks what follows if something is changed, and models that learn from the past know what follows as it is"
)


def parse_query(text: str) -> PredictiveQuery:
    """Return the parts of a predictive query.

    Args:
        text: The query; keywords in any case.

    Raises:
        QueryError: The text is no query; says where, and what was expected.

    >>> query = parse_query("predict count(orders.*, 0, 60, days) = 0 for each customers.id")
    >>> print(query)
    PREDICT COUNT(orders.*, 0, 60, days) = 0 FOR EACH customers.id
    >>> parse_query(str(query)) == query
    True
    """
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.place = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    @property
    def following(self) -> Token:
        return self.tokens[min(self.place + 1, len(self.tokens) - 1)]

    def query(self) -> PredictiveQuery:
        """query := PREDICT target FOR EACH key {, key} [WHERE condition] [;]."""
        self._word("PREDICT", _SHAPE)
        target = self._target()
        self._after_target()
        self._word("FOR", "Name the entity after the target: FOR EACH customers.id")
        self._word("EACH", "Write FOR EACH customers.id")
        keys = [self._reference()]
        while self._accept_symbol(","):
            keys.append(self._reference())
        where = self._condition() if self._accept_word("WHERE") else None
        if self.token.is_word("ASSUMING"):
            self._fail(f"ASSUMING {_NO_ASSUMING}", "Leave it out; what holds at the cutoff goes into WHERE")
        self._accept_symbol(";")
        if self.token.kind is not TokenKind.END:
            wanted = "AND, OR or the end" if where is not None else "WHERE or the end"
            self._unexpected(wanted, _SHAPE)
        return PredictiveQuery(target, tuple(keys), where, self.text)

    def _target(self) -> Operand | Condition:
        """target := aggregate | column | condition."""
        begin = self.place
        if not (self.token.is_word("NOT") or self.token.is_symbol("(")):
            operand = self._operand()
            if not self._continues():
                return operand
            self.place = begin
        return self._condition()

    def _continues(self) -> bool:
        """Whether an operator follows, so that an operand is the left side of a condition."""
        return self.token.is_symbol(*_OPERATORS) or self.token.is_word("IS", "IN", "LIKE", "NOT", "AND", "OR")

    def _after_target(self) -> None:
        if self.token.is_word("RANK", "CLASSIFY"):
            rule = (
                f"{self.token.value.upper()} asks for a list per entity, and a task has one label per entity and cutoff"
            )
            self._fail(rule, "Leave it out: LIST_DISTINCT is then the most frequent value of the window")

    def _condition(self) -> Condition:
        """condition := conjunction {OR conjunction}."""
        return self._joined("OR", lambda: self._joined("AND", self._negation))

    def _joined(self, operator: str, part: Callable[[], Condition]) -> Condition:
        position = self.token.position
        parts: list[Condition] = [part()]
        while self._accept_word(operator):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Junction(operator, tuple(parts), position)

    def _negation(self) -> Condition:
        """negation := NOT negation | ( condition ) | comparison."""
        position = self.token.position
        self.depth += 1
        if self.depth > _DEEPEST:
            self._fail(f"more than {_DEEPEST} brackets and NOTs lie within one another", "Write a simpler condition")
        if self._accept_word("NOT"):
            found: Condition = Negation(self._negation(), position)
        elif self._accept_symbol("("):
            found = self._condition()
            self._symbol(")", "Close the bracket, or join conditions by AND or OR")
        else:
            found = self._comparison()
        self.depth -= 1
        return found

    def _comparison(self) -> Condition:
        """comparison := operand (operator operand | IS [NOT] NULL | [NOT] IN (...) | [NOT] LIKE pattern)."""
        left = self._operand()
        position = self.token.position
        if self.token.is_symbol(*_OPERATORS):
            operator = self._next().value
            return OperandComparison(left, "!=" if operator == "<>" else operator, self._operand(), position)
        if self._accept_word("IS"):
            negative = self._accept_word("NOT")
            self._word("NULL", "Write IS NULL or IS NOT NULL")
            test: Condition = NullTest(left, position)
            return Negation(test, position) if negative else test
        negative = self._accept_word("NOT")
        if self._accept_word("IN"):
            test = Membership(left, self._constants(), position)
        elif self._accept_word("LIKE"):
            test = self._pattern(left, position)
        else:
            wanted = "IN or LIKE" if negative else f"one of {', '.join(_OPERATORS)}, IS, IN, LIKE"
            self._unexpected(wanted, "Compare it with a value, e.g. > 0")
        return Negation(test, position) if negative else test

    def _constants(self) -> tuple[Constant, ...]:
        self._symbol("(", "Write the values in brackets: IN ('a', 'b')")
        values = [self._constant()]
        while self._accept_symbol(","):
            values.append(self._constant())
        self._symbol(")", "Close the list of values, or go on after a comma")
        return tuple(values)

    def _pattern(self, left: Operand, position: int) -> Pattern:
        if self.token.kind is not TokenKind.TEXT:
            self._unexpected("a text", "Write the pattern in single quotes: LIKE 'A%'")
        return Pattern(left, self._constant(), position)

    def _operand(self) -> Operand:
        """operand := aggregate | column | constant."""
        if self.token.kind is TokenKind.WORD and self.following.is_symbol("("):
            return self._aggregate()
        if self.token.is_name:
            return self._reference()
        if self.token.kind in (TokenKind.NUMBER, TokenKind.TEXT) or self.token.is_symbol("-", "+"):
            return self._constant()
        if self.token.is_word("TRUE", "FALSE"):
            return self._constant()
        fix = "Write e.g. COUNT(orders.*, 0, 30, days) or customers.country"
        if self.token.kind is TokenKind.WORD and self.following.is_symbol("."):
            fix = f'Quote names that are keywords: "{self.token.value}"'
        elif self.token.is_word("NULL"):
            fix = "Write IS NULL or IS NOT NULL"
        self._unexpected("an aggregate, a column or a value", fix)

    def _aggregate(self) -> AggregateCall:
        """aggregate := name ( column [WHERE condition] , start , end [, unit] )."""
        name = self._next()
        if name.value.upper() not in AGGREGATES:
            near = get_close_matches(name.value.upper(), AGGREGATES, n=1)
            fix = f"Did you mean {near[0]}? " if near else ""
            self._fail_at(name, f"{name.value} is no aggregate", f"{fix}Use one of: {', '.join(AGGREGATES)}")
        self._next()
        column = self._reference()
        where = self._condition() if self._accept_word("WHERE") else None
        window = self._window()
        self._symbol(")", "Close the bracket after the window")
        return AggregateCall(name.value.upper(), column, window, where, name.position)

    def _window(self) -> QueryWindow:
        """window := , start , end [, unit]."""
        self._symbol(",", _WINDOW)
        position = self.token.position
        start = self._bound(-1)
        self._symbol(",", _WINDOW)
        end_position = self.token.position
        end = self._bound(1)
        unit, unit_position = None, self.token.position
        if self._accept_symbol(","):
            unit_position = self.token.position
            unit = self._unit()
        return QueryWindow(start, end, unit, position, end_position, unit_position)

    def _bound(self, infinite: int) -> int | None:
        """Return a bound of a window; None for the infinite one on its side: -INF (-1) or INF (1)."""
        first = self.token
        sign = -1 if self._accept_symbol("-") else 1
        if sign > 0:
            self._accept_symbol("+")
        if self.token.is_word("INF", "INFINITY"):
            self._next()
            if sign != infinite:
                self._fail_at(first, "a window begins at -INF at the earliest and ends at INF at the latest", _WINDOW)
            return None
        if self.token.kind is not TokenKind.NUMBER:
            self._unexpected("a whole number or -INF" if infinite < 0 else "a whole number", _WINDOW)
        if not self.token.value.isdecimal() or len(self.token.value) > 18:
            self._fail(f"a window has whole numbers of units, got {self.token.shown}", "Use a smaller unit")
        return sign * int(self._next().value)

    def _unit(self) -> str:
        if self.token.kind is not TokenKind.WORD:
            self._unexpected(f"one of {', '.join(UNITS)}", _WINDOW)
        unit = self._next()
        if unit.value.lower() not in _UNIT_NAMES:
            near = get_close_matches(unit.value.lower(), UNITS, n=1)
            fix = f"Did you mean {near[0]}? " if near else ""
            self._fail_at(unit, f"{unit.value} is no unit of windows", f"{fix}Use one of: {', '.join(UNITS)}")
        return _UNIT_NAMES[unit.value.lower()]

    def _reference(self) -> ColumnReference:
        """column := table . name | table . * where a table's name may hold dots, as in schema.table."""
        first = self.token
        if not first.is_name:
            quoted = f'Quote names that are keywords: "{first.value}"' if first.kind is TokenKind.WORD else ""
            self._unexpected("a table's name", quoted or "Write table.column")
        names = [self._next()]
        while self._accept_symbol("."):
            if self.token.is_symbol("*"):
                return ColumnReference(_dotted(names), None, first.position, self._next().position)
            if self.token.kind not in (TokenKind.WORD, TokenKind.QUOTED):
                self._unexpected("a column's name or *", "Write table.column, or table.* for its rows")
            names.append(self._next())
        if len(names) == 1:
            self._unexpected("a dot", f"Write {first.shown}.column, or {first.shown}.* for its rows")
        return ColumnReference(_dotted(names[:-1]), names[-1].value, first.position, names[-1].position)

    def _constant(self) -> Constant:
        first = self.token
        if self._accept_word("TRUE", "FALSE"):
            return Constant(first.value.upper() == "TRUE", first.position)
        if first.kind is TokenKind.TEXT:
            return Constant(self._next().value, first.position)
        sign = -1 if self._accept_symbol("-") else 1
        if sign > 0:
            self._accept_symbol("+")
        if self.token.kind is not TokenKind.NUMBER:
            fix = "Write IS NULL instead" if self.token.is_word("NULL") else "Write texts in single quotes: 'paid'"
            self._unexpected("a value: a number, a text, TRUE or FALSE", fix)
        shown = self._next().value
        value = int(shown) if shown.isdecimal() and len(shown) <= 18 else float(shown)
        if value == float("inf"):
            self._fail_at(first, f"{shown} is too large", "Write a smaller number")
        return Constant(sign * value, first.position)

    def _next(self) -> Token:
        token = self.token
        self.place += token.kind is not TokenKind.END
        return token

    def _accept_word(self, *words: str) -> bool:
        found = self.token.is_word(*words)
        self.place += found
        return found

    def _accept_symbol(self, symbol: str) -> bool:
        found = self.token.is_symbol(symbol)
        self.place += found
        return found

    def _word(self, word: str, fix: str) -> None:
        if not self._accept_word(word):
            self._unexpected(word, fix)

    def _symbol(self, symbol: str, fix: str) -> None:
        if not self._accept_symbol(symbol):
            self._unexpected(symbol, fix)

    def _unexpected(self, wanted: str, fix: str) -> NoReturn:
        found = self.token.kind.value if self.token.kind is TokenKind.END else self.token.shown
        self._fail(f"expected {wanted}, found {found}", fix)

    def _fail(self, rule: str, fix: str) -> NoReturn:
        self._fail_at(self.token, rule, fix)

    def _fail_at(self, token: Token, rule: str, fix: str) -> NoReturn:
        raise QueryError(self.text, [QueryProblem(token.position, token.shown, rule, fix)])


def _dotted(names: list[Token]) -> str:
    return ".".join(name.value for name in names)

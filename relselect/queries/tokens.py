"""Splits the text of a predictive query into tokens, each with its place in the text.

Which words are keywords is decided where they stand, by `relselect.queries.parser`; only those in `RESERVED` can name
nothing without quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from relselect.errors import QueryError, QueryProblem

__all__ = ["RESERVED", "Token", "TokenKind", "tokenize"]

#: Words that name a table or column only in double quotes.
RESERVED: Final = frozenset(
    "PREDICT FOR EACH WHERE ASSUMING AND OR NOT IN LIKE IS NULL TRUE FALSE".split()  # noqa: SIM905
)

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+)
    | (?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?)(?!\w)
    | (?P<word>[^\W\d]\w*)
    | '(?P<text>(?:[^']|'')*)'
    | "(?P<quoted>(?:[^"]|"")+)"
    | (?P<symbol><>|!=|<=|>=|[=<>(),.*;+-])
    """,
    re.VERBOSE,
)


class TokenKind(StrEnum):
    """What a token is."""

    WORD = "a name"
    QUOTED = "a quoted name"
    NUMBER = "a number"
    TEXT = "a text"
    SYMBOL = "a sign"
    END = "the end of the query"


@dataclass(frozen=True)
class Token:
    """One token.

    Attributes:
        kind: What it is.
        value: The name, number, text or sign, without quotes.
        position: Its place in the query, from 0.
        shown: How it stands in the query.
    """

    kind: TokenKind
    value: str
    position: int
    shown: str

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these keywords, in any case; a quoted name never is."""
        return self.kind is TokenKind.WORD and self.value.upper() in words

    def is_symbol(self, *symbols: str) -> bool:
        """Whether it is one of these signs."""
        return self.kind is TokenKind.SYMBOL and self.value in symbols

    @property
    def is_name(self) -> bool:
        """Whether it can name a table or a column."""
        return self.kind is TokenKind.QUOTED or (self.kind is TokenKind.WORD and self.value.upper() not in RESERVED)


def tokenize(text: str) -> list[Token]:
    """Return the tokens of a query; the last is its end.

    Args:
        text: The query.

    Raises:
        QueryError: A quote is not closed, or a character belongs to no token.

    >>> [token.value for token in tokenize('"my orders".* <> 3')]
    ['my orders', '.', '*', '<>', '3', '']
    """
    tokens, place = [], 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise QueryError(text, [_unreadable(text, place)])
        found = _token(match)
        tokens += [] if found is None else [found]
        place = match.end()
    return [*tokens, Token(TokenKind.END, "", len(text.rstrip()), "")]


def _token(match: re.Match[str]) -> Token | None:
    group, shown = match.lastgroup or "", match[0]
    if group == "blank":
        return None
    kind = TokenKind[group.upper()]
    quote = {TokenKind.TEXT: "'", TokenKind.QUOTED: '"'}.get(kind)
    value = match[group] if quote is None else match[group].replace(2 * quote, quote)
    return Token(kind, value, match.start(), shown)


def _unreadable(text: str, place: int) -> QueryProblem:
    sign = text[place]
    if sign == "'":
        return QueryProblem(place, sign, "the text that begins here has no end", "Close it with '")
    if sign == '"':
        return QueryProblem(place, sign, "the name that begins here is empty or has no end", 'Close it with "')
    if sign.isdigit() or sign == ".":
        return QueryProblem(place, sign, "is no number, and a name does not begin with a digit", 'Quote names: "2nd"')
    return QueryProblem(place, sign, f"{sign!r} belongs to no query", "Quote odd names with double quotes")

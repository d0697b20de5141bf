"""Quoting of SQL names: standard double quotes, as DuckDB, PostgreSQL and SQLite read them.

Deliberately not here: values, which are parameters and never pasted into a statement, and the syntax trees of the SQL engine,
whose generator quotes for each dialect.
"""

from __future__ import annotations

import re

__all__ = ["quote_name", "split_name"]

_PART = r'(?:"((?:[^"]|"")+)"|([^."\s]+))'
_NAME = re.compile(rf"{_PART}(?:\.{_PART})?")


def quote_name(*parts: str) -> str:
    """Return the parts of a name, such as schema and table, as quoted identifiers joined by dots.

    >>> print(quote_name("public", 'a "b".c'))
    "public"."a ""b"".c"
    """
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def split_name(name: str) -> tuple[str, ...] | None:
    """Return the parts of a table's name, the table alone or schema and table; None when it is no such name.

    Parts in double quotes may hold anything.

    >>> split_name('public."my scores"')
    ('public', 'my scores')
    >>> split_name("a.b.c") is None
    True
    """
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    parts = ((match[1], match[2]), (match[3], match[4]))
    return tuple(quoted.replace('""', '"') if quoted else plain for quoted, plain in parts if quoted or plain)

"""Looks up the tables and columns that a query names, and collects what is wrong with it.

Names are compared without case where that leaves one, as SQL does; names that are not found get the nearest as a suggestion.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from relselect.database import Database, Table
from relselect.errors import QueryError, QueryProblem
from relselect.queries.syntax import ColumnReference

__all__ = ["Names", "QueryProblems", "short_name"]

#: Names that an error lists.
_LISTED = 12


class QueryProblems:
    """What is wrong with a query, collected so that all of it is reported at once.

    Args:
        text: The query.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._found: dict[tuple[int, str], QueryProblem] = {}

    def add(self, position: int, value: object, rule: str, fix: str) -> None:
        """Note a problem at a place; the same one is noted once."""
        self._found.setdefault((position, rule), QueryProblem(position, str(value), rule, fix))

    def refuse(self) -> None:
        """Raise what was found.

        Raises:
            QueryError: Something was.
        """
        if self._found:
            raise self.error()

    def error(self) -> QueryError:
        """Return what was found as one error; something must have been."""
        return QueryError(self.text, list(self._found.values()))


class Names:
    """The tables and columns of a database, looked up as a query writes them.

    Args:
        database: The database.
        problems: Where names that are not found are noted.
    """

    def __init__(self, database: Database, problems: QueryProblems) -> None:
        self.database, self.problems = database, problems

    def table(self, reference: ColumnReference) -> Table | None:
        """Return the table of a reference; None, and a problem, where there is none."""
        name = _match(reference.table, self.database.tables) or self._short(reference.table)
        if name is None:
            rule = f"{reference.table} is no table of {self.database.name}"
            self.problems.add(
                reference.position, reference.table, rule, _suggested(reference.table, self.database.tables)
            )
            return None
        return self.database[name]

    def _short(self, name: str) -> str | None:
        """Return the one table of that name in any schema; None where several schemas have one."""
        tables = {each: each.rpartition(".")[2] for each in self.database.tables if "." in each}
        short = _match(name, tables.values())
        found = [each for each, last in tables.items() if last == short]
        return found[0] if len(found) == 1 else None

    def column(self, reference: ColumnReference, table: Table) -> str | None:
        """Return the column of a reference to a table that was found; None, and a problem, where there is none."""
        if reference.column is None:
            rule = f"{reference} means the rows of {table.name}, and a column is needed here"
            self.problems.add(reference.column_position, "*", rule, _suggested("", table.columns))
            return None
        name = _match(reference.column, table.columns)
        if name is None:
            rule = f"{reference.column} is no column of {table.name}"
            fix = _suggested(reference.column, table.columns)
            self.problems.add(reference.column_position, reference.column, rule, fix)
        return name


def short_name(database: Database, table: str) -> str:
    """Return the name by which a query may call a table: without its schema, where no other table has that name.

    Args:
        database: The database.
        table: The table's full name.
    """
    last = table.rpartition(".")[2]
    like = [each for each in database.tables if each.rpartition(".")[2].lower() == last.lower()]
    return last if like == [table] else table


def _match(name: str, known: Iterable[str]) -> str | None:
    """Return a name as the database writes it: the same, or the one that differs by case alone."""
    listed = list(known)
    if name in listed:
        return name
    like = [each for each in listed if each.lower() == name.lower()]
    return like[0] if len(like) == 1 else None


def _suggested(name: str, known: Iterable[str]) -> str:
    lower = {each.lower(): each for each in known}
    near = get_close_matches(name.lower(), list(lower), n=1, cutoff=0.5)
    listed = sorted(lower.values())
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    hint = f"Did you mean {lower[near[0]]}? " if near else ""
    return f"{hint}Use one of: {', '.join(listed[:_LISTED])}{more}"

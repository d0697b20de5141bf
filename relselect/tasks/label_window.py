"""Label windows longer than the horizon, found in the text of a label query.

A label query sees the database as of the end of its window, so rows after it would be missing from the labels. Bounds that
are not written as the cutoff plus or minus a constant are not judged here; bounds that are missing are findings of
`relselect.leaks.queries`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from relselect.database.clock import DAY, TimeKind
from relselect.errors import TaskError

if TYPE_CHECKING:
    import duckdb

__all__ = ["check_label_window"]

#: Months and years are as long as from these days on: the shortest months, the longest, and leap days.
_STARTS = ("2023-02-01", "2023-07-01", "2024-02-01", "2022-12-01")
_CUTOFF = "cutoff"


def check_label_window(text: str, window: int, horizon: object, kind: TimeKind | None) -> list[str]:
    """Refuse a label query that asks for rows after its window.

    Args:
        text: The label query, in DuckDB's dialect; one that cannot be parsed is not judged.
        window: Ticks after the cutoff that the query sees.
        horizon: The horizon as it was declared, for messages.
        kind: The database's kind of time.

    Returns:
        A note where the window is cut off in some months only.

    Raises:
        TaskError: A bound lies after the window, whatever the month.

    >>> check_label_window("SELECT 1 FROM o WHERE t <= cutoff + INTERVAL 1 MONTH", 30 * DAY, "30d", "timestamp")[0][:41]
    'The label query reads up to 31 days after'
    """
    import duckdb

    bounds = list(_bounds(text))
    if not bounds:
        return []
    notes = []
    with duckdb.connect(config={"enable_external_access": "false"}) as connection:
        for whole, constant in bounds:
            lengths = _lengths(connection, constant, kind)
            if not lengths or max(lengths) <= window:
                continue
            shown = _shown(max(lengths), kind)
            if min(lengths) > window:
                rule = (
                    f"reads up to {shown} after the cutoff, beyond the horizon {horizon}: its labels would be cut off"
                )
                raise TaskError(
                    "label", whole, rule, f"Declare a horizon of {shown}, or shorten the window of the query"
                )
            notes.append(
                f"The label query reads up to {shown} after the cutoff ({whole}), of which the horizon {horizon} cuts off "
                "the end in long months: declare the longer one."
            )
    return notes


def _bounds(text: str) -> Iterator[tuple[str, str]]:
    """Yield the bounds at a constant distance after the cutoff: their text, and that of the constant."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(text, read="duckdb")
    except SqlglotError:
        return
    for node in tree.walk():
        if isinstance(node, exp.Add):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if _is_cutoff(one) and _is_constant(other):
                    yield node.sql("duckdb"), other.sql("duckdb")
        elif isinstance(node, exp.LT | exp.LTE | exp.GT | exp.GTE):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                plain = other.unnest()
                if _is_cutoff(one) and isinstance(plain, exp.Sub) and _is_constant(plain.right):
                    yield node.sql("duckdb"), plain.right.sql("duckdb")


def _is_cutoff(node: Any) -> bool:
    """Whether an expression is the column of the cutoffs, cast or in parentheses."""
    from sqlglot import exp

    plain = node.unnest()
    while isinstance(plain, exp.Cast):
        plain = plain.this.unnest()
    return isinstance(plain, exp.Column) and plain.name.lower() == _CUTOFF


def _is_constant(node: Any) -> bool:
    """Whether an expression is made of literals, casts and lengths of time alone: a query could run for ever."""
    from sqlglot import exp

    calls = (each for each in node.find_all(exp.Func) if not isinstance(each, exp.Cast))
    return not list(node.find_all(exp.Column, exp.Query)) and all(
        each.sql("duckdb").lower().startswith("to_") for each in calls
    )


def _lengths(connection: duckdb.DuckDBPyConnection, constant: str, kind: TimeKind | None) -> list[int]:
    """Return the lengths of a constant in ticks, one for each start; empty where it is no length of time."""
    import duckdb

    if kind == "integer":
        query = f"SELECT CAST(({constant}) AS BIGINT)"
    else:
        starts = ", ".join(f"(TIMESTAMP '{start}')" for start in _STARTS)
        query = f"SELECT epoch_us(s + ({constant})) - epoch_us(s) FROM (VALUES {starts}) t(s)"
    try:
        return [int(length) for (length,) in connection.sql(query).fetchall() if length is not None]
    except duckdb.Error:
        return []


def _shown(ticks: int, kind: TimeKind | None) -> str:
    if kind == "integer":
        return str(ticks)
    return f"{ticks // DAY} days" if ticks % DAY == 0 else f"{ticks / DAY:.2f} days"

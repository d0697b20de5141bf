"""Proposes semantic types where inference from the storage would be wrong: codes, identifiers, links, constants.

Types that inference gets right are left to `relselect.database.inference`.
"""

from __future__ import annotations

from collections.abc import Iterator

from relselect.proposal.facts import ColumnFacts, InspectedTable
from relselect.proposal.names import stem_of, words_of
from relselect.proposal.proposed_line import ProposedLine
from relselect.proposal.words import CODES, LINKS, POSTAL

__all__ = ["propose_types"]

#: The largest number of distinct values of a code; columns with more are identifiers.
_KINDS = 1000


def propose_types(table: InspectedTable, taken: set[str]) -> Iterator[ProposedLine]:
    """Yield the semantic types that inference from the storage would miss.

    Args:
        table: A table.
        taken: Columns that already have a line, or about which nothing is proposed.
    """
    for column in table.columns.values():
        if column.name in taken or column.present == 0:
            continue
        found = _constant(column) or _code(column) or _identifier(column)
        if found is not None:
            value, confidence, why = found
            evidence = {"distinct": column.distinct, "missing": column.null_share}
            yield ProposedLine(table.name, (column.name,), "type", value, confidence, why, evidence)


def _constant(column: ColumnFacts) -> tuple[str, float, str] | None:
    if column.kind != "other" and column.rows > 1 and column.nulls == 0 and column.distinct == 1:
        return "ignored", 0.8, "has the same value in every row"
    return None


def _code(column: ColumnFacts) -> tuple[str, float, str] | None:
    """Return the type of integers that encode categories; None for others."""
    if column.kind != "integer" or column.distinct < 2:
        return None
    words = words_of(column.name)
    few = column.distinct <= min(_KINDS, 0.5 * column.present)
    if words and words[-1] in CODES and few:
        return "categorical", 0.75, "holds codes as numbers, by its name"
    if stem_of(column.name)[1] == "id" and few:
        return "categorical", 0.7, "holds keys of no table that is read"
    return None


def _identifier(column: ColumnFacts) -> tuple[str, float, str] | None:
    """Return the type of values that identify a row, a place or a resource; None for others."""
    if column.kind not in ("integer", "text"):
        return None
    words = set(words_of(column.name))
    many = column.distinct > max(50, 0.5 * column.present)
    if column.kind == "integer" and words & POSTAL and many:
        return "ignored", 0.75, "holds postal codes that hardly repeat, not amounts"
    if words & LINKS and many:
        return "ignored", 0.75, "holds links, numbers or addresses that hardly repeat"
    if stem_of(column.name)[1] == "id" and many:
        return "ignored", 0.7, "identifies rows, of no table that is read"
    return None

"""Finds columns that are written after their row: today's values would leak the future into past rows.

Only names, NULLs and the order of times are compared; no history of changes is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow.compute as pc

from relselect.database.clock import ticks_of
from relselect.database.columns import as_numpy
from relselect.proposal.facts import ColumnFacts, InspectedTable
from relselect.proposal.names import stem_of, table_words, words_of
from relselect.proposal.proposed_line import ProposedLine
from relselect.proposal.times import mostly_after
from relselect.proposal.words import BIRTH, END, PLANNED, SECRETS, STATES, TALLIES, is_update

__all__ = ["clocks", "states", "tallies", "unusable"]

#: The largest share of rows in which two columns that are missing together may differ.
_SLIP = 0.005
_FEW = 20


def unusable(table: InspectedTable) -> Iterator[ProposedLine]:
    """Yield drops of secrets, of update times and of columns without values.

    Args:
        table: A table.
    """
    for column in table.columns.values():
        words = set(words_of(column.name))
        evidence = {"rows": column.rows, "missing": column.null_share, "distinct": column.distinct}
        if words & SECRETS and column.kind in ("text", "other"):
            yield _drop(column, 0.95, "is a secret by its name", {})
        elif is_update(column.name):
            yield _drop(column, 0.85, "is updated whenever the row changes", evidence)
        elif column.rows > 0 and column.present == 0:
            yield _drop(column, 0.9, "never has a value", evidence)


def clocks(table: InspectedTable, time: str | None, taken: set[str]) -> Iterator[ProposedLine]:
    """Yield clocks (times later than the row's own) with the columns that they mask, and drops of other later times.

    A column is masked by a clock if it is NULL exactly where the clock is, or if its values in those rows do not occur in
    any other.

    Args:
        table: A table.
        time: Its time column.
        taken: Columns that already have a line, or about which nothing is proposed.
    """
    masked: set[str] = set()
    for clock in table.columns.values():
        if clock.kind != "time" or clock.name in {*taken, time, *masked} or clock.present == 0:
            continue
        words = set(words_of(clock.name))
        if words & BIRTH or words & PLANNED or not _comes_later(clock, table, time):
            continue
        masked_here = [
            c.name
            for c in table.columns.values()
            if c.name not in {*taken, time, clock.name, *masked} and _is_masked(c, clock)
        ]
        evidence = {"missing": clock.null_share, "rows": clock.rows}
        later = "" if time is None else f" never before {time}"
        if masked_here:
            masked.update(masked_here)
            why = f"comes{later or ' later'} and is missing in the same rows: they are known only from then on"
            yield ProposedLine(table.name, (clock.name,), "known_at", ", ".join(masked_here), 0.85, why, evidence)
        else:
            missing = f", missing in {clock.null_share:.0%} of the rows" if clock.nulls else ""
            why = f"becomes known after its row:{later or ' named like an end'}{missing}"
            yield _drop(clock, 0.75 if clock.nulls else 0.6, why, evidence)


def _comes_later(clock: ColumnFacts, table: InspectedTable, time: str | None) -> bool:
    named = bool(set(words_of(clock.name)) & END)
    if time is None or table.columns[time].kind != "time":
        return named
    later = mostly_after(clock, table.columns[time], 0.99)
    return later and (named or clock.null_share > 10 * _SLIP) and not _same(clock, table.columns[time])


def _same(one: ColumnFacts, other: ColumnFacts) -> bool:
    return bool(np.array_equal(ticks_of(one.values), ticks_of(other.values)))


def _is_masked(column: ColumnFacts, clock: ColumnFacts) -> bool:
    """Whether a column is NULL exactly where the clock is, or shares no value between rows with and without the clock."""
    if not clock.nulls:
        return False
    if column.nulls:
        differ = pc.xor(pc.is_null(column.values), pc.is_null(clock.values))
        return column.null_share > _SLIP and pc.sum(differ).as_py() <= _SLIP * column.rows
    if column.kind not in ("text", "integer", "boolean") or not 2 <= column.distinct <= _FEW:
        return False
    is_open = pc.is_null(clock.values)
    before, after = (set(pc.unique(column.plain.filter(mask)).to_pylist()) for mask in (is_open, pc.invert(is_open)))
    return bool(before) and bool(after) and not before & after


def states(table: InspectedTable, taken: set[str]) -> Iterator[ProposedLine]:
    """Yield drops of columns that hold a current state, by their names.

    Args:
        table: A table.
        taken: Columns that already have a line, or about which nothing is proposed.
    """
    for column in table.columns.values():
        named = set(words_of(column.name)) & STATES and stem_of(column.name)[1] != "id"
        if named and column.name not in taken and column.kind != "time" and 2 <= column.distinct <= _FEW:
            why = "is named like a state that is overwritten; it holds the current one, for rows of any date"
            yield _drop(column, 0.6, why, {"distinct": column.distinct})


def tallies(
    table: InspectedTable, key: str, time: str | None, children: list[tuple[InspectedTable, str, str]], taken: set[str]
) -> Iterator[ProposedLine]:
    """Yield drops of columns that count rows of other tables, which keep arriving later.

    Args:
        table: A table.
        key: Its key column.
        time: Its time column.
        children: Tables that refer to it, each with the referring column and its time column.
        taken: Columns that already have a line, or about which nothing is proposed.
    """
    for column in table.columns.values():
        words = set(words_of(column.name))
        numeric = column.kind in ("integer", "number") and column.name not in taken and column.distinct > 1
        if not numeric or not words & {*TALLIES, "n", "num", "total"}:
            continue
        equal = max(((_equal(column, table, key, *child[:2]), child[0].name) for child in children), default=(0.0, ""))
        related = [
            child.name for child, _, _ in children if set(table_words(child.name)) & set(stem_of(column.name)[0])
        ]
        if equal[0] >= 0.8:
            why = f"counts the rows of {equal[1]} as of today, for rows of any date"
            yield _drop(column, 0.9, why, {"equal": equal[0]})
        elif words & TALLIES and (related or words & (TALLIES - {"count"})) and children:
            about = f" rows of {related[0]}" if related else ""
            yield _drop(column, 0.65, f"is named like a count{about} that keeps growing", {"equal": equal[0]})


def _equal(column: ColumnFacts, table: InspectedTable, key: str, child: InspectedTable, reference: str) -> float:
    """Return the share of rows, of those with a count or children, whose count is the number of their children."""
    keys = table.columns[key]
    if keys.kind != child.columns[reference].kind:
        return 0.0
    counted = child.columns[reference].plain.drop_null().value_counts()
    numbers = dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
    found = np.array([numbers.get(value, 0) for value in keys.plain.to_pylist()], dtype=np.float64)
    counts = as_numpy(pc.cast(column.plain, "float64", safe=False))
    some = (found > 0) | (counts > 0)
    return float((found[some] == counts[some]).mean()) if some.any() else 0.0


def _drop(column: ColumnFacts, confidence: float, why: str, evidence: Mapping[str, float]) -> ProposedLine:
    return ProposedLine(column.table, (column.name,), "drop", "", confidence, why, evidence)

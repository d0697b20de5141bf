"""Finds columns that are written after their row: today's values would leak the future into past rows.

Only names, NULLs and the order of times are compared; no history of changes is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow.compute as pc

from relselect.database.clock import ticks_of
from relselect.database.columns import as_numpy
from relselect.proposal.containment import contained
from relselect.proposal.facts import ColumnFacts, Facts, InspectedTable
from relselect.proposal.names import stem_of, table_words, words_of
from relselect.proposal.proposed_line import ProposedLine
from relselect.proposal.times import mostly_after
from relselect.proposal.words import BIRTH, END, PLANNED, SECRETS, STATES, TALLIES, is_log, is_update

__all__ = ["clocks", "states", "tallies", "unusable"]

#: The largest share of rows in which two columns that are missing together may differ.
_SLIP = 0.005
_FEW = 20
#: The least share of a secret's values that are keys of a table which it refers to.
_KEYS = 0.9
#: The least number of rows without a clock, and the share of the others that come before half of them.
_WAITING, _LATE = 3, 0.9


def unusable(table: InspectedTable, keys: Sequence[ColumnFacts], facts: Facts) -> Iterator[ProposedLine]:
    """Yield drops of secrets, of update times and of columns without values.

    In a log of changes the time of a change is the time of its row, and is kept.
    A secret whose values are keys of a table, such as the number of an account, is kept: it joins tables, and no model reads it.

    Args:
        table: A table.
        keys: The keys of one column of all tables.
        facts: All tables.
    """
    for column in table.columns.values():
        words = set(words_of(column.name))
        evidence = {"rows": column.rows, "missing": column.null_share, "distinct": column.distinct}
        if words & SECRETS and column.kind in ("text", "other"):
            if any(_refers(column, key, facts) for key in keys):
                continue
            yield _drop(column, 0.95, "is a secret by its name", {})
        elif is_update(column.name) and not is_log(table.name, table.columns):
            yield _drop(column, 0.85, "is updated whenever the row changes", evidence)
        elif column.rows > 0 and column.present == 0:
            yield _drop(column, 0.9, "never has a value", evidence)


def _refers(column: ColumnFacts, key: ColumnFacts, facts: Facts) -> bool:
    """Whether a column is a key, or holds its values."""
    if column.table == key.table and column.name == key.name:
        return True
    values = contained(column, key, facts) if column.kind == key.kind and column.present else None
    return values is not None and values.share >= _KEYS


def clocks(table: InspectedTable, time: str | None, taken: set[str]) -> Iterator[ProposedLine]:
    """Yield clocks (times later than the row's own) with the columns that they mask.

    Every later date is a clock of its own, also where no column hangs on it, and is never masked by another one. A column
    goes with a clock if it is NULL exactly where the clock is, or if its values in those rows do not occur in any other. It
    hangs on the latest clock that it goes with; a state with several values in the rows of its clock hangs on the latest clock
    that follows it, because the state was overwritten again.

    Args:
        table: A table.
        time: Its time column.
        taken: Columns that already have a line, or about which nothing is proposed.
    """
    found = [column for column in table.columns.values() if _is_clock(column, table, time, taken)]
    names = {clock.name for clock in found}
    masked: dict[str, list[str]] = {clock.name: [] for clock in found}
    for column in table.columns.values():
        if column.name in {*taken, time, *names}:
            continue
        owner = _clock_of(column, found)
        if owner is not None:
            masked[owner.name].append(column.name)
    for clock in found:
        evidence = {"missing": clock.null_share, "rows": clock.rows}
        later = "" if time is None else f" never before {time}"
        if masked[clock.name]:
            why = f"comes{later or ' later'} and they go with it: they are known only from then on"
            sure = 0.85
        else:
            missing = f", missing in {clock.null_share:.0%} of the rows" if clock.nulls else ""
            why = f"is known only from itself on:{later or ' named like an end'}{missing}"
            sure = 0.75 if clock.nulls else 0.6
        value = ", ".join(masked[clock.name])
        yield ProposedLine(table.name, (clock.name,), "known_at", value, sure, why, evidence)


def _is_clock(column: ColumnFacts, table: InspectedTable, time: str | None, taken: set[str]) -> bool:
    if column.kind != "time" or column.name in {*taken, time} or column.present == 0:
        return False
    words = set(words_of(column.name))
    return not (words & BIRTH or words & PLANNED) and _comes_later(column, table, time)


def _clock_of(column: ColumnFacts, found: list[ColumnFacts]) -> ColumnFacts | None:
    """Return the clock that a column hangs on, None where it goes with none."""
    mine = [clock for clock in found if _is_masked(column, clock)]
    if not mine:
        return None
    clock = _latest(mine)
    if column.nulls or _values_with(column, clock) < 2:
        return clock
    after = [each for each in found if each is not clock and mostly_after(each, clock, 0.95)]
    return _latest([clock, *after])


def _values_with(column: ColumnFacts, clock: ColumnFacts) -> int:
    return len(pc.unique(column.plain.filter(pc.is_valid(clock.values))))


def _latest(dates: list[ColumnFacts]) -> ColumnFacts:
    """Return the date that comes after most of the others; among dates that no row has together, the last in the table."""
    return max(reversed(dates), key=lambda date: sum(mostly_after(date, each, 0.95) for each in dates))


def _comes_later(clock: ColumnFacts, table: InspectedTable, time: str | None) -> bool:
    named = bool(set(words_of(clock.name)) & END)
    if time is None or table.columns[time].kind != "time":
        return named
    later = mostly_after(clock, table.columns[time], 0.99)
    often = clock.null_share > 10 * _SLIP
    return later and (named or often or _not_yet(clock, table.columns[time])) and not _same(clock, table.columns[time])


def _not_yet(clock: ColumnFacts, time: ColumnFacts) -> bool:
    """Whether the rows without a clock are among the latest, as where what it dates has not happened to them yet."""
    waiting = pc.is_null(clock.values).to_numpy(zero_copy_only=False)
    known = pc.is_valid(time.values).to_numpy(zero_copy_only=False)
    if (waiting & known).sum() < _WAITING or not (~waiting & known).any():
        return False
    ticks = ticks_of(time.values)
    return bool(np.median(ticks[waiting & known]) > np.quantile(ticks[~waiting & known], _LATE))


def _same(one: ColumnFacts, other: ColumnFacts) -> bool:
    return bool(np.array_equal(ticks_of(one.values), ticks_of(other.values)))


def _is_masked(column: ColumnFacts, clock: ColumnFacts) -> bool:
    """Whether a column is NULL exactly where the clock is, or shares no value between rows with and without the clock."""
    if not clock.nulls:
        return False
    if column.kind == "time" and not (set(words_of(column.name)) & PLANNED or mostly_after(clock, column, 0.99)):
        return False  # it would be shown before it comes
    if column.nulls:
        differ = pc.xor(pc.is_null(column.values), pc.is_null(clock.values))
        return column.null_share > _SLIP and pc.sum(differ).as_py() <= _SLIP * column.rows
    if column.kind not in ("text", "integer", "boolean") or not 2 <= column.distinct <= _FEW:
        return False
    is_open = pc.is_null(clock.values)
    before, after = (set(pc.unique(column.plain.filter(mask)).to_pylist()) for mask in (is_open, pc.invert(is_open)))
    return bool(before) and bool(after) and not before & after


def states(table: InspectedTable, taken: set[str]) -> Iterator[ProposedLine]:
    """Yield drops of columns that hold a current state, by their names; in a log of changes they hold that of the change.

    Args:
        table: A table.
        taken: Columns that already have a line, or about which nothing is proposed.
    """
    if is_log(table.name, table.columns):
        return
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

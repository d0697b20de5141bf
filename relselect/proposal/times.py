"""Proposes time columns: the column of a table that says when a row became known.

No column is computed: what `relselect.proposal.formats` could not read as times becomes a note.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.clock import ticks_of
from relselect.proposal.facts import ColumnFacts, Facts, InspectedTable
from relselect.proposal.names import table_words, words_of
from relselect.proposal.overrides import Overrides
from relselect.proposal.proposed_line import GIVEN, ProposedLine
from relselect.proposal.words import BIRTH, CREATED, END, KNOWN, PLAIN_TIMES, PLANNED, YEARS, is_log, is_update

__all__ = ["MISSING", "mostly_after", "propose_times"]

_LEAST = 0.5
#: The largest share of NULLs in a time column: rows without a time are never visible.
MISSING = 0.005
_TEXT_DATE = re.compile(r"^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|^\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")
_LOOKED_AT = 200


def propose_times(
    facts: Facts, overrides: Mapping[str, Overrides], taken: Mapping[str, set[str]]
) -> tuple[dict[str, ProposedLine], list[ProposedLine]]:
    """Return table -> time column, for every table with a likely one, and notes on columns that need a conversion.

    Integers (years, seconds since 1970) are times only in databases without timestamps.

    Args:
        facts: The tables.
        overrides: Table -> the caller's overrides.
        taken: Table -> columns that are keys, references, dropped or settled.
    """
    found: dict[str, ProposedLine] = {}
    open_tables: list[InspectedTable] = []
    for name, table in facts.tables.items():
        time = overrides.get(name, Overrides()).time
        if time:
            found[name] = ProposedLine(name, (time,), "time", reason="was given", origin=GIVEN)
        elif time is None:
            best = _best(table, taken.get(name, set()))
            if best is not None:
                found[name] = best
            else:
                open_tables.append(table)
    numbers = {table.name: each for table in open_tables if (each := _number(table, taken.get(table.name, set())))}
    own = [facts.tables[time.table].columns.get(time.columns[0]) for time in found.values()]  # None for a parent's time
    dates = [column for column in own if column is not None and column.kind == "time"]
    notes: list[ProposedLine] = []
    if dates:
        notes += [_to_convert(each) for each in numbers.values()]
    else:
        found |= _of_one_unit(numbers)
    notes += [note for table in open_tables if table.name not in found for note in _texts(table)]
    return found, notes


def mostly_after(later: ColumnFacts, earlier: ColumnFacts, share: float) -> bool:
    """Whether, in at least `share` of the rows that have both times, `later` is not before `earlier`."""
    one, other = _ticks(later), _ticks(earlier)
    both = pc.and_(pc.is_valid(later.values), pc.is_valid(earlier.values)).to_numpy(zero_copy_only=False)
    return bool(both.any()) and float((one[both] >= other[both]).mean()) >= share


def _ticks(column: ColumnFacts) -> np.ndarray:
    return ticks_of(column.values)


def _best(table: InspectedTable, taken: set[str]) -> ProposedLine | None:
    scored = [
        (score, column, why)
        for column in table.columns.values()
        if column.kind == "time" and column.name not in taken
        for score, why in [_score(column, table)]
        if score >= _LEAST
    ]
    if not scored:
        return None
    top = max(score for score, _, _ in scored)
    near = [(column, score, why) for score, column, why in scored if score > top - 0.05]
    shortest = min(len(column.name) for column, _, _ in near)
    plainest = [each for each in near if len(each[0].name) == shortest]
    column, score, why = next((each for each in plainest if _is_first(each[0], plainest)), plainest[0])
    if len(scored) > 1:
        score -= 0.05
        why += f", the likeliest of {len(scored)}"
    evidence = {"rows": column.rows, "missing": column.null_share, "distinct": column.distinct}
    return ProposedLine(table.name, (column.name,), "time", "", score, why, evidence)


def _is_first(column: ColumnFacts, others: list[tuple[ColumnFacts, float, str]]) -> bool:
    return all(other is column or mostly_after(other, column, 0.95) for other, _, _ in others)


def _score(column: ColumnFacts, table: InspectedTable) -> tuple[float, str]:
    """Return how likely a timestamp column is the time of its rows, from 0 to 1, and the reason."""
    words = words_of(column.name)
    update = is_update(column.name)
    if set(words) & BIRTH or column.null_share > MISSING or (update and not is_log(table.name, table.columns)):
        return 0.0, ""
    if column.rows > 1 and column.distinct == 1:
        return 0.0, ""
    score, why = (0.85, "says when the change was made") if update else _by_words(words, table)
    if column.nulls:
        score -= 0.05
    if column.rows == 0:
        return score - 0.1, f"{why}; there are no rows"
    return score, f"{why}; is {'nearly ' if column.nulls else ''}never missing"


def _by_words(words: tuple[str, ...], table: InspectedTable) -> tuple[float, str]:
    if set(words) & KNOWN:
        return 0.95, "says when the row became known"
    if set(words) & END:
        return 0.55, "is the only time, although it is named like an end"
    if set(words) & PLANNED:
        return 0.55, "is the only time, although it is named like a plan"
    if set(words) & CREATED:
        return 0.9, "says when the row was created"
    if words and set(words) <= PLAIN_TIMES:
        return 0.9, "has a plain name of a time"
    if set(words[:-1]) & set(table_words(table.name)) and words[-1] in PLAIN_TIMES:
        return 0.9, "is named as the time of the table's rows"
    if words and (words[-1] in PLAIN_TIMES or words[0] in PLAIN_TIMES):
        return 0.8, "is named like a time"
    return 0.65, "holds times"


def _number(table: InspectedTable, taken: set[str]) -> tuple[ProposedLine, str] | None:
    """Return the first column of integers that look like times, and their unit; None without one."""
    for column in table.columns.values():
        words = set(words_of(column.name))
        named = words & YEARS and not words & BIRTH and not is_update(column.name)
        whole = pa.types.is_integer(column.values.type) and column.null_share <= MISSING and column.present > 0
        if named and whole and column.name not in taken:
            unit = _unit(column)
            if unit is not None and column.distinct > 1:
                why = f"holds {unit} as whole numbers"
                evidence = {"rows": column.rows, "missing": column.null_share, "distinct": column.distinct}
                return ProposedLine(table.name, (column.name,), "time", "", 0.7, why, evidence), unit
    return None


def _unit(column: ColumnFacts) -> str | None:
    bounds = pc.min_max(column.values)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    for unit, least, most in (
        ("years", 1500, 2200),
        ("dates such as 20240131", 18000101, 22001231),
        ("seconds since 1970", 10**8, 5 * 10**9),
        ("milliseconds since 1970", 10**11, 5 * 10**12),
        ("microseconds since 1970", 10**14, 5 * 10**15),
    ):
        if least <= low and high <= most:
            return unit
    return None


def _of_one_unit(numbers: Mapping[str, tuple[ProposedLine, str]]) -> dict[str, ProposedLine]:
    """Keep the times of the most frequent unit: a database has one kind of time."""
    units = [unit for _, unit in numbers.values()]
    commonest = max(sorted(set(units)), key=units.count, default=None)
    return {name: line for name, (line, unit) in numbers.items() if unit == commonest}


def _to_convert(number: tuple[ProposedLine, str]) -> ProposedLine:
    line, unit = number
    why = f"holds {unit} as whole numbers while other tables have timestamps"
    why += "; with a format, or converted in a view, it can be the time"
    return ProposedLine(line.table, line.columns, "note", "", 0.5, why, line.evidence)


def _texts(table: InspectedTable) -> list[ProposedLine]:
    """Return a note on the first column that holds dates as text."""
    for column in table.columns.values():
        words = set(words_of(column.name))
        if column.kind != "text" or words & BIRTH or is_update(column.name) or column.present == 0:
            continue
        head = column.plain.drop_null().slice(0, _LOOKED_AT).to_pylist()
        if all(_TEXT_DATE.match(text) for text in head):
            why = "holds dates as text of more than one form; with a format, or converted in a view, it can be the time"
            return [ProposedLine(table.name, (column.name,), "note", "", 0.5, why, {"missing": column.null_share})]
    return []

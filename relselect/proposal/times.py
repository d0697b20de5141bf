"""Time columns: the one of a table that says when a row became known, if there is one."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from relselect.database.clock import ticks_of
from relselect.proposal.facts import ColumnFacts, Facts, TableFacts
from relselect.proposal.finding import GIVEN, Finding
from relselect.proposal.given import Given
from relselect.proposal.names import table_words, words_of
from relselect.proposal.words import BIRTH, CREATED, END, KNOWN, PLAIN_TIMES, PLANNED, YEARS, is_update

__all__ = ["mostly_after", "propose_times"]

_LEAST = 0.5
#: Rows without a time are never seen: a column that misses more is no time of the rows.
_MISSING = 0.005
_TEXT_DATE = re.compile(r"^\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|^\d{1,2}[-/.]\d{1,2}[-/.]\d{4}")
_LOOKED_AT = 200


def propose_times(
    facts: Facts, given: Mapping[str, Given], taken: Mapping[str, set[str]]
) -> tuple[dict[str, Finding], list[Finding]]:
    """Return the time column of every table that seems to have one, and what else may be one after a conversion.

    Whole numbers (years, seconds since 1970) are times only of databases that have no others.

    Args:
        facts: The schema.
        given: What the caller says.
        taken: Table -> columns that are keys, references, dropped or settled.
    """
    found: dict[str, Finding] = {}
    open_tables: list[TableFacts] = []
    for name, table in facts.tables.items():
        time = given.get(name, Given()).time
        if time:
            found[name] = Finding(name, (time,), "time", reason="was given", origin=GIVEN)
        elif time is None:
            best = _best(table, taken.get(name, set()))
            if best is not None:
                found[name] = best
            else:
                open_tables.append(table)
    numbers = {table.name: each for table in open_tables if (each := _number(table, taken.get(table.name, set())))}
    dates = [time for time in found.values() if facts.tables[time.table].columns[time.columns[0]].kind == "time"]
    notes: list[Finding] = []
    if dates:
        notes += [_to_convert(each) for each in numbers.values()]
    else:
        found |= _of_one_unit(numbers)
    notes += [note for table in open_tables if table.name not in found for note in _texts(table)]
    return found, notes


def mostly_after(later: ColumnFacts, earlier: ColumnFacts, share: float) -> bool:
    """Whether, where both are there, one time is not before the other in at least this share of the rows."""
    one, other = _ticks(later), _ticks(earlier)
    both = pc.and_(pc.is_valid(later.values), pc.is_valid(earlier.values)).to_numpy(zero_copy_only=False)
    return bool(both.any()) and float((one[both] >= other[both]).mean()) >= share


def _ticks(column: ColumnFacts) -> np.ndarray:
    return ticks_of(column.values)


def _best(table: TableFacts, taken: set[str]) -> Finding | None:
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
    return Finding(table.name, (column.name,), "time", "", score, why, evidence)


def _is_first(column: ColumnFacts, others: list[tuple[ColumnFacts, float, str]]) -> bool:
    return all(other is column or mostly_after(other, column, 0.95) for other, _, _ in others)


def _score(column: ColumnFacts, table: TableFacts) -> tuple[float, str]:
    """Return how likely a column of times is the time of its rows."""
    words = words_of(column.name)
    if set(words) & BIRTH or is_update(column.name) or column.null_share > _MISSING:
        return 0.0, ""
    if column.rows > 1 and column.distinct == 1:
        return 0.0, ""
    score, why = _by_words(words, table)
    if column.nulls:
        score -= 0.05
    if column.rows == 0:
        return score - 0.1, f"{why}; there are no rows"
    return score, f"{why}; is {'nearly ' if column.nulls else ''}never missing"


def _by_words(words: tuple[str, ...], table: TableFacts) -> tuple[float, str]:
    if set(words) & KNOWN:
        return 0.95, "says when the row became known"
    if set(words) & END:
        return 0.55, "is the only time, although it is named like an end"
    if set(words) & PLANNED:
        return 0.55, "is the only time, although it is named like a plan"
    if set(words) & CREATED:
        return 0.9, "says when the row came to be"
    if words and set(words) <= PLAIN_TIMES:
        return 0.9, "is simply called a time"
    if set(words[:-1]) & set(table_words(table.name)) and words[-1] in PLAIN_TIMES:
        return 0.9, "is the time of the table's own things"
    if words and (words[-1] in PLAIN_TIMES or words[0] in PLAIN_TIMES):
        return 0.8, "is named like a time"
    return 0.65, "holds times"


def _number(table: TableFacts, taken: set[str]) -> tuple[Finding, str] | None:
    """Return the first column of whole numbers that look like times, and their unit."""
    for column in table.columns.values():
        words = set(words_of(column.name))
        named = words & YEARS and not words & BIRTH and not is_update(column.name)
        whole = pa.types.is_integer(column.values.type) and column.null_share <= _MISSING and column.present > 0
        if named and whole and column.name not in taken:
            unit = _unit(column)
            if unit is not None and column.distinct > 1:
                why = f"holds {unit} as whole numbers"
                evidence = {"rows": column.rows, "missing": column.null_share, "distinct": column.distinct}
                return Finding(table.name, (column.name,), "time", "", 0.7, why, evidence), unit
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


def _of_one_unit(numbers: Mapping[str, tuple[Finding, str]]) -> dict[str, Finding]:
    """Keep the times of the commonest unit: a database has one kind of time."""
    units = [unit for _, unit in numbers.values()]
    commonest = max(sorted(set(units)), key=units.count, default=None)
    return {name: finding for name, (finding, unit) in numbers.items() if unit == commonest}


def _to_convert(number: tuple[Finding, str]) -> Finding:
    finding, unit = number
    why = f"holds {unit} as whole numbers while other tables have timestamps; convert it in a view to make it the time"
    return Finding(finding.table, finding.columns, "note", "", 0.5, why, finding.evidence)


def _texts(table: TableFacts) -> list[Finding]:
    """Note the first column that holds dates as text."""
    for column in table.columns.values():
        words = set(words_of(column.name))
        if column.kind != "text" or words & BIRTH or is_update(column.name) or column.present == 0:
            continue
        head = column.plain.drop_null().slice(0, _LOOKED_AT).to_pylist()
        if all(_TEXT_DATE.match(text) for text in head):
            why = "holds dates as text; convert it in a view to make it the time"
            return [Finding(table.name, (column.name,), "note", "", 0.5, why, {"missing": column.null_share})]
    return []

"""Proposes the time of a parent for tables that have none of their own: order lines take that of their order.

Rows without a time are always visible, those of future orders too. A path such as `order_id.placed_at` is proposed where each
row has its parent and nothing else refers to the rows, as parts of an event have; elsewhere it is offered as a note, because
rows of a table such as customers exist before what they refer to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from relselect.database.columns import combine_keys, find_keys
from relselect.proposal.facts import ColumnFacts, Facts
from relselect.proposal.overrides import Overrides
from relselect.proposal.proposed_line import ProposedLine
from relselect.proposal.times import MISSING, mostly_after

__all__ = ["propose_parent_times"]

#: The share of rows whose time is not before that of another parent, for a parent to be the last of several.
_LAST = 0.95


def propose_parent_times(
    facts: Facts,
    references: Sequence[ProposedLine],
    keys: Mapping[str, ProposedLine],
    times: Mapping[str, ProposedLine],
    overrides: Mapping[str, Overrides],
) -> list[ProposedLine]:
    """Return a line "time" or, where it is less sure, "note" for each table without a time whose parent has one.

    Args:
        facts: The tables.
        references: The foreign keys.
        keys: Table -> its primary key.
        times: Table -> its own time column.
        overrides: Table -> the caller's overrides.
    """
    known: dict[str, ColumnFacts] = {
        name: facts.tables[name].columns[line.columns[0]]
        for name, line in times.items()
        if line.columns[0] in facts.tables[name].columns
    }
    referred = {line.value for line in references if line.value != line.table}
    found: list[ProposedLine] = []
    waiting = [name for name in facts.tables if name not in times and overrides.get(name, Overrides()).time is None]
    while True:
        begun = len(found)
        for name in list(waiting):
            offers = [_offer(facts, line, keys, known) for line in references if line.table == name]
            usable = [each for each in offers if each is not None]
            open_ = _may_get_one(references, known, waiting) - {name}
            if not usable or any(line.table == name and line.value in open_ for line in references):
                continue
            waiting.remove(name)
            best = next((one for one in usable if all(_not_before(one, other) for other in usable)), None)
            line = _line(best or usable[0], sure=best is not None and name not in referred)
            found.append(line)
            if line.what == "time":
                known[name] = (best or usable[0])[1]
        if len(found) == begun:
            return found


def _may_get_one(references: Sequence[ProposedLine], known: Mapping[str, object], waiting: Sequence[str]) -> set[str]:
    """Return the waiting tables from which foreign keys lead to a table with a time; no other ever gets one."""
    reached = set(known)
    while True:
        more = {line.table for line in references if line.value in reached and line.table in waiting} - reached
        if not more:
            return reached & set(waiting)
        reached |= more


_Offer = tuple[ProposedLine, ColumnFacts, str]


def _offer(
    facts: Facts, line: ProposedLine, keys: Mapping[str, ProposedLine], known: Mapping[str, ColumnFacts]
) -> _Offer | None:
    """Return a reference with the times that it gives the rows and the name of their path; None where the parent has none."""
    parent = line.value
    if parent == line.table or parent not in known or parent not in keys:
        return None
    own, child = facts.tables[parent].data, facts.tables[line.table].data
    if len(keys[parent].columns) != len(line.columns):
        return None
    rows = find_keys(
        combine_keys([own[column] for column in keys[parent].columns]), combine_keys([child[c] for c in line.columns])
    )
    values = pa.chunked_array([known[parent].values.combine_chunks().take(pa.array(rows, pa.int64(), mask=rows < 0))])
    path = f"{line.column}.{known[parent].name}"
    return line, ColumnFacts(line.table, path, len(child.column_names), values), path


def _not_before(one: _Offer, other: _Offer) -> bool:
    return one is other or mostly_after(one[1], other[1], _LAST)


def _line(offer: _Offer, *, sure: bool) -> ProposedLine:
    reference, times, path = offer
    evidence = {"rows": times.rows, "missing": times.null_share}
    if sure and times.rows and times.null_share <= MISSING:
        why = (
            f"is the time of the row of {reference.value} that each row belongs to; without it rows are always visible"
        )
        return ProposedLine(reference.table, (path,), "time", "", 0.7, why, evidence)
    why = (
        f"has no time, so its rows are always visible, though {reference.value} has one: "
        f"write `time: {path}` if its rows appear with those of {reference.value}"
    )
    return ProposedLine(reference.table, reference.columns, "note", reference.value, 0.6, why, evidence)

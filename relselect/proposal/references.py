"""Proposes foreign keys from column names that match a table and from values that are among its keys.

Either is enough when it is strong: `customer_id` refers to customers even if some customers were deleted, and a column
of airport codes refers to airports under any name. A column that has the name of declared foreign keys elsewhere, which all
refer to one table, refers there too. Small integers are among the keys of every table that numbers its rows
from 1, so without a matching name the overlap has to be improbable by chance; see `relselect.proposal.containment`.
Composite foreign keys come from the catalog, from overrides, and from columns with the names of a composite key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from relselect.proposal.containment import Containment, contained
from relselect.proposal.facts import ColumnFacts, Facts, InspectedTable
from relselect.proposal.names import SELF, NameMatch, is_generic, match_names, stem_of, table_words
from relselect.proposal.overrides import Overrides
from relselect.proposal.proposed_line import DECLARED, GIVEN, ProposedLine

__all__ = ["propose_references"]

#: The least score of a name that suffices with half of the values.
_STRONG = 0.75
#: The least score of a name that suffices with nearly all values.
_FAIR = 0.5
#: The least share of values that suffices where declared foreign keys have the same name.
_ALIKE = 0.9
#: The least surprise, in nats, of values that suffice without a name: texts, numbers.
_TEXTS, _NUMBERS = 7.0, 15.0


class _Target(NamedTuple):
    """A table with a key of one column, which foreign keys may refer to."""

    table: InspectedTable
    key: ColumnFacts


def propose_references(
    facts: Facts, overrides: Mapping[str, Overrides], keys: Mapping[str, ProposedLine], dropped: Mapping[str, set[str]]
) -> list[ProposedLine]:
    """Return the foreign keys of all tables: overrides, declared ones, then the likeliest inferred one per column; and notes.

    Args:
        facts: The tables and what their catalog declares.
        overrides: Table -> the caller's overrides.
        keys: Table -> its primary key.
        dropped: Table -> columns that are not read.
    """
    targets = [
        _Target(facts.tables[name], facts.tables[name].columns[key.columns[0]])
        for name, key in keys.items()
        if len(key.columns) == 1
    ]
    strict = any(table.entry.foreign_keys for table in facts.tables.values())
    found: list[ProposedLine] = []
    for table in facts.tables.values():
        override = overrides.get(table.name, Overrides())
        settled = list(_settled(table, override, keys, dropped.get(table.name, set())))
        found += settled
        taken = {column for key in settled for column in key.columns} | {
            c for cols in override.references for c in cols
        }
        taken |= dropped.get(table.name, set()) | override.settled - set(override.keep)
        composite = list(_composite(table, facts, keys, taken))
        found += composite
        for column in table.columns.values():
            if column.name not in taken:
                best = _best(column, table, targets, keys, facts, strict) or _alike(column, table, targets, keys, facts)
                found += [best] if best is not None else []
    return [*found, *_without_parent(facts, found, keys)]


def _without_parent(
    facts: Facts, found: list[ProposedLine], keys: Mapping[str, ProposedLine]
) -> Iterator[ProposedLine]:
    """Yield notes on columns that hold keys, whose values stand several times in another table and are the key of none.

    So look tables of versions (valid from, valid to), and the readings and events of things that have no table.
    """
    settled = {(line.table, column) for line in found for column in line.columns}
    settled |= {(name, column) for name, key in keys.items() for column in key.columns}
    open_: dict[str, list[ColumnFacts]] = {}
    for table in facts.tables.values():
        for column in table.columns.values():
            named = stem_of(column.name)[1] and not is_generic(column.name)
            if (
                named
                and column.kind in ("integer", "text")
                and column.distinct > 1
                and (table.name, column.name) not in settled
            ):
                open_.setdefault(column.name, []).append(column)
    for name, columns in open_.items():
        for column in columns:
            others = [other for other in columns if other is not column and other.kind == column.kind]
            for other in others:
                values = contained(column, other, facts)
                if values is None or values.share < _ALIKE or column.rows < other.rows:
                    continue
                why = (
                    f"holds the values of {other.table}.{name}, which stand there several times: no row can be referred to, and "
                    f"the tables stay apart. A table or view of the distinct {name}, to which both refer, joins them"
                )
                yield ProposedLine(column.table, (name,), "note", "", 0.5, why, {"contained": values.share})


def _settled(
    table: InspectedTable, override: Overrides, keys: Mapping[str, ProposedLine], dropped: set[str]
) -> Iterator[ProposedLine]:
    """Yield the foreign keys of overrides and of the catalog."""
    for columns, parent in override.references.items():
        if parent:
            yield ProposedLine(table.name, columns, "foreign_key", parent, reason="was given", origin=GIVEN)
    for key in table.entry.foreign_keys:
        known = key.table in keys and set(key.ref_columns) == set(keys[key.table].columns)
        if known and not set(key.columns) & dropped and key.columns not in override.references:
            order = [key.columns[key.ref_columns.index(column)] for column in keys[key.table].columns]
            yield ProposedLine(
                table.name, tuple(order), "foreign_key", key.table, reason="is a declared reference", origin=DECLARED
            )


def _best(
    column: ColumnFacts,
    table: InspectedTable,
    targets: list[_Target],
    keys: Mapping[str, ProposedLine],
    facts: Facts,
    strict: bool,
) -> ProposedLine | None:
    """Return the likeliest foreign key of a column; None if none is likely."""
    own = keys.get(table.name)
    is_key = own is not None and own.columns == (column.name,)
    if column.kind not in ("integer", "text") or (is_key and stem_of(column.name)[0] == table_words(table.name)):
        return None
    found: list[tuple[float, float, ProposedLine]] = []
    for target in targets:
        if target.key is column:
            continue
        line = _judged(column, table, target, facts, strict)
        if line is not None and (not is_key or _extends(table, target, line)):
            found.append((line.confidence, line.evidence.get("coverage", 0.0), line))
    return max(found, key=lambda each: each[:2])[2] if found else None


def _composite(
    table: InspectedTable, facts: Facts, keys: Mapping[str, ProposedLine], taken: set[str]
) -> Iterator[ProposedLine]:
    """Yield foreign keys of several columns: those with the names of another table's key, whose values are keys there."""
    for name, key in keys.items():
        parent = facts.tables[name]
        if parent is table or len(key.columns) < 2 or not set(key.columns) <= set(table.columns) - taken:
            continue
        if any(table.columns[column].family != parent.columns[column].family for column in key.columns):
            continue
        mine = table.data.select(list(key.columns)).drop_null().group_by(list(key.columns)).aggregate([])
        theirs = parent.data.select(list(key.columns))
        if not mine.num_rows:
            continue
        inside = mine.join(theirs, keys=list(key.columns), join_type="left semi").num_rows / mine.num_rows
        if inside >= _ALIKE:
            share = "all values" if inside == 1 else f"{inside:.1%} of the values"
            why = f"have the names of the key of {name}; {share} are keys there"
            evidence = {"contained": inside, "distinct": mine.num_rows}
            yield ProposedLine(table.name, key.columns, "foreign_key", name, 0.95, why, evidence)


def _alike(
    column: ColumnFacts,
    table: InspectedTable,
    targets: list[_Target],
    keys: Mapping[str, ProposedLine],
    facts: Facts,
) -> ProposedLine | None:
    """Return the foreign key that declared ones of the same name suggest; None if they disagree or values are no keys there."""
    if is_generic(column.name) or (table.name in keys and keys[table.name].columns == (column.name,)):
        return None
    like = {
        (key.table, other.name)
        for other in facts.tables.values()
        for key in other.entry.foreign_keys
        if key.columns == (column.name,) and other is not table
    }
    target = next((each for each in targets if {each.table.name} == {parent for parent, _ in like}), None)
    if target is None or target.key is column:
        return None
    values = contained(column, target.key, facts)
    if values is None or values.share < _ALIKE:
        return None
    share = "all values" if values.share == 1 else f"{values.share:.1%} of the values"
    why = f"has the name of {min(other for _, other in like)}.{column.name}, which refers there; {share} are keys there"
    evidence = {"contained": values.share, "coverage": values.coverage, "distinct": values.distinct}
    return ProposedLine(table.name, (column.name,), "foreign_key", target.table.name, 0.9, why, evidence)


def _extends(table: InspectedTable, target: _Target, line: ProposedLine) -> bool:
    """Whether a table's own key is also a foreign key: its rows extend some rows of another table."""
    inside = line.evidence.get("name", 0.0) >= 0.9 and line.evidence.get("contained", 0.0) == 1.0
    named = table_words(target.table.name) == stem_of(line.columns[0])[0]
    return inside and (named or target.table.rows > table.rows)


def _judged(
    column: ColumnFacts, table: InspectedTable, target: _Target, facts: Facts, strict: bool
) -> ProposedLine | None:
    own = target.table is table
    match = match_names(column.name, target.table.name, target.key.name, own)
    if own and match.score < _FAIR:
        return None  # another name of the same row, not a reference to another one
    if column.present == 0 or target.key.present == 0:
        return _unseen(column, target, match)
    if strict and match.score < _STRONG:
        return None
    if match.score < _FAIR and not _may_hold_keys(column):
        return None
    values = contained(column, target.key, facts)
    if values is None:
        return None
    confidence, why = _confidence(match, values, column)
    if confidence == 0.0:
        return None
    evidence = {
        "name": match.score,
        "contained": values.share,
        "coverage": values.coverage,
        "surprise": values.surprise,
        "distinct": values.distinct,
    }
    return ProposedLine(table.name, (column.name,), "foreign_key", target.table.name, confidence, why, evidence)


def _unseen(column: ColumnFacts, target: _Target, match: NameMatch) -> ProposedLine | None:
    """Return a foreign key by name alone, where column or key have no values; None if only the column is empty."""
    compatible = column.family == target.key.family or "null" in (column.family, target.key.family)
    if match.score < 0.85 or not compatible or (column.present == 0 and column.rows > 0):
        return None
    why = f"{match.why}; there are no rows to look at"
    return ProposedLine(column.table, (column.name,), "foreign_key", target.table.name, 0.6, why, {"name": match.score})


def _may_hold_keys(column: ColumnFacts) -> bool:
    """Whether a column whose name matches no table has enough distinct values to be compared."""
    return column.distinct >= 3


def _confidence(match: NameMatch, values: Containment, column: ColumnFacts) -> tuple[float, str]:
    """Return the confidence in a foreign key, 0 to reject it, and the reason."""
    if _may_be_a_number(match, values, column):
        return 0.0, ""
    share = "all values" if values.share == 1 else f"{values.share:.1%} of the values"
    if match.score >= _STRONG:
        if values.share < 0.5:
            return 0.0, ""
        doubt = (1 - match.score * values.share**0.5) * (0.5 if values.surprise > _TEXTS else 1.0)
        return 1 - doubt, f"{match.why}; {share} are keys there"
    if match.score >= _FAIR:
        if values.share < 0.95 or (values.surprise < 3 and values.share < 1):
            return 0.0, ""
        doubt = (1 - match.score) * (0.5 if values.surprise > _TEXTS else 1.0)
        return 1 - doubt, f"{match.why}; {share} are keys there"
    return _by_values(match, values, column, share)


def _may_be_a_number(match: NameMatch, values: Containment, column: ColumnFacts) -> bool:
    """Whether a column of numbers without a key's name may be an amount, such as n_items beside a table of items."""
    sign = stem_of(column.name)[1]
    plain = (
        column.kind == "integer" and sign != "id" and match.score != SELF and not match.why.startswith("has the name")
    )
    return plain and values.surprise < _NUMBERS and values.coverage < 0.5


def _by_values(match: NameMatch, values: Containment, column: ColumnFacts, share: str) -> tuple[float, str]:
    telling = f"{match.why}; " if match.why else ""
    telling += f"{share} are keys there"
    if match.score > 0:
        if values.share >= 0.98 and (values.surprise >= _TEXTS or (values.coverage >= 0.9 and values.distinct >= 5)):
            return 0.7, f"{telling}, {values.coverage:.0%} of the keys occur"
        return 0.0, ""
    if column.kind == "text":
        rare = values.share >= 0.9 and values.surprise >= _TEXTS
    else:
        rare = values.share >= 0.99 and values.surprise >= _NUMBERS and values.coverage >= 0.3
        rare = rare and values.distinct >= 10
    return (0.6, f"{telling}, which is improbable by chance") if rare else (0.0, "")

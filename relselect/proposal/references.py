"""Foreign keys: a name that points at a table, and values that lie among its keys.

Either is enough when it is strong: `customer_id` refers to customers though some customers are gone, and a column of
airport codes refers to airports whatever it is called. Small numbers lie among the keys of every table that counts its
rows from 1, so without a name only what chance would hardly do is believed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from relselect.proposal.containment import Containment, contained
from relselect.proposal.facts import ColumnFacts, Facts, TableFacts
from relselect.proposal.finding import DECLARED, GIVEN, Finding
from relselect.proposal.given import Given
from relselect.proposal.names import SELF, NameMatch, match_names, stem_of, table_words

__all__ = ["propose_references"]

#: A name from here on points at a table by itself.
_STRONG = 0.75
#: A name from here on points at a table if all values are there too.
_FAIR = 0.5
#: Nats beyond chance from which values alone are believed, of texts and of numbers.
_TEXTS, _NUMBERS = 7.0, 15.0


class _Target(NamedTuple):
    """A table that may be referred to, by its one key column."""

    table: TableFacts
    key: ColumnFacts


def propose_references(
    facts: Facts, given: Mapping[str, Given], keys: Mapping[str, Finding], dropped: Mapping[str, set[str]]
) -> list[Finding]:
    """Return the foreign keys.

    Args:
        facts: The schema.
        given: What the caller says.
        keys: Table -> its primary key.
        dropped: Table -> columns that are not read.
    """
    targets = [
        _Target(facts.tables[name], facts.tables[name].columns[key.columns[0]])
        for name, key in keys.items()
        if len(key.columns) == 1
    ]
    strict = any(table.entry.foreign_keys for table in facts.tables.values())
    found: list[Finding] = []
    for table in facts.tables.values():
        said = given.get(table.name, Given())
        settled = list(_settled(table, said, keys, dropped.get(table.name, set())))
        found += settled
        taken = {column for key in settled for column in key.columns} | {c for cols in said.references for c in cols}
        taken |= dropped.get(table.name, set()) | said.settled - set(said.keep)
        for column in table.columns.values():
            if column.name not in taken:
                best = _best(column, table, targets, keys, facts, strict)
                found += [best] if best is not None else []
    return found


def _settled(table: TableFacts, said: Given, keys: Mapping[str, Finding], dropped: set[str]) -> Iterator[Finding]:
    """Give what the caller and the catalog say."""
    for columns, parent in said.references.items():
        if parent:
            yield Finding(table.name, columns, "foreign_key", parent, reason="was given", origin=GIVEN)
    for key in table.entry.foreign_keys:
        known = key.table in keys and set(key.ref_columns) == set(keys[key.table].columns)
        if known and not set(key.columns) & dropped and key.columns not in said.references:
            order = [key.columns[key.ref_columns.index(column)] for column in keys[key.table].columns]
            yield Finding(
                table.name, tuple(order), "foreign_key", key.table, reason="is a declared reference", origin=DECLARED
            )


def _best(
    column: ColumnFacts,
    table: TableFacts,
    targets: list[_Target],
    keys: Mapping[str, Finding],
    facts: Facts,
    strict: bool,
) -> Finding | None:
    """Return the likeliest reference of a column, if one is likely."""
    own = keys.get(table.name)
    is_key = own is not None and own.columns == (column.name,)
    if column.kind not in ("integer", "text") or (is_key and stem_of(column.name)[0] == table_words(table.name)):
        return None
    found: list[tuple[float, float, Finding]] = []
    for target in targets:
        if target.key is column:
            continue
        finding = _judged(column, table, target, facts, strict)
        if finding is not None and (not is_key or _extends(table, target, finding)):
            found.append((finding.confidence, finding.evidence.get("coverage", 0.0), finding))
    return max(found, key=lambda each: each[:2])[2] if found else None


def _extends(table: TableFacts, target: _Target, finding: Finding) -> bool:
    """Whether the rows of a table, by its own key, are some of those of another."""
    inside = finding.evidence.get("name", 0.0) >= 0.9 and finding.evidence.get("contained", 0.0) == 1.0
    named = table_words(target.table.name) == stem_of(finding.columns[0])[0]
    return inside and (named or target.table.rows > table.rows)


def _judged(column: ColumnFacts, table: TableFacts, target: _Target, facts: Facts, strict: bool) -> Finding | None:
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
    return Finding(table.name, (column.name,), "foreign_key", target.table.name, confidence, why, evidence)


def _unseen(column: ColumnFacts, target: _Target, match: NameMatch) -> Finding | None:
    """Believe the name alone where there is no row to look at; a column that is empty in a full table is left alone."""
    compatible = column.family == target.key.family or "null" in (column.family, target.key.family)
    if match.score < 0.85 or not compatible or (column.present == 0 and column.rows > 0):
        return None
    why = f"{match.why}; there are no rows to look at"
    return Finding(column.table, (column.name,), "foreign_key", target.table.name, 0.6, why, {"name": match.score})


def _may_hold_keys(column: ColumnFacts) -> bool:
    """Whether it is worth looking at a column whose name points nowhere."""
    return column.distinct >= 3


def _confidence(match: NameMatch, values: Containment, column: ColumnFacts) -> tuple[float, str]:
    """Return how much a reference is believed, 0 for not at all, and why."""
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
    """Whether a column of numbers, not named as keys are, may as well be an amount: n_items beside a table of items."""
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
    return (0.6, f"{telling}, which chance would not do") if rare else (0.0, "")

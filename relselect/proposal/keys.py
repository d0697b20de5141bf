"""Proposes primary keys: the declared one, else the unique column without NULLs that name and position fit best.

Composite keys are taken from the catalog or from overrides; they are not searched for.
"""

from __future__ import annotations

from collections.abc import Iterator

from relselect.proposal.containment import contained
from relselect.proposal.facts import ColumnFacts, Facts, InspectedTable
from relselect.proposal.names import ID_WORDS, is_generic, stem_of, table_words, words_of
from relselect.proposal.overrides import Overrides
from relselect.proposal.proposed_line import DECLARED, GIVEN, ProposedLine

__all__ = ["propose_keys"]

#: The least score of a proposed column.
_LEAST = 0.5
#: The highest confidence in a table without rows.
_UNSEEN = 0.6
_LABELS = frozenset({"name", "title", "description", "label", "text", "email"})


def propose_keys(facts: Facts, overrides: dict[str, Overrides]) -> dict[str, ProposedLine]:
    """Return table -> primary key, for every table with a likely one.

    Args:
        facts: The tables and what their catalog declares.
        overrides: Table -> the caller's overrides.
    """
    found: dict[str, ProposedLine] = {}
    for name, table in facts.tables.items():
        override = overrides.get(name, Overrides())
        if override.key is not None:
            if override.key:
                found[name] = ProposedLine(name, override.key, "primary_key", reason="was given", origin=GIVEN)
        elif _declared(table, override):
            found[name] = ProposedLine(
                name, table.entry.primary_key, "primary_key", reason="is the declared primary key", origin=DECLARED
            )
        else:
            best = max(_candidates(table, facts, override), key=lambda each: each.confidence, default=None)
            if best is not None and best.confidence >= _LEAST:
                found[name] = best
    return found


def _declared(table: InspectedTable, override: Overrides) -> bool:
    key = table.entry.primary_key
    return bool(key) and set(key) <= set(table.columns) and not set(key) & set(override.drop)


def _candidates(table: InspectedTable, facts: Facts, override: Overrides) -> Iterator[ProposedLine]:
    referring = {column for key in table.entry.foreign_keys for column in key.columns}
    for column in table.columns.values():
        if column.name in {*override.drop, *referring} or column.kind not in ("integer", "text"):
            continue
        score, why = _score(column, table, facts)
        if score < _LEAST:
            continue
        if table.rows == 0:
            yield ProposedLine(
                table.name, (column.name,), "primary_key", "", min(score, _UNSEEN), f"{why}; there are no rows"
            )
        elif column.nulls == 0 and column.unique:
            score, why = _with_uniqueness(column, table, *_with_use(column, facts, score, why))
            evidence = {"rows": column.rows, "distinct": column.distinct}
            yield ProposedLine(table.name, (column.name,), "primary_key", "", score, why, evidence)


def _with_use(column: ColumnFacts, facts: Facts, score: float, why: str) -> tuple[float, str]:
    """Raise the score of a column that occurs in other tables under the same name, there with this column's values."""
    if is_generic(column.name):
        return score, why
    twins = [other.columns[column.name] for other in facts.tables.values() if column.name in other.columns]
    values = [contained(twin, column, facts) for twin in twins if twin is not column]
    if values and all(each is not None and each.share >= 0.95 for each in values):
        return max(score, 0.93), f"{why}; other tables have its values under the same name"
    return score, why


def _with_uniqueness(column: ColumnFacts, table: InspectedTable, score: float, why: str) -> tuple[float, str]:
    if (column.name,) in table.entry.unique_keys and column.name not in table.entry.nullable:
        return max(score, 0.95), f"{why}; is declared unique and never missing"
    few = 0.9 if column.rows < 10 else 1.0
    return score * few, f"{why}; is unique and never missing"


def _score(column: ColumnFacts, table: InspectedTable, facts: Facts) -> tuple[float, str]:
    """Return how well name and position of a column fit a key, from 0 to 1, and the reason."""
    stem, sign = stem_of(column.name)
    own = table_words(table.name)
    if is_generic(column.name) and set(words_of(column.name)) & ID_WORDS:
        return 0.98, "has a usual name of a key"
    if stem == own or "".join(stem) == "".join(own):
        return {"id": 0.97, "code": 0.85, "": 0.9}[sign], "is named after the table"
    other = _named_after_another(column.name, table, facts)
    if other is not None:
        if column.position == 0 and not _is_bridge(table, facts):
            return 0.6, f"is the first column, although named after {other}"
        return 0.0, ""
    if sign == "id" and _kin(stem, own):
        return 0.88, "is named like a key of the table"
    if column.position == 0:
        return _first(column, sign)
    return (0.5, "is named like a key") if sign == "id" else (0.0, "")


def _first(column: ColumnFacts, sign: str) -> tuple[float, str]:
    if sign == "id":
        return 0.85, "is the first column and named like a key"
    if set(words_of(column.name)) & _LABELS:
        return 0.55, "is the first column"
    return 0.68, "is the first column"


def _kin(stem: tuple[str, ...], own: tuple[str, ...]) -> bool:
    """Whether two names share their first or last word, or its first five letters."""
    if not stem or not own:
        return False
    pairs = ((stem[-1], own[-1]), (stem[0], own[0]))
    return any(one == other or (len(one) > 3 and other.startswith(one[:5])) for one, other in pairs)


def _named_after_another(column: str, table: InspectedTable, facts: Facts) -> str | None:
    stem, sign = stem_of(column)
    if sign != "id" or not stem:
        return None
    return next((other for other in facts.tables if other != table.name and table_words(other) == stem), None)


def _is_bridge(table: InspectedTable, facts: Facts) -> bool:
    """Whether a table mainly joins others: at least two columns are named after others, and at most one is its own."""
    others = [_named_after_another(column, table, facts) for column in table.columns]
    named = {other for other in others if other is not None}
    plain = [c for c, other in zip(table.columns.values(), others, strict=True) if other is None and c.kind != "time"]
    return len(named) > 1 and len(plain) <= 1

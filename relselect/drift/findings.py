"""What has changed between training and scoring, one finding a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from relselect.drift.needs import Needs
from relselect.drift.snapshot import ColumnFacts, Shape, Snapshot, facts_of
from relselect.errors import SchemaProblem

if TYPE_CHECKING:
    import pandas as pd

    from relselect.database import Database
    from relselect.problem import Types

__all__ = ["Drift", "Finding", "Severity", "changed_data", "changed_shapes"]

Severity = Literal["error", "warning", "note"]
_ORDER = ("error", "warning", "note")

#: Names of new tables and columns that are told.
SHOWN = 6
#: A table with fewer than this share of its rows, or more than its inverse, is told.
ROWS = 0.5
#: A share of rows that lost or gained a value is told from the first on, and is a warning from the second on.
NULLS = (0.05, 0.2)
#: A share of rows with a category that training never saw: told, and a warning.
UNSEEN = (0.01, 0.1)

_NUMBERS = ("int", "uint", "float", "double", "halffloat", "decimal", "duration")
_TEXTS = ("string", "large_string", "string_view")


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was.

    Attributes:
        table: The table.
        column: The column, or the columns of a key joined by "+"; None for the table itself.
        what: "table", "column", "type", "key", "time", "foreign key", "rows", "nulls" or "categories".
        trained: How training saw it.
        now: How it is.
        severity: "error" where the model cannot predict, "warning" where its predictions may suffer, else "note".
        advice: What to do or to know.
    """

    table: str
    column: str | None
    what: str
    trained: str
    now: str
    severity: Severity
    advice: str

    def as_problem(self) -> SchemaProblem:
        """Return an error of the schema as one of its problems."""
        rule = f"the predictor needs it as {self.trained}, and it is {self.now}"
        return SchemaProblem(self.table, self.column, self.now, rule, self.advice)


@dataclass(frozen=True)
class Drift:
    """Everything that has changed, the worst first.

    Attributes:
        findings: What was found.
    """

    findings: tuple[Finding, ...] = ()

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Drift:
        """Return the findings in order."""
        return cls(tuple(sorted(findings, key=lambda each: _ORDER.index(each.severity))))

    def __repr__(self) -> str:
        return f"Drift({self.summary})"

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What keeps the model from predicting."""
        return tuple(each for each in self.findings if each.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What its predictions may suffer from."""
        return tuple(each for each in self.findings if each.severity == "warning")

    @property
    def summary(self) -> str:
        """How many findings there are of each severity, in words."""
        counts = {kind: sum(each.severity == kind for each in self.findings) for kind in _ORDER}
        told = [f"{count} {kind}{'s' if count != 1 else ''}" for kind, count in counts.items() if count]
        return ", ".join(told) or "nothing has changed"

    def table(self) -> pd.DataFrame:
        """Return one row per finding."""
        import pandas as pd

        columns = ["severity", "table", "column", "what", "trained", "now", "advice"]
        return pd.DataFrame([asdict(each) for each in self.findings], columns=columns)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the findings as JSON-able data."""
        return [asdict(each) for each in self.findings]


def changed_shapes(snapshot: Snapshot, needs: Needs, now: Mapping[str, Shape], types: Types) -> list[Finding]:
    """Return what has changed in tables, columns, types, keys and references.

    Args:
        snapshot: What training read.
        needs: What the model needs.
        now: The tables there are, as they would be declared today.
        types: The column types that training resolved.
    """
    extra = [name for name in now if name not in snapshot.tables]
    found = [Finding(_some(extra), None, "table", "absent", "present", "note", "Not read")] if extra else []
    # a source that declares no reference at all has not changed its mind about any
    silent = not any(shape.foreign_keys for shape in now.values())
    for name, shape in snapshot.tables.items():
        if name not in now:
            needed = name in needs
            advice = "Bring the table back, or train again without it" if needed else "The model does not need it"
            found.append(Finding(name, None, "table", "present", "missing", _severity(needed), advice))
            continue
        needed_here = needs[name].columns if name in needs else {}
        found += _columns(name, shape, now[name], needed_here, types.get(name, {}))
        found += _declarations(name, shape, now[name], silent=silent)
    return found


def changed_data(snapshot: Snapshot, database: Database, types: Types) -> list[Finding]:
    """Return what has changed in the number of rows, missing values and categories of the tables that are read."""
    found: list[Finding] = []
    for name, table in database.tables.items():
        if name not in snapshot.tables:
            continue
        before, rows = snapshot.rows[name], table.num_rows
        if rows < ROWS * before or rows * ROWS > before:
            advice = "Check that the table is complete" if rows < before else "Its history has grown"
            severity: Severity = "warning" if rows < before else "note"
            found.append(Finding(name, None, "rows", f"{before:,}", f"{rows:,}", severity, advice))
        if not rows or not before:
            continue
        for column, facts in facts_of(table, types.get(name, {})).items():
            old = snapshot.facts[name].get(column)
            if old is None:
                continue
            found += _nulls(name, column, old.nulls / before, facts.nulls / rows)
            found += _unseen(name, column, old, facts, database)
    return found


def _columns(name: str, shape: Shape, now: Shape, needed: Mapping[str, str], types: Mapping[str, Any]) -> list[Finding]:
    found = []
    for column, dtype in shape.columns.items():
        if column not in now.columns:
            advice = "Add it, null where unknown, or train again" if column in needed else "The model does not need it"
            severity = _severity(column in needed)
            found.append(Finding(name, column, "column", dtype, "missing", severity, advice))
        elif _kind(dtype) != _kind(now.columns[column]) and "null" not in (dtype, now.columns[column]):
            found.append(_type(name, column, dtype, now.columns[column], column in needed, types.get(column)))
    extra = [column for column in now.columns if column not in shape.columns]
    return found + ([Finding(name, _some(extra), "column", "absent", "present", "note", "Not read")] if extra else [])


def _type(name: str, column: str, before: str, now: str, needed: bool, semantic: Any) -> Finding:
    """Return the finding for a column of another kind; text cannot stand for numbers or times, and categories are text."""
    severity: Severity = "warning"
    advice = "Convert the column, or train again"
    if not needed:
        severity, advice = "note", "The model does not need it"
    elif str(semantic) == "categorical":
        severity, advice = "note", "Its values are compared as text"
    elif _kind(now) == "text" and str(semantic) in ("numerical", "timestamp", "boolean"):
        severity = "error"
    return Finding(name, column, "type", before, now, severity, advice)


def _declarations(name: str, shape: Shape, now: Shape, *, silent: bool) -> list[Finding]:
    """Return the keys and references that are no longer declared, or newly so; the model goes by those of training.

    Args:
        name: The table.
        shape: As it was declared in training.
        now: As it would be declared today.
        silent: Whether nothing declares references today, so that none of them is missed.
    """
    as_trained = "The predictor goes by what was declared in training"
    before = {(key.columns, key.table) for key in shape.foreign_keys}
    after = {(key.columns, key.table) for key in now.foreign_keys}
    found = [
        Finding(name, "+".join(columns), "foreign key", f"to {table}", "not declared", "note", as_trained)
        for columns, table in ([] if silent else sorted(before - after))
    ]
    found += [
        Finding(name, "+".join(columns), "foreign key", "not declared", f"to {table}", "note", "It is not followed")
        for columns, table in sorted(after - before)
    ]
    if now.primary_key and set(now.primary_key) != set(shape.primary_key):
        told = "+".join(shape.primary_key) or "none", "+".join(now.primary_key)
        found.append(Finding(name, None, "key", *told, "note", as_trained))
    if now.time and now.time != shape.time:
        found.append(Finding(name, None, "time", shape.time or "none", now.time, "note", as_trained))
    return found


def _nulls(name: str, column: str, before: float, now: float) -> list[Finding]:
    change = abs(now - before)
    if change < NULLS[0]:
        return []
    severity: Severity = "warning" if change >= NULLS[1] else "note"
    advice = "Check what fills the column" if now > before else "It is filled more often than in training"
    return [Finding(name, column, "nulls", f"{before:.1%}", f"{now:.1%}", severity, advice)]


def _unseen(name: str, column: str, old: ColumnFacts, facts: ColumnFacts, database: Database) -> list[Finding]:
    if old.values is None or facts.values is None or not set(facts.values) - set(old.values):
        return []
    share, example = _unseen_share(database, name, column, frozenset(old.values))
    if share < UNSEEN[0]:
        return []
    severity: Severity = "warning" if share >= UNSEEN[1] else "note"
    told = f"{share:.1%} of the values are new, such as {example!r}"
    return [
        Finding(name, column, "categories", f"{len(old.values)} values", told, severity, "Train again to learn them")
    ]


def _unseen_share(database: Database, name: str, column: str, known: frozenset[str]) -> tuple[float, str]:
    """Return the share of values that are not among the known ones, and the most frequent of them."""
    import numpy as np

    from relselect.database.columns import as_strings

    codes, words = as_strings(database[name].data[column])
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    new = np.array([word not in known for word in words])
    share = counts[new].sum() / max(1, counts.sum())
    return float(share), words[int(np.argmax(np.where(new, counts, -1)))]


def _some(names: list[str]) -> str:
    """Return the first few names, and how many there are beyond them."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _kind(dtype: str) -> str:
    """Return what a type is good for: kinds, not widths, for the same column is 32 bits wide here and 64 there."""
    if dtype in _TEXTS:
        return "text"
    if dtype == "bool":
        return "boolean"
    if dtype.startswith(("timestamp", "date")):
        return "time"
    return "number" if dtype.startswith(_NUMBERS) else dtype


def _severity(needed: bool) -> Severity:
    return "error" if needed else "note"

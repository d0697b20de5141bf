"""Compares a database with the snapshot of training: schemas, row counts, nulls and categories.

It compares counts and declarations, no distributions of numbers, and it does not judge the model's predictions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from relselect.database.schema import TableSchema
from relselect.drift.needs import Needs
from relselect.drift.snapshot import ColumnSummary, TrainingSnapshot, column_summaries
from relselect.errors import SchemaProblem

if TYPE_CHECKING:
    import pandas as pd

    from relselect.database import Database
    from relselect.problem import Types

__all__ = ["DatabaseDrift", "Change", "ChangeSeverity", "changed_data", "changed_schemas"]

ChangeSeverity = Literal["error", "warning", "note"]
_ORDER = ("error", "warning", "note")

#: Largest number of new tables or columns that are named.
SHOWN = 6
#: A table is reported when its number of rows falls below this share of that in training, or rises above its inverse.
ROWS = 0.5
#: Difference in the share of nulls from which a column is reported, and from which that is a warning.
NULLS = (0.05, 0.2)
#: Share of values in categories unseen in training from which a column is reported, and from which that is a warning.
UNSEEN = (0.01, 0.1)

_NUMBERS = ("int", "uint", "float", "double", "halffloat", "decimal", "duration")
_TEXTS = ("string", "large_string", "string_view")


@dataclass(frozen=True)
class Change:
    """One difference between the database of training and the database now.

    Attributes:
        table: The table.
        column: The column, or the columns of a key joined by "+"; None for the table itself.
        what: "table", "column", "type", "key", "time", "foreign key", "rows", "nulls" or "categories".
        trained: The state in training, as text.
        now: The state now, as text.
        severity: "error" when the model cannot predict, "warning" when its predictions may get worse, else "note".
        advice: What to do about it, or its consequence.
    """

    table: str
    column: str | None
    what: str
    trained: str
    now: str
    severity: ChangeSeverity
    advice: str

    def as_problem(self) -> SchemaProblem:
        """Return the change as a problem of the schema, for a `SchemaError`."""
        rule = f"the predictor needs it as {self.trained}, and it is {self.now}"
        return SchemaProblem(self.table, self.column, self.now, rule, self.advice)


@dataclass(frozen=True)
class DatabaseDrift:
    """All changes since training, the most severe first.

    Attributes:
        findings: The changes.
    """

    findings: tuple[Change, ...] = ()

    @classmethod
    def of(cls, findings: Iterable[Change]) -> DatabaseDrift:
        """Return the changes in the order of their severity."""
        return cls(tuple(sorted(findings, key=lambda each: _ORDER.index(each.severity))))

    def __repr__(self) -> str:
        return f"DatabaseDrift({self.summary})"

    @property
    def errors(self) -> tuple[Change, ...]:
        """Changes because of which the model cannot predict."""
        return tuple(each for each in self.findings if each.severity == "error")

    @property
    def warnings(self) -> tuple[Change, ...]:
        """Changes that may make predictions worse."""
        return tuple(each for each in self.findings if each.severity == "warning")

    @property
    def summary(self) -> str:
        """The number of changes per severity, such as "1 error, 3 notes"."""
        counts = {kind: sum(each.severity == kind for each in self.findings) for kind in _ORDER}
        parts = [f"{count} {kind}{'s' if count != 1 else ''}" for kind, count in counts.items() if count]
        return ", ".join(parts) or "nothing has changed"

    def table(self) -> pd.DataFrame:
        """Return one row per change."""
        import pandas as pd

        columns = ["severity", "table", "column", "what", "trained", "now", "advice"]
        return pd.DataFrame([asdict(each) for each in self.findings], columns=columns)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the changes as JSON-able data."""
        return [asdict(each) for each in self.findings]


def changed_schemas(
    snapshot: TrainingSnapshot,
    needs: Needs,
    now: Mapping[str, TableSchema],
    types: Types,
    passed_over: Collection[str] = (),
) -> list[Change]:
    """Return the changes of tables, columns, types, keys and foreign keys.

    Args:
        snapshot: The snapshot of training.
        needs: The tables and columns that the predictor reads.
        now: Table -> its schema now.
        types: Table -> column -> semantic type resolved in training.
        passed_over: Tables and views that were there in training and not read; they are not new.
    """
    extra = [name for name in now if name not in snapshot.tables and name not in passed_over]
    found = [Change(_some(extra), None, "table", "absent", "present", "note", "Not read")] if extra else []
    # many sources declare no foreign key at all: then a missing one is no change
    silent = not any(schema.foreign_keys for schema in now.values())
    for name, schema in snapshot.tables.items():
        if name not in now:
            needed = name in needs
            advice = "Bring the table back, or train again without it" if needed else "The model does not need it"
            found.append(Change(name, None, "table", "present", "missing", _severity(needed), advice))
            continue
        needed_here = needs[name].columns if name in needs else {}
        found += _columns(name, schema, now[name], needed_here, types.get(name, {}))
        found += _declarations(name, schema, now[name], silent=silent)
    return found


def changed_data(snapshot: TrainingSnapshot, database: Database, types: Types) -> list[Change]:
    """Return the changes of row counts, shares of nulls, and categories.

    Args:
        snapshot: The snapshot of training.
        database: The database now; tables unknown to training are ignored.
        types: Table -> column -> semantic type resolved in training.
    """
    found: list[Change] = []
    for name, table in database.tables.items():
        if name not in snapshot.tables:
            continue
        before, rows = snapshot.rows[name], table.num_rows
        if rows < ROWS * before or rows * ROWS > before:
            advice = "Check that the table is complete" if rows < before else "Its history has grown"
            severity: ChangeSeverity = "warning" if rows < before else "note"
            found.append(Change(name, None, "rows", f"{before:,}", f"{rows:,}", severity, advice))
        if not rows or not before:
            continue
        for column, summary in column_summaries(table, types.get(name, {})).items():
            old = snapshot.columns[name].get(column)
            if old is None:
                continue
            found += _nulls(name, column, old.nulls / before, summary.nulls / rows)
            found += _unseen(name, column, old, summary, database)
    return found


def _columns(
    name: str, schema: TableSchema, now: TableSchema, needed: Mapping[str, str], types: Mapping[str, Any]
) -> list[Change]:
    found = []
    for column, dtype in schema.columns.items():
        if column not in now.columns:
            advice = "Add it, null where unknown, or train again" if column in needed else "The model does not need it"
            severity = _severity(column in needed)
            found.append(Change(name, column, "column", dtype, "missing", severity, advice))
        elif _kind(dtype) != _kind(now.columns[column]) and "null" not in (dtype, now.columns[column]):
            found.append(_type(name, column, dtype, now.columns[column], column in needed, types.get(column)))
    extra = [column for column in now.columns if column not in schema.columns]
    return found + ([Change(name, _some(extra), "column", "absent", "present", "note", "Not read")] if extra else [])


def _type(name: str, column: str, before: str, now: str, needed: bool, semantic: Any) -> Change:
    """Return the change of a column's type; an error where text has replaced numbers, times or booleans."""
    severity: ChangeSeverity = "warning"
    advice = "Convert the column, or train again"
    if not needed:
        severity, advice = "note", "The model does not need it"
    elif str(semantic) == "categorical":
        severity, advice = "note", "Its values are compared as text"
    elif _kind(now) == "text" and str(semantic) in ("numerical", "timestamp", "boolean"):
        severity = "error"
    return Change(name, column, "type", before, now, severity, advice)


def _declarations(name: str, schema: TableSchema, now: TableSchema, *, silent: bool) -> list[Change]:
    """Return the changes of keys, times and foreign keys; the predictor uses those of training.

    Args:
        name: The table.
        schema: Its schema in training.
        now: Its schema now.
        silent: Whether no table declares a foreign key now, so that a missing one is no change.
    """
    as_trained = "The predictor uses the declaration of training"
    before = {(key.columns, key.table) for key in schema.foreign_keys}
    after = {(key.columns, key.table) for key in now.foreign_keys}
    found = [
        Change(name, "+".join(columns), "foreign key", f"to {table}", "not declared", "note", as_trained)
        for columns, table in ([] if silent else sorted(before - after))
    ]
    found += [
        Change(name, "+".join(columns), "foreign key", "not declared", f"to {table}", "note", "It is not followed")
        for columns, table in sorted(after - before)
    ]
    if now.primary_key and set(now.primary_key) != set(schema.primary_key):
        keys = "+".join(schema.primary_key) or "none", "+".join(now.primary_key)
        found.append(Change(name, None, "key", *keys, "note", as_trained))
    if now.time and now.time != schema.time:
        found.append(Change(name, None, "time", schema.time or "none", now.time, "note", as_trained))
    return found


def _nulls(name: str, column: str, before: float, now: float) -> list[Change]:
    change = abs(now - before)
    if change < NULLS[0]:
        return []
    severity: ChangeSeverity = "warning" if change >= NULLS[1] else "note"
    advice = "Check what fills the column" if now > before else "It is filled more often than in training"
    return [Change(name, column, "nulls", f"{before:.1%}", f"{now:.1%}", severity, advice)]


def _unseen(name: str, column: str, old: ColumnSummary, now: ColumnSummary, database: Database) -> list[Change]:
    if old.values is None or now.values is None or not set(now.values) - set(old.values):
        return []
    share, example = _unseen_share(database, name, column, frozenset(old.values))
    if share < UNSEEN[0]:
        return []
    severity: ChangeSeverity = "warning" if share >= UNSEEN[1] else "note"
    unseen = f"{share:.1%} of the values are new, such as {example!r}"
    return [
        Change(name, column, "categories", f"{len(old.values)} values", unseen, severity, "Train again to learn them")
    ]


def _unseen_share(database: Database, name: str, column: str, known: frozenset[str]) -> tuple[float, str]:
    """Return the share of values outside `known`, and the most frequent of these values."""
    import numpy as np

    from relselect.database.columns import as_strings

    codes, words = as_strings(database[name].data[column])
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    new = np.array([word not in known for word in words])
    share = counts[new].sum() / max(1, counts.sum())
    return float(share), words[int(np.argmax(np.where(new, counts, -1)))]


def _some(names: list[str]) -> str:
    """Return the first names, and the number of the others."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _kind(dtype: str) -> str:
    """Return the kind of an Arrow type; its width is left out, because sources differ in it for the same column."""
    if dtype in _TEXTS:
        return "text"
    if dtype == "bool":
        return "boolean"
    if dtype.startswith(("timestamp", "date")):
        return "time"
    return "number" if dtype.startswith(_NUMBERS) else dtype


def _severity(needed: bool) -> ChangeSeverity:
    return "error" if needed else "note"

"""Proposes keys, foreign keys, times, masks, drops and types of tables whose schema does not declare them.

The rules are in one module per kind of line; this one runs them in order and holds the result. Nothing is read or
written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from relselect.database.database import Database
from relselect.database.formats import Formatting
from relselect.database.manifest import ForeignKeySpec, TableSpec, schema_of
from relselect.database.schema import column_types
from relselect.database.table import Table
from relselect.notebook import NotebookTable, notebook_html
from relselect.proposal.changes import clocks, states, tallies, unusable
from relselect.proposal.facts import Facts, InspectedTable
from relselect.proposal.formats import formatted, propose_formats
from relselect.proposal.keys import propose_keys
from relselect.proposal.manifest_text import manifest_text
from relselect.proposal.missing_codes import missing_codes
from relselect.proposal.overrides import Overrides, read_overrides
from relselect.proposal.parent_times import propose_parent_times
from relselect.proposal.proposed_line import GIVEN, INFERRED, ProposedLine, What
from relselect.proposal.references import propose_references
from relselect.proposal.semantic_types import propose_types
from relselect.proposal.times import propose_times

if TYPE_CHECKING:
    from pathlib import Path

    from relselect.database.task_spec import TaskSpec
    from relselect.proposal.reading import Origin

__all__ = ["Proposal", "propose"]

_ORDER: tuple[What, ...] = ("primary_key", "foreign_key", "time", "known_at", "drop", "type", "format", "note")


@dataclass(frozen=True, repr=False)
class Proposal:
    """What is proposed about every table of a database.

    Attributes:
        facts: The tables with their rows.
        lines: The proposed lines, table by table.
        overrides: The caller's overrides, as text; see `relselect.proposal.overrides`.
        tasks: Example tasks by name; `with_tasks` adds them.
    """

    facts: Facts
    lines: tuple[ProposedLine, ...]
    overrides: tuple[str, ...] = ()
    tasks: Mapping[str, TaskSpec] = field(default_factory=dict)

    def of(self, table: str, *what: What) -> list[ProposedLine]:
        """Return the lines of a table; with `what`, only those of these kinds."""
        return [each for each in self.lines if each.table == table and (not what or each.what in what)]

    def table(self) -> list[dict[str, Any]]:
        """Return one row per line, for printing: table, columns, what, value, confidence, reason, origin."""
        return [
            {
                "table": each.table,
                "columns": each.column,
                "what": each.what.replace("_", " "),
                "value": each.value,
                "confidence": each.confidence,
                "reason": each.reason,
                "origin": each.origin,
            }
            for each in self.lines
        ]

    def __repr__(self) -> str:
        """Return one line per proposed line, with its reason."""
        return "\n".join(
            [f"Proposal for {self.facts.name!r}, {len(self.facts.tables)} tables", *map(_in_words, self.lines)]
        )

    def _repr_html_(self) -> str:
        """Return the proposed lines as a table for a notebook."""
        rows = [
            (each.table, each.column, each.what.replace("_", " "), each.value, _sureness(each), each.reason)
            for each in self.lines
        ]
        asked = [f"Example task {name}: {spec.description}" for name, spec in self.tasks.items()]
        columns = ("Table", "Column", "What", "Value", "Sure", "Reason")
        return notebook_html(f"Proposal for {self.facts.name!r}", asked, [NotebookTable(columns, rows, (4,))])

    def override(self, *overrides: str) -> Proposal:
        """Return a new proposal under further overrides; all other lines are inferred again.

        Args:
            *overrides: Such as "orders.customer_id -> customers" or "orders: key=id, time=created_at, drop=status"; see
                `relselect.proposal.overrides`.

        Raises:
            SchemaError: With every override that does not parse or names a table, column or type that does not exist.
        """
        return propose(self.facts, (*self.overrides, *overrides))

    def with_tasks(self, tasks: Mapping[str, TaskSpec]) -> Proposal:
        """Return the proposal with example tasks."""
        return replace(self, tasks=dict(tasks))

    def spec(self, table: str) -> TableSpec:
        """Return a table's declaration for a manifest."""
        key = next((each.columns for each in self.of(table, "primary_key")), ())
        time = next((each.columns[0] for each in self.of(table, "time")), None)
        return TableSpec(
            primary_key=_one_or_many(key) if key else None,
            time=time,
            foreign_keys=[
                ForeignKeySpec(columns=_one_or_many(each.columns), table=each.value)
                for each in self.of(table, "foreign_key")
            ],
            types={each.column: each.value for each in self.of(table, "type")},  # type: ignore[misc]
            drop=[each.column for each in self.of(table, "drop")],
            known_at={each.column: list(each.masked) for each in self.of(table, "known_at")},
            formats={each.column: each.value for each in self.of(table, "format")},
        )

    def tables(self) -> list[Table]:
        """Return the tables under the proposed declarations; columns of bytes or lists are kept as they are."""
        specs = {name: self.spec(name) for name in self.facts.tables}
        return [_table(self.facts.tables[name], specs) for name in specs]

    def to_manifest(self, origin: Origin | None = None, folder: Path | None = None) -> str:
        """Return the manifest as text, with the reason of every line and without any password.

        Args:
            origin: Where the tables are, as `read_facts` returns it; without it the manifest declares the tables alone.
            folder: The folder of the manifest, which relative paths start from; the current one if None.
        """
        return manifest_text(self.facts, self.lines, self.tasks, origin, folder)

    def to_database(self) -> Database:
        """Return the database under the proposed declarations.

        Raises:
            SchemaError: With every problem of the tables under the proposed declarations.
        """
        return Database(self.tables(), self.facts.name, tasks=self.tasks)


def propose(facts: Facts, overrides: Iterable[str] = ()) -> Proposal:
    """Propose keys, foreign keys, times, types, drops and masks.

    Args:
        facts: The tables with their rows.
        overrides: Lines that replace proposals; see `relselect.proposal.overrides`.

    Raises:
        SchemaError: With every override that does not parse or names a table, column or type that does not exist.
    """
    texts = tuple(overrides)
    return Proposal(facts, tuple(_Proposer(facts, read_overrides(texts, facts)).run()), texts)


class _Proposer:
    """Runs the rules in order; a rule proposes nothing about columns that already have a line."""

    def __init__(self, facts: Facts, overrides: dict[str, Overrides]) -> None:
        self.overrides = overrides
        self.found: dict[str, list[ProposedLine]] = {name: [] for name in facts.tables}
        formats = propose_formats(facts, overrides)
        self._keep(formats)
        self.facts = formatted(facts, formats)

    def run(self) -> Iterator[ProposedLine]:
        keys = propose_keys(self.facts, self.overrides)
        self._keep(keys.values())
        single = [self.facts.tables[n].columns[key.columns[0]] for n, key in keys.items() if len(key.columns) == 1]
        for name, table in self.facts.tables.items():
            self._keep(_overridden(name, self._override(name)))
            self._add(unusable(table, single, self.facts))
        dropped = {name: self._columns(name, "drop") for name in self.facts.tables}
        self._keep(propose_references(self.facts, self.overrides, keys, dropped))
        taken = {name: self._taken(name) for name in self.facts.tables}
        times, notes = propose_times(self.facts, self.overrides, taken)
        self._keep(times.values())
        references = [each for lines in self.found.values() for each in lines if each.what == "foreign_key"]
        notes += propose_parent_times(self.facts, references, keys, times, self.overrides)
        times = {name: each for name, each in times.items() if each.columns[0] in self.facts.tables[name].columns}
        for name, table in self.facts.tables.items():
            time = times[name].columns[0] if name in times else None
            self._add(clocks(table, time, self._taken(name)))
            self._add(states(table, self._taken(name)))
            self._add(self._tallies(table, keys, times))
            notes += missing_codes(table, self._taken(name))
            self._add(propose_types(table, self._taken(name)))
        self._keep(notes)
        for name in self.facts.tables:
            left = self._columns(name, "drop")
            lines = [each for each in self.found[name] if each.what != "format" or each.columns[0] not in left]
            yield from sorted(lines, key=lambda each: _ORDER.index(each.what))

    def _override(self, table: str) -> Overrides:
        return self.overrides.get(table, Overrides())

    def _keep(self, lines: Iterable[ProposedLine]) -> None:
        for each in lines:
            self.found[each.table].append(each)

    def _add(self, lines: Iterable[ProposedLine]) -> None:
        """Keep the lines whose columns have no line yet and no override."""
        for each in list(lines):
            free = {*each.columns, *each.masked}.isdisjoint(self._taken(each.table))
            self._keep([each] if free else [])

    def _taken(self, table: str) -> set[str]:
        used = {
            c
            for each in self.found[table]
            if each.what not in ("note", "format")
            for c in (*each.columns, *each.masked)
        }
        return used | self._override(table).settled

    def _columns(self, table: str, what: What) -> set[str]:
        return {column for each in self.found[table] if each.what == what for column in each.columns}

    def _tallies(
        self, table: InspectedTable, keys: Mapping[str, ProposedLine], times: Mapping[str, ProposedLine]
    ) -> Iterator[ProposedLine]:
        key = keys.get(table.name)
        if key is None or len(key.columns) != 1:
            return iter(())
        children = [
            (self.facts.tables[each.table], each.columns[0], times[each.table].columns[0])
            for lines in self.found.values()
            for each in lines
            if each.what == "foreign_key"
            and each.value == table.name
            and each.table in times
            and len(each.columns) == 1
        ]
        time = times[table.name].columns[0] if table.name in times else None
        return tallies(table, key.columns[0], time, children, self._taken(table.name))


def _overridden(table: str, override: Overrides) -> Iterator[ProposedLine]:
    for column in dict.fromkeys(override.drop):
        yield ProposedLine(table, (column,), "drop", reason="was given", origin=GIVEN)
    for column, semantic in override.types.items():
        yield ProposedLine(table, (column,), "type", semantic, reason="was given", origin=GIVEN)
    for clock, masked in override.known_at.items():
        yield ProposedLine(table, (clock,), "known_at", ", ".join(masked), reason="was given", origin=GIVEN)


def _sureness(line: ProposedLine) -> str:
    return f"{line.confidence:.2f}" if line.origin == INFERRED else line.origin


def _in_words(line: ProposedLine) -> str:
    value = f" {line.value}" if line.value else ""
    return f"  {line.table}.{line.column}: {line.what.replace('_', ' ')}{value} ({_sureness(line)}): {line.reason}"


def _one_or_many(columns: tuple[str, ...]) -> str | list[str]:
    return columns[0] if len(columns) == 1 else list(columns)


def _table(table: InspectedTable, specs: Mapping[str, TableSpec]) -> Table:
    data = Formatting(table.name, specs[table.name].formats).table(table.data.drop_columns(specs[table.name].drop))
    return schema_of(specs, table.name, column_types(data.schema)).with_rows(data, table.entry.comment)

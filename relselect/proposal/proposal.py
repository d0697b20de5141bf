"""All that is proposed about a schema, what goes before it, and the tables it makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from relselect.database.database import Database
from relselect.database.manifest import ForeignKeySpec, TableSpec, schema_of
from relselect.database.schema import column_types
from relselect.database.table import Table
from relselect.proposal.changes import clocks, states, tallies, unusable
from relselect.proposal.facts import Facts, TableFacts
from relselect.proposal.finding import GIVEN, Finding, What
from relselect.proposal.given import Given, read_overrides
from relselect.proposal.keys import propose_keys
from relselect.proposal.meanings import propose_types
from relselect.proposal.references import propose_references
from relselect.proposal.times import propose_times

if TYPE_CHECKING:
    from pathlib import Path

    from relselect.database.task_spec import TaskSpec
    from relselect.proposal.reading import Origin

__all__ = ["Proposal", "propose"]

_ORDER: tuple[What, ...] = ("primary_key", "foreign_key", "time", "known_at", "drop", "type", "note")


@dataclass(frozen=True)
class Proposal:
    """What is proposed about every table of a database.

    Attributes:
        facts: The schema with its rows.
        findings: The proposals, table by table.
        overrides: The caller's words that they are made under.
        tasks: Example tasks by name; none until somebody adds them.
    """

    facts: Facts
    findings: tuple[Finding, ...]
    overrides: tuple[str, ...] = ()
    tasks: Mapping[str, TaskSpec] = field(default_factory=dict)

    def of(self, table: str, *what: What) -> list[Finding]:
        """Return the findings about a table, of some kinds if any are named."""
        return [each for each in self.findings if each.table == table and (not what or each.what in what)]

    def table(self) -> list[dict[str, Any]]:
        """Return one row per finding, for printing: table, columns, what, value, confidence, reason, origin."""
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
            for each in self.findings
        ]

    def override(self, *lines: str) -> Proposal:
        """Return the proposal under more of the caller's words; all else is proposed anew around them.

        Args:
            *lines: Such as "orders.customer_id -> customers" or "orders: key=id, time=created_at, drop=status"; see
                `relselect.proposal.given`.

        Raises:
            SchemaError: With every line that is not understood or names what is not there.
        """
        return propose(self.facts, (*self.overrides, *lines))

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
        )

    def tables(self) -> list[Table]:
        """Return the tables with what is proposed about them; columns that hold bytes or lists are kept as they are."""
        specs = {name: self.spec(name) for name in self.facts.tables}
        return [_table(self.facts.tables[name], specs) for name in specs]

    def to_manifest(self, origin: Origin | None = None, folder: Path | None = None) -> str:
        """Return a manifest as text, with the reason of every line and without any password.

        Args:
            origin: Where the tables are, as `read_facts` tells it; without it the manifest declares tables alone.
            folder: The folder that it will stand in; the present one if None.
        """
        from relselect.proposal.manifest_text import manifest_text

        return manifest_text(self, origin, folder)

    def to_database(self) -> Database:
        """Return the database as proposed.

        Raises:
            SchemaError: With every problem of the tables as proposed.
        """
        return Database(self.tables(), self.facts.name, tasks=self.tasks)


def propose(facts: Facts, overrides: Iterable[str] = ()) -> Proposal:
    """Propose keys, references, times, types, drops and masks for a schema.

    Args:
        facts: The schema with its rows.
        overrides: The caller's words, one line each; see `relselect.proposal.given`.

    Raises:
        SchemaError: With every line of the caller that is not understood.
    """
    lines = tuple(overrides)
    return Proposal(facts, tuple(_Proposing(facts, read_overrides(lines, facts)).run()), lines)


class _Proposing:
    """Step by step, each on what the ones before have settled."""

    def __init__(self, facts: Facts, given: dict[str, Given]) -> None:
        self.facts, self.given = facts, given
        self.found: dict[str, list[Finding]] = {name: [] for name in facts.tables}

    def run(self) -> Iterator[Finding]:
        keys = propose_keys(self.facts, self.given)
        self._note(keys.values())
        for name, table in self.facts.tables.items():
            self._note(_said(name, self._said(name)))
            self._add(unusable(table))
        dropped = {name: self._columns(name, "drop") for name in self.facts.tables}
        self._note(propose_references(self.facts, self.given, keys, dropped))
        taken = {name: self._taken(name) for name in self.facts.tables}
        times, notes = propose_times(self.facts, self.given, taken)
        self._note(times.values())
        for name, table in self.facts.tables.items():
            time = times[name].columns[0] if name in times else None
            self._add(clocks(table, time, self._taken(name)))
            self._add(states(table, self._taken(name)))
            self._add(self._tallies(table, keys, times))
            self._add(propose_types(table, self._taken(name)))
        self._note([*notes, *self._timeless(times)])
        for name in self.facts.tables:
            yield from sorted(self.found[name], key=lambda each: _ORDER.index(each.what))

    def _said(self, table: str) -> Given:
        return self.given.get(table, Given())

    def _note(self, findings: Iterable[Finding]) -> None:
        for each in findings:
            self.found[each.table].append(each)

    def _add(self, findings: Iterable[Finding]) -> None:
        """Note what touches no column that is settled."""
        for each in list(findings):
            free = {*each.columns, *each.masked}.isdisjoint(self._taken(each.table))
            self._note([each] if free else [])

    def _taken(self, table: str) -> set[str]:
        used = {c for each in self.found[table] if each.what != "note" for c in (*each.columns, *each.masked)}
        return used | self._said(table).settled

    def _columns(self, table: str, what: What) -> set[str]:
        return {column for each in self.found[table] if each.what == what for column in each.columns}

    def _tallies(
        self, table: TableFacts, keys: Mapping[str, Finding], times: Mapping[str, Finding]
    ) -> Iterator[Finding]:
        key = keys.get(table.name)
        if key is None or len(key.columns) != 1:
            return iter(())
        children = [
            (self.facts.tables[each.table], each.columns[0], times[each.table].columns[0])
            for findings in self.found.values()
            for each in findings
            if each.what == "foreign_key"
            and each.value == table.name
            and each.table in times
            and len(each.columns) == 1
        ]
        time = times[table.name].columns[0] if table.name in times else None
        return tallies(table, key.columns[0], time, children, self._taken(table.name))

    def _timeless(self, times: Mapping[str, Finding]) -> Iterator[Finding]:
        """Note tables without a time whose parents have one: their rows are seen before their parents are."""
        for name, findings in self.found.items():
            parents = [each for each in findings if each.what == "foreign_key" and each.value in times]
            if name not in times and parents and self._said(name).time is None:
                key = parents[0]
                why = (
                    f"has no time, so its rows are seen always, though {key.value} has one: "
                    f"add {times[key.value].column} of {key.value} in a view if they belong to it"
                )
                yield Finding(name, key.columns, "note", key.value, 0.6, why)


def _said(table: str, said: Given) -> Iterator[Finding]:
    for column in dict.fromkeys(said.drop):
        yield Finding(table, (column,), "drop", reason="was given", origin=GIVEN)
    for column, semantic in said.types.items():
        yield Finding(table, (column,), "type", semantic, reason="was given", origin=GIVEN)
    for clock, masked in said.known_at.items():
        yield Finding(table, (clock,), "known_at", ", ".join(masked), reason="was given", origin=GIVEN)


def _one_or_many(columns: tuple[str, ...]) -> str | list[str]:
    return columns[0] if len(columns) == 1 else list(columns)


def _table(table: TableFacts, specs: Mapping[str, TableSpec]) -> Table:
    schema = schema_of(specs, table.name, column_types(table.data.schema))
    return schema.with_rows(table.data.drop_columns(specs[table.name].drop), table.entry.comment)

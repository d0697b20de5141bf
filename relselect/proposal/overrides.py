"""Overrides of a proposal, parsed from text; they replace what is declared or inferred.

orders.customer_id -> customers          a foreign key; `-> nothing` removes one
orders: key=id, time=created_at          `key=none` and `time=none` for a table that has none
lines: time=order_id.created_at          the time of the parent that a foreign key refers to
orders: drop=status+notes, keep=total    columns that are not read, and columns about which nothing is proposed
orders: zip=categorical                  the semantic type of a column
orders: known_at=closed_at:status+fee    columns known only from the time in `closed_at` on, as it is itself; without
                                         `:columns` for a date on which nothing else hangs

orders.placed as DD.MM.YYYY hh:mm        how texts or whole numbers are read; see `relselect.database.formats`

Overrides are checked against the tables and columns that exist, not against their values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from relselect.database.formats import format_problems
from relselect.database.table import SemanticType
from relselect.errors import SchemaError, SchemaProblem
from relselect.proposal.facts import Facts, InspectedTable

__all__ = ["Overrides", "read_overrides"]

_NOTHING = ("nothing", "none", "")
_HOW = (
    "Write e.g. 'orders.customer_id -> customers', 'orders: key=id, time=created_at, drop=status' or "
    "'orders: known_at=closed_at:status'"
)
_TYPES = tuple(each.value for each in SemanticType if each is not SemanticType.KEY)


@dataclass
class Overrides:
    """The caller's overrides of one table; None where there is no override.

    Attributes:
        key: The primary key; empty for none.
        time: The time column; empty for none.
        references: Columns -> the table they refer to; empty for no foreign key.
        drop: Columns that are not read.
        keep: Columns about which nothing is proposed.
        types: Column -> semantic type.
        known_at: Clock -> the columns it masks.
        formats: Column -> format; `as text` for none.
    """

    key: tuple[str, ...] | None = None
    time: str | None = None
    references: dict[tuple[str, ...], str] = field(default_factory=dict)
    drop: list[str] = field(default_factory=list)
    keep: list[str] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    known_at: dict[str, tuple[str, ...]] = field(default_factory=dict)
    formats: dict[str, str] = field(default_factory=dict)

    @property
    def settled(self) -> set[str]:
        """The columns about which nothing is proposed."""
        masked = {column for columns in self.known_at.values() for column in columns}
        return {*self.drop, *self.keep, *self.types, *self.known_at, *masked}


def read_overrides(lines: Iterable[str], facts: Facts) -> dict[str, Overrides]:
    """Parse overrides.

    Args:
        lines: One override each; the module documents their syntax.
        facts: The tables and columns that exist.

    Returns:
        Table -> its overrides.

    Raises:
        SchemaError: With every line that does not parse or names a table, column or type that does not exist.
    """
    parser = _Parser(facts)
    for line in lines:
        parser.read(line)
    if parser.problems:
        raise SchemaError(parser.problems)
    return parser.overrides


class _Parser:
    """Parses line by line and collects the problems."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.overrides: dict[str, Overrides] = {}
        self.problems: list[SchemaProblem] = []

    def read(self, line: str) -> None:
        if "->" in line:
            self._reference(line)
            return
        if " as " in line and "=" not in line.partition(" as ")[0]:
            self._format(line)
            return
        name, colon, rest = self._table_and(line.strip(), ": ")
        name, colon, rest = (name, colon, rest) if colon else self._table_and(line.strip(), ":")
        if not colon or not rest.strip():
            self._wrong(line, None, "is not understood", _HOW)
            return
        table = self._table(line, name)
        for part in rest.split(",") if table is not None else ():
            self._setting(line, table, part)  # type: ignore[arg-type]

    def _table_and(self, line: str, sign: str) -> tuple[str, str, str]:
        """Split after the name of a table, which may contain `sign` itself; else at the first `sign`."""
        known = sorted((name for name in self.facts.tables if line.startswith(f"{name}{sign}")), key=len)
        return (known[-1], sign, line[len(known[-1]) + len(sign) :]) if known else line.partition(sign)

    def _reference(self, line: str) -> None:
        left, _, right = (part.strip() for part in line.partition("->"))
        name = next((known for known in self._longest_first if left.startswith(f"{known}.")), left.partition(".")[0])
        table = self._table(line, name)
        if table is None:
            return
        columns = self._columns(line, table, left[len(name) + 1 :])
        if right.lower() in _NOTHING:
            self._of(table).references[columns] = ""
            return
        parent = right if right in self.facts.tables else right.rpartition(".")[0]
        if self._table(line, parent) is None:
            return
        self._of(table).references[columns] = parent
        key = right[len(parent) + 1 :]
        if key and self._of(self.facts.tables[parent]).key is None:
            self._of(self.facts.tables[parent]).key = self._columns(line, self.facts.tables[parent], key)

    def _format(self, line: str) -> None:
        left, _, text = (part.strip() for part in line.partition(" as "))
        name = next((known for known in self._longest_first if left.startswith(f"{known}.")), left.partition(".")[0])
        table = self._table(line, name)
        if table is None:
            return
        for column in self._columns(line, table, left[len(name) + 1 :]):
            if text == "text":
                self._of(table).keep.append(column)
                continue
            self._of(table).formats[column] = text
            for problem in format_problems(table.name, {column: text}, table.columns):
                self._wrong(line, table.name, problem.rule, problem.fix)

    def _setting(self, line: str, table: InspectedTable, part: str) -> None:
        word, equals, value = (piece.strip() for piece in part.partition("="))
        override = self._of(table)
        if not equals:
            self._wrong(line, table.name, f"'{part.strip()}' is not understood", _HOW)
        elif word == "key":
            override.key = () if value.lower() in _NOTHING else self._columns(line, table, value)
        elif word == "time":
            override.time = "" if value.lower() in _NOTHING else self._time(line, table, value)
        elif word == "drop":
            override.drop += self._columns(line, table, value)
        elif word == "keep":
            override.keep += self._columns(line, table, value)
        elif word == "known_at":
            clock, _, masked = value.partition(":")
            found = self._columns(line, table, clock)
            if found:
                override.known_at[found[0]] = self._columns(line, table, masked) if masked.strip() else ()
        else:
            self._type(line, table, word.removeprefix("type."), value)

    def _time(self, line: str, table: InspectedTable, value: str) -> str:
        """Return a column, or the path to a parent's time: columns of the table, a dot, and what `Database` checks."""
        reference = value.partition(".")[0]
        columns = self._columns(line, table, value if value in table.columns or "." not in value else reference)
        return value if reference != value and columns else "+".join(columns[:1])

    def _type(self, line: str, table: InspectedTable, column: str, value: str) -> None:
        found = self._columns(line, table, column)
        if value not in _TYPES:
            self._wrong(line, table.name, f"'{value}' is no semantic type", f"Use one of: {', '.join(_TYPES)}")
        elif found:
            self._of(table).types[found[0]] = value

    def _of(self, table: InspectedTable) -> Overrides:
        return self.overrides.setdefault(table.name, Overrides())

    @property
    def _longest_first(self) -> list[str]:
        return sorted(self.facts.tables, key=len, reverse=True)

    def _table(self, line: str, name: str) -> InspectedTable | None:
        name = name.strip()
        if name not in self.facts.tables:
            shown = ", ".join(list(self.facts.tables)[:12])
            self._wrong(line, name, "is no table", f"Use one of: {shown}")
        return self.facts.tables.get(name)

    def _columns(self, line: str, table: InspectedTable, text: str) -> tuple[str, ...]:
        if text.strip() in table.columns:
            return (text.strip(),)
        found = tuple(part.strip() for part in text.split("+"))
        for column in found:
            if column not in table.columns:
                shown = ", ".join(list(table.columns)[:12])
                self._wrong(line, table.name, f"'{column}' is no column of it", f"Use one of: {shown}")
        return found

    def _wrong(self, line: str, table: str | None, rule: str, fix: str) -> None:
        self.problems.append(SchemaProblem(table or "override", None, line, rule, fix))

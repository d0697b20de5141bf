"""Translates aggregates into scalar subqueries over the rows of one entity within a window of its cutoff.

What they return for a window without rows: COUNT and COUNT_DISTINCT 0, SUM 0, the others NULL. NULLs are passed over by all but
`COUNT(table.*)`. Ties are broken by the value: FIRST takes the least value of the earliest time, LAST the greatest of the
latest, LIST_DISTINCT the least of the most frequent values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from relselect.database import Table
from relselect.database.quoting import quote_name
from relselect.queries.chains import Chain, chains_to, reachable
from relselect.queries.conditions import ColumnCheck, ConditionWriter, Reads
from relselect.queries.lengths import FARTHEST, length_in_ticks, moment_sql
from relselect.queries.syntax import AggregateCall, QueryWindow
from relselect.queries.values import SqlValue, ValueType, column_value, value_type

__all__ = ["AggregateWriter", "EntitySide"]

_NUMBERS: Final = ("SUM", "AVG")
_OF_ROWS_WITH_VALUE: Final = ("FIRST", "LAST", "LIST_DISTINCT")


@dataclass(frozen=True)
class EntitySide:
    """The query around an aggregate.

    Attributes:
        entity: The entity table.
        alias: The alias of the relation that holds cutoff and key in a label query, "p", or of the entity, "e".
        keys: Names of the key columns there, in the order of the primary key.
        cutoff: The cutoff as SQL.
        future: Whether windows lie after the cutoff (a label) or before it (a population).
    """

    entity: Table
    alias: str
    keys: tuple[str, ...]
    cutoff: str
    future: bool


class AggregateWriter:
    """Writes aggregates as SQL.

    Args:
        writer: Writes the conditions inside, and holds the names.
        side: The query around.
        check: Called with every column that is aggregated.
        check_filter: Called with every column that a filter reads.

    Attributes:
        windows: The windows of the aggregates that were written, with their units.
        tables: The tables that they read.
    """

    def __init__(
        self, writer: ConditionWriter, side: EntitySide, check: ColumnCheck, check_filter: ColumnCheck
    ) -> None:
        self.writer, self.side, self.check, self.check_filter = writer, side, check, check_filter
        self.database, self.problems = writer.names.database, writer.problems
        self.windows: list[QueryWindow] = []
        self.tables: list[str] = []

    def write(self, call: AggregateCall) -> SqlValue | None:
        """Return an aggregate as a scalar subquery; None, and problems, where it cannot be asked."""
        table = self.writer.names.table(call.column)
        window = self._window(call)
        if table is None:
            return None
        chain = self._chain(call, table)
        value = self._value(call, table)
        where = self._filter(call, table)
        if chain is None or window is None or value is None:
            return None
        self.windows.append(window)
        self.tables.append(table.name)
        return SqlValue(self._subquery(call, table, chain, window, value, where), _result_type(call, value))

    def _value(self, call: AggregateCall, table: Table) -> SqlValue | None:
        """Return what is aggregated; a number that nobody reads for the rows themselves."""
        reference, function = call.column, call.function
        if reference.column is None and function == "COUNT":
            return SqlValue("*", ValueType.NUMBER)
        column = self.writer.names.column(reference, table)
        if column is None:
            return None
        self.check(table, column, reference)
        kind = value_type(table, column)
        if function in _NUMBERS and kind not in (ValueType.NUMBER, ValueType.BOOLEAN):
            rule = f"{function} needs numbers, and {table.name}.{column} holds {kind.value}"
            self.problems.add(reference.column_position, column, rule, "Use COUNT, COUNT_DISTINCT or LIST_DISTINCT")
            return None
        if kind is ValueType.OTHER and function != "COUNT":
            rule = f"{table.name}.{column} holds {kind.value}"
            self.problems.add(reference.column_position, column, rule, "Aggregate another column, or COUNT it")
            return None
        found = column_value(table, column, "x", None if self.side.future else self.side.cutoff)
        if function in _NUMBERS and kind is ValueType.BOOLEAN:
            return SqlValue(f"CAST({found.sql} AS INTEGER)", ValueType.NUMBER)
        return found

    def _chain(self, call: AggregateCall, table: Table) -> Chain | None:
        entity, name, position = self.side.entity.name, table.name, call.column.position
        chains = chains_to(self.database, entity, name)
        known = reachable(self.database, entity)
        fix = f"Aggregate one of: {', '.join(known)}" if known else f"Declare foreign keys to {entity}"
        if table.time is None:
            rule = f"{name} has no time column, so no window says which of its rows are meant"
            self.problems.add(position, name, rule, f"Declare its time, or: {fix}")
        elif not chains:
            rule = f"no foreign key leads from {name} to {entity}"
            if name == entity:
                rule = f"{name} is the entity itself, and its rows do not refer to one another"
            self.problems.add(position, name, rule, fix)
        elif len(chains) > 1:
            rule = f"several ways lead from {name} to {entity}: {'; '.join(map(str, chains))}"
            self.problems.add(position, name, rule, "Say which in SQL: Task.from_sql")
        return chains[0] if len(chains) == 1 and table.time is not None else None

    def _window(self, call: AggregateCall) -> QueryWindow | None:
        """Return the window with its unit; None, and a problem, where it lies on the wrong side of the cutoff."""
        window, kind, future = call.window, self.database.time_kind or "timestamp", self.side.future
        if kind == "integer" and window.unit is not None:
            rule = f"the times of {self.database.name} are integers, which have no units"
            self.problems.add(window.unit_position, window.unit, rule, "Leave the unit out")
            return None
        unit = window.unit if kind == "integer" else window.unit or "days"
        start, end = window.start, window.end
        problem: tuple[int, str, str] | None = None
        if end is None:
            fix = "End it at a number, such as 30" if future else "End it at 0, the cutoff"
            problem = window.end_position, "the window has no end", fix
        elif future and (start is None or start < 0):
            rule = "the window of a target begins at the cutoff or later"
            problem = window.position, rule, "Begin it at 0; what has been belongs into WHERE"
        elif not future and end > 0:
            rule = "a window of the population ends at the cutoff or earlier: what follows is not known then"
            problem = window.end_position, rule, "End it at 0, e.g. COUNT(orders.*, -30, 0, days)"
        elif start is not None and end <= start:
            problem = window.end_position, f"the window ({start}, {end}] is empty", "End it after its start"
        elif max(abs(length_in_ticks(each or 0, unit)) for each in (start, end)) > FARTHEST[kind]:
            problem = window.position, "the window reaches farther than any time", "Shorten it, or begin it at -INF"
        if problem is not None:
            self.problems.add(problem[0], str(window), problem[1], problem[2])
            return None
        return QueryWindow(start, end, unit)

    def _filter(self, call: AggregateCall, table: Table) -> str | None:
        if call.where is None:
            return None
        reads = Reads(
            table=table,
            alias="x",
            asof=None if self.side.future else self.side.cutoff,
            elsewhere=(
                f"the filter of an aggregate reads columns of {table.name} alone",
                "Conditions on the entity belong into the WHERE of the query",
            ),
            no_aggregate=("aggregates do not stand within one another", "Compare a column of the aggregated table"),
            check=self.check_filter,
        )
        return self.writer.condition(call.where, reads)

    def _subquery(
        self, call: AggregateCall, table: Table, chain: Chain, window: QueryWindow, value: SqlValue, where: str | None
    ) -> str:
        time = f"x.{quote_name(table.time or '')}"
        end = moment_sql(self.side.cutoff, window.end or 0, window.unit)
        relations, condition = self._joins(chain, end)
        window_sql = [f"{time} <= {end}"]
        if window.start is not None:
            window_sql.insert(0, f"{time} > {moment_sql(self.side.cutoff, window.start, window.unit)}")
        further = [] if where is None else [where]
        if call.function in _OF_ROWS_WITH_VALUE:
            further.append(f"{value.sql} IS NOT NULL")
        selected, order = _selected(call.function, value.sql, time)
        lines = [
            f"SELECT {selected}",
            f"FROM {quote_name(table.name)} x",
            *relations,
            f"WHERE {' AND '.join([condition, *window_sql])}",
            *(f"  AND {each}" for each in further),
            *order,
        ]
        return "(\n" + "\n".join(f"  {line}" for line in lines) + "\n)"

    def _joins(self, chain: Chain, end: str) -> tuple[list[str], str]:
        """Return the joins with the tables between, and the condition that ties the rows to the entity."""
        joins, alias = [], "x"
        latest = end if self.side.future else self.side.cutoff
        for number, (name, key) in enumerate(chain.steps[:-1], start=1):
            parent = self.database[key.table]
            other = f"x{number}"
            on = _key_equality(self.database[name], key.columns, alias, parent, key.ref_columns, other)
            seen = "" if parent.time is None else f" AND {other}.{quote_name(parent.time)} <= {latest}"
            joins.append(f"JOIN {quote_name(parent.name)} {other} ON {on}{seen}")
            alias = other
        name, key = chain.steps[-1]
        refs, side = key.ref_columns or self.side.entity.primary_key, self.side
        named = dict(zip(side.entity.primary_key, side.keys, strict=True))
        condition = _key_equality(
            self.database[name], key.columns, alias, side.entity, refs, side.alias, [named[each] for each in refs]
        )
        return joins, condition


def _key_equality(
    child: Table,
    columns: tuple[str, ...],
    alias: str,
    parent: Table,
    refs: tuple[str, ...],
    parent_alias: str,
    names: list[str] | None = None,
) -> str:
    """Return the equality of a foreign key and the key that it refers to.

    Args:
        child: The table with the foreign key.
        columns: Its columns.
        alias: The alias of the child.
        parent: The table referred to.
        refs: Its columns; its primary key if empty.
        parent_alias: Its alias.
        names: What its columns are called in the query; their own names if None.
    """
    refs = refs or parent.primary_key
    ours = (column_value(child, column, alias).sql for column in columns)
    theirs = (
        column_value(parent, ref, parent_alias, name=name).sql for ref, name in zip(refs, names or refs, strict=True)
    )
    return " AND ".join(f"{one} = {other}" for one, other in zip(ours, theirs, strict=True))


def _selected(function: str, value: str, time: str) -> tuple[str, list[str]]:
    """Return what a subquery selects, and the clauses after its conditions."""
    match function:
        case "SUM":
            return f"COALESCE(SUM({value}), 0)", []
        case "COUNT_DISTINCT":
            return f"COUNT(DISTINCT {value})", []
        case "FIRST":
            return value, [f"ORDER BY {time}, {value} LIMIT 1"]
        case "LAST":
            return value, [f"ORDER BY {time} DESC, {value} DESC LIMIT 1"]
        case "LIST_DISTINCT":
            return value, [f"GROUP BY {value} ORDER BY COUNT(*) DESC, {value} LIMIT 1"]
        case _:
            return f"{function}({value})", []


def _result_type(call: AggregateCall, value: SqlValue) -> ValueType:
    same = ("MIN", "MAX", "FIRST", "LAST", "LIST_DISTINCT")
    return value.type if call.function in same else ValueType.NUMBER

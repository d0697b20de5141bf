"""Static check of population and label SQL for missing time bounds.

A query must compare every timed table that it reads with the cutoff. A population query needs an upper bound that is not
after the cutoff; so does any subquery that selects entities. A label query needs a lower and an upper bound, or no row
after the cutoff. A bound (`leaks.query_bounds`) must compare with the cutoff, not with a fixed date, the clock of the
machine or the latest row. A subquery that passes on an unbounded time is judged where its result is used.

The check does not run the query and does not see data. During a run a query never sees rows after the cutoff, whatever
it asks for; a finding means that the same text, run on a live database, returns something else. An example is RelBench's
driver-dnf: its test population includes drivers whose first race lies after the cutoff
(github.com/snap-stanford/relbench, issue 402).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from relselect.leaks.finding import Finding, Severity
from relselect.leaks.query_bounds import (
    CUTOFF_COLUMNS,
    CUTOFF_TABLES,
    QuerySource,
    compare,
    has_cutoff,
    read_by,
    sides,
)
from relselect.queries import parse_query

if TYPE_CHECKING:
    from relselect.database.task_spec import TaskSpec
    from relselect.problem import Problem

__all__ = ["check_queries", "check_query", "spec_of", "why_no_queries"]

Role = Literal["population", "label", "reference"]

#: Begins the name of a relation of an enclosing query, which no relation of the query itself can have.
_OUTER = "outer "
#: Functions that read the clock of the machine, beside those that the parser knows.
_CLOCK_FUNCTIONS = frozenset(
    {"now", "today", "ago", "get_current_timestamp", "get_current_time", "transaction_timestamp"}
)


def why_no_queries(problem: Problem) -> str | None:
    """Return why `check_queries` does not apply, None where it does."""
    return None if _queries(problem) else "The task has no query."


def check_queries(problem: Problem) -> list[Finding]:
    """Return the findings in the queries of a task, and in the reference query that its manifest declares."""
    tables = problem.user_database.tables
    times = {name: table.time for name, table in tables.items() if table.time is not None}
    return [finding for role, text in _queries(problem) for finding in check_query(text, times, role)]


def spec_of(problem: Problem) -> TaskSpec | None:
    """Return the declaration of the very task in the manifest; None for a task made in Python, also of the same name."""
    task, spec = problem.task, problem.user_database.tasks.get(problem.task.name)
    if spec is None:
        return None
    if spec.query is not None or task.query is not None:
        same = None not in (spec.query, task.query) and str(parse_query(spec.query or "")) == task.query
        return spec if same else None
    if spec.entity != task.entity:
        return None
    if spec.label is not None or task.label_query is not None:
        return spec if (spec.population, spec.label) == (task.population, task.label_query) else None
    return spec if spec.population == task.population else None


def _queries(problem: Problem) -> list[tuple[Role, str]]:
    task, spec = problem.task, spec_of(problem)
    texts: list[tuple[Role, str | None]] = [
        ("population", task.population),
        ("label", task.label_query),
        ("reference", None if spec is None else spec.sql),
    ]
    return [(role, text) for role, text in texts if text]


def check_query(text: str, times: Mapping[str, str], role: Role) -> list[Finding]:
    """Return the findings in one query.

    Args:
        text: The query, in DuckDB's dialect.
        times: Table -> its time column.
        role: "population" (selects entities), "label" (computes labels) or "reference" (does both: the query with which
            the author of a label file made it).

    Returns:
        The findings, each once; the single finding `query_unreadable` where the text cannot be parsed.

    >>> text = "SELECT c.cutoff, o.customer FROM cutoffs c JOIN orders o ON o.at > c.cutoff - INTERVAL 1 YEAR"
    >>> [(each.check, each.subject) for each in check_query(text, {"orders": "at"}, "population")]
    [('population_reads_past_cutoff', 'population: orders')]
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(text, read="duckdb")
    except SqlglotError as error:
        evidence = f"cannot be parsed ({str(error).splitlines()[0]})"
        return [Finding("query_unreadable", "info", role, evidence, "Check its bounds by hand")]
    reader = _Reader({table.lower(): column for table, column in times.items()}, role)
    reader.read(tree, {}, selects_entities=role == "population", outermost=True)
    if clock := _clock(tree):
        evidence = f"reads the clock of the machine ({clock}): the same question is answered otherwise tomorrow"
        fix = "Compare with the cutoff"
        reader.findings.append(Finding("query_bound_elsewhere", "warning", role, evidence, fix))
    return list(dict.fromkeys(reader.findings))


@dataclass
class _Reader:
    times: Mapping[str, str]
    role: Role
    findings: list[Finding] = field(default_factory=list)

    def read(
        self, tree: Any, known: Mapping[str, QuerySource], *, selects_entities: bool, outermost: bool = False
    ) -> QuerySource:
        """Read a query and return its result as a source of the enclosing query.

        Args:
            tree: The query.
            known: Relations defined by enclosing WITH clauses.
            selects_entities: Whether it selects entities.
            outermost: Whether no enclosing query can still bound the rows that it reads.
        """
        from sqlglot import exp

        named = dict(known)
        clause = tree.args.get("with_") or tree.args.get("with")
        for each in clause.expressions if clause else []:
            named[each.alias.lower()] = self.read(each.this, named, selects_entities=selects_entities)
        if isinstance(tree, exp.Subquery):
            return self.read(tree.this, named, selects_entities=selects_entities, outermost=outermost)
        if isinstance(tree, exp.SetOperation):
            halves = [
                self.read(side, named, selects_entities=selects_entities, outermost=outermost)
                for side in (tree.left, tree.right)
            ]
            return QuerySource((*halves[0].tables, *halves[1].tables), halves[0].cutoffs | halves[1].cutoffs)
        return self._select(tree, named, selects_entities, outermost) if isinstance(tree, exp.Select) else QuerySource()

    def _select(
        self, tree: Any, named: Mapping[str, QuerySource], selects_entities: bool, outermost: bool
    ) -> QuerySource:
        from sqlglot import exp

        own = self._sources(tree, named, selects_entities)
        # an unqualified cutoff may be that of an enclosing query
        sources = own | {name: each for name, each in named.items() if name.startswith(_OUTER)}
        linked: set[frozenset[str]] = set()
        for node in _own_nodes(tree):
            if isinstance(node, exp.Query):
                if not _is_source(node):
                    self.read(node, {**named, **_outer(sources)}, selects_entities=self.role != "label", outermost=True)
            elif isinstance(node, exp.GT | exp.GTE | exp.LT | exp.LTE | exp.EQ | exp.Between):
                compare(node, sources)
                self._note_elsewhere(node, sources)
                linked |= _link(node, sources)
        linked |= {frozenset(pair) for pair in zip(own, list(own)[1:], strict=False) if _uses_key(tree)}
        open_tables: list[str] = []
        for alias, source in own.items():
            if not source.tables:
                continue
            if outermost or source.lower or source.upper:
                self._judge(alias, sources, linked, selects_entities)
            else:
                open_tables += source.tables
        return QuerySource(tuple(open_tables), _shown_cutoffs(tree, own))

    def _sources(self, tree: Any, named: Mapping[str, QuerySource], selects_entities: bool) -> dict[str, QuerySource]:
        from sqlglot import exp

        sources: dict[str, QuerySource] = {}
        clause = tree.args.get("from_") or tree.args.get("from")
        for part in [clause, *(tree.args.get("joins") or [])]:
            relation = None if part is None else part.this
            if isinstance(relation, exp.Subquery):
                sources[relation.alias_or_name.lower()] = self.read(
                    relation.this, named, selects_entities=selects_entities
                )
            elif isinstance(relation, exp.Table):
                sources[relation.alias_or_name.lower()] = self._relation(relation.name, named)
        return sources

    def _relation(self, name: str, named: Mapping[str, QuerySource]) -> QuerySource:
        if name.lower() in named:
            found = named[name.lower()]
            return QuerySource(found.tables, found.cutoffs)
        if name.lower() in CUTOFF_TABLES:
            return QuerySource(cutoffs=CUTOFF_COLUMNS)
        return QuerySource((name,) if name.lower() in self.times else ())

    def _note_elsewhere(self, node: Any, sources: Mapping[str, QuerySource]) -> None:
        """Note a time that is compared with a fixed date or with a subquery, neither of which holds the cutoff."""
        from sqlglot import exp

        for column, other, upper in sides(node):
            if not isinstance(column, exp.Column) or has_cutoff(other, sources):
                continue
            fixed = other.find(exp.Column) is None and not _clock(other)
            query = other.find(exp.Query)
            if not (fixed or query is not None) or (query is not None and _mentions_cutoff(query)):
                continue
            for source in read_by(column, sources):
                for table in source.tables:
                    if self.times[table.lower()].lower() == column.name.lower():
                        what = f"compares {column.name} with {other.sql(dialect='duckdb')[:60]}, not with the cutoff"
                        severity: Severity = "warning" if upper else "info"
                        self._add("query_bound_elsewhere", severity, f"{self.role}: {table}", what)

    def _judge(
        self, alias: str, sources: Mapping[str, QuerySource], linked: set[frozenset[str]], selects_entities: bool
    ) -> None:
        source = sources[alias]
        bounded = {name for name, each in sources.items() if each.lower or each.upper or each.cutoffs}
        reached = _reached(alias, linked)
        by_key = bool(reached & bounded)
        windowed = self.role != "label" or any(sources[name].lower or sources[name].upper for name in reached)
        # rows that a key ties to rows within a window, such as the order of an item, may be older than the window
        held = any(sources[name].lower and sources[name].upper for name in reached)
        for table in dict.fromkeys(source.tables):
            subject, column = f"{self.role}: {table}", self.times[table.lower()]
            if not (source.lower or source.upper):
                if by_key and not windowed:
                    text = (
                        f"reads {table} without an end: only a key joins it to the population, and no bound on {column}"
                    )
                    self._add("label_window_open", "warning", subject, text)
                elif by_key:
                    text = f"joins {table} to bounded rows by a key, without a bound on {column} itself"
                    self._add("query_bounded_by_key", "info", subject, text)
                else:
                    text = f"reads {table} without comparing {column} or another of its columns with the cutoff"
                    self._add("query_unbounded", "warning", subject, text)
            elif selects_entities and (not source.upper or source.ahead):
                text = f"selects entities and reads {table} past the cutoff, without an upper bound at the cutoff"
                self._add("population_reads_past_cutoff", "warning", subject, text)
            elif source.lower and not source.upper:
                text = f"reads {table} after the cutoff without an upper bound"
                self._add("label_window_open", "warning", subject, text)
            elif source.ahead and not source.lower and not held:
                text = f"reads {table} up to the end of the window without a lower bound"
                self._add("label_window_open", "warning", subject, text)

    def _add(self, check: str, severity: Severity, subject: str, evidence: str) -> None:
        fix = "Bound the time on both sides, and by the cutoff where entities are selected"
        self.findings.append(Finding(check, severity, subject, evidence, fix))


def _clock(tree: Any) -> str:
    """Return the first function in an expression that reads the clock of the machine, as SQL; empty without one."""
    from sqlglot import exp

    kinds = (exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.CurrentDatetime)
    for node in tree.find_all(*kinds, exp.Anonymous):
        name = "" if isinstance(node, kinds) else str(node.this).lower()
        from_today = name == "age" and len(node.expressions) == 1
        if isinstance(node, kinds) or name in _CLOCK_FUNCTIONS or from_today:
            return str(node.sql(dialect="duckdb"))
    return ""


def _mentions_cutoff(query: Any) -> bool:
    from sqlglot import exp

    return any(column.name.lower() in CUTOFF_COLUMNS for column in query.find_all(exp.Column))


def _link(node: Any, sources: Mapping[str, QuerySource]) -> set[frozenset[str]]:
    """Return the pair of relations that an equality of columns joins."""
    from sqlglot import exp

    if not isinstance(node, exp.EQ):
        return set()
    named = [{c.table.lower() for c in side.find_all(exp.Column)} & set(sources) for side in (node.left, node.right)]
    return {frozenset((one, other)) for one in named[0] for other in named[1] if one != other}


def _reached(alias: str, linked: set[frozenset[str]]) -> set[str]:
    """Return the relations that equalities join to one, directly or over other relations."""
    found = {alias}
    while more := {name for pair in linked if pair & found for name in pair} - found:
        found |= more
    return found - {alias}


def _uses_key(tree: Any) -> bool:
    return any(join.args.get("using") for join in tree.args.get("joins") or [])


def _outer(sources: Mapping[str, QuerySource]) -> dict[str, QuerySource]:
    """Return the enclosing relations as a correlated subquery sees them: their cutoff columns only."""
    return {
        alias if alias.startswith(_OUTER) else f"{_OUTER}{alias}": QuerySource(cutoffs=source.cutoffs)
        for alias, source in sources.items()
        if source.cutoffs
    }


def _shown_cutoffs(tree: Any, sources: Mapping[str, QuerySource]) -> frozenset[str]:
    """Return the columns of a query's result that hold the cutoff."""
    from sqlglot import exp

    shown = set()
    for projection in tree.expressions:
        value = projection.unalias()
        if isinstance(projection, exp.Star):
            shown |= {name for source in sources.values() for name in source.cutoffs}
        elif isinstance(value, exp.Column) and has_cutoff(value, sources):
            shown.add(projection.alias_or_name.lower())
    return frozenset(shown)


def _own_nodes(tree: Any) -> Iterator[Any]:
    """Yield the nodes of a SELECT without its WITH clause; subqueries are yielded but not entered."""
    from sqlglot import exp

    waiting = [node for key, node in _children(tree) if key not in ("with", "with_")]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, exp.Query):
            waiting.extend(child for _, child in _children(node))


def _children(node: Any) -> Iterator[tuple[str, Any]]:
    from sqlglot import exp

    for key, value in node.args.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, exp.Expression):
                yield key, each


def _is_source(node: Any) -> bool:
    from sqlglot import exp

    return isinstance(node.parent, exp.From | exp.Join) and node.arg_key == "this"

"""What a task's queries read, told from their text: a population ends at the cutoff, a label window has two ends.

Every table with a time that a query reads has to be compared with the cutoff. A population (and a subquery that says who is
asked about) needs an upper bound that is not after the cutoff; a label query needs a lower and an upper bound, or reads
history only. A source whose time a subquery hands on is judged where it is used.

Our own runs show a query nothing past the cutoff whatever it asks for; a finding here says that the same query, run as it
stands on a live database, would answer another question. RelBench's driver-dnf has such a population: its test rows
include drivers whose first race lies after the cutoff (github.com/snap-stanford/relbench, issue 402).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from relselect.leaks.finding import Finding

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.database.task_spec import TaskSpec

__all__ = ["check_queries", "check_query"]

Role = Literal["population", "label", "reference"]

#: What the cutoffs of a task are called in queries, ours and those of RelBench: relations, and their column.
_CUTOFF_TABLES = frozenset({"cutoffs", "population", "timestamp_df", "timestamps"})
_CUTOFFS = frozenset({"cutoff", "timestamp"})


def check_queries(database: Database, spec: TaskSpec) -> list[Finding]:
    """Return the findings in the queries of a task's declaration."""
    times = {name: table.time for name, table in database.tables.items() if table.time is not None}
    texts: list[tuple[Role, str | None]] = [
        ("population", spec.population),
        ("label", spec.label),
        ("reference", spec.sql),
    ]
    return [finding for role, text in texts if text for finding in check_query(text, times, role)]


def check_query(text: str, times: Mapping[str, str], role: Role) -> list[Finding]:
    """Return the findings in one query.

    Args:
        text: The query, in DuckDB's dialect.
        times: Table -> its time column.
        role: What the query says: who is asked about, the answers, or ("reference") both, as the author of given labels
            wrote it down.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(text, read="duckdb")
    except SqlglotError as error:
        evidence = f"cannot be parsed ({str(error).splitlines()[0]})"
        return [Finding("query_unreadable", "info", role, evidence, "Check its bounds by hand")]
    reader = _Reader({table.lower(): column for table, column in times.items()}, role)
    reader.read(tree, {}, asked=role == "population", outermost=True)
    return list(dict.fromkeys(reader.findings))


@dataclass
class _Source:
    """A relation in a FROM clause.

    Attributes:
        tables: Tables with a time that it reads and nothing has bounded yet.
        cutoffs: Its columns that are the cutoff.
        lower: Something of it is compared as later than the cutoff.
        upper: Something of it is compared as earlier than the cutoff, or than the cutoff and something.
        ahead: The upper bound lies after the cutoff.
    """

    tables: tuple[str, ...] = ()
    cutoffs: frozenset[str] = frozenset()
    lower: bool = False
    upper: bool = False
    ahead: bool = False

    def bound(self, *, lower: bool = False, upper: bool = False, ahead: bool = False) -> None:
        self.lower, self.upper, self.ahead = self.lower or lower, self.upper or upper, self.ahead or ahead


@dataclass
class _Reader:
    times: Mapping[str, str]
    role: Role
    findings: list[Finding] = field(default_factory=list)

    def read(self, tree: Any, known: Mapping[str, _Source], *, asked: bool, outermost: bool = False) -> _Source:
        """Read a query and return what its result is to a query around it.

        Args:
            tree: The query.
            known: Relations that stand before it in WITH clauses.
            asked: Whether it says who is asked about.
            outermost: Whether nothing around it could still bound what it reads.
        """
        from sqlglot import exp

        named = dict(known)
        clause = tree.args.get("with_") or tree.args.get("with")
        for each in clause.expressions if clause else []:
            named[each.alias.lower()] = self.read(each.this, named, asked=asked)
        if isinstance(tree, exp.Subquery):
            return self.read(tree.this, named, asked=asked, outermost=outermost)
        if isinstance(tree, exp.SetOperation):
            sides = [self.read(side, named, asked=asked, outermost=outermost) for side in (tree.left, tree.right)]
            return _Source((*sides[0].tables, *sides[1].tables), sides[0].cutoffs | sides[1].cutoffs)
        return self._select(tree, named, asked, outermost) if isinstance(tree, exp.Select) else _Source()

    def _select(self, tree: Any, named: Mapping[str, _Source], asked: bool, outermost: bool) -> _Source:
        from sqlglot import exp

        sources = self._sources(tree, named, asked)
        linked: set[frozenset[str]] = set()
        for node in _own_nodes(tree):
            if isinstance(node, exp.Query):
                if not _is_source(node):
                    self.read(node, {**named, **_outer(sources)}, asked=self.role != "label", outermost=True)
            elif isinstance(node, exp.GT | exp.GTE | exp.LT | exp.LTE | exp.EQ | exp.Between):
                _compare(node, sources)
                linked |= _link(node, sources)
        linked |= {frozenset(pair) for pair in zip(sources, list(sources)[1:], strict=False) if _uses_key(tree)}
        open_tables: list[str] = []
        for alias, source in sources.items():
            if not source.tables:
                continue
            if outermost or source.lower or source.upper:
                self._judge(alias, sources, linked, asked)
            else:
                open_tables += source.tables
        return _Source(tuple(open_tables), _shown_cutoffs(tree, sources))

    def _sources(self, tree: Any, named: Mapping[str, _Source], asked: bool) -> dict[str, _Source]:
        from sqlglot import exp

        sources: dict[str, _Source] = {}
        clause = tree.args.get("from_") or tree.args.get("from")
        for part in [clause, *(tree.args.get("joins") or [])]:
            relation = None if part is None else part.this
            if isinstance(relation, exp.Subquery):
                sources[relation.alias_or_name.lower()] = self.read(relation.this, named, asked=asked)
            elif isinstance(relation, exp.Table):
                sources[relation.alias_or_name.lower()] = self._relation(relation.name, named)
        return sources

    def _relation(self, name: str, named: Mapping[str, _Source]) -> _Source:
        if name.lower() in named:
            found = named[name.lower()]
            return _Source(found.tables, found.cutoffs)
        if name.lower() in _CUTOFF_TABLES:
            return _Source(cutoffs=_CUTOFFS)
        return _Source((name,) if name.lower() in self.times else ())

    def _judge(self, alias: str, sources: Mapping[str, _Source], linked: set[frozenset[str]], asked: bool) -> None:
        source = sources[alias]
        bounded = {name for name, each in sources.items() if each.lower or each.upper or each.cutoffs}
        by_key = bool(_reached(alias, linked) & bounded)
        for table in dict.fromkeys(source.tables):
            subject, column = f"{self.role}: {table}", self.times[table.lower()]
            if not (source.lower or source.upper):
                if by_key:
                    text = f"reads {table} by a key of rows that are bounded, without a bound of {column} itself"
                    self._tell("query_bounded_by_key", "info", subject, text)
                else:
                    text = f"reads {table} without comparing {column} or anything else of it with the cutoff"
                    self._tell("query_unbounded", "warning", subject, text)
            elif asked and (not source.upper or source.ahead):
                text = f"says who is asked about and reads {table} past the cutoff, which has no bound there"
                self._tell("population_reads_past_cutoff", "warning", subject, text)
            elif source.lower and not source.upper:
                text = f"reads {table} after the cutoff without an end"
                self._tell("label_window_open", "warning", subject, text)
            elif source.ahead and not source.lower:
                text = f"reads {table} up to the end of the window without a beginning"
                self._tell("label_window_open", "warning", subject, text)

    def _tell(self, check: str, severity: Literal["warning", "info"], subject: str, evidence: str) -> None:
        fix = "Bound the time on both sides of what is meant, and by the cutoff what says who is asked about"
        self.findings.append(Finding(check, severity, subject, evidence, fix))


def _compare(node: Any, sources: Mapping[str, _Source]) -> None:
    """Note the bounds that one comparison with the cutoff gives."""
    from sqlglot import exp

    if isinstance(node, exp.Between):
        low, high = node.args["low"], node.args["high"]
        for source in _read(node.this, sources):
            if _has_cutoff(low, sources) and _has_cutoff(high, sources):
                source.bound(lower=True, upper=True, ahead=_is_ahead(high))
        return
    for mine, other, turned in ((node.left, node.right, False), (node.right, node.left, True)):
        if not _has_cutoff(other, sources) or _has_cutoff(mine, sources):
            continue
        for source in _read(mine, sources):
            if isinstance(node, exp.EQ):
                source.bound(lower=True, upper=True)
            elif isinstance(node, exp.GT | exp.GTE) != turned:
                source.bound(lower=True)
            else:
                source.bound(upper=True, ahead=_is_ahead(other) or _is_behind(mine))


def _link(node: Any, sources: Mapping[str, _Source]) -> set[frozenset[str]]:
    """Return the pair of relations that an equality of columns joins."""
    from sqlglot import exp

    if not isinstance(node, exp.EQ):
        return set()
    sides = [{c.table.lower() for c in side.find_all(exp.Column)} & set(sources) for side in (node.left, node.right)]
    return {frozenset((one, other)) for one in sides[0] for other in sides[1] if one != other}


def _reached(alias: str, linked: set[frozenset[str]]) -> set[str]:
    """Return the relations that equalities join to one, over others too."""
    found = {alias}
    while more := {name for pair in linked if pair & found for name in pair} - found:
        found |= more
    return found - {alias}


def _uses_key(tree: Any) -> bool:
    return any(join.args.get("using") for join in tree.args.get("joins") or [])


def _outer(sources: Mapping[str, _Source]) -> dict[str, _Source]:
    """Return what a correlated subquery can see of the relations around it: their cutoffs."""
    return {f"outer {alias}": _Source(cutoffs=source.cutoffs) for alias, source in sources.items() if source.cutoffs}


def _shown_cutoffs(tree: Any, sources: Mapping[str, _Source]) -> frozenset[str]:
    """Return the columns of a query's result that are the cutoff."""
    from sqlglot import exp

    shown = set()
    for projection in tree.expressions:
        value = projection.unalias()
        if isinstance(projection, exp.Star):
            shown |= {name for source in sources.values() for name in source.cutoffs}
        elif isinstance(value, exp.Column) and _has_cutoff(value, sources):
            shown.add(projection.alias_or_name.lower())
    return frozenset(shown)


def _own_nodes(tree: Any) -> Iterator[Any]:
    """Yield the nodes of a SELECT, subqueries themselves but nothing in them; WITH is left out."""
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


def _read(node: Any, sources: Mapping[str, _Source]) -> list[_Source]:
    """Return the relations whose columns an expression reads; a column without a name before it is any of them."""
    from sqlglot import exp

    aliases = {column.table.lower() for column in node.find_all(exp.Column)}
    return [source for alias, source in sources.items() if source.tables and aliases & {alias, ""}]


def _has_cutoff(node: Any, sources: Mapping[str, _Source]) -> bool:
    from sqlglot import exp

    for column in node.find_all(exp.Column):
        name, qualifier = column.name.lower(), column.table.lower()
        if qualifier and qualifier not in sources:
            if name in _CUTOFFS:  # a relation around this subquery
                return True
            continue
        near = [sources[qualifier]] if qualifier else list(sources.values())
        if any(name in source.cutoffs for source in near):
            return True
    return False


def _is_ahead(node: Any) -> bool:
    """Whether an expression of the cutoff lies after it: something is added."""
    from sqlglot import exp

    return node.find(exp.Add, exp.DateAdd) is not None


def _is_behind(node: Any) -> bool:
    """Whether something is taken off the time that is compared, which shifts the bound past the cutoff."""
    from sqlglot import exp

    return node.find(exp.Sub, exp.DateSub) is not None

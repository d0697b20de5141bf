"""Checks that a query is one SELECT over the tables that it may read.

DuckDB's own parser reads the text, so nothing is searched for in it. The check does not judge which rows a query reads: the
session shows it the visible ones only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from relselect.errors import TaskError

if TYPE_CHECKING:
    import duckdb

__all__ = ["check_select"]

#: Functions in FROM that make rows of their arguments alone.
_ROW_FUNCTIONS = frozenset({"unnest", "range", "generate_series", "json_each", "json_tree"})
#: Kinds of queries and of relations that read nothing but tables, subqueries and values.
_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_RELATIONS = frozenset(
    {
        "BASE_TABLE",
        "SUBQUERY",
        "JOIN",
        "TABLE_FUNCTION",
        "EXPRESSION_LIST",
        "EMPTY",
        "EMPTY_FROM",
        "PIVOT",
        "COLUMN_DATA",
    }
)
#: Functions that read the session, the catalog or the statistics of a table, or that wait.
_REFUSED = frozenset(
    {
        "getvariable", "getenv", "current_setting", "current_query", "current_query_id", "current_connection_id",
        "current_transaction_id", "txid_current", "nextval", "currval", "setval", "setseed", "sleep_ms", "stats", "write_log",
        "query", "query_table", "col_description", "obj_description", "shobj_description", "in_search_path",
    }
)  # fmt: skip
_HARMLESS = frozenset({"pg_typeof", "pg_size_pretty"})


def check_select(connection: duckdb.DuckDBPyConnection, argument: str, text: str, relations: Iterable[str]) -> None:
    """Check that a text is one SELECT, and that it reads the given relations only.

    Args:
        connection: Parses the text; nothing is run but the parser.
        argument: The argument of the user that holds the query, for errors.
        text: The query, in DuckDB's dialect.
        relations: Names of the tables that it may read; SQL compares names without case.

    Raises:
        TaskError: The text is no SELECT or more than one, reads another table, a catalog or a file, or calls a function that
            reads the session.
    """
    tree = _parsed(connection, argument, text)
    known = {name.lower() for name in relations}
    named = {name.lower() for node in _nodes(tree) for name in _cte_names(node)}
    internal = connection.execute("SELECT lower(view_name) FROM duckdb_views() WHERE internal").fetchall()
    if taken := sorted(named & {name for (name,) in internal}):
        raise TaskError(argument, taken[0], "is the name of a catalog view", "Give the WITH clause another name")
    for node in _nodes(tree):
        problem = _problem(node, known | named)
        if problem is not None:
            value, rule = problem
            raise TaskError(argument, value, rule, f"Read these relations only: {', '.join(sorted(known))}")


def _parsed(connection: duckdb.DuckDBPyConnection, argument: str, text: str) -> Any:
    """Return the syntax tree of the one SELECT in a text."""
    import duckdb

    try:
        (answer,) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchone() or ("{}",)
        tree = json.loads(answer)
    except (duckdb.Error, ValueError, RecursionError) as error:
        reason = (str(error).strip() or "too deep").splitlines()[0]
        raise TaskError(argument, text.strip(), f"cannot be parsed: {reason}", "Correct the SQL") from None
    if tree.get("error", True):
        reason = str(tree.get("error_message", "")).strip()
        if tree.get("error_type") == "not implemented":
            raise TaskError(
                argument, text.strip(), "must be one SELECT; other statements are not run", "Write a SELECT"
            )
        rule = f"DuckDB refused the query: Parser Error: {reason}"
        raise TaskError(argument, text.strip(), rule, "Correct the SQL")
    if not tree["statements"]:
        raise TaskError(argument, text.strip(), "must return rows, and holds no statement", "Write one SELECT")
    if len(tree["statements"]) > 1:
        rule = f"holds {len(tree['statements'])} statements, must be one SELECT"
        raise TaskError(argument, text.strip(), rule, "Use WITH for steps in between")
    return tree["statements"][0]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _cte_names(node: dict[str, Any]) -> list[str]:
    clause = node.get("cte_map")
    return [each["key"] for each in clause["map"]] if isinstance(clause, dict) else []


def _problem(node: dict[str, Any], names: set[str]) -> tuple[str, str] | None:
    """Return the offending value and the rule that it breaks, None for a node that may stand in a query."""
    kind, function = node.get("type"), node.get("function_name")
    if isinstance(function, str) and _is_refused(function.lower()):
        return function, "is a function that reads the session or the catalog, or that waits"
    if "cte_map" in node and "modifiers" in node and kind not in _QUERIES:
        return str(kind), "is no SELECT"
    if "sample" in node and "select_list" not in node and "class" not in node and kind not in _RELATIONS:
        return str(kind), "cannot stand in FROM"
    if kind == "TABLE_FUNCTION":
        name = str(node["function"].get("function_name", ""))
        return None if name.lower() in _ROW_FUNCTIONS else (name, "is a table function, which could read anything")
    if kind == "BASE_TABLE":
        place = [part for part in (node.get("catalog_name"), node.get("schema_name")) if part]
        name = str(node.get("table_name", ""))
        if place or name.lower() not in names:
            return ".".join([*place, name]), "is no table of the database"
    return None


def _is_refused(name: str) -> bool:
    return name in _REFUSED or (name.startswith(("pg_", "duckdb_", "pragma_")) and name not in _HARMLESS)

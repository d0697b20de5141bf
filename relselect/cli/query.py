"""`relselect query`: show the SQL that a predictive query stands for; nothing is asked and nothing is trained."""

from __future__ import annotations

from typing import Annotated

import typer

from relselect.cli.options import AsJson, Source, Verbose, exit_with
from relselect.display.console import CommandSession, Verbatim

__all__ = ["query"]


def query(
    source: Source,
    text: Annotated[str, typer.Argument(metavar="QUERY", help='"PREDICT ... FOR EACH table.key [WHERE ...]".')],
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Show who is asked about and what is predicted, as the two SQL queries of a task."""
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect.configs import open_database
        from relselect.queries import explain_query, task_name

        database = open_database(source)
        plan = explain_query(database, text)
        result = {"command": "query", "database": database.name, "task": task_name(plan.query), **plan.to_json()}
        session.result(result, Verbatim(str(plan)))
    exit_with(session)

"""`relselect tasks`: the tasks that the manifest of a database declares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relselect.cli.options import AsJson, Source, Verbose, exit_with
from relselect.display.console import CommandSession

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.database.task_spec import TaskSpec
    from relselect.queries import QueryPlan

__all__ = ["tasks"]

#: What is not known of a task whose query cannot be asked.
_UNKNOWN = dict.fromkeys(("entity", "kind", "horizon", "metric", "metric_title"))


def tasks(source: Source, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """List the declared tasks of a database: who is asked about, what, how it is scored, and how many rows are labelled."""
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect.configs import open_database
        from relselect.display.terminal import tasks_table

        database = open_database(source)
        found = [_facts(database, name) for name in database.tasks]
        shown = [tasks_table(found)] if found else [f"{database.name} declares no task; `relselect init` proposes two."]
        session.result({"command": "tasks", "database": database.name, "tasks": found}, *shown)
    exit_with(session)


def _facts(database: Database, name: str) -> dict[str, Any]:
    """The facts of a task; where its rows cannot be read, the reason in their place."""
    from relselect.api import open_task
    from relselect.errors import UserError

    spec = database.tasks[name]
    described = {"task": name, "description": spec.description or spec.query}
    facts: dict[str, Any] = {**described, **_UNKNOWN, "rows": None, "problem": None}
    try:
        facts |= _question(database, spec)
        opened = open_task(database, name)
    except UserError as error:
        return facts | {"problem": str(error)}
    return facts | {"rows": {split: len(frame) for split, frame in opened.splits.items()}}


def _question(database: Database, spec: TaskSpec) -> dict[str, Any]:
    """Entity, kind, metric and horizon: as declared, or as the query of the task says them."""
    from relselect.queries import explain_query
    from relselect.tasks.metrics import metric_of

    asked: TaskSpec | QueryPlan = spec if spec.query is None else explain_query(database, spec.query)
    said = {"entity": asked.entity, "kind": asked.kind, "horizon": asked.horizon}
    if asked.kind is None:
        return said
    metric = metric_of(spec.metric, asked.kind)
    return {**said, "metric": metric.name, "metric_title": metric.title}

"""Options that several commands take, and the checks of their values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from relselect.budget import parse_seconds
from relselect.errors import BudgetError, ConfigError

if TYPE_CHECKING:
    from relselect.budget import Budget
    from relselect.database import Database
    from relselect.display.console import CommandSession
    from relselect.tasks import Task

__all__ = [
    "TIME_BUDGET",
    "AsJson",
    "DataPlace",
    "Force",
    "Fresh",
    "OptionalTask",
    "PredictorFolder",
    "QueryText",
    "Quiet",
    "Schemas",
    "Seed",
    "Source",
    "TaskName",
    "TimeBudget",
    "TrustSource",
    "Verbose",
    "budget_seconds",
    "exclusive",
    "exit_with",
    "open_asked",
    "open_named",
    "separated",
    "task_or_query",
]

Source = Annotated[str, typer.Argument(metavar="DB", help="A known database, a folder, a manifest or an address.")]
TaskName = Annotated[str, typer.Option("--task", metavar="TASK", help="A task that the database's manifest declares.")]
OptionalTask = Annotated[
    str | None, typer.Option("--task", metavar="TASK", help="A task that the database's manifest declares.")
]
QueryText = Annotated[
    str | None, typer.Option("--query", metavar="QUERY", help='Instead of --task: "PREDICT ... FOR EACH table.key".')
]
TimeBudget = Annotated[str, typer.Option("--time-budget", help="Wall-clock for everything: 90s, 5min, 1h.")]
Seed = Annotated[int, typer.Option("--seed", help="The one seed.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write one JSON object to standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Measure again what was measured before.")]
PredictorFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A predictor that `relselect train` wrote.")]
DataPlace = Annotated[
    str | None,
    typer.Option("--uri", "--database", metavar="DB", help="The data to read; by default those trained on."),
]
Schemas = Annotated[
    list[str] | None,
    typer.Option("--schema", metavar="NAME", help="The schema to read; may be repeated; those of training by default."),
]
TrustSource = Annotated[
    bool, typer.Option("--trust-source", help="Use the address that a predictor names; only if you know who made it.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace a predictor that is already there.")]

#: The default of `--time-budget` for `relselect train`.
TIME_BUDGET = "5min"


def open_named(source: str, name: str, budget: Budget | None = None) -> tuple[Database, Task]:
    """Returns a database and a task that its manifest declares; its queries end with the budget."""
    from relselect.api import open_task
    from relselect.configs import open_database

    database = open_database(source)
    return database, open_task(database, name, budget)


def task_or_query(task: str | None, query: str | None) -> str:
    """Returns the name of the task that a command was given, or of the query instead of one.

    Raises:
        ConfigError: Neither was given, or both.
        QueryError: The query is none.
    """
    if (task is None) == (query is None):
        if task is not None:
            raise ConfigError("--task, --query", (task, query), "exclude each other", "Write one of the two")
        fix = 'Name a task, `relselect tasks DB` lists them, or ask --query "PREDICT ... FOR EACH table.key"'
        raise ConfigError("--task", None, "is missing, and so is --query", fix)
    if query is None:
        assert task is not None
        return task
    from relselect.queries import parse_query, task_name

    return task_name(parse_query(query))


def open_asked(source: str, task: str | None, query: str | None, budget: Budget | None = None) -> tuple[Database, Task]:
    """Returns a database and the task that a command names or asks as a query; its queries end with the budget."""
    name = task_or_query(task, query)
    if query is None:
        return open_named(source, name, budget)
    from relselect.configs import open_database
    from relselect.tasks import Task

    database = open_database(source)
    return database, Task.from_query(database, query, name=name, time_budget=budget)


def budget_seconds(text: str) -> float:
    """Returns the budget in seconds; a text that is no duration is bad input, not a small budget."""
    try:
        return parse_seconds(text)
    except BudgetError as error:
        raise ConfigError("--time-budget", error.value, error.rule, error.fix) from error


def separated(text: str) -> list[str]:
    """Returns the names in a text that commas separate."""
    return [name.strip() for name in text.split(",") if name.strip()]


def exclusive(at: str | None, split: str | None) -> None:
    """Refuses `--at` together with `--split`."""
    if at is not None and split is not None:
        raise ConfigError("--at, --split", (at, split), "exclude each other", "Write one of the two")


def exit_with(session: CommandSession) -> NoReturn:
    """Ends the command with the exit code of its session."""
    raise typer.Exit(session.code)

"""Options that several commands take, and the checks of their values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from relselect.budget import parse_seconds
from relselect.cli.completion import complete_database, complete_task
from relselect.errors import BudgetError, ConfigError

if TYPE_CHECKING:
    from relselect.budget import Budget
    from relselect.database import Database
    from relselect.display.console import CommandSession
    from relselect.tasks import Task

__all__ = [
    "ClassWeightTexts",
    "AsJson",
    "AveragedSeeds",
    "DataPlace",
    "DeviceName",
    "Explain",
    "FamilyNames",
    "FidelityName",
    "FinalChoiceName",
    "FixedOptionTexts",
    "Force",
    "Fresh",
    "MetricName",
    "MostThreads",
    "MostTrials",
    "OptionalTask",
    "PredictorFolder",
    "PredictorPlace",
    "PresetName",
    "QueryText",
    "Quiet",
    "RegimeName",
    "RunTime",
    "Schemas",
    "ScoreTest",
    "Seed",
    "SideBySide",
    "Source",
    "SpaceFiles",
    "TaskName",
    "TimeBudget",
    "TrustSource",
    "Verbose",
    "budget_seconds",
    "class_weights",
    "exclusive",
    "exit_with",
    "open_asked",
    "open_named",
    "separated",
    "task_or_query",
]

Source = Annotated[
    str,
    typer.Argument(
        metavar="DB", help="A known database, a folder, a manifest or an address.", autocompletion=complete_database
    ),
]
_TASK = typer.Option(
    "--task", metavar="TASK", help="A task that the database's manifest declares.", autocompletion=complete_task
)
TaskName = Annotated[str, _TASK]
OptionalTask = Annotated[str | None, _TASK]
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

# What `relselect train` asks for.
RunTime = Annotated[
    str | None,
    typer.Option(
        "--time-budget",
        metavar="DURATION",
        help="Wall-clock for everything, such as 90s, 5min or 1h; 5min by default.",
    ),
]
PresetName = Annotated[
    Literal["quick", "good", "best"] | None,
    typer.Option(
        "--preset",
        help="quick: the defaults of the recommended families in a minute; good: those families tuned, five minutes; "
        "best: every family tuned, an hour.",
    ),
]
PredictorPlace = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Where the predictor goes; relselect-TASK by default.")
]
RegimeName = Annotated[
    Literal["rolling", "frozen"] | None, typer.Option("--regime", help="Which history evaluation rows see.")
]
FamilyNames = Annotated[
    str | None,
    typer.Option("--families", help="Train these, separated by commas, or 'all', instead of the recommended."),
]
MostTrials = Annotated[
    int | None, typer.Option("--max-trials", min=1, help="Trials per family at most; by default until time is up.")
]
SideBySide = Annotated[
    int | None,
    typer.Option("--jobs", min=1, max=4, help="Trials fitted side by side, in processes of their own; one by default."),
]
FidelityName = Annotated[
    Literal["full", "rows", "length", "auto"] | None,
    typer.Option(
        "--fidelity",
        help="Fit trials wholly, (rows, auto) on parts of many rows first, or (length) end those behind on the way.",
    ),
]
AveragedSeeds = Annotated[
    int | None,
    typer.Option(
        "--average-seeds",
        min=1,
        max=5,
        help="Fits of what is chosen, with different seeds, that are averaged where there is time; by default 3 of a network, "
        "1 of trees.",
    ),
]
FinalChoiceName = Annotated[
    Literal["auto", "one", "blend"] | None,
    typer.Option(
        "--final", help="Deploy one family, a blend of all, or (auto) a blend where it is open which is better."
    ),
]
MetricName = Annotated[
    str | None,
    typer.Option("--metric", help="Score by this metric instead of the task's, such as average_precision."),
]
ClassWeightTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--class-weight",
        metavar="CLASS=WEIGHT",
        help="Weigh the rows of a class in the training loss, such as true=5, or 'balanced' for all; may be repeated.",
    ),
]
FixedOptionTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="FAMILY.NAME=VALUE",
        help="Fix an option in every configuration of a family, such as rdl.rows=both; may be repeated.",
    ),
]
SpaceFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--space",
        metavar="FILE",
        help="Search this space (YAML) instead of the shipped one of the family that it names; may be repeated.",
    ),
]
DeviceName = Annotated[
    str | None,
    typer.Option("--device", help="Where a graph network computes: cpu, cuda, cuda:1; a GPU if there is one."),
]
MostThreads = Annotated[
    int | None, typer.Option("--threads", min=1, help="Most threads to compute with; by default the idle cores.")
]
ScoreTest = Annotated[bool, typer.Option("--test/--no-test", help="Score the test rows once, at the end.")]
Explain = Annotated[
    bool | None,
    typer.Option("--explain/--no-explain", help="Measure what the predictor rests on, where there is time."),
]


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


def class_weights(texts: list[str]) -> str | dict[str, float] | None:
    """Returns the weights of classes from texts such as "true=5", or "balanced"; None without any text.

    Raises:
        ConfigError: A text has another form.
    """
    if not texts or texts == ["balanced"]:
        return texts[0] if texts else None
    found: dict[str, float] = {}
    for text in texts:
        name, _, weight = text.rpartition("=")
        try:
            found[name] = float(weight)
        except ValueError:
            name = ""
        if not name:
            rule = "is not of the form CLASS=WEIGHT"
            raise ConfigError("--class-weight", text, rule, "Write e.g. --class-weight true=5, or balanced alone")
    return found

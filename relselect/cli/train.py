"""`relselect demo` and `relselect train`: train a predictor, save it, and write its report."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relselect.budget import Budget
from relselect.cli.hard_end import HardEnd
from relselect.cli.options import (
    AsJson,
    AveragedSeeds,
    ClassWeightTexts,
    DeviceName,
    Explain,
    FamilyNames,
    FidelityName,
    FinalChoiceName,
    FixedOptionTexts,
    Force,
    Fresh,
    MetricName,
    MostThreads,
    MostTrials,
    OptionalTask,
    PredictorPlace,
    PresetName,
    QueryText,
    Quiet,
    RegimeName,
    RunTime,
    ScoreTest,
    Seed,
    SideBySide,
    Source,
    SpaceFiles,
    TimeBudget,
    Verbose,
    budget_seconds,
    class_weights,
    exit_with,
    open_asked,
    task_or_query,
)
from relselect.cli.report import leak_facts
from relselect.cli.together import follow, leading, number_of_process
from relselect.display.console import CommandSession
from relselect.errors import ConfigError
from relselect.files import check_writable
from relselect.presets import preset_of
from relselect.progress import Progress

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.events import Event
    from relselect.tasks import Task

__all__ = ["demo", "predictor_folder", "train"]

#: The folder, within the predictor's, where unfinished studies are kept.
_WORK = "work"
_OPTION = re.compile(r"(?P<family>\w+)\.(?P<name>\w+)=(?P<value>.+)\Z", re.DOTALL)
_RECORDED = (
    "settings",
    "choice",
    "deployed",
    "recommendation",
    "leaderboard",
    "failures",
    "pruned",
    "unfinished",
    "budget",
)


def demo(
    context: typer.Context,
    time_budget: TimeBudget = "2min",
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the predictor goes.")] = Path(
        "relselect-demo"
    ),
    seed: Seed = 0,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Train on the bundled baseball database: will a player appear next season?"""
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect import examples

        budget = Budget(budget_seconds(time_budget), begun=context.obj.begun)
        folder = predictor_folder(out, force=True)
        with HardEnd(session, budget, context.obj) as end:
            example = examples.lahman()
            _train(
                session, example.database, example.tasks["player-active"], budget, end, folder, "demo", quiet, seed=seed
            )
    exit_with(session)


def train(
    context: typer.Context,
    source: Source,
    task: OptionalTask = None,
    query: QueryText = None,
    time_budget: RunTime = None,
    preset: PresetName = None,
    seed: Seed = 0,
    out: PredictorPlace = None,
    regime: RegimeName = None,
    families: FamilyNames = None,
    max_trials: MostTrials = None,
    jobs: SideBySide = None,
    fidelity: FidelityName = None,
    average_seeds: AveragedSeeds = None,
    final: FinalChoiceName = None,
    metric: MetricName = None,
    class_weight: ClassWeightTexts = None,
    option: FixedOptionTexts = None,
    space: SpaceFiles = None,
    device: DeviceName = None,
    threads: MostThreads = None,
    fresh: Fresh = False,
    test: ScoreTest = True,
    explain: Explain = None,
    force: Force = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Choose a family, tune it inside a time budget, and save the predictor with its report.

    Killed? The same command goes on where it stopped. Started by torchrun, its processes train graph networks together.
    """
    if number_of_process() > 0:
        follow(source, task, query, regime, metric, class_weight, device, verbose)
    session = CommandSession(as_json, verbose)
    with session.work():
        duration = preset_of(preset).time_budget if time_budget is None else time_budget
        budget = Budget(budget_seconds(duration), begun=context.obj.begun)
        name = task_or_query(task, query)
        folder = predictor_folder(Path(f"relselect-{name}") if out is None else out, force)
        options: dict[str, Any] = {"seed": seed, "evaluate_test": test, "final": final, "explain": explain}
        options |= {"families": _trained_names(families), "max_trials": max_trials, "cache": not fresh}
        options |= {"jobs": jobs, "fidelity": fidelity, "average_seeds": average_seeds}
        options |= {"preset": preset, "metric": metric, "device": device, "threads": threads}
        options |= {"options": fixed_options(option or []), "spaces": given_spaces(space or [])}
        options["class_weight"] = class_weights(class_weight or [])
        with HardEnd(session, budget, context.obj) as end, leading(jobs):
            database, opened = open_asked(source, task, query, budget)
            opened = opened if regime is None else opened.in_regime(regime)
            _train(session, database, opened, budget, end, folder, "train", quiet, **options)
    exit_with(session)


def _trained_names(families: str | None) -> tuple[str, ...] | None:
    """Returns the families that are asked for, checked before anything is read."""
    from relselect.families.registry import trained_names

    return None if families is None else trained_names(families)


def fixed_options(texts: list[str]) -> dict[str, dict[str, Any]]:
    """Returns family -> option -> value from texts such as "rdl.rows=both", their values read as YAML.

    Raises:
        ConfigError: A text has another form.
    """
    import yaml

    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        match = _OPTION.match(text)
        try:
            value = None if match is None else yaml.safe_load(match["value"])
        except yaml.YAMLError:
            match = None
        if match is None:
            raise ConfigError(
                "--option", text, "is not of the form FAMILY.NAME=VALUE", "Write e.g. --option rdl.rows=both"
            )
        found.setdefault(match["family"], {})[match["name"]] = value
    return found


def given_spaces(files: list[Path]) -> dict[str, dict[str, Any]]:
    """Returns family -> search space from files, each of which names its family.

    Raises:
        SpaceError: With every problem of a file.
        ConfigError: A file cannot be read, or two are for one family.
    """
    from relselect.families.space_files import read_space

    found: dict[str, dict[str, Any]] = {}
    for file in files:
        space = read_space(file)
        if space.family in found:
            raise ConfigError("--space", str(file), f"is a second space of {space.family}", "Give one of the two")
        found[space.family] = space.to_json()
    return found


def _train(
    session: CommandSession,
    database: Database,
    task: Task,
    budget: Budget,
    end: HardEnd,
    folder: Path,
    command: str,
    quiet: bool,
    **options: Any,
) -> None:
    """Train, save and report; the unfinished studies are kept within the folder until the predictor is saved."""
    from relselect.api import select_and_train
    from relselect.display.terminal import leaderboard_table, verdict_lines

    session.resume_hint = f"Run the same command again to go on with what is kept in {folder / _WORK}."
    end.kept = session.resume_hint
    with Progress(budget.seconds, quiet=quiet) as progress:

        def listener(event: Event) -> None:
            end.on_event(event)
            progress(event)

        fitted = select_and_train(database, task, budget, on_event=listener, workdir=folder / _WORK, **options)
    end.doing = "saving"
    fitted.save(folder)
    end.doing, end.kept = "report", f"The predictor is saved in {folder}, without its report."
    page = fitted.report(folder / "report.html")
    shutil.rmtree(folder / _WORK, ignore_errors=True)
    record: Any = fitted.record
    result = {
        "command": command,
        "out": str(folder),
        "report": str(page),
        "interrupted": session.interrupted,
        **{key: record[key] for key in _RECORDED},
        **leak_facts(record),
    }
    session.result(result, leaderboard_table(record), *verdict_lines(record), f"Predictor: {folder}", f"Report: {page}")


def predictor_folder(folder: Path, force: bool) -> Path:
    """Returns the folder for a predictor.

    Raises:
        ConfigError: The folder holds a predictor and `force` is false, or it holds other files.
        UnwritableError: Nothing can be written there.
    """
    from relselect.bundle import LEFTOVERS

    if folder.exists() and not folder.is_dir():
        raise ConfigError("--out", str(folder), "is a file", "Give a folder")
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    whole = ".ready" in present or ("manifest.json" in present and "fitted.json" in present)
    if whole and not force:
        raise ConfigError(
            "--out", str(folder), "holds a predictor already", "Give another folder, or --force to replace it"
        )
    # a kill while the predictor was being saved leaves parts of it beside the work
    unfinished = _WORK in present and present <= {_WORK, *LEFTOVERS}
    if present and not whole and "fitted.json" not in present and not unfinished:
        raise ConfigError("--out", str(folder), "holds other files", "Give a new or an empty folder")
    check_writable("--out", folder, folder=True)
    return folder

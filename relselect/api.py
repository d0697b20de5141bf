"""The three ways in: train, recommend, and the report that both hand back. Short on purpose; the rooms do the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from relselect.budget import Budget, budget_of
from relselect.counts import check_count
from relselect.database import Database
from relselect.events import Emit
from relselect.files import check_writable
from relselect.fitted import Fitted
from relselect.presets import preset_of
from relselect.problem import Problem, declarations
from relselect.progress import watched
from relselect.tasks.named import TaskLike, open_task, task_of
from relselect.threads import limit_threads_after_fork, limited_threads, wait_passively

if TYPE_CHECKING:
    from relselect.profile.entry import profile as profile
    from relselect.run import Settings
    from relselect.selector import Recommendation
    from relselect.tasks import Task

__all__ = ["Fitted", "follow_training", "load", "open_task", "profile", "recommend", "select_and_train"]


def select_and_train(
    database: Database,
    task: TaskLike,
    time_budget: float | str | timedelta | Budget | None = None,
    *,
    preset: Literal["quick", "good", "best"] | None = None,
    seed: int = 0,
    on_event: Emit | None = None,
    workdir: str | Path | None = None,
    families: Sequence[str] | str | None = None,
    evaluate_test: bool = True,
    max_trials: int | None = None,
    jobs: int | None = None,
    fidelity: Literal["full", "rows", "length", "auto"] | None = None,
    average_seeds: int | None = None,
    final: Literal["auto", "one", "blend"] | None = None,
    explain: bool | None = None,
    metric: str | None = None,
    class_weight: str | Mapping[Any, float] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    spaces: Mapping[str, str | Path | Mapping[str, Any]] | None = None,
    device: str | None = None,
    threads: int | None = None,
    cache: bool | str | Path = True,
    progress: bool | None = None,
) -> Fitted:
    """Profile the task, choose the family or families, tune, pick the checkpoint, and return a predictor.

    Args:
        database: The database.
        task: The task, the name of one that the database's manifest declares, or its entry in `database.tasks`.
        time_budget: Wall-clock for everything: seconds, "90s", "5min", "1h", a timedelta, or a `Budget` that is already running;
            None for the preset's.
        preset: How the time is used: "quick" fits the default of each recommended family within a minute, "good" (the default)
            tunes the recommended families for five, "best" tunes every family for an hour. Options given beside it go first.
        seed: The one seed; equal inputs, seed and number of trials give the equal result.
        on_event: Called with every event (see `relselect.events`).
        workdir: Where finished trials are kept; the same call on it goes on where a killed one stopped. None for a
            temporary folder.
        families: Names of families to train, instead of following the recommendation; "all" for all.
        evaluate_test: Whether the test split is scored, once, at the end.
        max_trials: Trials per family after which tuning ends early.
        jobs: Trials that are fitted side by side in processes of their own, 1 to 4; one by default. The study is the same for any
            number; a GPU trains one at a time.
        fidelity: "full" (the default) fits every trial on all training rows, "rows" most of them on parts first, "auto" on parts
            where there are 20,000 rows or more; "length" ends trials that are behind on the way; see `docs/tuning.md`.
        average_seeds: How many fits of what was chosen, with different seeds, are averaged where there is time, 1 to 5; None for
            the preset's, else 3 for networks and 1 for trees (`docs/tuning.md`), and for 1 beside `max_trials`.
        final: What is deployed: "one" family, the "blend" of all that were trained, or "auto" for the blend where it is open
            which family is better; None for the preset's, "auto" without one.
        explain: Whether a small share of the budget (4 %, of a minute or more) is kept for measuring what the model rests on;
            None for the preset's, yes without one.
        metric: Another metric than the task's, by its name in `relselect.tasks.metrics`.
        class_weight: Other weights of the classes in the training loss than the task's: a mapping from classes, or "balanced";
            weights of rows are a column of the task (`Task.from_labels(weight=...)`). Scores count every row once.
        options: Family -> option -> value: options that hold in every configuration of a family, such as
            `{"rdl": {"rows": "both"}}` or `{"dfs": {"learner": "tabm"}}`; the study searches the others.
        spaces: Family -> search space in place of its shipped one: a YAML file, or a mapping of what it would hold; see
            `docs/tuning.md`.
        device: Where a graph network computes, such as "cpu" or "cuda:1"; None for a GPU where there is one.
        threads: Most threads to compute with; None for the cores that are idle.
        cache: Whether to look for an earlier profile of the same content and keep this one; True for the folder that
            `recommend` and `profile` share, a folder of your own, or False.
        progress: Whether a line in the terminal or the notebook shows how far it is; None for yes where there is no `on_event`.
            Events go to the logger "relselect" in any case.

    Returns:
        The predictor with its leaderboard, recommendation and report.

    Raises:
        BudgetError: The budget ended before any model was finished.
        TaskError: The task holds nothing to learn, or its label stands among the features.
        ConfigError: An option is not understood; a `SpaceError` lists every problem of a search space.
    """
    # what is imported below counts too
    budget = budget_of(preset_of(preset).time_budget if time_budget is None else time_budget)
    wait_passively()
    limit_threads_after_fork()
    from relselect.blend import predictor_family
    from relselect.profile.entry import cache_of
    from relselect.run import run
    from relselect.tasks.weights import named_class_weight

    wanted: dict[str, Any] = {"families": families, "max_trials": max_trials, "final": final, "explain": explain}
    wanted |= {"workdir": workdir, "device": device, "metric": metric, "options": options, "spaces": spaces}
    wanted |= {"jobs": jobs, "fidelity": fidelity, "average_seeds": average_seeds}
    settings = _settings_of(preset, wanted, seed=seed, evaluate_test=evaluate_test)
    most = nullcontext() if threads is None else limited_threads(check_count("threads", threads))
    with watched(on_event, progress, budget.seconds) as emit, most:
        asked = _asked_task(task_of(database, task, budget), metric, class_weight)
        problem = Problem(database, asked)
        if class_weight is not None:
            settings = replace(settings, class_weight=named_class_weight(class_weight))
        result = run(problem, settings, budget, emit, cache_of(cache))
    if result.decision is None:
        raise RuntimeError("a run ended without a decision")
    return Fitted(
        task=asked,
        types=problem.types,
        schema={name: table.columns for name, table in database.tables.items()},
        family=predictor_family(result.decision.candidate.family),
        result=result,
        database=database,
        problem=problem,
        source=database.source,
        declared=declarations(database),
    )


def follow_training(
    database: Database,
    task: TaskLike,
    *,
    metric: str | None = None,
    class_weight: str | Mapping[Any, float] | None = None,
    device: str | None = None,
) -> int:
    """Take part in the graph networks that another process trains by `select_and_train`, until it is done.

    For every process but the first of those that `torchrun` started; see `relselect.rdl.distributed`. Nothing is written.

    Args:
        database: The database of the first process.
        task: Its task.
        metric: Its metric.
        class_weight: Its weights of the classes.
        device: Where to compute; None for a GPU where there is one.

    Returns:
        The number of fits and refits.

    Raises:
        ConfigError: The first process trains on other data.
        ProcessLost: Another process has ended.
    """
    limit_threads_after_fork()
    from relselect.rdl.distributed import follow

    return follow(Problem(database, _asked_task(task_of(database, task, Budget(None)), metric, class_weight)), device)


def _asked_task(task: Task, metric: str | None, class_weight: str | Mapping[Any, float] | None) -> Task:
    """Return a task under the metric and the weights of classes that a caller asks for in place of its own."""
    task = task if metric is None else task.scored_by(metric)
    return task if class_weight is None else task.weighing(class_weight)


def _settings_of(preset: str | None, asked: dict[str, Any], **rest: Any) -> Settings:
    """Return the settings of a preset, in whose place goes what was asked for beside it; None is not asked for."""
    from relselect.families.options import check_options, check_spaces
    from relselect.families.registry import trained, trained_names
    from relselect.run import Settings

    wanted = preset_of(preset).options | {name: value for name, value in asked.items() if value is not None}
    if "workdir" in wanted:
        wanted["workdir"] = Path(wanted["workdir"])
        check_writable("workdir", wanted["workdir"], folder=True)
    if "families" in wanted:
        wanted["families"] = trained_names(wanted["families"])
    tuned = wanted.get("families") or trained()
    wanted["options"] = check_options(wanted.get("options"), tuned)
    wanted["spaces"] = check_spaces(wanted.get("spaces"), tuned)
    return Settings(**wanted, **rest, preset=preset)


def recommend(
    database: Database,
    task: TaskLike,
    *,
    on_event: Emit | None = None,
    seed: int = 0,
    cache: bool | str | Path = True,
    progress: bool | None = None,
) -> Recommendation:
    """Say which family to train, without training.

    Args:
        database: The database.
        task: The task, the name of one that the database's manifest declares, or its entry in `database.tasks`.
        on_event: Called with every event.
        seed: Seed of the profile's samples.
        cache: As for `select_and_train`, which then need not measure again.
        progress: As for `select_and_train`.

    Returns:
        The recommendation; its `report` writes the measurement as a page.
    """
    wait_passively()
    limit_threads_after_fork()
    from relselect.profile.entry import cache_of
    from relselect.report import Report, record_of
    from relselect.run import Settings, measure

    settings = Settings(seed=seed)
    with watched(on_event, progress) as emit:
        problem = Problem(database, task_of(database, task))
        result = measure(problem, settings, Budget(None), emit, cache_of(cache))
    record = record_of(result)
    return result.recommendation.reported_by(record, Report(record))


def load(path: str | Path) -> Fitted:
    """Read a predictor that `Fitted.save` wrote.

    Args:
        path: The folder.

    Raises:
        BundleError: The bundle is incomplete, damaged, or of another format.
    """
    limit_threads_after_fork()  # models are tried while they are read
    from relselect.bundle import load_bundle

    contents = load_bundle(Path(path))
    return Fitted(**{each.name: getattr(contents, each.name) for each in fields(contents)})


def __getattr__(name: str) -> Any:
    """Load `profile` on first use: whoever predicts measures nothing."""
    if name != "profile":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from relselect.profile.entry import profile

    return profile

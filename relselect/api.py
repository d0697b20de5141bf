"""The three ways in: train, recommend, and the report that both hand back. Short on purpose; the rooms do the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from relselect.budget import Budget, budget_of
from relselect.configs import cache_path
from relselect.counts import check_seed
from relselect.database import Database
from relselect.errors import ConfigError
from relselect.events import Emit
from relselect.files import check_writable
from relselect.fitted import Fitted
from relselect.problem import Problem, declarations
from relselect.tasks import Task
from relselect.threads import limit_threads_after_fork, wait_passively

if TYPE_CHECKING:
    from relselect.profile import Profile
    from relselect.selector import Recommendation

__all__ = ["Fitted", "load", "open_task", "profile", "recommend", "select_and_train"]


def select_and_train(
    database: Database,
    task: Task | str,
    time_budget: float | str | timedelta | Budget = "5min",
    *,
    seed: int = 0,
    on_event: Emit | None = None,
    workdir: str | Path | None = None,
    families: Sequence[str] | str | None = None,
    evaluate_test: bool = True,
    max_trials: int | None = None,
) -> Fitted:
    """Profile the task, choose the family or families, tune, pick the checkpoint, and return a predictor.

    Args:
        database: The database.
        task: The task, or the name of one that the database's manifest declares.
        time_budget: Wall-clock for everything: seconds, "90s", "5min", "1h", a timedelta, or a `Budget` that is already running.
        seed: The one seed; equal inputs, seed and number of trials give the equal result.
        on_event: Called with every event (see `relselect.events`).
        workdir: Where finished trials are kept; the same call on it goes on where a killed one stopped. None for a
            temporary folder.
        families: Names of families to train, instead of following the recommendation.
        evaluate_test: Whether the test split is scored, once, at the end.
        max_trials: Trials per family after which tuning ends early.

    Returns:
        The predictor with its leaderboard, recommendation and report.

    Raises:
        BudgetError: The budget ended before any model was finished.
        TaskError: The task holds nothing to learn, or its label stands among the features.
        ConfigError: An option is not understood.
    """
    # what is imported below counts too
    budget = budget_of(time_budget)
    wait_passively()
    limit_threads_after_fork()
    from relselect.families.registry import family_of, trained_names
    from relselect.run import Settings, run

    if workdir is not None:
        check_writable("workdir", Path(workdir), folder=True)
    settings = Settings(
        seed=seed,
        families=None if families is None else trained_names(families),
        workdir=None if workdir is None else Path(workdir),
        evaluate_test=evaluate_test,
        max_trials=max_trials,
    )
    task = _task_of(database, task, budget)
    problem = Problem(database, task)
    result = run(problem, settings, budget, on_event)
    if result.decision is None:
        raise RuntimeError("a run ended without a decision")
    return Fitted(
        task=task,
        types=problem.types,
        schema={name: table.columns for name, table in database.tables.items()},
        family=family_of(result.decision.candidate.family),
        result=result,
        database=database,
        problem=problem,
        source=database.source,
        declared=declarations(database),
    )


def recommend(database: Database, task: Task | str, *, on_event: Emit | None = None, seed: int = 0) -> Recommendation:
    """Say which family to train, without training.

    Args:
        database: The database.
        task: The task, or the name of one that the database's manifest declares.
        on_event: Called with every event.
        seed: Seed of the profile's samples.

    Returns:
        The recommendation; its `report` writes the measurement as a page.
    """
    wait_passively()
    limit_threads_after_fork()
    from relselect.report import record_of, write_report
    from relselect.run import Settings, measure

    settings = Settings(seed=seed)
    result = measure(Problem(database, _task_of(database, task)), settings, Budget(None), on_event)
    record = record_of(result)
    return result.recommendation.reported_by(record, lambda path: write_report(record, path))


def profile(
    database: Database,
    task: Task | str,
    *,
    on_event: Emit | None = None,
    seed: int = 0,
    hops: int = 2,
    cache: bool | str | Path = False,
) -> Profile:
    """Measure a task without training.

    Args:
        database: The database.
        task: The task, or the name of one that the database's manifest declares.
        on_event: Called with every event.
        seed: Seed of the samples.
        hops: Length of the meta-paths of homophily: 2, or 4 for longer ones as well.
        cache: Whether to look for an earlier profile of the same content and keep this one, below
            `relselect.configs.cache_path("profiles")` or in a folder of your own.

    Raises:
        ConfigError: `hops` is neither 2 nor 4, or the seed is no whole number from 0 to 2**32 - 1.
    """
    seed = check_seed(seed)
    if hops not in (2, 4):
        raise ConfigError("hops", hops, "must be 2 or 4", "Use 2 unless entities meet further away")
    wait_passively()
    limit_threads_after_fork()
    from relselect.events import silent
    from relselect.profile import ProfileCache, profile_task

    kept = None
    if cache is not False:
        kept = ProfileCache(cache_path("profiles") if cache is True else Path(cache))
    return profile_task(
        Problem(database, _task_of(database, task)), emit=on_event or silent, seed=seed, hops=hops, cache=kept
    )


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


def _task_of(database: Database, task: Task | str, budget: Budget | None = None) -> Task:
    """Return a task as it is, and the one that the database's manifest declares under a name.

    Raises:
        BudgetError: The budget ended while its queries were asked.
        ConfigError: It is neither a task nor the name of one.
    """
    if isinstance(task, Task):
        return task
    if isinstance(task, str):
        return open_task(database, task, budget)
    rule, fix = (
        "is no Task",
        "Pass the name under which the manifest declares it, or what Task.from_labels or Task.from_sql returns",
    )
    raise ConfigError("task", task, rule, fix)


def open_task(database: Database, name: str, time_budget: float | str | timedelta | Budget | None = None) -> Task:
    """Return a task that the database's manifest declares.

    Args:
        database: The database.
        name: The task's name in the manifest.
        time_budget: Wall-clock of its queries, or the `Budget` of a run; see `Task.from_sql`.

    Raises:
        BudgetError: The budget ended while its queries were asked, or is no duration.
        ConfigError: There is no task of that name.
    """
    if name not in database.tasks:
        known = ", ".join(sorted(database.tasks))
        place = database.source or "ADDRESS"
        fix = f"Use one of: {known}" if known else f"Run `relselect init {place}` for a manifest with two examples"
        raise ConfigError("task", name, f"is no task of {database.name}", fix)
    return Task.from_spec(database, database.tasks[name], name, time_budget=time_budget)

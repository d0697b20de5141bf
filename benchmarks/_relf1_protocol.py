"""How rel-f1 is measured: its tasks and regimes, earlier folds of a task, one fit and its scores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from relselect.api import open_task
from relselect.budget import Budget
from relselect.configs import open_database
from relselect.database.columns import combine_keys
from relselect.events import silent
from relselect.families.candidate import Candidate
from relselect.families.protocol import Family
from relselect.problem import Problem
from relselect.problem.rows import fit_rows
from relselect.tasks import Task
from relselect.tasks.labels import LabelFrame
from relselect.tasks.splits import Split, purge

DATABASE = "rel-f1"
TASKS = ("driver-dnf", "driver-top3", "driver-position")
REGIMES = ("rolling", "frozen")
#: What a test score should reach: AUROC at least, mean absolute error at most.
BARS = {
    ("driver-dnf", "rolling"): 0.85,
    ("driver-top3", "rolling"): 0.935,
    ("driver-position", "rolling"): 2.55,
    ("driver-dnf", "frozen"): 0.76,
    ("driver-top3", "frozen"): 0.86,
    ("driver-position", "frozen"): 3.75,
}
#: Seconds that one fit may take, its features included.
SECONDS = 120.0


@dataclass(frozen=True)
class Score:
    """One fit: familiar figures (errors are positive), nan where a split was not scored."""

    val: float
    test: float
    seconds: float


@dataclass(frozen=True)
class Case:
    """A task in a regime, as it is or moved back in time by `shift` times the distance of its splits."""

    task: str
    regime: str
    shift: float = 0.0


def cases(regimes: Sequence[str], shifts: Sequence[float], database: str = DATABASE) -> list[tuple[Case, Problem]]:
    """Return the cases that a database holds; shifts that leave too little to train on are left out."""
    opened = open_database(database)
    found = []
    for name in TASKS if database == DATABASE else opened.tasks:
        task = open_task(opened, name)
        for shift in shifts:
            moved = task if shift == 0 else earlier(task, shift)
            if moved is not None:
                found += [(Case(name, r, shift), Problem(opened, moved.in_regime(r))) for r in regimes]  # type: ignore[arg-type]
    return found


def earlier(task: Task, shift: float) -> Task | None:
    """Return the task with its splits moved back, so that its test rows are validation or training rows of the task.

    With shift 1 the validation rows are the test, and the validation is as long before them as it is before the test. The
    real test rows take no part. None where the earlier splits would be empty, or train on less than half of the rows.
    """
    if task.static or "test" not in task.splits:
        return None
    length = task.starts["test"] - task.starts["val"]
    spans = {split: int(task.splits[split].cutoff.max()) - task.starts[split] for split in ("val", "test")}
    rows = _together(task.splits["train"], task.splits["val"])
    test = task.starts["val"] - round((shift - 1) * length)
    val, cutoff = test - length, rows.cutoff
    parts = {
        "train": rows.take(cutoff < val),
        "val": rows.take((cutoff >= val) & (cutoff <= min(test - 1, val + spans["val"]))),
        "test": rows.take((cutoff >= test) & (cutoff <= test + min(length - 1, spans["test"]))),
    }
    starts = {"train": int(cutoff.min()), "val": val, "test": test}
    if not all(map(len, parts.values())) or 2 * len(parts["train"]) < len(task.splits["train"]):
        return None
    kept, purged = purge(parts, starts)  # type: ignore[arg-type]
    return replace(task, splits=kept, starts=starts, purged=purged)  # type: ignore[arg-type]


def _together(first: LabelFrame, second: LabelFrame) -> LabelFrame:
    names = first.keys.column_names
    keys = [pa.table({name: combine_keys([frame.keys[name]]) for name in names}) for frame in (first, second)]
    same = first.keys.schema.equals(second.keys.schema)
    features = [frame.features for frame in (first, second) if frame.features is not None]
    return LabelFrame(
        keys=pa.concat_tables([first.keys, second.keys] if same else keys),
        cutoff=np.concatenate([first.cutoff, second.cutoff]),
        known_at=np.concatenate([first.known_at, second.known_at]),
        label=np.concatenate([first.label, second.label]),
        features=pa.concat_tables(features) if features else None,
    )


def measure(
    problem: Problem, family: Family, changes: dict[str, Any], seed: int, *, test: bool, seconds: float = SECONDS
) -> Score:
    """Fit the default configuration with changes; score all validation rows as it was validated, test rows after a refit.

    Args:
        problem: The case.
        family: The family.
        changes: What differs from the default configuration.
        seed: Seed of the fit.
        test: Whether the test rows are predicted and scored.
        seconds: Budget of the fit.
    """
    begun = time.monotonic()
    config = {**family.default(problem), **changes}
    rows, budget = fit_rows(problem, score_test=test), Budget(seconds)
    candidate = family.fit(problem, rows, config, seed=seed, number=0, budget=budget, emit=silent)
    took = time.monotonic() - begun
    deployed = family.refit(candidate, problem, rows, budget=budget, emit=silent) if test else None
    sign, metric = problem.task.metric.sign, problem.task.metric

    def score(model: Candidate, split: Split) -> float:
        asked = problem.rows(split)
        return sign * metric.score(np.asarray(asked.label), family.predict(model, problem, asked.unlabelled()))

    return Score(score(candidate, "val"), score(deployed or candidate, "test") if test else float("nan"), took)

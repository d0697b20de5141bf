"""Measures one trial the way a run would: fit, refit, prediction of the test rows, each timed.

The fit's seed derives from the asked seed and the configuration's number as in a study, so that a run with the same seed gives
the same model. The checkpoint is the best on the stop rows; flatness does not choose here.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.bank.arrays import LabelledPart, Part, order_of
from relselect.bank.rows import BankTask, BankTrial, TrialRole, trial_id
from relselect.budget import Budget
from relselect.events import Event, StageFinished, silent
from relselect.families.registry import family_of, info_of
from relselect.memory import forget_peak_memory, peak_memory_mb
from relselect.packages import package_versions
from relselect.problem.cache import ArtefactCache
from relselect.threads import limited_threads
from relselect.tuning import derive_seed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.families.candidate import Candidate, Config
    from relselect.families.protocol import Family, RowSource
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["Asked", "failed_trial", "labels_of", "measure_trial"]

_SHORT = (
    "seconds_per_booster",
    "seconds_per_step",
    "seconds_per_epoch",
    "rounds",
    "boosters",
    "n_features",
    "parameters",
)


@dataclass(frozen=True)
class Asked:
    """A trial that is asked for.

    Attributes:
        task: The task's row.
        family: Name of the family.
        config: The configuration.
        number: Its number, 0 for the default.
        role: Why it is fitted.
        seed: The seed.
        cap: Longest seconds of the fit, and of the refit.
        threads: Threads that it may use.
        most_rows: Rows of each part whose predictions are kept.
    """

    task: BankTask
    family: str
    config: Config
    number: int
    role: TrialRole
    seed: int
    cap: float
    threads: int
    most_rows: int

    def with_seed(self, seed: int) -> Asked:
        """Return the same trial with another seed."""
        return replace(self, seed=seed)

    @property
    def row(self) -> BankTrial:
        """The row of the trial, without results."""
        generation = info_of(self.family).generation
        return BankTrial(
            id=trial_id(
                task=self.task.id, family=self.family, config=self.config, seed=self.seed, generation=generation
            ),
            task=self.task.id,
            family=self.family,
            learner=str(self.config.get("learner", "")),
            config=dict(self.config),
            number=self.number,
            role=self.role,
            seed=self.seed,
            generation=generation,
            threads=self.threads,
            begun=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            versions=package_versions(),
        )


def measure_trial(
    asked: Asked, problem: Problem, rows: RowSource
) -> tuple[BankTrial, dict[Part, NDArray[np.float32]] | None]:
    """Fit, refit and score one configuration; a failure comes back as a row with its reason.

    Args:
        asked: The trial.
        problem: The problem; its artefacts are dropped first, so that the trial pays for all that it needs.
        rows: Its rows.

    Returns:
        The row, and the predictions of select and test rows in the order of `order_of`; None for a failure.
    """
    problem.artefacts = ArtefactCache(problem.artefacts.bound)
    forget_peak_memory()
    begun = time.monotonic()
    try:
        with limited_threads(asked.threads):
            return _measured(asked, problem, rows)
    except Exception as error:  # whatever a family raises, the bank says so and goes on
        trial = failed_trial(asked, f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))
        return replace(trial, seconds_training=time.monotonic() - begun, peak_memory_mb=peak_memory_mb()), None


def failed_trial(asked: Asked, error: str, trace: str = "") -> BankTrial:
    """Return the row of a trial that has no result."""
    return replace(asked.row, error=error, traceback=trace)


def labels_of(task: str, rows: RowSource, test: Rows | None, most: int) -> dict[Part, LabelledPart]:
    """Return the labels and entities of the select and test rows, at most `most` of each, in the order of `order_of`."""
    parts: dict[Part, Rows | None] = {"select": rows.select, "test": test}
    found: dict[Part, LabelledPart] = {}
    for name, part in parts.items():
        if part is None or part.label is None:
            found[name] = LabelledPart(np.empty(0, dtype=np.float32), np.empty(0, dtype=np.int32))
            continue
        kept = order_of(task, name, len(part), most)
        entities = np.where(part.entity >= 0, part.entity, -1 - np.arange(len(part)))  # an unknown entity is its own
        _, cluster = np.unique(entities, return_inverse=True)
        found[name] = LabelledPart(part.label[kept].astype(np.float32), cluster[kept].astype(np.int32))
    return found


def _measured(asked: Asked, problem: Problem, rows: RowSource) -> tuple[BankTrial, dict[Part, NDArray[np.float32]]]:
    family, features = family_of(asked.family), [0.0]

    def note(event: Event) -> None:
        if isinstance(event, StageFinished):
            features[0] += event.seconds

    cpu_begun = time.process_time()
    candidate = family.fit(
        problem,
        rows,
        asked.config,
        seed=derive_seed(asked.seed, asked.number),
        number=asked.number,
        budget=Budget(asked.cap),
        emit=note,
    )
    refitting = time.monotonic()
    deployed = family.refit(candidate, problem, rows, budget=Budget(asked.cap), emit=silent)
    seconds_refit = time.monotonic() - refitting
    test = problem.rows("test") if problem.task.has_test else None
    final, seconds_prediction = _predicted(family, deployed or candidate, problem, test)
    cpu_seconds = time.process_time() - cpu_begun
    validated = final if deployed is None else _predicted(family, candidate, problem, test)[0]
    trial = replace(
        asked.row,
        stop_score=candidate.stop_score,
        select_score=candidate.score,
        select_low=candidate.interval[0],
        select_high=candidate.interval[1],
        validated_test_score=_score(problem, test, validated),
        test_score=_score(problem, test, final),
        ended=candidate.ended,
        refitted=deployed is not None,
        seconds_features=features[0],
        seconds_training=max(0.0, candidate.seconds - features[0]),
        seconds_refit=seconds_refit,
        seconds_prediction=seconds_prediction,
        cpu_seconds=cpu_seconds,
        peak_memory_mb=peak_memory_mb(),
        device=candidate.device,
        facts=_facts(candidate),
    )
    predictions: dict[Part, NDArray[np.float64]] = {"select": candidate.predictions, "test": final}
    return trial, {
        name: each[order_of(asked.task.id, name, len(each), asked.most_rows)].astype(np.float32)
        for name, each in predictions.items()
    }


def _predicted(
    family: Family, candidate: Candidate, problem: Problem, test: Rows | None
) -> tuple[NDArray[np.float64], float]:
    if test is None:
        return np.empty((0, *candidate.predictions.shape[1:])), 0.0
    begun = time.monotonic()
    return family.predict(candidate, problem, test.unlabelled()), time.monotonic() - begun


def _score(problem: Problem, test: Rows | None, predictions: NDArray[np.float64]) -> float:
    if test is None or test.label is None:
        return float("nan")
    return problem.task.metric.score(test.label, predictions)


def _facts(candidate: Candidate) -> Mapping[str, Any]:
    """Return the facts that explain a trial's cost and size, without long lists."""
    return {name: candidate.facts[name] for name in _SHORT if name in candidate.facts}

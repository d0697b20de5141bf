"""One run, from a database and a task to a final choice: profile, recommendation, studies, choice, test scores."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relselect.budget import Budget
from relselect.errors import BudgetError, BudgetExhausted, RelSelectError
from relselect.events import Emit, Event, Notice, StageFinished, StageStarted, TrialFailed
from relselect.families.constants import Constants
from relselect.families.protocol import Candidate, Family
from relselect.families.registry import TRAINED, family_of, trained_names
from relselect.landscape import FinalChoice, choose_checkpoint, load_choice
from relselect.problem import Problem
from relselect.profile import Profile, profile_task
from relselect.selector import Recommendation, recommend_from_profile
from relselect.tasks import Rows
from relselect.tasks.metrics import interval_of
from relselect.tuning import Plan, plan_budget, tune

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Outcome", "Settings", "carry_out", "recommend"]

#: Part of the budget that the profile may use.
_PROFILE_SHARE = 0.15
#: A run may outlast its budget by this part or these seconds, whichever is longer.
_TOLERANCE, _TOLERANCE_SECONDS = 0.05, 5.0
#: Test rows from which the time of predicting all of them is judged.
_SAMPLE = 1_000


@dataclass(frozen=True)
class Settings:
    """What a run was asked for.

    Attributes:
        seed: The one seed.
        families: Families to train, or None to follow the recommendation.
        workdir: Where studies live and resume; None for a temporary folder.
        evaluate_test: Whether the test split is scored, once, at the end.
        max_trials: Settled trials per family after which its study ends; None for no limit but the budget.
    """

    seed: int = 0
    families: tuple[str, ...] | None = None
    workdir: Path | None = None
    evaluate_test: bool = True
    max_trials: int | None = None


@dataclass
class Outcome:
    """Everything a run found, in the order in which it found it."""

    problem: Problem
    settings: Settings
    budget: Budget
    families: dict[str, Family] = field(default_factory=dict)
    profile: Profile | None = None
    recommendation: Recommendation | None = None
    candidates: list[Candidate] = field(default_factory=list)
    failures: list[tuple[str, int, str]] = field(default_factory=list)
    unfinished: list[tuple[str, str]] = field(default_factory=list)
    choice: FinalChoice | None = None
    chosen: Candidate | None = None
    test_scores: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    stages: list[tuple[str, float]] = field(default_factory=list)
    listener: Emit | None = None

    def emit(self, event: Event) -> None:
        """Keep what the report needs and pass the event on."""
        if isinstance(event, Notice) and event not in self.notices:
            self.notices.append(event)
        if isinstance(event, StageFinished):
            self.stages.append((event.stage, event.seconds))
        if isinstance(event, TrialFailed):
            self.failures.append((event.family, event.number, event.error))
        if self.listener is not None:
            self.listener(event)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage that does not report itself."""
        begun = time.monotonic()
        self.emit(StageStarted(name))
        yield
        self.emit(StageFinished(name, time.monotonic() - begun))


def carry_out(outcome: Outcome) -> None:
    """Run every stage, filling `outcome`.

    Raises:
        BudgetError: The budget ended before any candidate of any trained family was finished.
        KeyboardInterrupt: The user interrupted before any was finished; afterwards the run ends with what there is.
    """
    _say_what_is_known(outcome)
    with outcome.stage("constants"):
        _constants(outcome)
    _recommend(outcome)
    with _home(outcome.settings.workdir) as home:
        _choose(outcome, _tune(outcome, home))
    if outcome.settings.evaluate_test and outcome.problem.task.has_test:
        with outcome.stage("test scores"):
            _score_test(outcome)


def recommend(outcome: Outcome) -> Recommendation:
    """Measure the task and recommend, without training anything but the constants."""
    _say_what_is_known(outcome)
    with outcome.stage("constants"):
        _constants(outcome)
    _recommend(outcome)
    assert outcome.recommendation is not None
    return outcome.recommendation


def _say_what_is_known(outcome: Outcome) -> None:
    problem = outcome.problem
    for note in problem.task.notes:
        outcome.emit(Notice("task", note))
    for split, count in problem.task.purged.items():
        if count:
            outcome.emit(
                Notice(
                    "purging",
                    f"{count} {split} rows were left out: their label is known only after the next split begins.",
                )
            )
    counts = problem.user_database.counts
    for table, count in counts.null_times.items():
        if count:
            outcome.emit(Notice("time", f"{count} rows of {table} have no time and are never visible.", "warning"))


def _constants(outcome: Outcome) -> None:
    family = Constants()
    outcome.families[family.name] = family
    for number, config in enumerate(family.configs(outcome.problem)):
        outcome.candidates.append(
            family.fit(
                outcome.problem,
                config,
                seed=outcome.settings.seed,
                number=number,
                budget=outcome.budget,
                emit=outcome.emit,
            )
        )


def _recommend(outcome: Outcome) -> None:
    share = outcome.budget.share(_PROFILE_SHARE)
    try:
        outcome.profile = profile_task(outcome.problem, budget=share, emit=outcome.emit, seed=outcome.settings.seed)
    except BudgetExhausted:
        outcome.profile = Profile((), share.elapsed())
        outcome.emit(
            Notice(
                "profile",
                "The budget was too short for the profile; the choice of the family goes without it.",
                "warning",
            )
        )
    outcome.recommendation = recommend_from_profile(outcome.profile, outcome.problem)


def _wanted(outcome: Outcome) -> Sequence[str]:
    assert outcome.recommendation is not None
    if outcome.settings.families is not None:
        return trained_names(outcome.settings.families)
    family = outcome.recommendation.family
    return TRAINED if family == "both" else (family,)


def _tune(outcome: Outcome, home: Path) -> Plan:
    wanted = _wanted(outcome)
    plan = plan_budget(outcome.budget, wanted)
    for name in wanted:
        family = outcome.families[name] = family_of(name)
        try:
            study = tune(
                family,
                outcome.problem,
                budget=plan.tuning(name),
                emit=outcome.emit,
                seed=outcome.settings.seed,
                folder=home / name,
                max_trials=outcome.settings.max_trials,
            )
        except BudgetExhausted as error:
            outcome.unfinished.append((name, str(error)))
            continue
        outcome.candidates += study.candidates
        if not study.candidates:
            outcome.unfinished.append((name, study.stopped))
        if study.interrupted:
            outcome.emit(Notice("interrupt", "The run was interrupted; what was finished is kept.", "warning"))
            if not _trained(outcome):
                raise KeyboardInterrupt
            outcome.unfinished += [(later, "the run was interrupted before") for later in plan.waiting]
            break
    if not _trained(outcome):
        raise _nothing_finished(outcome)
    return plan


def _trained(outcome: Outcome) -> list[Candidate]:
    return [candidate for candidate in outcome.candidates if candidate.family != "constants"]


def _nothing_finished(outcome: Outcome) -> RelSelectError:
    if outcome.failures:
        errors = "; ".join(f"{family} trial {number}: {error}" for family, number, error in outcome.failures[:3])
        return RelSelectError(f"every trial failed: {errors}")
    reasons = "; ".join(f"{family}: {why}" for family, why in outcome.unfinished)
    return BudgetError(
        "time_budget",
        f"{outcome.budget.seconds:g} s",
        f"no model was finished in time ({reasons})",
        "Give a longer time_budget",
    )


def _choose(outcome: Outcome, plan: Plan) -> None:
    """Choose among the trained candidates; a constant is among them only where no model beats it on validation."""
    trained = _trained(outcome)
    constants = [candidate for candidate in outcome.candidates if candidate.family == "constants"]
    unbeaten = _best_score(constants) > _best_score(trained)
    outcome.choice = choose_checkpoint(
        [*constants, *trained] if unbeaten else trained,
        outcome.problem,
        outcome.families,
        budget=plan.choice(),
        emit=outcome.emit,
        seed=outcome.settings.seed,
    )
    outcome.chosen = load_choice(outcome.choice, outcome.problem, outcome.families)


def _best_score(candidates: Sequence[Candidate]) -> float:
    return max((_finite(candidate.val_score) for candidate in candidates), default=-np.inf)


def _finite(score: float) -> float:
    return float(np.nan_to_num(score, nan=-np.inf))


def _score_test(outcome: Outcome) -> None:
    """Score, once, the choice, the constants and, while time is left, the best candidate of each family."""
    assert outcome.chosen is not None
    rows = outcome.problem.rows("test")
    best: dict[str, Candidate] = {}
    for candidate in sorted(_trained(outcome), key=lambda c: (_finite(c.val_score), -c.number)):
        best[candidate.family] = candidate
    constants = [candidate for candidate in outcome.candidates if candidate.family == "constants"]
    slowest, judged = 0.0, set[str]()
    for candidate in [outcome.chosen, *constants, *best.values()]:
        optional = candidate.id != outcome.chosen.id
        trained = candidate.family != "constants"
        if candidate.id in judged or (optional and trained and outcome.budget.left() < slowest):
            continue
        judged.add(candidate.id)
        if trained and _too_slow(outcome, candidate, rows, optional=optional):
            continue
        begun = time.monotonic()
        predictions = outcome.families[candidate.family].predict(candidate, outcome.problem, rows.unlabelled())
        score, interval = interval_of(outcome.problem.task.metric, rows, predictions, seed=outcome.settings.seed)
        outcome.test_scores[candidate.id] = (score, *interval)
        slowest = max(slowest, time.monotonic() - begun)


def _too_slow(outcome: Outcome, candidate: Candidate, rows: Rows, *, optional: bool) -> bool:
    """Whether predicting the test rows would outlast the budget, judged by a few of them.

    The chosen candidate may use the tolerance too, and is trusted while more than that is left: every family keeps time
    for the test rows. What another family kept may have been spent since.
    """
    tolerance = max(_TOLERANCE_SECONDS, _TOLERANCE * outcome.budget.seconds)
    left = outcome.budget.left()
    if len(rows) < 4 * _SAMPLE or np.isinf(left) or (not optional and left > tolerance):
        return False
    # the first prediction also sorts what the others find sorted; every one reads the database once, whatever its rows
    sizes = (_SAMPLE // 10, _SAMPLE // 10, _SAMPLE)
    _, few, more = (_seconds_for(outcome, candidate, rows.take(slice(size))) for size in sizes)
    needed = more + max(0.0, more - few) / (_SAMPLE - _SAMPLE // 10) * (len(rows) - _SAMPLE)
    if needed <= outcome.budget.left() + (0.0 if optional else tolerance / 2):
        return False
    if not optional:
        message = (
            f"The test rows were not scored: that would take about {needed:.0f} s. predict(split='test') predicts them."
        )
        outcome.emit(Notice("budget", message, "warning"))
    return True


def _seconds_for(outcome: Outcome, candidate: Candidate, rows: Rows) -> float:
    begun = time.monotonic()
    outcome.families[candidate.family].predict(candidate, outcome.problem, rows.unlabelled())
    return time.monotonic() - begun


@contextmanager
def _home(workdir: Path | None) -> Iterator[Path]:
    if workdir is not None:
        workdir.mkdir(parents=True, exist_ok=True)
        yield workdir
        return
    temporary = Path(tempfile.mkdtemp(prefix="relselect-"))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

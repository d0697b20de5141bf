"""Ways to spend one time budget on one task: each returns its candidates, and when they were finished.

All choose on select rows alone, train on the same rows and are stopped by the same clock, which begins when the rows are bound.
Nothing is refitted: what is compared is the search.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relselect.budget import Budget
from relselect.errors import BudgetError, BudgetExhausted, RelSelectError
from relselect.events import Event, TrialFinished, silent
from relselect.families.candidate import Candidate
from relselect.families.protocol import Family, RowSource
from relselect.families.registry import baselines, family_of, trained
from relselect.problem import Problem
from relselect.tuning import Fidelity

#: Part of the time that a run keeps for what follows its studies (see docs/time_budget.md), which this benchmark leaves out.
RESERVED = 0.25


@dataclass
class Found:
    """What one search found.

    Attributes:
        candidates: Finished candidates with their models.
        finished: Id of a candidate -> seconds on the clock when it was finished.
        weights: Returns family -> weight of what would be deployed of the candidates so far; None for the best score.
        notes: Facts for the ledger.
    """

    candidates: list[Candidate] = field(default_factory=list)
    finished: dict[str, float] = field(default_factory=dict)
    weights: Callable[[Sequence[Candidate]], Mapping[str, float] | None] = lambda known: None
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """One task, bound, with what a search may use."""

    problem: Problem
    rows: RowSource
    seed: int
    seconds: float
    folder: Path
    database: str


def relselect(setting: Setting, fidelity: Fidelity = "full") -> Found:
    """As a run does it: profile, recommendation, defaults first, then shares of time by the odds between families.

    The selector learns from the shipped bank without the database of the task. Nothing is averaged over seeds.
    """
    from relselect.bank import PerformanceBank
    from relselect.configs import bank_path
    from relselect.profile import profile_task
    from relselect.run import Settings
    from relselect.run.deciding import FamilyOdds, family_odds, final_weights
    from relselect.run.log import RunLog
    from relselect.run.optimism import tuning_gain
    from relselect.run.studies import RunStudies
    from relselect.selector import TaughtSelector, recommend_from_profile
    from relselect.selector.meta import MetaSelector
    from relselect.selector.prior import MEASURES, numbers_of

    problem, rows, clock = setting.problem, setting.rows, Budget(setting.seconds)
    bank = PerformanceBank.open(bank_path("manifest.json").parent)
    others = {each.database for each in bank.tasks} - {setting.database}
    selector = MetaSelector(bank.filter(databases=others))
    reference = constant_score(problem, rows)
    found = Found()
    profile = profile_task(problem, budget=clock.share(0.15), seed=setting.seed, only=MEASURES)
    numbers = numbers_of(
        {each.name: each.value for each in profile.measures}, regression=problem.task.kind == "regression"
    )
    advice = recommend_from_profile(profile, problem, TaughtSelector(selector))
    found.notes = {"profiled": round(clock.elapsed(), 2), "families": list(advice.families)}

    def odds(
        best: Mapping[str, Candidate], luck: Mapping[str, float] | None = None, whole: bool = False
    ) -> FamilyOdds | None:
        return family_odds(selector, numbers, problem, rows, best, reference, as_they_are=whole, luck=luck)

    def weights(known: Sequence[Candidate]) -> Mapping[str, float] | None:
        best = {each.family: each for each in sorted(known, key=lambda c: c.score)}
        gains = {
            name: tuning_gain(problem, rows, [each for each in known if each.family == name], reference)
            for name in best
        }
        luck = {name: gain.luck for name, gain in gains.items() if gain is not None}
        return final_weights("auto", odds(best, luck, whole=True), best)

    log = RunLog(_clocked(clock, found))
    budget = Budget(max(1.0, clock.left()) / (1 - RESERVED))  # its studies end with the clock
    settings = Settings(seed=setting.seed, evaluate_test=False, explain=False, average_seeds=1, fidelity=fidelity)
    studies = RunStudies(problem, rows, settings, budget, log, family_of, setting.folder)
    margins = advice.margins
    order = sorted(advice.families, key=lambda name: -margins[name].value if name in margins else 0.0)
    try:
        found.candidates = list(studies.run(advice.families, odds, order).candidates)
    except BudgetError as error:  # no trial was finished
        found.notes["stopped"] = str(error)
    found.weights = weights
    return found


def one_family(setting: Setting, name: str) -> Found:
    """One family's study with all of the time."""
    from relselect.tuning import tune

    found, budget = Found(), Budget(setting.seconds)
    study = tune(
        family_of(name), setting.problem, setting.rows, budget=budget, emit=_clocked(budget, found), seed=setting.seed,
        folder=setting.folder,
    )  # fmt: skip
    found.candidates = list(study.candidates)
    found.notes = {"stopped": study.stopped}
    return found


def union(setting: Setting, sampler: str) -> Found:
    """Plain Optuna over the union of the spaces: the family is one more choice, its parameters conditional on it."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study(direction="maximize", sampler=samplers[sampler](seed=setting.seed))
    found, budget = Found(), Budget(setting.seconds)
    families = {name: family_of(name) for name in trained()}
    failures = 0
    while not budget.spent:
        trial = study.ask()
        family = families[trial.suggest_categorical("family", list(families))]
        config = family.space(_Prefixed(trial, family.name), setting.problem)  # type: ignore[arg-type]
        try:
            candidate = _fit(family, setting, config, trial.number, budget)
        except (BudgetExhausted, RelSelectError, RuntimeError, ValueError, MemoryError) as error:
            failures += not isinstance(error, BudgetExhausted)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        found.candidates.append(candidate)
        found.finished[candidate.id] = budget.elapsed()
        if candidate.score == candidate.score:
            study.tell(trial, candidate.score)
        else:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
    found.notes = {"failures": failures}
    return found


METHODS: dict[str, Callable[[Setting], Found]] = {
    "relselect": relselect,
    "relselect, parts of rows": lambda setting: relselect(setting, "auto"),
    "relselect, parts of the length": lambda setting: relselect(setting, "length"),
    "tpe": lambda setting: union(setting, "tpe"),
    "random": lambda setting: union(setting, "random"),
    **{f"{name} alone": (lambda setting, name=name: one_family(setting, name)) for name in trained()},
}


def constant_score(problem: Problem, rows: RowSource) -> float:
    """Return the score of the constant baseline on the select rows."""
    family = family_of(baselines()[0])
    config = family.default(problem)
    return family.fit(problem, rows, config, seed=0, number=0, budget=Budget(None), emit=silent).score


def _fit(family: Family, setting: Setting, config: dict[str, Any], number: int, budget: Budget) -> Candidate:
    return family.fit(
        setting.problem, setting.rows, config, seed=setting.seed + number, number=number, budget=budget, emit=silent
    )


def _clocked(budget: Budget, found: Found) -> Callable[[Event], None]:
    """Return a listener that notes when each candidate was finished."""

    def listener(event: Event) -> None:
        if isinstance(event, TrialFinished):
            found.finished[f"{event.family}-{event.number}"] = budget.elapsed()

    return listener


class _Prefixed:
    """A trial whose parameters carry the name of a family: equal names in two families are two parameters."""

    def __init__(self, trial: Any, family: str) -> None:
        self._trial, self._family = trial, family

    def suggest_float(self, name: str, low: float, high: float, **how: Any) -> float:
        return float(self._trial.suggest_float(f"{self._family}.{name}", low, high, **how))

    def suggest_int(self, name: str, low: int, high: int, **how: Any) -> int:
        return int(self._trial.suggest_int(f"{self._family}.{name}", low, high, **how))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._trial.suggest_categorical(f"{self._family}.{name}", list(choices))


def warmed() -> None:
    """Import what every method needs, so that no clock measures it."""
    import lightgbm  # noqa: F401
    import optuna  # noqa: F401
    import torch  # noqa: F401

    for name in trained():
        family_of(name)

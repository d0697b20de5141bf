"""The studies of one run: the default of every family first, then the time that is left, shared by the odds between families."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relselect.errors import BudgetError, BudgetExhausted, RelSelectError
from relselect.events import Notice
from relselect.run.deciding import FamilyOdds, shares_of_time
from relselect.run.result import Unfinished
from relselect.run.seeds import seconds_for_seeds, seeds_wanted
from relselect.tuning import BudgetPlan, Failure, Pruned, Study, plan_budget, tune

if TYPE_CHECKING:
    from relselect.budget import Budget
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import Family, RowSource
    from relselect.problem import Problem
    from relselect.run.log import RunLog
    from relselect.run.settings import Settings

__all__ = ["RunStudies", "Tuned"]


@dataclass(frozen=True)
class Tuned:
    """What the studies of a run gave.

    Attributes:
        plan: The division of the budget, for what follows.
        candidates: The finished candidates, family by family.
        failures: The trials that raised.
        unfinished: Families without a candidate, and why.
        pruned: The trials that were ended on the way.
    """

    plan: BudgetPlan
    candidates: tuple[Candidate, ...]
    failures: tuple[Failure, ...]
    unfinished: tuple[Unfinished, ...]
    pruned: tuple[Pruned, ...] = ()

    @property
    def best(self) -> dict[str, Candidate]:
        """Family -> its candidate with the best score on the select rows; undefined scores are left out."""
        found: dict[str, Candidate] = {}
        for each in self.candidates:
            if each.score == each.score and (each.family not in found or each.score > found[each.family].score):
                found[each.family] = each
        return found


@dataclass
class RunStudies:
    """Runs the studies of several families within one budget.

    Attributes:
        problem: The problem.
        rows: The rows of every fit.
        settings: What was asked for.
        budget: The clock of the run.
        log: Where events go.
        family: Returns a family by its name.
        home: The folder of the studies.
        kept: Seconds of the budget that are kept for what comes last.
        first: Family -> changes of its default that are tried right after it; not where the caller gave another space.
    """

    problem: Problem
    rows: RowSource
    settings: Settings
    budget: Budget
    log: RunLog
    family: Callable[[str], Family]
    home: Path
    kept: float = 0.0
    first: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    _found: dict[str, Study] = field(default_factory=dict, init=False)
    _why: dict[str, str] = field(default_factory=dict, init=False)

    def run(
        self, wanted: Sequence[str], odds: Callable[[Mapping[str, Candidate]], FamilyOdds | None], order: Sequence[str]
    ) -> Tuned:
        """Fit the default of every family, then tune with the time that is left.

        Args:
            wanted: The families.
            odds: Returns the odds between families, given the best candidate of each.
            order: All families, the one whose default is fitted first in front.

        Raises:
            BudgetError: The budget ended before any candidate was finished.
            RelSelectError: Every trial failed.
            KeyboardInterrupt: The user interrupted before any candidate was finished.
        """
        names = sorted(wanted, key=list(order).index)
        plan = plan_budget(self.budget, names, kept=self.kept)
        whole = len(names) == 1 and seeds_wanted(self.settings, names[0]) == 1
        rounds = 1 if whole or self.settings.max_trials == 1 else 2
        for place, name in enumerate(names):
            trials = self.settings.max_trials if rounds == 1 else 1
            if not self._tune(name, plan.tuning(name), trials):
                return self._interrupted(plan, names[place + 1 :])
        if rounds == 2:
            best = self._tuned(plan).best
            shares = shares_of_time(odds(best), names, best)
            plan.seeds = seconds_for_seeds(self.settings, shares, best, self.budget)
            for place, name in enumerate(shares):
                # what a family leaves goes to those that follow, in proportion to their shares
                left = sum(list(shares.values())[place:])
                if not self._tune(name, plan.further(shares[name] / left), self.settings.max_trials):
                    return self._interrupted(plan, [])
        return self._finished(plan)

    def _tune(self, name: str, budget: Budget, trials: int | None) -> bool:
        """Begin or continue a study; return False when the user interrupted it."""
        try:
            study = tune(
                self.family(name),
                self.problem,
                self.rows,
                budget=budget,
                emit=self.log.emit,
                seed=self.settings.seed,
                folder=self.home / name,
                max_trials=trials,
                jobs=self.settings.jobs,
                fidelity=self.settings.fidelity,
                first=() if name in self.settings.spaces else self.first.get(name, ()),
            )
        except BudgetExhausted as error:
            if name not in self._found:
                self._why[name] = str(error)
            return True
        self._found[name] = study
        self._why.pop(name, None)
        if not study.candidates:
            self._why[name] = study.stopped
        return not study.interrupted

    def _interrupted(self, plan: BudgetPlan, later: Sequence[str]) -> Tuned:
        self.log.emit(Notice("interrupt", "The run was interrupted; what was finished is kept.", "warning"))
        if not any(study.candidates for study in self._found.values()):
            raise KeyboardInterrupt
        self._why |= dict.fromkeys(later, "the run was interrupted before")
        return self._tuned(plan)

    def _finished(self, plan: BudgetPlan) -> Tuned:
        tuned = self._tuned(plan)
        if not tuned.candidates:
            raise _nothing_finished(tuned, self.budget.seconds, self.home, temporary=self.settings.workdir is None)
        return tuned

    def _tuned(self, plan: BudgetPlan) -> Tuned:
        studies = list(self._found.values())
        return Tuned(
            plan,
            tuple(candidate for study in studies for candidate in study.candidates),
            tuple(failure for study in studies for failure in study.failures),
            tuple(Unfinished(name, why) for name, why in self._why.items()),
            tuple(pruned for study in studies for pruned in study.pruned),
        )


def _nothing_finished(tuned: Tuned, seconds: float, home: Path, *, temporary: bool) -> RelSelectError:
    if tuned.failures:
        errors = "; ".join(f"{each.family} trial {each.number}: {each.error}" for each in tuned.failures[:3])
        again = "" if temporary else f", then delete {home}, which keeps these failures, and run again"
        return RelSelectError(f"every trial failed: {errors}. Correct what the errors name{again}.")
    reasons = "; ".join(f"{each.family}: {each.why}" for each in tuned.unfinished)
    rule = f"no model was finished in time ({reasons})"
    return BudgetError("time_budget", f"{seconds:g} s", rule, "Give a longer time_budget")

"""How one budget is divided: a reserve for what follows the studies, then shares of the rest.

The first studies get equal shares; whoever continues them says how what is left is shared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from relselect.budget import Budget
from relselect.errors import ConfigError

__all__ = ["BudgetPlan", "plan_budget"]

#: Parts of the budget, and seconds at least and at most, that are kept for the choice of the checkpoint and the test scores,
#: and for the refit of what was decided.
_RESERVE, _RESERVE_MIN, _RESERVE_MAX = 0.12, 1.0, 120.0
_REFIT, _REFIT_MAX = 0.13, 300.0
#: Part of the first reserve that the choice may use.
_CHOICE = 0.7


@dataclass
class BudgetPlan:
    """A budget divided among families, with a reserve at the end.

    Attributes:
        budget: The whole.
        reserve: Seconds kept for the choice of the checkpoint, test predictions and the report (0 without a
            limit).
        refit: Seconds kept for the refit (0 without a limit).
        waiting: Families still to be tuned.
        kept: Further seconds that no part of the plan may use.
        seeds: Seconds kept for fits of the chosen configuration with further seeds; set when it is known what a fit takes.
    """

    budget: Budget
    reserve: float
    refit: float
    waiting: list[str] = field(default_factory=list)
    kept: float = 0.0
    seeds: float = 0.0

    def tuning(self, family: str) -> Budget:
        """Return the budget of `family`'s study, beginning now.

        It is what is left before the reserve, divided equally among the families still waiting: time that an
        earlier family did not use is not lost.

        Raises:
            ConfigError: The family is not, or no longer, in the plan.
        """
        if family not in self.waiting:
            raise ConfigError("family", family, f"must be one of {self.waiting}", "Ask for each family once")
        share = self._before_reserve() / len(self.waiting)
        self.waiting.remove(family)
        return self.budget.until(share)

    def further(self, share: float) -> Budget:
        """Return the budget of a study that goes on, beginning now: a share of what is left before the reserve."""
        return self.budget.until(self._before_reserve() * share)

    def choice(self) -> Budget:
        """Return the budget of the checkpoint choice; further seeds, the refit and three tenths of the reserve are left."""
        return self.averaging(self.seeds)

    def averaging(self, kept: float = 0.0) -> Budget:
        """Return the budget of further seeds; the refit and three tenths of the reserve are left for what follows.

        Args:
            kept: Further seconds that are left.
        """
        after = (1.0 - _CHOICE) * self.reserve + self.refit + self.kept + kept
        return self.budget.until(max(0.0, self.budget.left() - after))

    def refitting(self) -> Budget:
        """Return the budget of the refit; three tenths of the reserve are left for what follows."""
        return self.budget.until(max(0.0, self.budget.left() - (1.0 - _CHOICE) * self.reserve - self.kept))

    def finish(self) -> Budget:
        """Return everything that is left."""
        return self.budget.until(self.budget.left())

    def _before_reserve(self) -> float:
        return max(0.0, self.budget.left() - self.reserve - self.refit - self.kept - self.seeds)


def plan_budget(budget: Budget, families: Sequence[str], *, kept: float = 0.0) -> BudgetPlan:
    """Divide `budget` among `families`: equal wall-clock each, after what is kept for the end.

    An eighth or so (12 %, 1 s to 2 min) is kept for choice, test scores and report, as much again (13 %, up to 5 min) for the
    refit of what was decided.

    Args:
        budget: The clock of the whole run, already running.
        families: Names of the families to be tuned.
        kept: Seconds that are kept for what comes after the plan.

    Returns:
        The plan, to be asked for each family's budget when its turn comes.
    """
    left = budget.left()
    if not math.isfinite(left):
        return BudgetPlan(budget, 0.0, 0.0, list(families))
    reserve = min(max(_RESERVE * left, _RESERVE_MIN), _RESERVE_MAX, left / 2)
    return BudgetPlan(budget, reserve, min(_REFIT * left, _REFIT_MAX), list(families), kept)

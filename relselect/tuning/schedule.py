"""How one budget is divided: a reserve for what follows the studies, the rest in equal shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from relselect.budget import Budget
from relselect.errors import ConfigError

__all__ = ["Plan", "plan_budget"]

_RESERVE = 0.12
_RESERVE_MIN, _RESERVE_MAX = 1.0, 120.0
_CHOICE = 0.7


@dataclass
class Plan:
    """A budget divided among families, with a reserve at the end.

    Attributes:
        budget: The whole.
        reserve: Seconds kept for the choice of the checkpoint, test predictions and the report (0 without a
            limit).
        waiting: Families still to be tuned.
    """

    budget: Budget
    reserve: float
    waiting: list[str] = field(default_factory=list)

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

    def choice(self) -> Budget:
        """Return the budget of the checkpoint choice; three tenths of the reserve are left for what follows."""
        return self.budget.until(max(0.0, self.budget.left() - (1.0 - _CHOICE) * self.reserve))

    def finish(self) -> Budget:
        """Return everything that is left."""
        return self.budget.until(self.budget.left())

    def _before_reserve(self) -> float:
        return max(0.0, self.budget.left() - self.reserve)


def plan_budget(budget: Budget, families: Sequence[str]) -> Plan:
    """Divide `budget` among `families`: equal wall-clock each, after a reserve of an eighth or so (12 %, 1 s to 2 min).

    Args:
        budget: The clock of the whole run, already running.
        families: Names of the families to be tuned.

    Returns:
        The plan, to be asked for each family's budget when its turn comes.
    """
    left = budget.left()
    reserve = min(max(_RESERVE * left, _RESERVE_MIN), _RESERVE_MAX, left / 2) if math.isfinite(left) else 0.0
    return Plan(budget, reserve, list(families))

"""The seam for flatness criteria: slope now, curvature and barrier behind the same protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from relselect.budget import Budget

if TYPE_CHECKING:
    from relselect.families.protocol import Probe

__all__ = ["Criterion", "Measurement", "SlopeCriterion"]


@dataclass(frozen=True)
class Measurement:
    """One criterion at one checkpoint; lower is flatter.

    Attributes:
        value: The criterion.
        stderr: Its standard error.
        parts: What `value` is the mean of, in an order shared by all checkpoints of an architecture.
        seconds: Time it took.
    """

    value: float
    stderr: float
    parts: tuple[float, ...]
    seconds: float


class Criterion(Protocol):
    """Something that can be lower at one checkpoint than at another of the same architecture."""

    @property
    def name(self) -> str:
        """Its name for readers."""

    def evaluations(self) -> int:
        """Return how many evaluations of the loss one measurement takes, about."""

    def measure(self, probe: Probe, checkpoint: int, *, seed: int, budget: Budget) -> Measurement:
        """Measure one checkpoint; raises BudgetExhausted when the budget ends before it is done."""


@dataclass(frozen=True)
class SlopeCriterion:
    """P1, the worst finite-difference slope (see `relselect.landscape.slope`)."""

    pairs: int = 5
    radius: float = 0.1
    name: str = "slope"

    def evaluations(self) -> int:
        """Return how many evaluations of the loss one measurement takes."""
        return 4 * self.pairs + 1

    def measure(self, probe: Probe, checkpoint: int, *, seed: int, budget: Budget) -> Measurement:
        """Measure the slope at one checkpoint."""
        # imports PyTorch
        from relselect.landscape.slope import slope

        found = slope(probe, checkpoint, seed=seed, pairs=self.pairs, radius=self.radius, budget=budget)
        return Measurement(found.value, found.stderr, found.pairs, found.seconds)

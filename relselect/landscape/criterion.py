"""Flatness criteria behind one protocol: slope (P1), curvature (P2), rise (P_bar) and average adaptive sharpness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from relselect.budget import Budget
from relselect.landscape.measurement import Measurement

if TYPE_CHECKING:
    from relselect.families.protocol import Probe

__all__ = [
    "CRITERIA",
    "Criterion",
    "CurvatureCriterion",
    "RiseCriterion",
    "SharpnessCriterion",
    "SlopeCriterion",
]


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


@dataclass(frozen=True)
class CurvatureCriterion:
    """P2, the largest eigenvalue of the Hessian in relative steps (see `relselect.landscape.curvature`); one number."""

    iterations: int = 15
    name: str = "curvature"

    def evaluations(self) -> int:
        """Return how many evaluations of the loss one measurement takes, about: a product takes as long as four."""
        return 4 * self.iterations + 3

    def measure(self, probe: Probe, checkpoint: int, *, seed: int, budget: Budget) -> Measurement:
        """Measure the curvature at one checkpoint."""
        # imports PyTorch
        from relselect.landscape.curvature import spectrum

        found = spectrum(probe, checkpoint, seed=seed, iterations=self.iterations, relative=True, budget=budget)
        return Measurement(found.largest, found.largest_error, (), found.seconds)


@dataclass(frozen=True)
class RiseCriterion:
    """P_bar, the largest rise of the loss along rays (see `relselect.landscape.sharpness`)."""

    pairs: int = 5
    name: str = "rise"

    def evaluations(self) -> int:
        """Return how many evaluations of the loss one measurement takes."""
        return 16 * self.pairs + 1

    def measure(self, probe: Probe, checkpoint: int, *, seed: int, budget: Budget) -> Measurement:
        """Measure the rise at one checkpoint."""
        # imports PyTorch
        from relselect.landscape.sharpness import rise

        return rise(probe, checkpoint, seed=seed, pairs=self.pairs, budget=budget)


@dataclass(frozen=True)
class SharpnessCriterion:
    """Average adaptive sharpness (see `relselect.landscape.sharpness`)."""

    pairs: int = 8
    radius: float = 0.05
    name: str = "sharpness"

    def evaluations(self) -> int:
        """Return how many evaluations of the loss one measurement takes."""
        return 2 * self.pairs + 1

    def measure(self, probe: Probe, checkpoint: int, *, seed: int, budget: Budget) -> Measurement:
        """Measure the sharpness at one checkpoint."""
        # imports PyTorch
        from relselect.landscape.sharpness import sharpness

        return sharpness(probe, checkpoint, seed=seed, pairs=self.pairs, radius=self.radius, budget=budget)


#: The criteria by name.
CRITERIA: Mapping[str, type[Criterion]] = {
    "slope": SlopeCriterion,
    "curvature": CurvatureCriterion,
    "rise": RiseCriterion,
    "sharpness": SharpnessCriterion,
}

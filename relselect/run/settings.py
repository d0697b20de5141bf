"""What a run is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from relselect.counts import check_count, check_seed
from relselect.errors import ConfigError
from relselect.problem.validation import ValidationWay
from relselect.tasks.weights import ClassWeight
from relselect.tuning import Fidelity, check_fidelity

__all__ = ["MOST_SEEDS", "FinalModel", "Settings"]

#: Fits with different seeds that are averaged at most.
MOST_SEEDS = 5

#: What is deployed: one family, the blend of all that were trained, or whichever is expected to be better.
FinalModel = Literal["auto", "one", "blend"]


@dataclass(frozen=True)
class Settings:
    """What a run is asked for.

    Attributes:
        seed: The one seed.
        families: Families to train, or None to follow the recommendation.
        workdir: Where studies live and resume; None for a temporary folder.
        evaluate_test: Whether the test split is scored, once, at the end.
        max_trials: Settled trials per family after which its study ends; None for no limit but the budget.
        jobs: Trials that are fitted side by side, at most.
        fidelity: Whether search trials are fitted on all training rows or first on parts of them; see `relselect.tuning.tune`.
        validation: How validation rows are divided into stop and select rows.
        average_seeds: How many fits of what was chosen, with different seeds, are averaged where there is time; None for as many
            as each family's `FamilyInfo.seeds` says, and for one where `max_trials` bounds the fits.
        final: What is deployed: "one" family, the "blend" of all trained ones, or "auto" for the blend where the selector
            cannot tell which family is better.
        explain: Whether importance and staleness are measured where there is time for it.
        options: Family -> option -> value: options that hold in every configuration of the family.
        spaces: Family -> search space, as JSON-able values, in place of its shipped one.
        device: Where families that have the choice compute, such as "cpu"; None for a GPU where there is one.
        metric: The metric that took the place of the task's; None for the task's.
        class_weight: The weights of classes that took the place of the task's, "balanced" or by class; None for the task's.
        preset: The preset that the caller named; None for none.
    """

    seed: int = 0
    families: tuple[str, ...] | None = None
    workdir: Path | None = None
    evaluate_test: bool = True
    max_trials: int | None = None
    jobs: int = 1
    fidelity: Fidelity = "full"
    average_seeds: int | None = None
    validation: ValidationWay | Literal["auto"] = "auto"
    final: FinalModel = "auto"
    explain: bool = True
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    spaces: dict[str, dict[str, Any]] = field(default_factory=dict)
    device: str | None = None
    metric: str | None = None
    class_weight: ClassWeight | None = None
    preset: str | None = None

    def __post_init__(self) -> None:
        """Check the numbers, and turn NumPy integers into plain ones.

        Raises:
            ConfigError: A number is no whole number in its range, or `final` or `fidelity` is no choice.
        """
        object.__setattr__(self, "seed", check_seed(self.seed))
        if self.final not in get_args(FinalModel):
            choices = ", ".join(repr(each) for each in get_args(FinalModel))
            raise ConfigError("final", self.final, "is not among the choices", f"Use one of {choices}")
        check_fidelity(self.fidelity)
        object.__setattr__(self, "jobs", check_count("jobs", self.jobs))
        if self.average_seeds is not None:
            object.__setattr__(self, "average_seeds", check_count("average_seeds", self.average_seeds))
            if self.average_seeds > MOST_SEEDS:
                raise ConfigError("average_seeds", self.average_seeds, f"is above {MOST_SEEDS}", "Average fewer fits")
        if self.max_trials is not None:
            object.__setattr__(self, "max_trials", check_count("max_trials", self.max_trials))

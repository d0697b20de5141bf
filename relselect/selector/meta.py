"""The selector that learnt from a performance bank: prior margins from profiles, posterior margins from validation.

Each trained family is compared with the first one; nothing else is assumed about how many there are. What is fitted depends on
the bank's content alone and is fitted when it is first needed; the costly part, the comparisons, is stored with the bank.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.errors import BankError
from relselect.families.registry import info_of, trained
from relselect.selector.blending import CLEAR, BlendGain, best_weights, fit_gain
from relselect.selector.normal import NormalMargin
from relselect.selector.portfolio import FirstConfig, first_configs
from relselect.selector.prior import MarginPrior, fit_prior, numbers_of
from relselect.selector.shift import ValidationShift, fit_shift

if TYPE_CHECKING:
    from relselect.bank import BankTask, PerformanceBank
    from relselect.bank.pairs import PairEvidence

__all__ = ["FamilyComparison", "MetaSelector", "compare_families", "profile_numbers", "teaching"]

_FEWEST_DATABASES = 3


@dataclass(frozen=True)
class FamilyComparison:
    """What a bank says about one family against the first one.

    Attributes:
        first: The family that the margin is counted from.
        second: The family whose margin it is.
        tasks: Ids of the known tasks, in the order of the prior's residuals.
        margins: Their margins on test rows, means over seeds.
        minutes: Minutes of both default fits on each of them.
        prior: The fitted prior.
        shift: The fitted shift from validation to test.
        gain: What averages of the two gain; None where the bank has too few of them.
    """

    first: str
    second: str
    tasks: tuple[str, ...]
    margins: tuple[float, ...]
    minutes: tuple[float, ...]
    prior: MarginPrior
    shift: ValidationShift
    gain: BlendGain | None = None

    def nearest(self, numbers: Mapping[str, float], most: int) -> list[int]:
        """Return the places of the most similar known tasks, nearest first."""
        return [int(place) for place in np.argsort(self.prior.distances(numbers), kind="stable")[:most]]


def compare_families(
    tasks: Mapping[str, BankTask], pairs: Sequence[PairEvidence], first: str, second: str
) -> FamilyComparison:
    """Fit prior and shift of one family against another.

    Args:
        tasks: Task id -> task, with profiles.
        pairs: Comparisons of the two families' defaults.
        first: The family that the margin is counted from.
        second: The other one.

    Raises:
        BankError: Fewer than three databases have finished trials of both.
    """
    usable = [
        pair
        for pair in pairs
        if (pair.first, pair.second) == (first, second) and math.isfinite(pair.margin) and pair.task in tasks
    ]
    by_task: dict[str, list[PairEvidence]] = {}
    for pair in usable:
        by_task.setdefault(pair.task, []).append(pair)
    databases = {tasks[task].database for task in by_task}
    if len(databases) < _FEWEST_DATABASES:
        rule = (
            f"has finished trials of both {info_of(first).title} and {info_of(second).title} on {len(databases)} "
            f"databases, and {_FEWEST_DATABASES} are needed"
        )
        raise BankError("bank", f"{len(tasks)} tasks", rule, "Build trials of both families on more databases")
    known = sorted(by_task)
    numbers = [profile_numbers(tasks[task]) for task in known]
    margins = [float(np.mean([pair.margin for pair in by_task[task]])) for task in known]
    minutes = [
        float(np.mean([pair.first_seconds + pair.second_seconds for pair in by_task[task]])) / 60 for task in known
    ]
    prior = fit_prior(numbers, margins, [tasks[task].database for task in known])
    expected = {  # of each task by the other databases
        task: NormalMargin(margin - left, prior.margin(here).sd)
        for task, margin, left, here in zip(known, margins, prior.residuals, numbers, strict=True)
    }
    return FamilyComparison(
        first=first,
        second=second,
        tasks=tuple(known),
        margins=tuple(margins),
        minutes=tuple(minutes),
        prior=prior,
        shift=fit_shift(usable).with_drift(usable, expected),
        gain=fit_gain(usable),
    )


def teaching(bank: PerformanceBank) -> PerformanceBank:
    """Return the tasks of a bank that teach selectors: real ones where enough databases have them, else synthetic ones too.

    Margins of synthetic tasks follow from what was planted: their mean is another, and how they go with the numbers of a profile
    says nothing of real tasks.
    """
    measured = bank.current().filter(task=lambda task: task.origin != "imported")
    real = measured.filter(origin="real")
    return real if len({pair.database for pair in real.evidence}) >= _FEWEST_DATABASES else measured


def profile_numbers(task: BankTask) -> dict[str, float]:
    """Return the numbers of a bank's task that the prior reads."""
    measures = {each["name"]: each["value"] for each in task.profile.get("measures", ())}
    values = {name: math.nan if value is None else float(value) for name, value in measures.items()}
    return numbers_of(values, regression=task.kind == "regression")


class MetaSelector:
    """Expects margins between families from a task's profile and from validation.

    Args:
        bank: What teaches it.
        origins: Origins of the tasks that teach it, as `teaching` says if None; imported tasks have no profile and teach nothing.

    Example:
        >>> from relselect.bank import PerformanceBank
        >>> selector = MetaSelector(PerformanceBank([], []))
        >>> selector.bank
        PerformanceBank(0 tasks of 0 databases, 0 trials)
    """

    def __init__(self, bank: PerformanceBank, origins: Sequence[str] | None = None) -> None:
        if origins is None:
            self.bank = teaching(bank)
        else:
            self.bank = bank.filter(task=lambda task: task.origin in origins).current()

    @property
    def taught_by(self) -> str:
        """What the expectations were learnt from, as a phrase."""
        known = next(iter(self.comparisons.values()), None)
        tasks = [self.bank.task_of[task] for task in (() if known is None else known.tasks)]
        made = sum(task.origin == "synthetic" for task in tasks)
        synthetic = f", {made} of them synthetic," if made else ""
        return (
            f"a performance bank of {len(tasks)} tasks{synthetic} of {len(self.bank.databases)} databases "
            f"({self.bank.fingerprint[:8]})"
        )

    @cached_property
    def comparisons(self) -> Mapping[str, FamilyComparison]:
        """Family -> its comparison with the first one; families that the bank does not know well enough are left out.

        Raises:
            BankError: The bank is too small for any.
        """
        first, *others = trained()
        found: dict[str, FamilyComparison] = {}
        unknown: BankError | None = None
        for other in others:
            try:
                found[other] = compare_families(self.bank.task_of, self.bank.evidence, first, other)
            except BankError as error:
                unknown = error
        if unknown is not None and not found:
            raise unknown
        return found

    def prior(self, numbers: Mapping[str, float]) -> dict[str, NormalMargin]:
        """Return the margin of each other family over the first one, before training.

        Args:
            numbers: What `numbers_of` returned.
        """
        return {name: each.prior.margin(numbers) for name, each in self.comparisons.items()}

    def posterior(
        self, prior: Mapping[str, NormalMargin], observed: Mapping[str, tuple[float, float]], kind: str
    ) -> dict[str, NormalMargin]:
        """Return the margins after validation.

        Args:
            prior: What `prior` returned.
            observed: Family -> difference in skill from the first family on the select rows, and its standard error (see
                `relselect.tasks.paired`). A family that is left out, because its fit was cut off or failed, keeps its prior.
            kind: Kind of the task.
        """
        return {
            name: margin
            if name not in observed
            else self.comparisons[name].shift.posterior(margin, *observed[name], kind)
            for name, margin in prior.items()
        }

    def chances(self, margins: Mapping[str, NormalMargin], *, draws: int = 4_000) -> dict[str, float]:
        """Return the probability of each family that it is the best one.

        For two families this is the probability that the margin has their sign; for more it is counted over seeded draws.

        Args:
            margins: Margin of each family but the first over the first.
            draws: Draws for three families and more.
        """
        first = trained()[0]
        if len(margins) == 1:
            ((name, margin),) = margins.items()
            above = margin.probability_above_zero
            return {first: 1.0 - above, name: above}
        generator = np.random.default_rng(0)
        columns = [np.zeros(draws), *(generator.normal(m.mean, m.sd, draws) for m in margins.values())]
        counts = np.bincount(np.argmax(np.column_stack(columns), axis=1), minlength=len(columns)) / draws
        return dict(zip([first, *margins], counts.tolist(), strict=True))

    def deployed_weights(self, margins: Mapping[str, NormalMargin]) -> dict[str, float]:
        """Return the weight of each family in what is deployed, with the sum 1: the best expected skill of an average.

        Where one family is the best with a probability of 95 % or more it has all the weight. Without averages in the bank the
        weights are the probabilities. See `relselect.selector.blending` for the formula.

        Args:
            margins: Margin of each family but the first over the first.
        """
        odds = self.chances(margins)
        leader = max(odds, key=lambda name: odds[name])
        gains = {name: self.comparisons[name].gain for name in margins if name in self.comparisons}
        if odds[leader] >= CLEAR:
            return {name: float(name == leader) for name in odds}
        known = [each for each in gains.values() if each is not None]
        if len(known) < len(margins):
            return odds

        def gain(one: str, other: str, margin: float) -> float:
            found = [each for name, each in gains.items() if name in (one, other) and each is not None]
            return float(np.mean([each.of(margin) for each in found]))

        means = {trained()[0]: 0.0, **{name: margin.mean for name, margin in margins.items()}}
        return best_weights(means, gain)

    @cached_property
    def first_configs(self) -> Mapping[str, tuple[FirstConfig, ...]]:
        """Trained family -> the configurations that a study should try after the default; see `relselect.selector.portfolio`."""
        return {name: first_configs(self.bank, name) for name in trained()}

    def nearest(self, numbers: Mapping[str, float], most: int = 5) -> tuple[dict[str, Any], ...]:
        """Return the most similar known tasks, nearest first: name, margins in skill over the first family, and who won."""
        found: list[dict[str, Any]] = []
        for name, each in self.comparisons.items():
            for place in each.nearest(numbers, most):
                margin, task = each.margins[place], self.bank.task_of[each.tasks[place]]
                found.append(
                    {
                        "task": f"{task.title} (synthetic)" if task.origin == "synthetic" else task.title,
                        "family": name,
                        "margin": margin,
                        "better": name if margin > 0 else each.first,
                        "minutes": each.minutes[place],
                        "distance": float(each.prior.distances(numbers)[place]),
                    }
                )
        return tuple(sorted(found, key=lambda row: row["distance"])[:most])

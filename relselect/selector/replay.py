"""Policies replayed on a bank: what each would have deployed on a task within a time budget, and its skill on test rows.

Costs are the recorded seconds of fits, scaled to an idle machine. A fit that does not end in time gives nothing; without any
finished fit a policy deploys the training constant, of skill 0. What a policy learnt is handed in by the caller, who leaves the
task's database out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import TYPE_CHECKING

from relselect.bank.evidence import pair_evidence, skill_of
from relselect.bank.pairs import BLEND_WEIGHTS
from relselect.selector.blending import CLEAR, best_weights
from relselect.selector.meta import FamilyComparison, profile_numbers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from relselect.bank import BankTask, BankTrial, PerformanceBank
    from relselect.bank.arrays import Part
    from relselect.bank.pairs import PairEvidence
    from relselect.selector.normal import NormalMargin
    from relselect.selector.size_rule import SizeRule

__all__ = ["POLICIES", "Deployed", "TaskReplay", "replays_of"]

#: Policies, in the order of the tables; "first" and "second" are the two families that are compared.
POLICIES = (
    "always first", "always second", "size rule", "validation", "defaults", "half blend", "prior", "posterior",
    "prior blend", "odds blend", "posterior blend", "oracle family", "oracle weight",
)  # fmt: skip


@dataclass(frozen=True)
class Deployed:
    """What a policy deploys on one task.

    Attributes:
        skill: Its skill on the test rows.
        share: Weight of the second family in it, 0 to 1.
    """

    skill: float
    share: float


@dataclass(frozen=True)
class TaskReplay:
    """The finished trials of one task and seed, of two families.

    Attributes:
        bank: The bank.
        task: The task.
        first: Trials of the first family, the default first.
        second: Trials of the second one.
        pair: The comparison of the two defaults.
    """

    bank: PerformanceBank
    task: BankTask
    first: tuple[BankTrial, ...]
    second: tuple[BankTrial, ...]
    pair: PairEvidence

    def deployed(self, seconds: float, learnt: FamilyComparison, rule: SizeRule) -> dict[str, Deployed]:
        """Return what each policy deploys.

        Args:
            seconds: Wall-clock of all fits; infinite for no limit.
            learnt: Prior and shift, learnt without the task's database.
            rule: The size rule.
        """
        alone = [self._alone(trials, seconds, share) for share, trials in enumerate((self.first, self.second))]
        numbers = profile_numbers(self.task)
        prior = learnt.prior.margin(numbers)
        by_size = rule.margins(self.task.train_rows).get(learnt.second)
        one, other = self._both(seconds)
        found = {
            "always first": alone[0],
            "always second": alone[1],
            "size rule": alone[by_size is not None and by_size.value > 0],
            "prior": alone[prior.mean > 0],
        }
        pair = self._compared(one, other)
        if pair is None:
            only = Deployed(0.0, 0.5)
            if one is not None or other is not None:
                trial, share = (one, 0.0) if one is not None else (other, 1.0)
                only = Deployed(skill_of(self.task, trial, "test"), share)  # type: ignore[arg-type]
            return {policy: found.get(policy, only) for policy in POLICIES}
        margin = learnt.shift.posterior(prior, pair.difference, pair.select_error, self.task.kind)
        chance = margin.probability_above_zero
        defaults = self.pair if self._in_time(seconds) else pair
        best = max(BLEND_WEIGHTS, key=pair.blend)
        shares = {
            "validation": float(pair.difference > 0),
            "half blend": 0.5,
            "posterior": float(margin.mean > 0),
            "prior blend": _deployed_weight(prior, learnt),
            "odds blend": chance,
            "posterior blend": _deployed_weight(margin, learnt),
            "oracle family": float(pair.margin > 0),
            "oracle weight": best,
        }
        found |= {policy: Deployed(pair.blend(share), share) for policy, share in shares.items()}
        picked = float(defaults.difference > 0)
        found["defaults"] = Deployed(defaults.second_test if picked else defaults.first_test, picked)
        return found

    def _alone(self, trials: Sequence[BankTrial], seconds: float, share: float) -> Deployed:
        """Return the best finished trial of one family that has all the time."""
        found = _best(_finished(trials, seconds))
        return Deployed(0.0, share) if found is None else Deployed(skill_of(self.task, found, "test"), share)

    def _both(self, seconds: float) -> tuple[BankTrial | None, BankTrial | None]:
        """Return the best finished trial of each family when they take turns."""
        turns = [each for pair in zip_longest(self.first, self.second) for each in pair if each is not None]
        ended = list(_finished(turns, seconds))
        return _best(t for t in ended if t in self.first), _best(t for t in ended if t in self.second)

    def _in_time(self, seconds: float) -> bool:
        return len(list(_finished((self.first[0], self.second[0]), seconds))) == 2

    def _compared(self, one: BankTrial | None, other: BankTrial | None) -> PairEvidence | None:
        if one is None or other is None:
            return None
        if (one, other) == (self.first[0], self.second[0]):
            return self.pair
        labels = self.bank.labels(self.task.id)
        return pair_evidence(self.task, one, other, labels, {} if labels is None else self._predictions)

    @cached_property
    def _predictions(self) -> dict[str, dict[Part, NDArray[np.float32]]]:
        return self.bank.predictions(self.task.id)


def replays_of(bank: PerformanceBank, first: str, second: str) -> list[TaskReplay]:
    """Return the replays of a bank, one per task and seed; those of the further configurations' seed come with them.

    Args:
        bank: The bank; tasks without finished defaults of both families are left out.
        first: The first family.
        second: The second one.
    """
    stored = {(pair.task, pair.seed): pair for pair in bank.evidence if (pair.first, pair.second) == (first, second)}
    found = []
    for (task, seed), pair in sorted(stored.items()):
        usable = [t for t in bank.trials_of[task] if t.seed == seed and not t.failed and math.isfinite(t.test_score)]
        ours, theirs = (
            tuple(sorted((t for t in usable if t.family == name), key=lambda t: (t.role != "default", t.number)))
            for name in (first, second)
        )
        found.append(TaskReplay(bank, bank.task_of[task], ours, theirs, pair))
    return found


def _deployed_weight(margin: NormalMargin, learnt: FamilyComparison) -> float:
    """Return the weight of the second family in what `MetaSelector.deployed_weights` deploys."""
    chance, gain = margin.probability_above_zero, learnt.gain
    if max(chance, 1.0 - chance) >= CLEAR:
        return float(chance > 0.5)
    if gain is None:
        return chance
    means = {learnt.first: 0.0, learnt.second: margin.mean}
    return best_weights(means, lambda one, other, apart: gain.of(apart))[learnt.second]


def _finished(trials: Sequence[BankTrial], seconds: float) -> Iterator[BankTrial]:
    """Yield the trials that end in time, one after another."""
    spent = 0.0
    for trial in trials:
        cost = trial.seconds * trial.idle_share
        spent += cost if math.isfinite(cost) else 0.0
        if spent > seconds:
            return
        yield trial


def _best(trials: Iterable[BankTrial]) -> BankTrial | None:
    """Return the trial with the best select score, the earlier of two equal ones."""
    known = [trial for trial in trials if math.isfinite(trial.select_score)]
    return max(known, key=lambda trial: trial.select_score) if known else None

"""Judges policies leave-one-database-out: test skill, regret, accuracy of the family choice, with intervals over databases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.errors import BankError
from relselect.families.registry import trained
from relselect.selector.meta import FamilyComparison, compare_families, profile_numbers, teaching
from relselect.selector.normal import NormalMargin
from relselect.selector.replay import POLICIES, TaskReplay, replays_of
from relselect.selector.shift import fit_shift
from relselect.selector.size_rule import SizeRule

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.bank import PerformanceBank

__all__ = ["MINUTES", "Evaluation", "PolicyScore", "evaluate_parts", "evaluate_policies", "rank_correlations"]

#: Time budgets of a task's fits that are replayed.
MINUTES = (1.0, 3.0, 10.0, 30.0, math.inf)
_DRAWS = 1_000
#: A choice is judged where the margin is beyond this many standard errors.
_BEYOND_NOISE = 1.6449


@dataclass(frozen=True)
class PolicyScore:
    """How a policy does over tasks, each task the mean of its seeds.

    Attributes:
        skill: Mean test skill over tasks.
        low: Lower end of its 90 % bootstrap interval over databases.
        high: Upper end.
        regret: Mean of the oracle family's skill less the policy's.
        largest_regret: The largest over tasks.
        accuracy: Share of right family choices on tasks whose margin is beyond noise; nan without such tasks.
        balanced_accuracy: Mean of the shares for either family; nan unless both win somewhere beyond noise.
        gain: Mean skill over "always first".
        gain_low: Lower end of its 90 % interval over databases.
        gain_high: Upper end.
    """

    skill: float
    low: float
    high: float
    regret: float
    largest_regret: float
    accuracy: float
    balanced_accuracy: float
    gain: float
    gain_low: float
    gain_high: float


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate_policies` found.

    Attributes:
        first: The first family.
        second: The second one.
        tasks: Number of tasks.
        databases: Number of databases.
        judged: Tasks whose margin is beyond noise.
        second_wins: Tasks on which the second family's mean margin is above zero.
        abstained: Share of fits whose prior interval covers zero.
        held: Shares of fits whose margin on test rows lies within the 90 % interval that the others' databases gave before and
            after validation, the sampling error of the margin included.
        policies: Minutes (infinite: no limit) -> policy -> its score.
        shift: "overall" and kinds -> beta and omega, of all tasks together.
        sampling_error: Mean standard error of the difference on select rows.
    """

    first: str
    second: str
    tasks: int
    databases: int
    judged: int
    second_wins: int
    abstained: float
    held: tuple[float, float]
    policies: Mapping[float, Mapping[str, PolicyScore]]
    shift: Mapping[str, tuple[float, float]]
    sampling_error: float

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON-able values; no time limit is "none"."""
        from dataclasses import asdict

        from relselect.serialization import jsonable

        plain = asdict(self)
        plain["policies"] = {
            "none" if math.isinf(minutes) else f"{minutes:g}": {name: asdict(score) for name, score in found.items()}
            for minutes, found in self.policies.items()
        }
        cleaned: dict[str, Any] = jsonable(plain)
        return cleaned


def evaluate_policies(
    bank: PerformanceBank,
    *,
    judged: PerformanceBank | None = None,
    minutes: Sequence[float] = MINUTES,
) -> Evaluation:
    """Replay every policy on every task, with a selector that never saw the task's database.

    Args:
        bank: What teaches the selector.
        judged: The tasks that are judged; all of the bank's if None.
        minutes: Time budgets of the fits.

    Raises:
        BankError: Fewer than four databases have finished trials of both families, or another number than two is trained.
    """
    families = trained()
    if len(families) != 2:
        raise BankError("families", list(families), "policies are defined for two", "Unregister the others before")
    first, second = families
    replays = replays_of(judged or bank, first, second)
    rule = SizeRule.shipped()
    deployed: dict[float, dict[str, dict[str, list[tuple[float, float]]]]] = {limit: {} for limit in minutes}
    learnt = _learnt_without(bank, {replay.task.database for replay in replays}, first, second)
    for replay in replays:
        for limit in minutes:
            found = replay.deployed(60.0 * limit, learnt[replay.task.database], rule)
            here = deployed[limit].setdefault(replay.task.id, {})
            for policy, each in found.items():
                here.setdefault(policy, []).append((each.skill, each.share))
    facts = _Facts.of(replays)
    judgements = [_judged_intervals(learnt[replay.task.database], replay) for replay in replays]
    abstained, *held = np.mean(judgements, axis=0).tolist() if judgements else [math.nan] * 3
    pairs = [replay.pair for replay in replays]
    shift = fit_shift(pairs)
    errors = [pair.select_error for pair in pairs if math.isfinite(pair.select_error)]
    return Evaluation(
        first=first,
        second=second,
        tasks=len(facts.tasks),
        databases=len(set(facts.databases)),
        judged=int(facts.beyond.sum()),
        second_wins=int((facts.margin > 0).sum()),
        abstained=abstained,
        held=(held[0], held[1]),
        policies={limit: _scores(found, facts) for limit, found in deployed.items()},
        shift={
            "overall": (shift.overall.beta, shift.overall.omega),
            **{kind: (each.beta, each.omega) for kind, each in shift.kinds.items()},
        },
        sampling_error=float(np.mean(errors)) if errors else math.nan,
    )


def evaluate_parts(bank: PerformanceBank) -> tuple[dict[str, Evaluation], dict[str, tuple[float, float, float, float]]]:
    """Return the evaluations of the real tasks and, where there are others, of all tasks, and the rank correlations.

    Both are taught by what `relselect.selector.meta.teaching` leaves of other databases; trials of earlier generations are left
    out.

    Raises:
        BankError: As for `evaluate_policies`.
    """
    measured = bank.current().filter(task=lambda task: task.origin != "imported")
    real = measured.filter(origin="real")
    parts = {"real tasks": real} if real.tasks else {}
    if len(real.tasks) < len(measured.tasks):
        parts["all tasks"] = measured
    teachers = teaching(bank)
    found = {name: evaluate_policies(teachers, judged=part) for name, part in parts.items()}
    return found, rank_correlations(real if real.tasks else measured)


def rank_correlations(bank: PerformanceBank) -> dict[str, tuple[float, float, float, float]]:
    """Return Spearman's rho between every profile number and the margin, its 90 % interval over databases, and its p-value.

    The p-values are corrected for the number of numbers looked at (Holm 1979). Numbers that fewer than ten tasks have are left
    out.
    """
    from scipy.stats import spearmanr

    first, second = trained()[:2]
    learnt = compare_families(bank.task_of, bank.evidence, first, second)
    tasks = [bank.task_of[task] for task in learnt.tasks]
    margins = np.array(learnt.margins)
    names = sorted({m["name"] for task in tasks for m in task.profile.get("measures", ()) if "[" not in m["name"]})
    found: dict[str, tuple[float, float, float, float]] = {}
    for name in names:
        values = np.array([_value(task.profile, name) for task in tasks])
        known = np.isfinite(values)
        if known.sum() < 10 or len(np.unique(values[known])) < 3:
            continue
        rho, p_value = spearmanr(values[known], margins[known])
        databases = np.array([task.database for task in tasks])[known]
        drawn = [
            float(spearmanr(values[known][rows], margins[known][rows])[0]) for rows in _database_draws(databases, 200)
        ]
        low, high = np.nanquantile(drawn, [0.05, 0.95])
        found[name] = (float(rho), float(low), float(high), float(p_value))
    return _holm(found)


def _learnt_without(bank: PerformanceBank, databases: set[str], first: str, second: str) -> dict[str, FamilyComparison]:
    """Return, for each database, what the others teach."""
    return {
        name: compare_families(bank.task_of, [pair for pair in bank.evidence if pair.database != name], first, second)
        for name in databases
    }


@dataclass(frozen=True)
class _Facts:
    """The judged tasks, their databases, mean margins, and which margins are beyond noise."""

    tasks: list[str]
    databases: list[str]
    margin: NDArray[np.float64]
    beyond: NDArray[np.bool_]

    @classmethod
    def of(cls, replays: Sequence[TaskReplay]) -> _Facts:
        tasks = sorted({replay.task.id for replay in replays})
        database = {replay.task.id: replay.task.database for replay in replays}
        margin, beyond = [], []
        for task in tasks:
            pairs = [replay.pair for replay in replays if replay.task.id == task]
            margins = np.array([pair.margin for pair in pairs])
            errors = np.array([pair.test_error for pair in pairs])
            sampling = float(np.nanmean(errors)) if np.isfinite(errors).any() else 0.0
            seeds = float(margins.std(ddof=1) / math.sqrt(len(margins))) if len(margins) > 1 else 0.0
            margin.append(float(margins.mean()))
            beyond.append(abs(margins.mean()) > _BEYOND_NOISE * math.hypot(sampling, seeds))
        return cls(tasks, [database[task] for task in tasks], np.array(margin), np.array(beyond, dtype=np.bool_))


def _scores(found: Mapping[str, Mapping[str, list[tuple[float, float]]]], facts: _Facts) -> dict[str, PolicyScore]:
    skills = {
        policy: np.array([np.mean([skill for skill, _ in found[task][policy]]) for task in facts.tasks])
        for policy in POLICIES
    }
    shares = {
        policy: np.array([np.mean([share for _, share in found[task][policy]]) for task in facts.tasks])
        for policy in POLICIES
    }
    draws = list(_database_draws(np.array(facts.databases), _DRAWS))
    scores = {}
    for policy in POLICIES:
        own, gain = skills[policy], skills[policy] - skills["always first"]
        regret = skills["oracle family"] - own
        right = (shares[policy] > 0.5) == (facts.margin > 0)
        sides = [right[facts.beyond & side] for side in (facts.margin > 0, facts.margin <= 0)]
        low, high = np.quantile([own[rows].mean() for rows in draws], [0.05, 0.95])
        gain_low, gain_high = np.quantile([gain[rows].mean() for rows in draws], [0.05, 0.95])
        scores[policy] = PolicyScore(
            skill=float(own.mean()),
            low=float(low),
            high=float(high),
            regret=float(regret.mean()),
            largest_regret=float(regret.max()),
            accuracy=float(right[facts.beyond].mean()) if facts.beyond.any() else math.nan,
            balanced_accuracy=float(np.mean([side.mean() for side in sides])) if all(map(len, sides)) else math.nan,
            gain=float(gain.mean()),
            gain_low=float(gain_low),
            gain_high=float(gain_high),
        )
    return scores


def _database_draws(databases: NDArray[Any], draws: int) -> list[NDArray[np.intp]]:
    """Return places of tasks, drawn by whole databases with replacement."""
    names, group = np.unique(databases, return_inverse=True)
    members = [np.flatnonzero(group == place) for place in range(len(names))]
    generator = np.random.default_rng(0)
    return [np.concatenate([members[k] for k in generator.integers(len(names), size=len(names))]) for _ in range(draws)]


def _judged_intervals(learnt: FamilyComparison, replay: TaskReplay) -> tuple[bool, bool, bool]:
    """Whether the prior's 90 % interval covers zero, and whether it and the one after validation hold the margin on test rows."""
    pair, prior = replay.pair, learnt.prior.margin(profile_numbers(replay.task))
    posterior = learnt.shift.posterior(prior, pair.difference, pair.select_error, pair.kind)
    sampling = pair.test_error if math.isfinite(pair.test_error) else 0.0
    before, after = (NormalMargin(each.mean, math.hypot(each.sd, sampling)).interval for each in (prior, posterior))
    low, high = prior.interval
    return low < 0 < high, before[0] <= pair.margin <= before[1], after[0] <= pair.margin <= after[1]


def _value(profile: Mapping[str, Any], name: str) -> float:
    value = next((m["value"] for m in profile.get("measures", ()) if m["name"] == name), None)
    return math.nan if value is None else float(value)


def _holm(found: Mapping[str, tuple[float, float, float, float]]) -> dict[str, tuple[float, float, float, float]]:
    order = sorted(found, key=lambda name: found[name][3])
    corrected, largest = {}, 0.0
    for place, name in enumerate(order):
        rho, low, high, p_value = found[name]
        largest = max(largest, min(1.0, (len(order) - place) * p_value))
        corrected[name] = (rho, low, high, largest)
    return corrected

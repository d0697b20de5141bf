"""Which configurations of a family to try first: those that added most to its default on the tasks of a performance bank.

A configuration is kept as its *change*, the options in which it differs from the family's default on the same task: it can be put
over the default of a task that the bank does not know.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.bank.evidence import skill_of
from relselect.families.registry import trained
from relselect.serialization import canonical_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.bank import BankTrial, PerformanceBank

__all__ = ["FirstConfig", "PortfolioGain", "first_configs", "portfolio_gain", "portfolio_gains"]

#: Databases on which a configuration must have been tried, and the most configurations that are named.
_FEWEST_DATABASES, _MOST = 5, 4
#: Standard errors over databases by which a gain must be above zero: one-sided, 90 %.
_CLEAR = 1.2816
#: A configuration of the bank: its role and its number, which are the same on every task.
_Key = tuple[str, int]


@dataclass(frozen=True)
class FirstConfig:
    """A configuration worth an early trial.

    Attributes:
        change: Option -> value, where it differs from the family's default.
        gain: Skill on test rows that choosing by the select rows gains once it has been tried beside the default and the
            configurations before it; the mean over databases of means over tasks.
        cost: Seconds of its fit over those of the default's, the median over tasks.
        databases: Number of databases that it was tried on.
    """

    change: Mapping[str, Any]
    gain: float
    cost: float
    databases: int


@dataclass(frozen=True)
class PortfolioGain:
    """What the first k further trials of a study gain, judged on databases that taught nothing.

    Attributes:
        trials: Further trials, k.
        taught: Skill on test rows over the default alone with the configurations that the other databases name.
        in_order: The same with the bank's configurations in the order of their numbers.
        databases: Number of databases.
        low: Lower end of the 90 % interval of taught less in_order, over databases drawn with replacement.
        high: Upper end of it.
    """

    trials: int
    taught: float
    in_order: float
    databases: int
    low: float
    high: float


def first_configs(bank: PerformanceBank, family: str, most: int = _MOST) -> tuple[FirstConfig, ...]:
    """Return the configurations to try after the default, the best first.

    Greedy (Nemhauser, Wolsey and Fisher 1978): the next configuration is the one with the largest gain per cost over those
    already named, among those whose gain is above zero by 1.28 standard errors over databases. As in a study the trial with the
    best select score is chosen; what counts is its skill on test rows.

    Args:
        bank: Trials of current generations; see `PerformanceBank.current`.
        family: The family.
        most: The most configurations.

    Returns:
        The configurations; empty where none that was tried on at least five databases gains that clearly.
    """
    places = _places(bank, family)
    return tuple(_described(places, key, gain) for key, gain in _greedy(places, most))


def portfolio_gain(bank: PerformanceBank, family: str, most: int = _MOST) -> tuple[PortfolioGain, ...]:
    """Return what the first trials gain with every database left out of what taught them, for 1 to `most` further trials.

    Args:
        bank: Trials of current generations.
        family: The family.
        most: The most further trials.
    """
    places = _places(bank, family)
    databases = sorted({place.database for place in places})
    if len(databases) <= _FEWEST_DATABASES:
        return ()
    known = sorted({key for place in places for key in place.trials})
    found: list[list[tuple[float, float]]] = []
    for database in databases:
        named = [key for key, _ in _greedy([place for place in places if place.database != database], most)]
        mine = [place for place in places if place.database == database]
        curves = []
        for count in range(1, most + 1):
            taught = np.mean([place.gain(place.next_of([*named, *known], count)) for place in mine])
            in_order = np.mean([place.gain(place.next_of(known, count)) for place in mine])
            curves.append((float(taught), float(in_order)))
        found.append(curves)
    gains = np.array(found)  # (databases, most, 2)
    generator = np.random.default_rng(0)
    draws = generator.integers(len(databases), size=(1_000, len(databases)))
    apart = (gains[:, :, 0] - gains[:, :, 1])[draws].mean(axis=1)
    low, high = np.quantile(apart, [0.05, 0.95], axis=0)
    means = gains.mean(axis=0)
    return tuple(
        PortfolioGain(k + 1, float(means[k, 0]), float(means[k, 1]), len(databases), float(low[k]), float(high[k]))
        for k in range(most)
    )


def portfolio_gains(bank: PerformanceBank) -> dict[str, tuple[PortfolioGain, ...]]:
    """Return trained family -> what its first trials gain, over the bank's measured trials of current generations."""
    measured = bank.current().filter(task=lambda task: task.origin != "imported")
    return {family: portfolio_gain(measured, family) for family in trained()}


@dataclass(frozen=True)
class _Tried:
    """A further configuration on one task: its scores, its cost, and its change."""

    select: float
    test: float
    cost: float
    change: Mapping[str, Any]


@dataclass(frozen=True)
class _Place:
    """One task and seed: the default, and the further configurations that were tried beside it."""

    database: str
    rows: int
    select: float
    test: float
    trials: Mapping[_Key, _Tried]

    def gain(self, keys: Sequence[_Key]) -> float:
        """Return the test skill over the default's of the trial with the best select score among the default and these."""
        best = (self.select, self.test)
        for tried in (self.trials[key] for key in keys if key in self.trials):
            if tried.select > best[0]:
                best = (tried.select, tried.test)
        return best[1] - self.test

    def next_of(self, keys: Sequence[_Key], count: int) -> list[_Key]:
        """Return the first `count` different configurations that were tried here."""
        return [key for key in dict.fromkeys(keys) if key in self.trials][:count]


def _places(bank: PerformanceBank, family: str) -> list[_Place]:
    """Return the tasks and seeds on which further configurations of a family were tried beside its default."""
    found = []
    for task in bank.tasks:
        groups: dict[int, list[BankTrial]] = defaultdict(list)
        for trial in bank.trials_of[task.id]:
            if trial.family == family and trial.finished and math.isfinite(trial.test_score):
                groups[trial.seed].append(trial)
        for trials in groups.values():
            default = next((trial for trial in trials if trial.role == "default"), None)
            others: dict[_Key, BankTrial] = {
                (trial.role, trial.number): trial for trial in trials if trial.role in ("alternative", "space")
            }
            if default is None or not others:
                continue
            tried = {
                key: _Tried(
                    skill_of(task, trial, "select"),
                    skill_of(task, trial, "test"),
                    trial.seconds * trial.idle_share / max(default.seconds * default.idle_share, 1e-9),
                    {name: value for name, value in trial.config.items() if default.config.get(name) != value},
                )
                for key, trial in others.items()
            }
            level = skill_of(task, default, "select"), skill_of(task, default, "test")
            found.append(_Place(task.database, task.train_rows, *level, tried))
    return found


def _greedy(places: Sequence[_Place], most: int) -> list[tuple[_Key, float]]:
    """Return the configurations and their gains over those before them."""
    databases: dict[_Key, set[str]] = defaultdict(set)
    for place in places:
        for key in place.trials:
            databases[key].add(place.database)
    open_keys = sorted(key for key, known in databases.items() if len(known) >= _FEWEST_DATABASES)
    named: list[_Key] = []
    found: list[tuple[_Key, float]] = []
    while open_keys and len(named) < most:
        found_gains = {key: _gains(places, named, key) for key in open_keys}
        clear = [key for key in open_keys if _is_clear(found_gains[key])]
        if not clear:
            break
        gains = {key: float(found_gains[key].mean()) for key in clear}
        best = max(clear, key=lambda key: gains[key] / _cost(places, key))
        open_keys.remove(best)
        named.append(best)
        found.append((best, gains[best]))
    return found


def _is_clear(gains: NDArray[np.float64]) -> bool:
    """Whether the mean over databases is above zero by more than `_CLEAR` of its standard errors."""
    return bool(gains.mean() > _CLEAR * gains.std(ddof=1) / math.sqrt(len(gains)))


def _gains(places: Sequence[_Place], named: Sequence[_Key], key: _Key) -> NDArray[np.float64]:
    """Return what a configuration adds to those named, one mean over tasks per database on which it was tried."""
    by_database: dict[str, list[float]] = defaultdict(list)
    for place in places:
        if key in place.trials:
            by_database[place.database].append(place.gain([*named, key]) - place.gain(named))
    return np.array([np.mean(gains) for gains in by_database.values()])


def _cost(places: Sequence[_Place], key: _Key) -> float:
    costs = [place.trials[key].cost for place in places if key in place.trials]
    known = [cost for cost in costs if math.isfinite(cost) and cost > 0]
    return float(np.median(known)) if known else 1.0


def _described(places: Sequence[_Place], key: _Key, gain: float) -> FirstConfig:
    """Return a configuration with the change that most tasks share; of equal ones that of the task with most training rows."""
    mine = sorted((place for place in places if key in place.trials), key=lambda place: -place.rows)
    counts = Counter(canonical_json(place.trials[key].change) for place in mine)
    shared = max(mine, key=lambda place: counts[canonical_json(place.trials[key].change)])
    databases = len({place.database for place in mine})
    return FirstConfig(dict(shared.trials[key].change), gain, _cost(places, key), databases)

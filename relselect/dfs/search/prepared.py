"""The features of a problem's splits: planned, computed and judged once, shared by every trial.

Trials that use fewer features take columns of the same matrix. Where evaluation is delayed, training rows are shown also
under the delays of the evaluation rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.plan.plan import Plan
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import FeatureMatrix, compute
from relselect.dfs.search.selection import Drift, drift_of, informative
from relselect.problem import LABELS
from relselect.tasks import Rows

if TYPE_CHECKING:
    from relselect.dfs.plan.feature import Feature
    from relselect.families.protocol import Config
    from relselect.problem import Problem

__all__ = ["Offer", "Prepared", "Wanted", "features_of", "prepare", "runs", "validation_as_training"]

#: Cells of the training matrix at most; beyond it training rows are sampled. Of the validation matrix a quarter.
MAX_CELLS = 120_000_000
#: Cells computed at once when rows are only predicted.
BLOCK_CELLS = 16_000_000
#: The delayed copies are drawn once, not per trial, so that trials share one matrix and differ by their configuration only.
_COPIES_SEED = 0

Check = Callable[[], None]


@dataclass(frozen=True)
class Offer:
    """Which features are computed, once for all configurations that ask for the same.

    Attributes:
        copies: Delayed copies of each training row, where evaluation is delayed.
        depth: Steps at most; two or three.
        conditions: Whether rows are also aggregated under a condition.
        rich: Whether medians, quantiles, skewness, trends, entropies and times between rows are computed as well.
    """

    copies: int = 3
    depth: int = 2
    conditions: bool = False
    rich: bool = False

    @classmethod
    def of(cls, config: Config) -> Offer:
        """Return what a family's configuration needs; what it does not say is as by default."""
        known = {name: config[name] for name in cls.__dataclass_fields__ if name in config}
        found = cls(**known)
        return replace(found, depth=max(cls.depth, found.depth))

    def plan(self, problem: Problem) -> Plan:
        """Return the default plan of a problem, from its cache if it is there."""

        def build() -> Plan:
            return default_plan(problem, depth=self.depth, where=self.conditions, rich=self.rich)

        return problem.cached(f"dfs/plan/{replace(self, copies=0)}", build)


@dataclass(frozen=True)
class Wanted:
    """Which of the features a configuration reads.

    Attributes:
        depth: Steps at most.
        windows: Whether windows are read.
        history: Whether past labels are read.
        nested: Whether aggregates of aggregates are read.
        conditions: Whether aggregates of rows that meet a condition are read.
        drift: Features that move further between training dates are not read; None reads them.
    """

    depth: int = 9
    windows: bool = True
    history: bool = True
    nested: bool = True
    conditions: bool = True
    drift: float | None = None

    @classmethod
    def of(cls, config: Config) -> Wanted:
        """Return what a family's configuration asks for; what it does not say is read."""
        known = {name: config[name] for name in cls.__dataclass_fields__ if name in config}
        return cls(**known)

    def reads(self, feature: Feature) -> bool:
        """Return whether a feature is read, its drift apart."""
        chain = list(_chain(feature))
        return (
            feature.depth <= self.depth
            and (self.windows or not _windowed(feature))
            and (self.history or not any(hop.table == LABELS for each in chain for hop in each.path))
            and (self.nested or feature.base is None)
            and (self.conditions or all(each.where is None for each in chain))
        )


@dataclass(frozen=True)
class Prepared:
    """Features of one problem.

    Attributes:
        plan: The features, k of them, those without information left out.
        vocabulary: Their categories.
        train: Training features (delayed copies included where evaluation is delayed).
        label: Training labels, shape (n,).
        val: Features of the validation rows that training is stopped on.
        val_label: Their labels, shape (m,).
        val_places: Which validation rows these are; all unless they were sampled to bound memory.
        moved: How far each feature moves between early and late training rows, shape (k,).
        seconds: What computing them took.
        sampled: Whether training rows were left out to bound memory.
        drifted: The features left out because they move too far, the furthest first.
    """

    plan: Plan
    vocabulary: Vocabulary
    train: FeatureMatrix
    label: NDArray[np.float64]
    val: FeatureMatrix
    val_label: NDArray[np.float64]
    val_places: NDArray[np.int64]
    moved: NDArray[np.float64]
    seconds: float
    sampled: bool
    drifted: tuple[Drift, ...] = ()

    def narrowed(self, wanted: Wanted) -> Prepared:
        """Return the same with the features that are wanted; itself if all are."""
        read = [place for place in self.plan.where(wanted.reads)]
        stay = [place for place in read if wanted.drift is None or self.moved[place] <= wanted.drift] or read
        if len(stay) == len(self.plan):
            return self
        gone = sorted(set(read) - set(stay), key=lambda place: (-self.moved[place], place))
        return replace(
            self,
            plan=self.plan.take(stay),
            train=self.train.take(stay),
            val=self.val.take(stay),
            moved=self.moved[stay],
            drifted=tuple(Drift(self.plan.names[place], round(float(self.moved[place]), 4)) for place in gone),
        )


def prepare(problem: Problem, check: Check = lambda: None, offer: Offer = Offer()) -> Prepared:
    """Return features of a problem's training and validation rows, from its cache if they are there.

    Args:
        problem: The problem.
        check: Called often; may raise to stop, and then nothing is cached.
        offer: Which features, and how many delayed copies of each training row.
    """
    return problem.cached(f"dfs/prepared/{offer}", lambda: _prepare(problem, check, offer))


def _prepare(problem: Problem, check: Check, offer: Offer) -> Prepared:
    begun = time.monotonic()
    plan = offer.plan(problem)
    vocabulary = problem.cached(f"dfs/vocabulary/{replace(offer, copies=0)}", lambda: Vocabulary.fit(problem, plan))
    rows, sampled = _bounded(problem.training_rows(_COPIES_SEED, offer.copies), MAX_CELLS // max(1, len(plan)))
    train = features_of(problem, plan, rows, vocabulary, check)
    kept = informative(train.values)
    plan, train = plan.take(kept), train.take(kept)
    val_rows = problem.rows("val")
    places = _sample(len(val_rows), MAX_CELLS // 4 // max(1, len(plan)))
    val_rows = val_rows.take(places)
    val = features_of(problem, plan, val_rows, vocabulary, check)
    return Prepared(
        plan,
        vocabulary,
        train,
        _labels(rows),
        val,
        _labels(val_rows),
        places,
        drift_of(train, rows.cutoff),
        time.monotonic() - begun,
        sampled,
    )


def validation_as_training(
    problem: Problem, prepared: Prepared, check: Check = lambda: None, offer: Offer = Offer()
) -> tuple[FeatureMatrix, NDArray[np.float64]]:
    """Return the validation rows as a last fit shows them: fresh, and under the delays of the evaluation rows.

    Args:
        problem: The problem.
        prepared: The features to compute.
        check: Called often; may raise to stop, and then nothing is cached.
        offer: What they were taken from, and how many delayed copies of each row.

    Returns:
        Features and labels, one row per validation row and copy.
    """
    everything = prepare(problem, check, offer)

    def build() -> tuple[FeatureMatrix, NDArray[np.float64]]:
        rows, _ = _bounded(_shown(problem, offer.copies), MAX_CELLS // 4 // max(1, len(everything.plan)))
        return features_of(problem, everything.plan, rows, everything.vocabulary, check), _labels(rows)

    matrix, label = problem.cached(f"dfs/later/{offer}", build)
    place = {name: number for number, name in enumerate(everything.plan.names)}
    return matrix.take([place[name] for name in prepared.plan.names]), label


def _shown(problem: Problem, copies: int) -> Rows:
    """Return the validation rows as of their own cutoff, and copies of them as old as evaluation rows are."""
    if problem.task.static:
        return problem.rows("val")
    frame = problem.task.splits["val"]

    def bound(delay: NDArray[np.int64]) -> Rows:
        rows = problem.bind(frame.keys, frame.cutoff, frame.cutoff - delay, frame.features)
        return replace(rows, label=frame.label)

    fresh = bound(np.zeros(len(frame), dtype=np.int64))
    delays = problem.evaluation_delays()
    delays = delays[delays > 0]
    if not len(delays):
        return fresh
    generator = np.random.default_rng(_COPIES_SEED + 1)
    return Rows.concat([fresh, *(bound(generator.choice(delays, size=len(frame))) for _ in range(copies))])


def features_of(
    problem: Problem, plan: Plan, rows: Rows, vocabulary: Vocabulary, check: Check = lambda: None
) -> FeatureMatrix:
    """Return the features of task rows.

    Args:
        problem: Supplies the database.
        plan: k features.
        rows: n task rows.
        vocabulary: The categories, as fitted.
        check: Called often; may raise to stop.
    """
    return compute(problem, plan, rows, vocabulary, check)


def runs(rows: Rows, features: int) -> Iterator[Rows]:
    """Yield the rows in runs whose feature matrices have at most `BLOCK_CELLS` cells; one empty run for no rows."""
    size = max(1, BLOCK_CELLS // max(1, features))
    for start in range(0, max(1, len(rows)), size):
        yield rows if len(rows) <= size else rows.take(slice(start, start + size))


def _chain(feature: Feature) -> Iterator[Feature]:
    yield feature
    if feature.base is not None:
        yield from _chain(feature.base)


def _windowed(feature: Feature) -> bool:
    return any(each.window is not None for each in _chain(feature))


def _bounded(rows: Rows, most: int) -> tuple[Rows, bool]:
    places = _sample(len(rows), most)
    return (rows, False) if len(places) == len(rows) else (rows.take(places), True)


def _sample(size: int, most: int) -> NDArray[np.int64]:
    if size <= most:
        return np.arange(size)
    return np.sort(np.random.default_rng(_COPIES_SEED).choice(size, size=most, replace=False))


def _labels(rows: Rows) -> NDArray[np.float64]:
    return np.full(len(rows), np.nan) if rows.label is None else rows.label

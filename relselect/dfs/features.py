"""The features of a problem's splits: planned, computed and fitted once, shared by the profile and every trial.

Trials that use fewer features (one step only, no windows) take columns of the same matrix.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.encoding import Vocabulary, informative
from relselect.dfs.enumeration import default_plan
from relselect.dfs.matrix import FeatureMatrix, compute
from relselect.dfs.plan import Plan
from relselect.tasks import Rows

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["Prepared", "prepare"]

#: Cells of the training matrix at most; beyond it training rows are sampled.
MAX_CELLS = 120_000_000
#: The delayed copies are drawn once, not per trial, so that trials share one matrix and differ by their configuration only.
_COPIES_SEED = 0


@dataclass(frozen=True)
class Prepared:
    """Features of one problem.

    Attributes:
        plan: The features, those without information left out.
        vocabulary: Their categories.
        train: Training features (delayed copies included where evaluation is delayed).
        label: Training labels, shape (n,).
        val: Validation features.
        val_label: Validation labels, shape (m,).
        seconds: What computing them took.
        sampled: Whether training rows were left out to bound memory.
    """

    plan: Plan
    vocabulary: Vocabulary
    train: FeatureMatrix
    label: NDArray[np.float64]
    val: FeatureMatrix
    val_label: NDArray[np.float64]
    seconds: float
    sampled: bool

    def narrowed(self, depth: int, windows: bool) -> Prepared:
        """Return the same with features of one step only or all, with or without windows; itself if all stay."""
        places = self.plan.where(
            lambda feature: (depth >= 2 or feature.depth <= depth) and (windows or feature.window is None)
        )
        if len(places) == len(self.plan):
            return self
        return Prepared(
            self.plan.take(places),
            self.vocabulary,
            self.train.take(places),
            self.label,
            self.val.take(places),
            self.val_label,
            self.seconds,
            self.sampled,
        )


def prepare(problem: Problem, check: Callable[[], None] = lambda: None) -> Prepared:
    """Return the default features of a problem's training and validation rows, from its cache if they are there.

    Args:
        problem: The problem.
        check: Called often; may raise to stop, and then nothing is cached.
    """
    return problem.cached("dfs/prepared", lambda: _prepare(problem, check))


def _prepare(problem: Problem, check: Callable[[], None]) -> Prepared:
    begun = time.monotonic()
    plan = default_plan(problem)
    vocabulary = Vocabulary.fit(problem, plan)
    rows, sampled = _bounded(problem.training_rows(_COPIES_SEED), len(plan))
    train = compute(problem, plan, rows, vocabulary, check)
    kept = informative(train.values)
    plan, train = plan.take(kept), train.take(kept)
    val_rows = problem.rows("val")
    val = compute(problem, plan, val_rows, vocabulary, check)
    return Prepared(plan, vocabulary, train, _labels(rows), val, _labels(val_rows), time.monotonic() - begun, sampled)


def _bounded(rows: Rows, features: int) -> tuple[Rows, bool]:
    most = MAX_CELLS // max(1, features)
    if len(rows) <= most:
        return rows, False
    chosen = np.random.default_rng(_COPIES_SEED).choice(len(rows), size=most, replace=False)
    return rows.take(np.sort(chosen)), True


def _labels(rows: Rows) -> NDArray[np.float64]:
    return np.full(len(rows), np.nan) if rows.label is None else rows.label

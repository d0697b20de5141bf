"""LightGBM (Ke et al. 2017) as a learner: gradient-boosted trees, stopped early on the stop rows and by the budget.

Nothing here knows about databases. The thresholds of splits are drawn at random (extremely randomised trees, Geurts et al.
2006) and several boosters with different seeds are averaged: among many correlated features and few rows both lower the
variance, which is what is left to lower.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.learners.binning import BINNING, Binned, binned_of
from relselect.dfs.learners.boosting import train_booster
from relselect.dfs.learners.constant import constant_fit
from relselect.dfs.learners.labels import LabelScale, constant_of, fits_median
from relselect.dfs.learners.protocol import LearnerFit, TabularData, weights_of_parts
from relselect.dfs.learners.trees import Trees
from relselect.errors import BudgetExhausted
from relselect.families.candidate import CurvePoint, LearningCurve
from relselect.threads import idle_cores

if TYPE_CHECKING:
    from pathlib import Path

    from relselect.budget import Budget
    from relselect.dfs.learners.protocol import LearnerProgress
    from relselect.families.candidate import Config, FitEnd
    from relselect.problem import Problem
    from relselect.tasks import Task

__all__ = ["LightGBM", "largest_leaf"]

Floats = NDArray[np.float64]

#: Threads at most; more do not help on features of this size.
_MAX_THREADS = 8
#: Rounds between two points of the learning curve.
_EVERY = 10
#: Another booster begins while this many times the slowest one's seconds are left.
_MARGIN = 1.2
#: Fewest training rows in a leaf that are ever tried.
_LEAST_LEAF = 5
#: Distance of the boosters' seeds.
_NEXT_SEED = 1_000_003
#: LightGBM's name and sign of the metrics it can follow.
_METRICS = {
    "roc_auc": ("auc", 1.0),
    "average_precision": ("average_precision", 1.0),
    "neg_mean_absolute_error": ("l1", -1.0),
    "neg_root_mean_squared_error": ("rmse", -1.0),
}
#: Name of the score of weighted stop rows in which every row counts once.
_COUNTED_ONCE = "counted_once"


class LightGBM:
    """Several boosters of random trees, averaged; see `Learner`.

    Example:
        >>> LightGBM().name
        'lightgbm'
    """

    name = "lightgbm"
    weighs_rows = True

    def tuned(self, problem: Problem) -> bool:
        """Return True."""
        return True

    def default(self, problem: Problem) -> Config:
        """Return options for many correlated features and few rows: small random trees on a few of the features each."""
        smallest = max(_LEAST_LEAF, min(50, len(problem.task.splits["train"]) // 20))
        return {
            "bags": 3,
            "extra_trees": True,
            "learning_rate": 0.03,
            "num_leaves": 16,
            "min_child_samples": smallest,
            "subsample": 0.8,
            "colsample": 0.2,
            "lambda_l1": 0.0,
            "lambda_l2": 1.0,
            "rounds": 2000,
            "patience": 100,
            "stop_on": "loss",
        }

    def fit(
        self,
        task: Task,
        config: Config,
        train: TabularData,
        stop: TabularData,
        *,
        seed: int,
        budget: Budget,
        progress: LearnerProgress,
    ) -> LearnerFit:
        """Train boosters that differ by their seed, each to its best round; see `Learner.fit`.

        A booster beyond the first begins only while the budget holds as long as the slowest took.

        Raises:
            BudgetExhausted: No round was finished.
        """
        without = constant_fit(task, config, train)
        if without is not None:
            return without
        constant = constant_of(task, config, train.label, train.weights)
        scale = LabelScale.of(task, train.label, train.weights)
        budget.check()
        binned = binned_of(train, stop, scale)
        watches: list[_Watch] = []
        texts: list[str] = []
        slowest = 0.0
        for number in range(max(1, int(config["bags"]))):
            if number and budget.left() < _MARGIN * slowest:
                break
            begun = time.monotonic()
            watch = _Watch(task, config, budget, scale.scale, progress if number == 0 else _quiet)
            booster = _boost(
                _params(task, config, seed, number), binned, int(config["rounds"]), watch, _score(task, stop)
            )
            if watch.ended == "budget" and number:
                break
            if watch.rounds == 0:
                raise BudgetExhausted("the budget ended before the first boosting round")
            texts.append(booster.model_to_string(num_iteration=watch.best))
            watches.append(watch)
            if number == 0 and int(config["bags"]) > 1 and watch.points:
                progress(int(config["rounds"]), watch.points[-1].loss, watch.points[-1].score)
            slowest = max(slowest, time.monotonic() - begun)
        rounds = round(float(np.mean([watch.best for watch in watches])))
        model = Trees(texts, constant, scale, binned.shift)
        return LearnerFit(model, rounds, _curve(watches[0].points), watches[0].ended, slowest, len(texts))

    def refit(
        self,
        task: Task,
        config: Config,
        parts: Sequence[TabularData],
        *,
        rounds: int,
        members: int,
        seed: int,
        budget: Budget,
    ) -> Trees | None:
        """Train as many boosters for as many rounds on all rows; see `Learner.refit`."""
        if not members or rounds < 1:
            return None
        label = np.concatenate([part.label for part in parts])
        weights = weights_of_parts(parts)
        scale = LabelScale.of(task, label, weights)
        binned = Binned.of_rows(parts, scale)
        texts = []
        for number in range(members):
            watch = _Limit(budget)
            booster = _boost(_params(task, config, seed, number), binned, rounds, watch)
            if watch.spent:
                return None
            texts.append(booster.model_to_string())
        return Trees(texts, constant_of(task, config, label, weights), scale, binned.shift)

    def load(self, folder: Path) -> Trees:
        """Return the trees that `Trees.save` wrote."""
        return Trees.load(folder)


def largest_leaf(rows: int) -> int:
    """Return the most rows that a leaf is made to hold: a tenth of the training rows, so that trees can grow, and 200."""
    return max(2 * _LEAST_LEAF, min(200, rows // 10))


def _curve(points: Sequence[CurvePoint]) -> LearningCurve:
    return LearningCurve("round", "stop", tuple(points))


def _score(task: Task, stop: TabularData) -> Callable[[Floats, Any], tuple[str, float, bool]] | None:
    """Return what scores weighted stop rows with every row counted once, as LightGBM's own metrics cannot; else None."""
    known, sign = _METRICS.get(task.metric.name, (None, 1.0))
    if stop.weights is None or known is None:
        return None

    def score(predictions: Floats, data: Any) -> tuple[str, float, bool]:
        return _COUNTED_ONCE, sign * task.metric.score(np.asarray(data.get_label(), float), predictions), sign > 0

    return score


def _boost(params: dict[str, Any], binned: Binned, rounds: int, watch: Any, score: Any = None) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        valid = [] if binned.stop is None else [binned.stop]
        return train_booster(params, binned.train, rounds, valid_sets=valid, callbacks=[watch], feval=score)


def _params(task: Task, config: Config, seed: int, number: int) -> dict[str, Any]:
    """Return LightGBM's parameters: the loss suits the metric, the rest is the configuration."""
    params: dict[str, Any] = {
        **BINNING,
        "learning_rate": config["learning_rate"],
        "num_leaves": config["num_leaves"],
        "min_data_in_leaf": config["min_child_samples"],
        "bagging_fraction": config["subsample"],
        "bagging_freq": 1,
        "feature_fraction": config["colsample"],
        "lambda_l1": config["lambda_l1"],
        "lambda_l2": config["lambda_l2"],
        "extra_trees": bool(config["extra_trees"]),
        "seed": (seed + _NEXT_SEED * number) % (2**31 - 1),
        "deterministic": True,
        "force_col_wise": True,  # trees read few of many features: half the time of rows
        "num_threads": idle_cores(_MAX_THREADS),
    }
    known = _METRICS.get(task.metric.name, (None, 1.0))[0]
    if task.kind == "regression":
        loss = "l1" if fits_median(task, config) else "l2"
        return {**params, "objective": loss, "metric": list(dict.fromkeys([loss, *([known] if known else [])]))}
    if task.kind == "binary":
        return {**params, "objective": "binary", "metric": ["binary_logloss", *([known] if known else [])]}
    return {**params, "objective": "multiclass", "num_class": len(task.classes or ()), "metric": ["multi_logloss"]}


@dataclass(eq=False)
class _Watch:
    """Called after every round: keeps the best one, and ends training early or with the budget."""

    task: Task
    config: Config
    budget: Budget
    scale: float
    progress: LearnerProgress
    rounds: int = 0
    best: int = 0
    value: float = float("-inf")
    points: list[CurvePoint] = field(default_factory=list)
    ended: FitEnd = "limit"
    order: int = 30
    before_iteration: bool = False

    def __call__(self, env: Any) -> None:
        """Read one round's loss and score on the stop rows."""
        if env.iteration == 0:  # a training that begins anew, see `train_booster`
            self.rounds, self.best, self.value = 0, 0, float("-inf")
            self.points.clear()
        figures = {name: value for _, name, value, _ in env.evaluation_result_list}
        first = next(iter(figures))
        loss = float(figures[first]) * (self.scale**2 if first == "l2" else self.scale)
        known, sign = _METRICS.get(self.task.metric.name, (None, 1.0))
        known = _COUNTED_ONCE if _COUNTED_ONCE in figures else known
        score = sign * float(figures[known]) * self.scale if known in figures else float("nan")
        followed = score if self.config.get("stop_on") == "metric" and np.isfinite(score) else -loss
        self.rounds = env.iteration + 1
        if followed > self.value:
            self.value, self.best = followed, self.rounds
        if env.iteration % _EVERY == 0:
            self.points.append(CurvePoint(self.rounds, loss, score))
            self.progress(self.rounds, loss, score)
        if self.rounds - self.best >= int(self.config["patience"]):
            self._stop("converged")
        if self.budget.spent:
            self._stop("budget")

    def _stop(self, why: FitEnd) -> None:
        from lightgbm.callback import EarlyStopException

        self.ended = why
        raise EarlyStopException(self.best - 1, [])


@dataclass(eq=False)
class _Limit:
    """Called after every round: stops when the budget ends.

    LightGBM catches `EarlyStopException` from callbacks that run after a round only.
    """

    budget: Budget
    spent: bool = False
    order: int = 30
    before_iteration: bool = False

    def __call__(self, env: Any) -> None:
        """Read the clock."""
        from lightgbm.callback import EarlyStopException

        if self.budget.spent and env.iteration + 1 < env.end_iteration:
            self.spent = True
            raise EarlyStopException(env.iteration, [])


def _quiet(step: int, loss: float, score: float) -> None:
    """Report nothing of the boosters beyond the first."""

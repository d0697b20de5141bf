"""Gradient-boosted trees (Ke et al. 2017) on a feature matrix, stopped early on validation rows and by the budget.

Nothing here knows about databases. The thresholds of splits are drawn at random (extremely randomised trees, Geurts et al.
2006) and several boosters with different seeds are averaged: among many correlated features and few rows both lower the
variance, which is what is left to lower.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relselect.dfs.learners.trees import Trees
from relselect.errors import BudgetExhausted

if TYPE_CHECKING:
    from collections.abc import Callable

    from relselect.budget import Budget
    from relselect.dfs.prefix.matrix import FeatureMatrix
    from relselect.families.protocol import Config
    from relselect.tasks import Task

__all__ = ["Fitted", "train", "train_again"]

Floats = NDArray[np.float64]

#: Threads at most; more do not help on features of this size.
_MAX_THREADS = 8
#: Rounds between two points of the learning curve.
_EVERY = 10
#: Another booster begins while this many times the slowest one's seconds are left.
_MARGIN = 1.2
#: Distance of the boosters' seeds.
_NEXT_SEED = 1_000_003
#: How values become bins; a data set that is used with other parameters again must not drop features for them.
_DATA = {"max_cat_to_onehot": 8, "feature_pre_filter": False, "verbosity": -1}
#: LightGBM's name and sign of the metrics it can follow.
_METRICS = {
    "roc_auc": ("auc", 1.0),
    "average_precision": ("average_precision", 1.0),
    "neg_mean_absolute_error": ("l1", -1.0),
    "neg_root_mean_squared_error": ("rmse", -1.0),
}


@dataclass(frozen=True)
class Fitted:
    """What training gives.

    Attributes:
        trees: The model, each booster at its best round.
        rounds: The boosters' numbers of trees (per class), on average.
        curve: The first booster's validation loss, and score where LightGBM can tell it, every few rounds.
        stopped: Why training ended: "early", "rounds", "budget" or "constant".
        seconds: What one booster took, at most.
    """

    trees: Trees
    rounds: int
    curve: list[dict[str, float]]
    stopped: str
    seconds: float = 0.0


def train(
    task: Task,
    config: Config,
    data: tuple[FeatureMatrix, Floats],
    validation: tuple[FeatureMatrix, Floats],
    *,
    seed: int,
    budget: Budget,
    progress: Callable[[int, float, float], None],
) -> Fitted:
    """Train on labelled features and stop at the best round on the validation rows.

    Boosters beyond the first differ by their seed; one begins only while the budget holds as long as the slowest took.

    Args:
        task: Its kind, classes and metric choose the loss.
        config: Learning rate, num_leaves and so on (`relselect.dfs.family`).
        data: Training features and labels.
        validation: Validation features and labels.
        seed: Seed of row and feature sampling.
        budget: Ends training; the best round so far is kept.
        progress: Told round, validation loss and score of the first booster now and then.

    Raises:
        BudgetExhausted: No round was finished.
    """
    constant = _constant(task, data[1])
    if not data[0].values.shape[1] or len(np.unique(data[1])) < 2:
        return Fitted(Trees((), constant), 0, [], "constant")
    budget.check()
    centre, scale = _standard(task, data[1])
    main = _dataset([data[0]], (data[1] - centre) / scale)
    held = main.create_valid(validation[0].values, (validation[1] - centre) / scale, params=_DATA)
    watches: list[_Watch] = []
    texts: list[str] = []
    slowest = 0.0
    for number in range(max(1, int(config["bags"]))):
        if number and budget.left() < _MARGIN * slowest:
            break
        begun = time.monotonic()
        watch = _Watch(task, config, budget, scale, progress if number == 0 else _quiet)
        booster = _boost(_params(task, config, seed, number), main, int(config["rounds"]), held, watch)
        if watch.stopped == "budget" and number:
            break
        if watch.rounds == 0:
            raise BudgetExhausted("the budget ended before the first boosting round")
        texts.append(booster.model_to_string(num_iteration=watch.best))
        watches.append(watch)
        slowest = max(slowest, time.monotonic() - begun)
    rounds = round(float(np.mean([watch.best for watch in watches])))
    return Fitted(Trees(texts, constant, centre, scale), rounds, watches[0].curve, watches[0].stopped, slowest)


def train_again(
    task: Task,
    config: Config,
    parts: Sequence[tuple[FeatureMatrix, Floats]],
    fitted: Fitted,
    *,
    seed: int,
    budget: Budget,
) -> Trees | None:
    """Train on all labelled features for as many rounds as were best before, with as many boosters.

    Args:
        task: As for `train`.
        config: The configuration.
        parts: Features and labels, training rows and later ones.
        fitted: What stopped on validation rows.
        seed: Seed of row and feature sampling.
        budget: Ends training.

    Returns:
        The trees, or None where the budget ended first or there is nothing to train.
    """
    if not fitted.trees.texts or fitted.rounds < 1:
        return None
    label = np.concatenate([each for _, each in parts])
    centre, scale = _standard(task, label)
    main = _dataset([matrix for matrix, _ in parts], (label - centre) / scale)
    texts = []
    for number in range(len(fitted.trees.texts)):
        watch = _Limit(budget)
        booster = _boost(_params(task, config, seed, number), main, fitted.rounds, None, watch)
        if watch.spent:
            return None
        texts.append(booster.model_to_string())
    return Trees(texts, _constant(task, label), centre, scale)


def _dataset(parts: Sequence[FeatureMatrix], label: Floats) -> Any:
    import lightgbm

    categories = [place for place, flag in enumerate(parts[0].categorical) if flag]
    values: Any = parts[0].values if len(parts) == 1 else [part.values for part in parts]
    return lightgbm.Dataset(values, label, categorical_feature=categories, params=_DATA, free_raw_data=False)


def _boost(params: dict[str, Any], main: Any, rounds: int, held: Any, watch: Any) -> Any:
    import lightgbm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        valid = [] if held is None else [held]
        return lightgbm.train(params, main, num_boost_round=rounds, valid_sets=valid, callbacks=[watch])


def _standard(task: Task, label: Floats) -> tuple[float, float]:
    """Return the middle and the spread of regression labels, 0 and 1 for classes."""
    if task.kind != "regression":
        return 0.0, 1.0
    spread = float(label.std())
    return float(np.median(label)), spread if np.isfinite(spread) and spread > 0 else 1.0


def _threads() -> int:
    """Return how many threads to train with: the cores that nobody uses now.

    LightGBM's threads wait for one another after every split; on a core that is shared, two threads were measured to be
    ten to twenty times slower than one. The number of threads changes no bit of the model.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if os.environ.get("OMP_WAIT_POLICY", "").upper() == "PASSIVE":
        return min(cores, _MAX_THREADS)  # threads that sleep while they wait do not mind company
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return max(1, min(cores, _MAX_THREADS, round(cores - busy)))


def _params(task: Task, config: Config, seed: int, number: int) -> dict[str, Any]:
    """Return LightGBM's parameters: the loss suits the metric, the rest is the configuration."""
    params: dict[str, Any] = {
        **_DATA,
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
        "num_threads": _threads(),
    }
    known = _METRICS.get(task.metric.name, (None, 1.0))[0]
    if task.kind == "regression":
        loss = "l1" if known == "l1" else "l2"
        return {**params, "objective": loss, "metric": list(dict.fromkeys([loss, *([known] if known else [])]))}
    if task.kind == "binary":
        return {**params, "objective": "binary", "metric": ["binary_logloss", *([known] if known else [])]}
    return {**params, "objective": "multiclass", "num_class": len(task.classes or ()), "metric": ["multi_logloss"]}


def _constant(task: Task, label: Floats) -> Floats:
    """Return what is predicted without a model: class shares, the median under absolute error, else the mean."""
    if task.kind == "multiclass":
        counts = np.bincount(label.astype(np.int64), minlength=len(task.classes or ()))
        return np.asarray(counts / max(1, counts.sum()), dtype=np.float64)
    median = task.metric.name == "neg_mean_absolute_error"
    return np.asarray((np.median(label) if median else label.mean()) if len(label) else 0.0, dtype=np.float64)


@dataclass(eq=False)
class _Watch:
    """Called after every round: keeps the best one, stops early, and stops when the budget ends."""

    task: Task
    config: Config
    budget: Budget
    scale: float
    progress: Callable[[int, float, float], None]
    rounds: int = 0
    best: int = 0
    value: float = float("-inf")
    curve: list[dict[str, float]] = field(default_factory=list)
    stopped: str = "rounds"
    order: int = 30
    before_iteration: bool = False

    def __call__(self, env: Any) -> None:
        """Look at one round's validation figures."""
        figures = {name: value for _, name, value, _ in env.evaluation_result_list}
        first = next(iter(figures))
        loss = float(figures[first]) * (self.scale**2 if first == "l2" else self.scale)
        known, sign = _METRICS.get(self.task.metric.name, (None, 1.0))
        score = sign * float(figures[known]) * self.scale if known in figures else float("nan")
        followed = score if self.config.get("stop_on") == "metric" and np.isfinite(score) else -loss
        self.rounds = env.iteration + 1
        if followed > self.value:
            self.value, self.best = followed, self.rounds
        if env.iteration % _EVERY == 0:
            self.curve.append(
                {"step": float(self.rounds), "loss": loss, **({"score": score} if np.isfinite(score) else {})}
            )
            self.progress(self.rounds, loss, score)
        if self.rounds - self.best >= int(self.config["patience"]):
            self._stop("early")
        if self.budget.spent:
            self._stop("budget")

    def _stop(self, why: str) -> None:
        from lightgbm.callback import EarlyStopException

        self.stopped = why
        raise EarlyStopException(self.best - 1, [])


@dataclass(eq=False)
class _Limit:
    """Called before every round: stops when the budget ends."""

    budget: Budget
    spent: bool = False
    order: int = 30
    before_iteration: bool = True

    def __call__(self, env: Any) -> None:
        """Look at the clock."""
        from lightgbm.callback import EarlyStopException

        if self.budget.spent:
            self.spent = True
            raise EarlyStopException(env.iteration, [])


def _quiet(step: int, loss: float, score: float) -> None:
    """Say nothing of the boosters beyond the first."""

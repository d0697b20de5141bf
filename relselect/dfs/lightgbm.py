"""Gradient-boosted trees (Ke et al. 2017) on a feature matrix, stopped early on validation rows and by the budget.

Nothing here knows about databases. A model is kept as LightGBM's text from the moment it is trained, so that a model in
memory and the same model read from a file give the same bits.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from relselect.errors import BudgetExhausted

if TYPE_CHECKING:
    from collections.abc import Callable

    from relselect.budget import Budget
    from relselect.dfs.matrix import FeatureMatrix
    from relselect.family import Config
    from relselect.tasks import Task

__all__ = ["Fitted", "Trees", "train"]

Floats = NDArray[np.float64]

#: Threads at most; more do not help on features of this size.
_MAX_THREADS = 8
#: Rounds between two points of the learning curve.
_EVERY = 10
#: LightGBM's name and sign of the metrics it can follow.
_METRICS = {
    "roc_auc": ("auc", 1.0),
    "average_precision": ("average_precision", 1.0),
    "neg_mean_absolute_error": ("l1", -1.0),
    "neg_root_mean_squared_error": ("rmse", -1.0),
}


class Trees:
    """A trained model: LightGBM's text, or a constant where there was nothing to learn.

    Args:
        text: LightGBM's text, or None.
        constant: What is predicted without a model: a number, or one probability per class.
    """

    def __init__(self, text: str | None, constant: Floats) -> None:
        self.text, self.constant = text, constant
        self._booster: Any = None

    @property
    def booster(self) -> Any:
        """LightGBM's booster, built from the text."""
        if self._booster is None and self.text is not None:
            import lightgbm

            self._booster = lightgbm.Booster(model_str=self.text)
        return self._booster

    def predict(self, values: Floats) -> Floats:
        """Return predictions of shape (n,), or (n, classes), for features of shape (n, k)."""
        if self.booster is None or not len(values):
            return np.broadcast_to(self.constant, (len(values), *self.constant.shape)).copy()
        return np.asarray(self.booster.predict(np.ascontiguousarray(values)), dtype=np.float64)

    def gains(self) -> Floats | None:
        """Return each feature's share of the total gain, shape (k,), or None for a constant."""
        if self.booster is None:
            return None
        gain = np.asarray(self.booster.feature_importance(importance_type="gain"), dtype=np.float64)
        return gain / gain.sum() if gain.sum() > 0 else gain


@dataclass(frozen=True)
class Fitted:
    """What training gives.

    Attributes:
        trees: The model at its best round.
        rounds: Its number of trees (per class).
        curve: Validation loss, and score where LightGBM can tell it, every few rounds.
        stopped: Why training ended: "early", "rounds", "budget" or "constant".
    """

    trees: Trees
    rounds: int
    curve: list[dict[str, float]]
    stopped: str


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

    Args:
        task: Its kind, classes and metric choose the loss.
        config: Learning rate, num_leaves and so on (`relselect.dfs.family`).
        data: Training features and labels.
        validation: Validation features and labels.
        seed: Seed of row and feature sampling.
        budget: Ends training; the best round so far is kept.
        progress: Told round, validation loss and score now and then.

    Raises:
        BudgetExhausted: No round was finished.
    """
    constant = _constant(task, data[1])
    if not data[0].values.shape[1] or len(np.unique(data[1])) < 2:
        return Fitted(Trees(None, constant), 0, [], "constant")
    budget.check()
    return _boost(task, config, data, validation, _Watch(task, config, budget, progress), seed, constant)


def _boost(
    task: Task,
    config: Config,
    data: tuple[FeatureMatrix, Floats],
    validation: tuple[FeatureMatrix, Floats],
    watch: _Watch,
    seed: int,
    constant: Floats,
) -> Fitted:
    import lightgbm

    params = _params(task, config, seed)
    categories = [place for place, flag in enumerate(data[0].categorical) if flag]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main = lightgbm.Dataset(data[0].values, data[1], categorical_feature=categories, params=params)
        held = main.create_valid(validation[0].values, validation[1], params=params)
        booster = lightgbm.train(
            params, main, num_boost_round=int(config["rounds"]), valid_sets=[held], callbacks=[watch]
        )
    if watch.rounds == 0:
        raise BudgetExhausted("the budget ended before the first boosting round")
    text = booster.model_to_string(num_iteration=watch.best)
    return Fitted(Trees(text, constant), watch.best, watch.curve, watch.stopped)


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


def _params(task: Task, config: Config, seed: int) -> dict[str, Any]:
    """Return LightGBM's parameters: the loss suits the metric, the rest is the configuration."""
    params: dict[str, Any] = {
        "learning_rate": config["learning_rate"],
        "num_leaves": config["num_leaves"],
        "min_data_in_leaf": config["min_child_samples"],
        "bagging_fraction": config["subsample"],
        "bagging_freq": 1,
        "feature_fraction": config["colsample"],
        "lambda_l1": config["lambda_l1"],
        "lambda_l2": config["lambda_l2"],
        "seed": seed % (2**31 - 1),
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": _threads(),
        "verbosity": -1,
        "max_cat_to_onehot": 8,
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
        loss = float(next(iter(figures.values())))
        known, sign = _METRICS.get(self.task.metric.name, (None, 1.0))
        score = sign * figures[known] if known in figures else float("nan")
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

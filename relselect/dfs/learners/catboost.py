"""CatBoost (Prokhorenkova et al. 2018) as a learner: oblivious boosted trees. Needs the extra `catboost`.

Categories are read as one column per frequent value (CatBoost's one-hot mode), without its target statistics, so that a
trained model is plain trees and predicts without CatBoost.
"""

from __future__ import annotations

import importlib.util
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.dfs.learners.constant import constant_fit
from relselect.dfs.learners.labels import LabelScale, fits_median
from relselect.dfs.learners.oblivious import ObliviousTrees, TreeColumns
from relselect.dfs.learners.protocol import LearnerFit, TabularData, weights_of_parts
from relselect.dfs.learners.trees import TREES_FILE, Trees
from relselect.errors import BudgetExhausted, ConfigError, FitPruned
from relselect.families.candidate import CurvePoint, LearningCurve
from relselect.threads import openmp_threads

if TYPE_CHECKING:
    from relselect.budget import Budget
    from relselect.dfs.learners.protocol import LearnedModel, LearnerProgress
    from relselect.families.candidate import Config, FitEnd
    from relselect.problem import Problem
    from relselect.tasks import Task

__all__ = ["CatBoost"]

#: Rounds between two points of the learning curve.
_EVERY = 10
_LOSSES = {"binary": "Logloss", "multiclass": "MultiClass"}


class CatBoost:
    """One booster of oblivious trees; see `Learner`.

    Example:
        >>> CatBoost().name
        'catboost'
    """

    name = "catboost"
    weighs_rows = True

    def tuned(self, problem: Problem) -> bool:
        """Return whether the package is installed."""
        return importlib.util.find_spec("catboost") is not None

    def default(self, problem: Problem) -> Config:
        """Return options near CatBoost's own, with smaller steps on few rows."""
        return {
            "learning_rate": 0.05,
            "depth_of_trees": 6,
            "leaf_l2": 3.0,
            "subsample": 0.8,
            "colsample": 0.5,
            "rounds": 2000,
            "patience": 100,
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
        """Train one booster to its best round; see `Learner.fit`.

        Raises:
            BudgetExhausted: No round was finished.
            ConfigError: CatBoost is not installed.
        """
        constant = constant_fit(task, config, train)
        if constant is not None:
            return constant
        budget.check()
        begun, scale = time.monotonic(), LabelScale.of(task, train.label, train.weights)
        columns = TreeColumns.fit(train.features.values, train.features.categorical)
        watch = _BoostingWatch(budget, int(config["patience"]), progress)
        stored = _boosted(task, config, columns, scale, [train], stop, seed, int(config["rounds"]), watch)
        if not watch.rounds:
            raise BudgetExhausted("the budget ended before the first boosting round")
        model = ObliviousTrees.of_json(stored, watch.best, task.kind, columns, scale)
        seconds = (time.monotonic() - begun) * watch.best / watch.rounds
        return LearnerFit(
            model, watch.best, LearningCurve("round", "stop", tuple(watch.points)), watch.ended, seconds, 1
        )

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
    ) -> ObliviousTrees | None:
        """Train one booster for as many rounds on all rows; see `Learner.refit`."""
        if not members or rounds < 1 or budget.spent:
            return None
        scale = LabelScale.of(task, np.concatenate([part.label for part in parts]), weights_of_parts(parts))
        values = np.concatenate([part.features.values for part in parts])
        columns = TreeColumns.fit(values, parts[0].features.categorical)
        watch = _BoostingWatch(budget, rounds, lambda *how: None)
        stored = _boosted(task, config, columns, scale, parts, None, seed, rounds, watch)
        return None if watch.rounds < rounds else ObliviousTrees.of_json(stored, rounds, task.kind, columns, scale)

    def load(self, folder: Path) -> LearnedModel:
        """Return the trees, or the constant, that was saved."""
        return Trees.load(folder) if (folder / TREES_FILE).exists() else ObliviousTrees.load(folder)


@dataclass(eq=False)
class _BoostingWatch:
    """Called after every round: keeps the best one, and ends training early, with the budget or when it is pruned."""

    budget: Budget
    patience: int
    progress: LearnerProgress
    rounds: int = 0
    best: int = 0
    value: float = float("inf")
    points: list[CurvePoint] = field(default_factory=list)
    ended: FitEnd = "limit"
    pruned: FitPruned | None = None

    def after_iteration(self, info: Any) -> bool:
        """Read one round's loss; return whether to go on."""
        self.rounds = int(info.iteration)
        figures = info.metrics.get("validation")
        if figures is not None:
            loss = float(next(iter(figures.values()))[-1])
            if loss < self.value:
                self.value, self.best = loss, self.rounds
            if self.rounds % _EVERY == 1:
                self.points.append(CurvePoint(self.rounds, loss))
                try:
                    self.progress(self.rounds, loss, float("nan"))
                except FitPruned as error:  # which CatBoost would wrap
                    self.pruned = error
                    return False
            if self.rounds - self.best >= self.patience:
                self.ended = "converged"
                return False
        if self.budget.spent:
            self.ended = "budget"
            return False
        return True


def _boosted(
    task: Task,
    config: Config,
    columns: TreeColumns,
    scale: LabelScale,
    parts: Sequence[TabularData],
    stop: TabularData | None,
    seed: int,
    rounds: int,
    watch: _BoostingWatch,
) -> dict[str, Any]:
    """Train a booster and return CatBoost's JSON of it."""
    if importlib.util.find_spec("catboost") is None:
        raise ConfigError(
            "learner", "catboost", "needs a package that is not installed", "pip install 'relselect[catboost]'"
        )
    import catboost

    regression = "MAE" if task.kind == "regression" and fits_median(task, config) else "RMSE"
    params: dict[str, Any] = {
        "loss_function": _LOSSES.get(task.kind, regression),
        "iterations": rounds,
        "learning_rate": config["learning_rate"],
        "depth": int(config["depth_of_trees"]),
        "l2_leaf_reg": config["leaf_l2"],
        "bootstrap_type": "Bernoulli",
        "subsample": config["subsample"],
        "rsm": config["colsample"],
        "random_seed": seed % (2**31 - 1),
        "thread_count": openmp_threads(1),
        "allow_writing_files": False,
        "use_best_model": False,  # the watch knows the best round
        "verbose": False,
    }
    if task.kind == "multiclass":
        params["classes_count"] = len(task.classes or ())
    booster = catboost.CatBoost(params)
    pools = [_pool(catboost, columns, scale, rows) for rows in (parts, [stop] if stop is not None else [])]
    booster.fit(pools[0], eval_set=pools[1], callbacks=[watch])
    if watch.pruned is not None:
        raise watch.pruned
    if not watch.rounds:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        booster.save_model(str(path), format="json")
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return stored


def _pool(catboost: Any, columns: TreeColumns, scale: LabelScale, parts: Sequence[TabularData]) -> Any:
    """Return CatBoost's data set of the rows of all parts; None for no part."""
    if not parts:
        return None
    weights = weights_of_parts(parts)
    read = np.concatenate([columns.read(part.features.values) for part in parts])
    return catboost.Pool(read, scale.standard(np.concatenate([part.label for part in parts])), weight=weights)

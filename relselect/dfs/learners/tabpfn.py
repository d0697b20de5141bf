"""TabPFN (Hollmann et al., Nature 2025) as a learner: a transformer that reads the training rows with every prediction.

Weights are looked for where the package `tabpfn` keeps them (TABPFN_MODEL_CACHE_DIR, else its cache folder) and are never
downloaded. Where they are missing, where a task is beyond the limits that the weights declare, or where a timed probe says
that the budget would not do, LightGBM stands in, and a note says why. It is not tuned on classification: elsewhere that cost
1.5 to 2.2 points of AUROC.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from relselect.dfs.learners.constant import constant_fit
from relselect.dfs.learners.labels import LabelScale, fits_median
from relselect.dfs.learners.lightgbm import LightGBM
from relselect.dfs.learners.protocol import LearnerFit, TabularData
from relselect.dfs.learners.trees import TREES_FILE, Trees
from relselect.families.candidate import LearningCurve

if TYPE_CHECKING:
    from pathlib import Path

    from relselect.budget import Budget
    from relselect.dfs.learners.in_context import InContextModel
    from relselect.dfs.learners.protocol import LearnedModel, LearnerProgress
    from relselect.families.candidate import Config
    from relselect.problem import Problem
    from relselect.tasks import Task

__all__ = ["TabPFN"]

#: Rows of the timed probe: context, and queries.
_CONTEXT, _QUERIES = 200, 50
#: Share of the budget that the predictions of stop and select rows may take by the probe's measure.
_AFFORDABLE = 0.5
#: Seconds grow with this power of the rows between the probe and the whole: attention is quadratic, the rest is linear.
_POWER = 1.5


class TabPFN:
    """In-context prediction, or LightGBM in its place; see `Learner`.

    Example:
        >>> TabPFN().name
        'tabpfn'
    """

    name = "tabpfn"
    weighs_rows = False

    def tuned(self, problem: Problem) -> bool:
        """Return whether it is a regression and the network's weights are on disk."""
        if problem.task.kind != "regression":
            return False
        from relselect.dfs.learners.in_context import weights_of

        return weights_of(problem.task.kind) is not None

    def default(self, problem: Problem) -> Config:
        """Return the number of estimators, and the options of LightGBM, which may stand in."""
        return {**LightGBM().default(problem), "estimators": 4}

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
        """Keep the training rows as context, once a probe has shown that predicting is affordable; see `Learner.fit`.

        Raises:
            BudgetExhausted: The budget is spent.
        """
        budget.check()
        begun, curve = time.monotonic(), LearningCurve("round", "stop", ())
        constant = constant_fit(task, config, train)
        if constant is not None:
            return constant
        model = _in_context(task, config, [train], seed)
        why = model if isinstance(model, str) else _unaffordable(model, stop, budget)
        if why or isinstance(model, str):
            note = f"TabPFN was not used: {why}. LightGBM stands in."
            fitted = LightGBM().fit(task, config, train, stop, seed=seed, budget=budget, progress=progress)
            return LearnerFit(
                fitted.model, fitted.rounds, fitted.curve, fitted.ended, fitted.seconds, fitted.members, notes=(note,)
            )
        return LearnerFit(model, 0, curve, "converged", time.monotonic() - begun, 1)

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
    ) -> LearnedModel | None:
        """Take all rows as context, or refit the trees that stood in, which alone have rounds; see `Learner.refit`."""
        if rounds:
            return LightGBM().refit(task, config, parts, rounds=rounds, members=members, seed=seed, budget=budget)
        if not members or budget.spent:
            return None
        model = _in_context(task, config, parts, seed)
        return None if isinstance(model, str) else model

    def load(self, folder: Path) -> LearnedModel:
        """Return the context, or the trees that stood in."""
        if (folder / TREES_FILE).exists():
            return Trees.load(folder)
        from relselect.dfs.learners.in_context import InContextModel

        return InContextModel.load(folder)


def _in_context(task: Task, config: Config, parts: Sequence[TabularData], seed: int) -> InContextModel | str:
    """Return the model, or why there is none."""
    from relselect.dfs.learners.in_context import Context, InContextModel, limits_of, weights_of

    weights = weights_of(task.kind)
    if weights is None:
        return "its weights are not on disk (see TABPFN_MODEL_CACHE_DIR in the documentation of tabpfn)"
    values = np.concatenate([part.features.values for part in parts])
    label = np.concatenate([part.label for part in parts])
    limits = limits_of(weights, task.kind)
    classes = len(task.classes or ()) if task.kind == "multiclass" else 2
    if values.shape[1] > limits.features:
        return f"its weights are made for {limits.features} features at most, and there are {values.shape[1]}"
    if task.kind != "regression" and classes > limits.classes:
        return f"its weights are made for {limits.classes} classes at most, and there are {classes}"
    places = np.arange(len(label))
    if len(label) > limits.rows:
        places = np.sort(np.random.default_rng(seed).permutation(len(label))[: limits.rows])
    context = Context(
        kind=task.kind,
        classes=classes,
        median=task.kind == "regression" and fits_median(task, config),
        floor=LabelScale.of(task, label).floor,
        categorical=tuple(place for place, flag in enumerate(parts[0].features.categorical) if flag),
        estimators=int(config["estimators"]),
        seed=seed % (2**31 - 1),
        weights=weights.name,
    )
    return InContextModel(context, values[places], label[places])


def _unaffordable(model: InContextModel, stop: TabularData, budget: Budget) -> str:
    """Return why predicting the validation rows would take too much of the budget, measured on a part; "" if it would not."""
    from relselect.dfs.learners.in_context import BLOCK

    part = model.part(_CONTEXT)
    queries = stop.features.values[:_QUERIES]
    part.predict(queries[:1])  # reads the weights
    begun = time.monotonic()
    part.predict(queries)
    seconds = time.monotonic() - begun
    small, rows = len(part.label) + len(queries), 2 * len(stop.label)
    block = min(BLOCK, max(1, rows))
    expected = seconds * ((len(model.label) + block) / small) ** _POWER * -(-rows // block)
    if expected <= _AFFORDABLE * budget.left():
        return ""
    return f"predicting the validation rows would take about {expected:.0f} s, and {budget.left():.0f} s are left"

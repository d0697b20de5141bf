"""Feature affinity: the skill of a small fixed learner on synthesised features of depth one and two.

The learner is not tuned, so that the number depends on the features alone. Weights of TabPFN are used where they are on this
machine and never downloaded.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.errors import BudgetExhausted
from relselect.profile import readings
from relselect.profile.measure import Measure
from relselect.profile.skill import HeldOut, SkillScorer, hold_out
from relselect.threads import openmp_threads

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.profile.view import View

__all__ = ["feature_affinity_measures", "tabpfn_weights"]

_GROUP = "affinity"
_DEPTHS = (1, 2)
#: Largest number of features by depth: the first of the default plan.
_MOST_FEATURES = {1: 100, 2: 200}
_MOST_FIT, _MOST_SCORED = 10_000, 5_000
_MOST_TABPFN = 2_000
_ROUNDS = 100
_PARAMETERS = {
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
_THREADS = 2


def feature_affinity_measures(view: View, budget: Budget, only: Collection[str] | None = None) -> list[Measure]:
    """Return the skill of a fixed learner on the default features of depth 1, and of depth up to 2.

    * `feature_affinity_depth1`, `2`: LightGBM (Ke et al. 2017) of 100 trees of 15 leaves at rate 0.05, on at most 100 and 200
      features;
    * `tabpfn_affinity_depth1`, `2`: TabPFN (Hollmann et al. 2025) on the same features and at most 2,000 rows; undefined
      without weights.

    Rows to fit on and to score on are those of `relselect.profile.skill.hold_out`; the skill is that of
    `relselect.profile.skill.SkillScorer`.

    Args:
        view: The training rows; at most 10,000 are fitted on and 5,000 scored.
        budget: A depth whose turn comes after the budget is spent is undefined.
        only: Depths of which no measure is named here are left out, and TabPFN where none of its is; None measures all.
    """
    named = [
        (depth, f"feature_affinity_depth{depth}", f"tabpfn_affinity_depth{depth}")
        for depth in _DEPTHS
        if only is None or {f"feature_affinity_depth{depth}", f"tabpfn_affinity_depth{depth}"} & set(only)
    ]
    held = hold_out(view, _MOST_FIT, _MOST_SCORED) if named else ""
    if isinstance(held, str):
        names = [first for _, first, _ in named] + [other for _, _, other in named if only is None or other in only]
        return [Measure.undefined(name, _GROUP, held) for name in names]
    weights = tabpfn_weights(view.problem.task.kind)
    probes, second = [], []
    for depth, name, other in named:
        begun = time.monotonic()
        try:
            fit, score, categorical = _features(view, held, depth, budget)
        except BudgetExhausted:
            seconds = time.monotonic() - begun
            probes.append(Measure.undefined(name, _GROUP, readings.OUT_OF_TIME, seconds))
            if only is None or other in only:
                second.append(Measure.undefined(other, _GROUP, readings.OUT_OF_TIME))
            continue
        prediction = _boosted(view, held, fit, score, categorical)
        probes.append(_measure(view, held, name, prediction, depth, begun))
        if only is None or other in only:
            second.append(_tabpfn(view, held, depth, fit, score, weights))
    return [*probes, *second]


def _features(
    view: View, held: HeldOut, depth: int, budget: Budget
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[int]]:
    """Return the features of the rows to fit on, those of the rows to score, and the places of categorical features."""
    from relselect.dfs.plan.enumeration import default_plan
    from relselect.dfs.prefix.encoding import Vocabulary
    from relselect.dfs.prefix.matrix import compute

    budget.check()
    problem = view.problem
    plan = default_plan(problem, depth=depth, cap=_MOST_FEATURES[depth])
    vocabulary = Vocabulary.fit(problem, plan)
    rows = problem.rows("train")
    found = [
        compute(problem, plan, rows.take(view.number[places]), vocabulary, budget.check).values
        for places in (held.fit, held.score)
    ]
    return found[0], found[1], [place for place, feature in enumerate(plan) if feature.categorical]


def _boosted(
    view: View, held: HeldOut, fit: NDArray[np.float64], score: NDArray[np.float64], categorical: list[int]
) -> NDArray[np.float64]:
    """Return predictions of the scored rows: values, probabilities, or class numbers for more than two classes."""
    import lightgbm

    from relselect.dfs.learners.boosting import train_booster

    label = view.label[held.fit]
    if fit.shape[1] == 0 or len(np.unique(label)) < 2:
        return np.full(len(score), np.median(label))
    kinds: dict[int, dict[str, Any]] = {0: {"objective": "l1"}, 2: {"objective": "binary"}}
    kind = kinds.get(view.classes, {"objective": "multiclass", "num_class": view.classes})
    center, scale = (float(np.median(label)), float(label.std()) or 1.0) if view.classes == 0 else (0.0, 1.0)
    parameters = {**_PARAMETERS, **kind, "num_threads": openmp_threads(_THREADS), "seed": view.seed % (2**31 - 1)}
    data = lightgbm.Dataset(fit, (label - center) / scale, categorical_feature=categorical, params=parameters)
    booster = train_booster(parameters, data, _ROUNDS)
    found = np.asarray(booster.predict(np.ascontiguousarray(score)), dtype=np.float64)
    return found.argmax(axis=1).astype(np.float64) if view.classes > 2 else found * scale + center


def _reference(view: View, held: HeldOut) -> float:
    label = view.label[held.fit]
    return float(np.bincount(label.astype(int)).argmax()) if view.classes > 2 else float(np.median(label))


def _measure(
    view: View, held: HeldOut, name: str, prediction: NDArray[np.float64], depth: int, begun: float
) -> Measure:
    value, error = SkillScorer(view, held.score, _reference(view, held)).skill(prediction)
    seconds = time.monotonic() - begun
    if np.isnan(value):
        return Measure(name, value, error, _GROUP, readings.UNDEFINED_SKILL, seconds)
    reading = readings.feature_skill(value, error, depth, tabpfn=name.startswith("tabpfn"))
    return Measure(name, value, error, _GROUP, reading, seconds)


def tabpfn_weights(kind: str) -> Path | None:
    """Return the file of TabPFN's weights for a kind of task, None where it is not on this machine.

    The folders `TABPFN_MODEL_CACHE_DIR` and the package's own cache are searched.

    Args:
        kind: "binary", "multiclass" or "regression".
    """
    name = "regressor" if kind == "regression" else "classifier"
    named = os.environ.get("TABPFN_MODEL_CACHE_DIR")
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    for folder in ([Path(named)] if named else []) + [Path(cache) / "tabpfn"]:
        found = sorted(folder.glob(f"tabpfn-*{name}*.ckpt")) if folder.is_dir() else []
        if found:
            return found[0]
    return None


def _tabpfn(
    view: View,
    held: HeldOut,
    depth: int,
    fit: NDArray[np.float64],
    score: NDArray[np.float64],
    weights: Path | None,
) -> Measure:
    name = f"tabpfn_affinity_depth{depth}"
    if weights is None:
        return Measure.undefined(name, _GROUP, readings.NO_TABPFN)
    begun = time.monotonic()
    try:
        prediction = _in_context(view, held, fit, score, weights)
    except (
        Exception
    ) as error:  # weights of another version, too little memory: the profile goes on without this measure
        reading = readings.tabpfn_failed(type(error).__name__)
        return Measure.undefined(name, _GROUP, reading, time.monotonic() - begun)
    return _measure(view, held, name, prediction, depth, begun)


def _in_context(
    view: View, held: HeldOut, fit: NDArray[np.float64], score: NDArray[np.float64], weights: Path
) -> NDArray[np.float64]:
    from tabpfn import TabPFNClassifier, TabPFNRegressor

    build = TabPFNRegressor if view.classes == 0 else TabPFNClassifier
    model = build(model_path=str(weights), n_estimators=1, random_state=view.seed, ignore_pretraining_limits=True)
    model.fit(fit[:_MOST_TABPFN], view.label[held.fit][:_MOST_TABPFN])
    if view.classes == 0:
        return np.asarray(model.predict(score), dtype=np.float64)
    chances = np.asarray(model.predict_proba(score), dtype=np.float64)
    return chances[:, -1] if view.classes == 2 else np.asarray(model.classes_)[chances.argmax(axis=1)].astype(float)

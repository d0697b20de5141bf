"""Feature affinity: what a fixed small learner makes of synthesised features, of one step and of two.

The learner is a fixed LightGBM (Ke et al. 2017), untuned on purpose: the number tells how much aggregated features hold,
not how well somebody tuned. Fitted and scored as every skill (`relselect.profile.skill`). TabPFN (Hollmann et al. 2025)
stands beside it where its weights are on this machine; they are never downloaded.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.errors import BudgetExhausted
from relselect.profile.measure import Measure
from relselect.profile.skill import UNDEFINED, Held, Scored, hold_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.profile.view import View

__all__ = ["feature_affinity_measures", "tabpfn_weights"]

_GROUP = "affinity"
_DEPTHS = (1, 2)
_NAMES = (
    *(f"feature_affinity_depth{depth}" for depth in _DEPTHS),
    *(f"tabpfn_affinity_depth{depth}" for depth in _DEPTHS),
)
#: Features of the probe at most, by depth: the most promising of the default plan.
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
    "num_threads": 2,
}


def feature_affinity_measures(view: View, budget: Budget) -> list[Measure]:
    """Return the skill of the probe on features of one step, and of up to two.

    Args:
        view: The train rows.
        budget: A depth that there is no time for is left out with a word.
    """
    held = hold_out(view, _MOST_FIT, _MOST_SCORED)
    if isinstance(held, str):
        return [Measure(name, np.nan, np.nan, _GROUP, held) for name in _NAMES]
    weights = tabpfn_weights(view.problem.task.kind)
    probes, second = [], []
    for depth, name, other in zip(_DEPTHS, _NAMES[:2], _NAMES[2:], strict=True):
        begun = time.monotonic()
        try:
            fit, score, categorical = _features(view, held, depth, budget)
        except BudgetExhausted:
            text = "The time for the profile ended before it was measured."
            probes.append(Measure(name, np.nan, np.nan, _GROUP, text, time.monotonic() - begun))
            second.append(Measure(other, np.nan, np.nan, _GROUP, text))
            continue
        prediction = _boosted(view, held, fit, score, categorical)
        probes.append(_measure(view, held, name, prediction, f"features of {_steps(depth)}", begun))
        second.append(_tabpfn(view, held, other, fit, score, weights))
    return [*probes, *second]


def _steps(depth: int) -> str:
    return "one step" if depth == 1 else "up to two steps"


def _features(
    view: View, held: Held, depth: int, budget: Budget
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[int]]:
    """Return features of the rows to fit and to score on, and which columns hold categories."""
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
    view: View, held: Held, fit: NDArray[np.float64], score: NDArray[np.float64], categorical: list[int]
) -> NDArray[np.float64]:
    """Return the probe's predictions of the scored rows: values, probabilities, or class numbers beyond two classes."""
    import lightgbm

    label = view.label[held.fit]
    if fit.shape[1] == 0 or len(np.unique(label)) < 2:
        return np.full(len(score), np.median(label))
    kinds: dict[int, dict[str, Any]] = {0: {"objective": "l1"}, 2: {"objective": "binary"}}
    kind = kinds.get(view.classes, {"objective": "multiclass", "num_class": view.classes})
    center, scale = (float(np.median(label)), float(label.std()) or 1.0) if view.classes == 0 else (0.0, 1.0)
    parameters = {**_PARAMETERS, **kind, "seed": view.seed % (2**31 - 1)}
    data = lightgbm.Dataset(fit, (label - center) / scale, categorical_feature=categorical, params=parameters)
    booster = lightgbm.train(parameters, data, num_boost_round=_ROUNDS)
    found = np.asarray(booster.predict(np.ascontiguousarray(score)), dtype=np.float64)
    return found.argmax(axis=1).astype(np.float64) if view.classes > 2 else found * scale + center


def _reference(view: View, held: Held) -> float:
    label = view.label[held.fit]
    return float(np.bincount(label.astype(int)).argmax()) if view.classes > 2 else float(np.median(label))


def _measure(view: View, held: Held, name: str, prediction: NDArray[np.float64], what: str, begun: float) -> Measure:
    value, error = Scored(view, held.score, _reference(view, held)).skill(prediction)
    seconds = time.monotonic() - begun
    if np.isnan(value):
        return Measure(name, value, error, _GROUP, UNDEFINED, seconds)
    text = f"A fixed small model on {what} has skill {value:.2f} (± {error:.2f}; 0 is a constant, 1 perfect)."
    return Measure(name, value, error, _GROUP, text, seconds)


def tabpfn_weights(kind: str) -> Path | None:
    """Return TabPFN's weights for a kind of task where they are on this machine, else None.

    They are looked for in `TABPFN_MODEL_CACHE_DIR`, then where the package keeps them.
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
    held: Held,
    name: str,
    fit: NDArray[np.float64],
    score: NDArray[np.float64],
    weights: Path | None,
) -> Measure:
    if weights is None:
        return Measure(name, np.nan, np.nan, _GROUP, "TabPFN's weights are not on this machine.")
    begun = time.monotonic()
    try:
        prediction = _in_context(view, held, fit, score, weights)
    except Exception as error:  # another version's weights, too little memory: an extra column is not worth a failure
        text = f"TabPFN did not run ({type(error).__name__})."
        return Measure(name, np.nan, np.nan, _GROUP, text, time.monotonic() - begun)
    return _measure(view, held, name, prediction, "the same features, TabPFN,", begun)


def _in_context(
    view: View, held: Held, fit: NDArray[np.float64], score: NDArray[np.float64], weights: Path
) -> NDArray[np.float64]:
    from tabpfn import TabPFNClassifier, TabPFNRegressor

    build = TabPFNRegressor if view.classes == 0 else TabPFNClassifier
    model = build(model_path=str(weights), n_estimators=1, random_state=view.seed, ignore_pretraining_limits=True)
    model.fit(fit[:_MOST_TABPFN], view.label[held.fit][:_MOST_TABPFN])
    if view.classes == 0:
        return np.asarray(model.predict(score), dtype=np.float64)
    chances = np.asarray(model.predict_proba(score), dtype=np.float64)
    return chances[:, -1] if view.classes == 2 else np.asarray(model.classes_)[chances.argmax(axis=1)].astype(float)

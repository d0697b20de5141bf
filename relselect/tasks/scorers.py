"""Further metrics: scikit-learn's scorers by their names, and functions that a program registers under a name.

A task keeps the name alone, so that saved predictors hold no code: who loads one with a metric of his own registers it first.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from relselect.errors import ConfigError
from relselect.tasks.kinds import TaskKind

__all__ = ["FurtherMetric", "further_metric", "register_metric", "unregister_metric"]

_AVERAGES = ("macro", "micro", "weighted")
_AVERAGED = tuple(f"{name}_{way}" for name in ("f1", "jaccard", "precision", "recall") for way in _AVERAGES)
_EITHER = ("balanced_accuracy", "matthews_corrcoef", *_AVERAGED)
#: Kind of task -> names of scikit-learn's scorers that suit it.
_SCIKIT_LEARN: dict[TaskKind, tuple[str, ...]] = {
    "binary": (*_EITHER, "f1", "jaccard", "precision", "recall", "neg_brier_score"),
    "multiclass": (*_EITHER, "roc_auc_ovo", "roc_auc_ovo_weighted", "roc_auc_ovr_weighted", "top_k_accuracy"),
    "regression": (
        "d2_absolute_error_score", "explained_variance", "neg_max_error", "neg_mean_absolute_percentage_error",
        "neg_mean_gamma_deviance", "neg_mean_poisson_deviance", "neg_mean_squared_error", "neg_mean_squared_log_error",
        "neg_median_absolute_error", "neg_root_mean_squared_log_error",
    ),
}  # fmt: skip
_LEAST = 1e-9


@dataclass(frozen=True)
class FurtherMetric:
    """A metric that is not among the built-in ones.

    Attributes:
        score: Returns the score of labels and predictions, higher is better.
        title: Its name for readers.
        sign: -1 when the familiar figure is the negative of the score (errors), else 1.
        explanation: What it says, in one sentence.
        perfect: The score of perfect predictions.
    """

    score: Callable[[Any, Any], float]
    title: str
    sign: int
    explanation: str
    perfect: float


_REGISTERED: dict[tuple[str, TaskKind], FurtherMetric] = {}


def register_metric(
    name: str,
    function: Callable[[Any, Any], float],
    kinds: Sequence[TaskKind] | TaskKind,
    *,
    greater_is_better: bool = True,
    title: str = "",
    explanation: str = "",
    perfect: float | None = None,
) -> None:
    """Make a metric known under a name, which tasks then take: `metric="name"`.

    Args:
        name: The name, of letters, digits and underscores; none of a built-in metric.
        function: Returns the figure of n labels and n predictions. Labels are 0 and 1, class numbers, or values, shape (n,);
            predictions are probabilities of the second class, shape (n,), of all classes, shape (n, classes), or values.
        kinds: The kind of task that it is for, "binary", "multiclass" or "regression", or several.
        greater_is_better: Whether greater figures are better; errors are printed as they are, and the least one is the best.
        title: Its name for readers; `name` in words if empty.
        explanation: What it says, in one sentence, for the report.
        perfect: The figure of perfect predictions: 1 where greater is better, 0 for errors, if None.

    Raises:
        ConfigError: The name is taken or no name, or a kind is unknown.

    >>> register_metric("largest_error", lambda label, prediction: abs(label - prediction).max(), "regression",
    ...                 greater_is_better=False)
    >>> further_metric("largest_error", "regression").score(np.array([1.0, 5.0]), np.array([1.0, 2.0]))
    -3.0
    >>> unregister_metric("largest_error")
    """
    listed: tuple[Any, ...] = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if not isinstance(name, str) or not name.isidentifier():
        raise ConfigError("name", name, "is no name of a metric", "Use letters, digits and underscores")
    if not listed or any(kind not in _SCIKIT_LEARN for kind in listed):
        raise ConfigError("kinds", kinds, "must name kinds of tasks", f"Use some of {', '.join(_SCIKIT_LEARN)}")
    for kind in listed:
        if further_metric(name, kind) is not None:
            raise ConfigError("name", name, f"is a metric of {kind} tasks already", "Give another name")
    sign = 1 if greater_is_better else -1
    found = FurtherMetric(
        lambda label, prediction: sign * float(function(label, prediction)),
        title or name.replace("_", " "),
        sign,
        explanation,
        sign * (perfect if perfect is not None else (1.0 if greater_is_better else 0.0)),
    )
    for kind in listed:
        _REGISTERED[name, kind] = found


def unregister_metric(name: str) -> None:
    """Forget a registered metric.

    Raises:
        ConfigError: None of that name is registered.
    """
    known = [key for key in _REGISTERED if key[0] == name]
    if not known:
        raise ConfigError("name", name, "is no registered metric", "Name one that was registered")
    for key in known:
        del _REGISTERED[key]


def further_metric(name: str, kind: TaskKind) -> FurtherMetric | None:
    """Return a registered metric, or the scorer of scikit-learn of that name; None where there is none for the kind."""
    if (name, kind) in _REGISTERED:
        return _REGISTERED[name, kind]
    return _of_scikit_learn(name, kind) if name in _SCIKIT_LEARN[kind] else None


@cache
def _of_scikit_learn(name: str, kind: TaskKind) -> FurtherMetric:
    from sklearn.metrics import get_scorer

    scorer = get_scorer(name)
    function, sign, options = scorer._score_func, scorer._sign, scorer._kwargs
    chances = scorer._response_method != "predict" and kind != "regression"
    takes = inspect.signature(function).parameters
    positive = name in ("neg_mean_gamma_deviance", "neg_mean_poisson_deviance")

    def score(label: Any, prediction: Any) -> float:
        given = dict(options)
        if kind != "regression":
            label = label.astype(int)
            if chances and prediction.ndim == 2:
                prediction = prediction / prediction.sum(axis=1, keepdims=True)
            if not chances:
                prediction = prediction.argmax(axis=1) if prediction.ndim == 2 else (prediction >= 0.5).astype(int)
            elif "labels" in takes and prediction.ndim == 2:
                given["labels"] = np.arange(prediction.shape[1])
            if "zero_division" in takes:
                given["zero_division"] = 0
        elif positive:
            prediction = np.maximum(prediction, _LEAST)
        try:
            return float(sign * function(label, prediction, **given))
        except ValueError:  # undefined on these rows, such as a logarithm of what is negative
            return float("nan")

    title = name.removeprefix("neg_").removesuffix("_score").replace("_", " ")
    better = "lower is better" if sign < 0 else "higher is better, 1 is perfect"
    return FurtherMetric(score, title, sign, f"It is scikit-learn's {name}: {better}.", 0.0 if sign < 0 else 1.0)

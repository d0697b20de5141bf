"""Metrics by kind of task, scikit-learn's where it has them, all turned so that higher is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.errors import TaskError
from relselect.tasks.kinds import TaskKind
from relselect.tasks.ranking import auc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.tasks.rows import Rows

__all__ = ["Metric", "bootstrap_scores", "default_metric", "interval_of", "metric_of", "skill"]

Scorer = Callable[[Any, Any], float]


@dataclass(frozen=True)
class Metric:
    """A score, higher is better.

    Attributes:
        name: scikit-learn's scorer name, e.g. "roc_auc" or "neg_mean_absolute_error".
        kind: The kind of task it scores.
        title: Its name for readers, e.g. "AUROC".
        sign: -1 when the familiar figure is the negative of the score (errors), else 1.
    """

    name: str
    kind: TaskKind
    title: str
    sign: int = 1

    def score(self, label: NDArray[np.float64], prediction: NDArray[np.float64]) -> float:
        """Return the score; nan where it is undefined (no rows, or one class for a ranking metric).

        Args:
            label: Shape (n,): values, 0/1, or class numbers.
            prediction: Shape (n,) values or probabilities of the positive class; (n, classes) for multiclass.
        """
        ranking = self.name in ("roc_auc", "average_precision", "roc_auc_ovr")
        if len(label) == 0 or (ranking and len(np.unique(label)) < 2) or not np.isfinite(prediction).all():
            return float("nan")
        return float(_SCORERS[self.name](label, prediction))


def _log_loss(label: Any, prediction: Any) -> float:
    clipped = np.clip(prediction, 1e-7, 1 - 1e-7)
    if clipped.ndim == 1:
        return float(np.mean(np.where(label == 1, np.log(clipped), np.log1p(-clipped))))
    rows = clipped / clipped.sum(axis=1, keepdims=True)
    return float(np.mean(np.log(rows[np.arange(len(label)), label.astype(int)])))


def _classes(prediction: Any) -> Any:
    return prediction.argmax(axis=1) if prediction.ndim == 2 else (prediction >= 0.5).astype(float)


def _roc_auc_ovr(label: Any, prediction: Any) -> float:
    """Mean one-against-rest AUROC over the classes that occur."""
    present = np.unique(label).astype(int)
    return float(np.mean([auc(label == k, prediction[:, k]) for k in present]))


def _average_precision(label: Any, prediction: Any) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(label, prediction))


def _f1_macro(label: Any, prediction: Any) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(label, _classes(prediction), average="macro"))


def _r2(label: Any, prediction: Any) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(label, prediction)) if len(label) > 1 else float("nan")


_SCORERS: dict[str, Scorer] = {
    "roc_auc": lambda label, prediction: auc(label == 1, prediction),
    "roc_auc_ovr": _roc_auc_ovr,
    "average_precision": _average_precision,
    "neg_log_loss": _log_loss,
    "accuracy": lambda label, prediction: float(np.mean(_classes(prediction) == label)),
    "f1_macro": _f1_macro,
    "neg_mean_absolute_error": lambda label, prediction: -float(np.mean(np.abs(label - prediction))),
    "neg_root_mean_squared_error": lambda label, prediction: -float(np.sqrt(np.mean((label - prediction) ** 2))),
    "r2": _r2,
}
_BY_KIND: dict[TaskKind, tuple[tuple[str, str, int], ...]] = {
    "binary": (
        ("roc_auc", "AUROC", 1),
        ("average_precision", "average precision", 1),
        ("neg_log_loss", "log loss", -1),
        ("accuracy", "accuracy", 1),
        ("f1_macro", "macro F1", 1),
    ),
    "multiclass": (
        ("roc_auc_ovr", "AUROC (one against rest)", 1),
        ("accuracy", "accuracy", 1),
        ("neg_log_loss", "log loss", -1),
        ("f1_macro", "macro F1", 1),
    ),
    "regression": (
        ("neg_mean_absolute_error", "MAE", -1),
        ("neg_root_mean_squared_error", "RMSE", -1),
        ("r2", "R²", 1),
    ),
}


def default_metric(kind: TaskKind) -> Metric:
    """Return the metric of a kind of task: AUROC, one-against-rest AUROC, or mean absolute error."""
    name, title, sign = _BY_KIND[kind][0]
    return Metric(name, kind, title, sign)


def metric_of(name: str | None, kind: TaskKind) -> Metric:
    """Return the metric called `name`, or the kind's default for None.

    Raises:
        TaskError: The kind of task has no such metric.
    """
    if name is None:
        return default_metric(kind)
    for known, title, sign in _BY_KIND[kind]:
        if known == name:
            return Metric(known, kind, title, sign)
    names = ", ".join(known for known, _, _ in _BY_KIND[kind])
    raise TaskError("metric", name, f"is no metric of a {kind} task", f"Use one of: {names}")


def bootstrap_scores(
    metric: Metric,
    label: NDArray[np.float64],
    prediction: NDArray[np.float64],
    clusters: NDArray[np.int64],
    *,
    seed: int = 0,
    draws: int = 100,
) -> NDArray[np.float64]:
    """Return scores on bootstrap samples of whole clusters (Field and Welsh 2007), undefined draws left out.

    Args:
        metric: The score.
        label: Shape (n,).
        prediction: Shape (n,) or (n, classes).
        clusters: Shape (n,): rows with equal numbers (an entity's rows) are drawn together.
        seed: Seed of the draws.
        draws: How many samples.

    Returns:
        At most `draws` scores.
    """
    _, group = np.unique(clusters, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 2)) if len(group) else np.zeros(1, dtype=np.int64)
    members = [order[a:b] for a, b in zip(starts[:-1], starts[1:], strict=True)]
    generator = np.random.default_rng(seed)
    scores = []
    for _ in range(draws if len(members) > 1 else 0):
        drawn = np.concatenate([members[k] for k in generator.integers(len(members), size=len(members))])
        scores.append(metric.score(label[drawn], prediction[drawn]))
    values = np.array(scores, dtype=np.float64)
    return values[np.isfinite(values)]


def interval_of(
    metric: Metric, rows: Rows, predictions: NDArray[np.float64], *, seed: int = 0, level: float = 0.9
) -> tuple[float, tuple[float, float]]:
    """Return the score of labelled rows and its bootstrap interval, clustered by entity.

    Args:
        metric: The score.
        rows: Labelled rows, n of them; rows of one entity are one cluster, a row without an entity is its own.
        predictions: Shape (n,) or (n, classes).
        seed: Seed of the bootstrap.
        level: Coverage of the interval, between 0 and 1.

    Returns:
        The score (higher is better) and (low, high); nan where undefined.
    """
    if rows.label is None:
        return float("nan"), (float("nan"), float("nan"))
    score = metric.score(rows.label, predictions)
    clusters = np.where(rows.entity >= 0, rows.entity, -1 - np.arange(len(rows)))
    draws = bootstrap_scores(metric, rows.label, predictions, clusters, seed=seed)
    if len(draws) < 10:
        return score, (float("nan"), float("nan"))
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return score, (float(low), float(high))


def skill(metric: Metric, score: float, reference: float) -> float:
    """Return a score on a scale where the reference constant has 0 and perfection 1.

    Ranking metrics use 2*AUC - 1, errors 1 - error/reference error, the rest (score - reference)/(1 - reference).
    """
    if metric.name in ("roc_auc", "roc_auc_ovr"):
        return 2 * score - 1
    if metric.sign < 0:
        return 1 - score / reference if reference else float("nan")
    return (score - reference) / (1 - reference) if reference != 1 else float("nan")

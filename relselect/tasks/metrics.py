"""Metrics: scores of predictions, their bootstrap intervals, and skill relative to a constant.

Every score is turned so that higher is better: errors are negative, as scikit-learn's scorers have them. Which predictions
are compared is decided by the callers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.errors import TaskError
from relselect.tasks.kinds import TaskKind
from relselect.tasks.ranking import auc, auc_of_levels, levels_of
from relselect.tasks.scorers import further_metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.tasks.rows import Rows

__all__ = [
    "Metric",
    "bootstrap_scores",
    "cluster_draws",
    "clusters_of",
    "default_metric",
    "interval_of",
    "metric_named",
    "metric_of",
    "skill",
]

Scorer = Callable[[Any, Any], float]

_REGISTER = "Metrics of your own are made known by relselect.register_metric"


@dataclass(frozen=True)
class Metric:
    """A score, higher is better.

    Attributes:
        name: scikit-learn's scorer name, e.g. "roc_auc" or "neg_mean_absolute_error".
        kind: The kind of task it scores.
        title: Its name for readers, e.g. "AUROC".
        sign: -1 when the familiar figure is the negative of the score (errors), else 1.
        explanation: What it says, in one sentence.
        perfect: The score of perfect predictions.

    >>> metric_named("roc_auc_ovr").title
    'AUROC (one against rest)'
    """

    name: str
    kind: TaskKind
    title: str
    sign: int = 1
    explanation: str = ""
    perfect: float = 1.0

    def score(self, label: NDArray[np.float64], prediction: NDArray[np.float64]) -> float:
        """Return the score; nan where it is undefined (no rows, or one class for a ranking metric).

        Args:
            label: Shape (n,): values, 0/1, or class numbers.
            prediction: Shape (n,) values or probabilities of the positive class; (n, classes) for multiclass.

        >>> metric_named("neg_mean_absolute_error").score(np.array([1.0, 2.0]), np.array([1.0, 5.0]))
        -1.5
        """
        ranking = self.name in ("roc_auc", "average_precision", "roc_auc_ovr")
        if len(label) == 0 or (ranking and len(np.unique(label)) < 2) or not np.isfinite(prediction).all():
            return float("nan")
        if self.name in _SCORERS:
            return float(_SCORERS[self.name](label, prediction))
        further = further_metric(self.name, self.kind)
        if further is None:
            raise TaskError("metric", self.name, "is registered no more", _REGISTER)
        return further.score(label, prediction)

    def score_of_rows(
        self, label: NDArray[np.float64], prediction: NDArray[np.float64]
    ) -> Callable[[NDArray[np.int64]], float]:
        """Return the function from row numbers, repeated ones included, to the `score` of those rows.

        It gives the same bits as `score`; a ranking metric sorts the predictions once, not at every call.

        Args:
            label: As for `score`.
            prediction: As for `score`.

        >>> label, prediction = np.array([0.0, 1.0, 1.0]), np.array([0.2, 0.1, 0.9])
        >>> metric_named("roc_auc").score_of_rows(label, prediction)(np.array([0, 2, 2]))
        1.0
        """
        if self.name in ("roc_auc", "roc_auc_ovr") and len(label) and np.isfinite(prediction).all():
            return _auc_of_rows(label, prediction)
        return lambda rows: self.score(label[rows], prediction[rows])


def _auc_of_rows(label: NDArray[np.float64], prediction: NDArray[np.float64]) -> Callable[[NDArray[np.int64]], float]:
    """Return `Metric.score_of_rows` of both AUROCs; of several classes the mean over those that occur, two at least."""
    if prediction.ndim == 1:
        hit, level = label == 1, levels_of(prediction)
        return lambda rows: auc_of_levels(hit[rows], level[rows])
    classes, levels = label.astype(np.int64), [levels_of(each) for each in prediction.T]

    def score(rows: NDArray[np.int64]) -> float:
        drawn = classes[rows]
        present = np.flatnonzero(np.bincount(drawn))
        if len(present) < 2:
            return float("nan")
        return float(np.mean([auc_of_levels(drawn == k, levels[k][rows]) for k in present]))

    return score


def _log_loss(label: Any, prediction: Any) -> float:
    """Mean of log p(label), p kept 1e-7 away from 0 and 1."""
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
#: Name -> title, sign and explanation.
_DESCRIBED: dict[str, tuple[str, int, str]] = {
    "roc_auc": (
        "AUROC",
        1,
        "AUROC is the chance that a positive row is ranked above a negative one: 0.5 is guessing, 1 is perfect.",
    ),
    "roc_auc_ovr": (
        "AUROC (one against rest)",
        1,
        "It is the mean over classes of the chance that a row of the class is ranked above a row of another: "
        "0.5 is guessing, 1 is perfect.",
    ),
    "average_precision": (
        "average precision",
        1,
        "Average precision is the mean precision over all thresholds: the share of positives is guessing, 1 is perfect.",
    ),
    "neg_log_loss": ("log loss", -1, "Log loss is the mean of -log p(label): lower is better, 0 is perfect."),
    "accuracy": ("accuracy", 1, "Accuracy is the share of rows whose class is predicted right."),
    "f1_macro": (
        "macro F1",
        1,
        "Macro F1 is the mean over classes of the harmonic mean of precision and recall: 1 is perfect.",
    ),
    "neg_mean_absolute_error": (
        "MAE",
        -1,
        "MAE is the mean absolute error in the unit of the label: lower is better.",
    ),
    "neg_root_mean_squared_error": (
        "RMSE",
        -1,
        "RMSE is the square root of the mean squared error, in the unit of the label: lower is better.",
    ),
    "r2": ("R²", 1, "R² is the share of the label's variance that is explained: 0 is the mean, 1 is perfect."),
}
#: Kind of task -> its metrics, the default first.
_BY_KIND: dict[TaskKind, tuple[str, ...]] = {
    "binary": ("roc_auc", "average_precision", "neg_log_loss", "accuracy", "f1_macro"),
    "multiclass": ("roc_auc_ovr", "accuracy", "neg_log_loss", "f1_macro"),
    "regression": ("neg_mean_absolute_error", "neg_root_mean_squared_error", "r2"),
}


def default_metric(kind: TaskKind) -> Metric:
    """Return the metric of a kind of task: AUROC, one-against-rest AUROC, or mean absolute error."""
    return _described(_BY_KIND[kind][0], kind)


def metric_of(name: str | None, kind: TaskKind) -> Metric:
    """Return the metric called `name`, or the kind's default for None.

    Raises:
        TaskError: The kind of task has no such metric.
    """
    if name is None:
        return default_metric(kind)
    if name in _BY_KIND[kind]:
        return _described(name, kind)
    found = further_metric(name, kind)
    if found is None:
        fix = f"Use one of: {', '.join(_BY_KIND[kind])}, or another scorer of scikit-learn. {_REGISTER}"
        raise TaskError("metric", name, f"is no metric of a {kind} task", fix)
    return Metric(name, kind, found.title, found.sign, found.explanation, found.perfect)


def metric_named(name: str) -> Metric:
    """Return a metric by its name alone, for its title, sign and explanation.

    Some metrics serve several kinds of task; the kind of the one returned is the first of them.

    Raises:
        TaskError: There is no such metric.
    """
    for kind, names in _BY_KIND.items():
        if name in names or further_metric(name, kind) is not None:
            return metric_of(name, kind)
    raise TaskError("metric", name, "is no metric", f"Use one of: {', '.join(_DESCRIBED)}. {_REGISTER}")


def _described(name: str, kind: TaskKind) -> Metric:
    title, sign, explanation = _DESCRIBED[name]
    return Metric(name, kind, title, sign, explanation, 0.0 if sign < 0 else 1.0)


def cluster_draws(clusters: NDArray[np.integer], *, seed: int, draws: int) -> Iterator[NDArray[np.int64]]:
    """Yield the row numbers of bootstrap samples of whole clusters (Field and Welsh 2007); none for fewer than two clusters.

    Args:
        clusters: Shape (n,): rows with equal numbers are drawn together.
        seed: Seed of the draws.
        draws: How many samples.
    """
    _, group = np.unique(clusters, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 2)) if len(group) else np.zeros(1, dtype=np.int64)
    sizes, count = np.diff(starts), len(starts) - 1
    generator = np.random.default_rng(seed)
    for _ in range(draws if count > 1 else 0):
        drawn = generator.integers(count, size=count)
        size = sizes[drawn]
        # a row's place in `order`: where its cluster begins there, and how many rows of that cluster were taken before it
        before = np.repeat(starts[:-1][drawn] - (np.cumsum(size) - size), size)
        yield order[before + np.arange(len(before))]


def clusters_of(rows: Rows) -> NDArray[np.int64]:
    """Return the cluster of each row, shape (n,): rows of one entity are one, a row without an entity is its own."""
    return np.where(rows.entity >= 0, rows.entity, -1 - np.arange(len(rows)))


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
    scored = metric.score_of_rows(label, prediction)
    scores = [scored(drawn) for drawn in cluster_draws(clusters, seed=seed, draws=draws)]
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
    draws = bootstrap_scores(metric, rows.label, predictions, clusters_of(rows), seed=seed)
    if len(draws) < 10:
        return score, (float("nan"), float("nan"))
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return score, (float(low), float(high))


def skill(metric: Metric, score: float, reference: float) -> float:
    """Return a score on a scale where the reference constant has 0 and perfection 1.

    AUROC, macro or not: `2 * score - 1`; errors: `1 - score / reference`; others: `(score - reference) / (perfect - reference)`.

    Args:
        metric: The metric.
        score: The score, higher is better.
        reference: The score of a constant prediction on the same rows.

    Returns:
        The skill, nan where the reference is perfect already.

    >>> skill(metric_named("neg_mean_absolute_error"), -1.5, -2.0)
    0.25
    """
    if metric.name in ("roc_auc", "roc_auc_ovr"):
        return 2 * score - 1
    if metric.sign < 0:
        return 1 - score / reference if reference else float("nan")
    perfect = metric.perfect
    return (score - reference) / (perfect - reference) if reference != perfect else float("nan")

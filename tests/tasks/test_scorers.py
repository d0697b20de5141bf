"""Scorers of scikit-learn by name are those of scikit-learn; registered functions are metrics like any other."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer

import relselect as rs
from relselect.errors import BundleError, ConfigError, TaskError
from relselect.tasks.metrics import metric_named, metric_of, skill
from relselect.tasks.scorers import _SCIKIT_LEARN, register_metric, unregister_metric


class Stated(ClassifierMixin, BaseEstimator):
    """Predicts what it is given as X."""

    def __init__(self, classes: int = 0) -> None:
        self.classes = classes
        self.classes_ = np.arange(classes)

    def fit(self, X: object, y: object) -> Stated:
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return X if X.ndim == 2 else np.stack([1 - X, X], axis=1)

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.predict_proba(X).argmax(axis=1)


class StatedValues(RegressorMixin, BaseEstimator):
    """Predicts the values that it is given as X."""

    def fit(self, X: object, y: object) -> StatedValues:
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return X


CASES = [(kind, name) for kind, names in _SCIKIT_LEARN.items() for name in names]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_scorers_are_those_of_scikit_learn(kind: str, name: str) -> None:
    metric = metric_of(name, kind)  # type: ignore[arg-type]
    assert metric_named(name).title == metric.title
    for seed in range(3):
        draw = np.random.default_rng(seed)
        classes = {"binary": 2, "multiclass": 4, "regression": 0}[kind]
        label = draw.permutation(np.arange(40) % classes).astype(float) if classes else draw.gamma(2.0, size=40)
        if kind == "multiclass":
            prediction = draw.dirichlet(np.ones(4), 40)
        else:
            prediction = np.round(draw.random(40), 3) if classes else draw.gamma(2.0, size=40)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = Stated(classes) if classes else StatedValues()
            expected = get_scorer(name)(model, prediction, label.astype(int) if classes else label)
        assert metric.score(label, prediction) == pytest.approx(expected)
        perfect = np.eye(classes)[label.astype(int)] if kind == "multiclass" else label
        reference = metric.score(label, prediction)
        assert skill(metric, metric.score(label, perfect), reference) == pytest.approx(1.0)
        assert metric.sign == (-1 if name.startswith("neg_") else 1)


def test_what_a_scorer_cannot_score_is_undefined() -> None:
    metric = metric_of("neg_mean_squared_log_error", "regression")
    assert np.isnan(metric.score(np.array([1.0, 2.0]), np.array([-3.0, 2.0])))
    assert np.isfinite(metric_of("neg_mean_poisson_deviance", "regression").score(np.ones(2), np.array([0.0, 1.0])))


@pytest.fixture
def profit() -> Iterator[str]:
    """What acting on every row above one half brings: 5 for a hit, -1 for a miss."""
    register_metric(
        "profit",
        lambda label, prediction: np.where(label == 1, 5.0, -1.0)[prediction >= 0.5].sum() / len(label),
        "binary",
        title="profit per row",
        explanation="What acting on every row above one half brings.",
        perfect=2.0,
    )
    yield "profit"
    unregister_metric("profit")


def test_a_registered_metric_chooses_reports_and_comes_back(profit, database, tables, tmp_path):
    from tests.shop import shop_task

    task = shop_task(database, tables)
    fit = rs.select_and_train(database, task, "60s", families="dfs", max_trials=2, metric=profit, explain=False)
    label = fit.task.splits["test"].label
    chances = fit.predict(split="test")["probability"].to_numpy()
    score = fit.result.score_of("test", fit.result.DEPLOYED)
    assert score.value == pytest.approx(np.where(label == 1, 5.0, -1.0)[chances >= 0.5].sum() / len(label))
    page = fit.report(tmp_path / "report.html")
    assert "profit per row" in page.read_text(encoding="utf-8")
    fit.save(tmp_path / "saved")
    assert rs.load(tmp_path / "saved").task.metric.perfect == 2.0
    unregister_metric(profit)
    with pytest.raises(BundleError, match=r"profit.*is no metric"):
        rs.load(tmp_path / "saved")
    register_metric(profit, lambda label, prediction: 0.0, "binary")  # for the fixture to forget


@pytest.mark.parametrize(
    ("name", "kinds", "match"),
    [
        ("roc auc", "binary", "is no name of a metric"),
        ("f1", "binary", "is a metric of binary tasks already"),
        ("mine", "ranking", "must name kinds of tasks"),
        ("mine", (), "must name kinds of tasks"),
    ],
)
def test_names_that_are_taken_or_none_are_refused(name, kinds, match):
    with pytest.raises(ConfigError, match=match):
        register_metric(name, lambda label, prediction: 0.0, kinds)
    with pytest.raises(ConfigError, match="is no registered metric"):
        unregister_metric("mine")


def test_an_unknown_metric_names_the_ways_out():
    with pytest.raises(
        TaskError, match=r"is no metric of a binary task\. Use one of: roc_auc.*relselect\.register_metric"
    ):
        metric_of("sharpness", "binary")
    with pytest.raises(TaskError, match="is no metric of a regression task"):
        metric_of("f1", "regression")

"""Metrics against scikit-learn, and their bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from relselect.errors import TaskError
from relselect.tasks.metrics import bootstrap_scores, default_metric, interval_of, metric_named, metric_of, skill

BINARY = {
    "roc_auc": sk.roc_auc_score,
    "average_precision": sk.average_precision_score,
    "neg_log_loss": lambda y, p: -sk.log_loss(y, p),
    "accuracy": lambda y, p: sk.accuracy_score(y, p >= 0.5),
    "f1_macro": lambda y, p: sk.f1_score(y, p >= 0.5, average="macro"),
}
MULTICLASS = {
    "roc_auc_ovr": lambda y, p: sk.roc_auc_score(y, p, multi_class="ovr"),
    "accuracy": lambda y, p: sk.accuracy_score(y, p.argmax(1)),
    "neg_log_loss": lambda y, p: -sk.log_loss(y, p),
    "f1_macro": lambda y, p: sk.f1_score(y, p.argmax(1), average="macro"),
}
REGRESSION = {
    "neg_mean_absolute_error": lambda y, p: -sk.mean_absolute_error(y, p),
    "neg_root_mean_squared_error": lambda y, p: -sk.root_mean_squared_error(y, p),
    "r2": sk.r2_score,
}


@pytest.mark.parametrize("name", BINARY)
@given(seed=st.integers(0, 10**6), ties=st.booleans())
def test_binary(name, seed, ties):
    draw = np.random.default_rng(seed)
    label = draw.permutation(np.arange(30) % 2).astype(float)
    prediction = draw.integers(1, 5, 30) / 5 if ties else draw.uniform(0.01, 0.99, 30)
    assert metric_of(name, "binary").score(label, prediction) == pytest.approx(
        BINARY[name](label, prediction), abs=1e-9
    )


@pytest.mark.parametrize("name", MULTICLASS)
def test_multiclass(name):
    draw = np.random.default_rng(0)
    label = np.arange(60) % 3
    prediction = draw.dirichlet([1, 1, 1], 60)
    assert metric_of(name, "multiclass").score(label.astype(float), prediction) == pytest.approx(
        MULTICLASS[name](label, prediction)
    )


@pytest.mark.parametrize("name", REGRESSION)
def test_regression(name):
    draw = np.random.default_rng(0)
    label, prediction = draw.normal(size=40), draw.normal(size=40)
    assert metric_of(name, "regression").score(label, prediction) == pytest.approx(REGRESSION[name](label, prediction))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_higher_is_better_whatever_the_metric(kind):
    draw = np.random.default_rng(0)
    label = draw.permutation(np.arange(60) % 3 if kind == "multiclass" else np.arange(60) % 2).astype(float)
    good = np.eye(3)[label.astype(int)] * 0.8 + 0.06 if kind == "multiclass" else label * 0.8 + 0.1
    bad = good[::-1].copy()
    for name in {"binary": BINARY, "multiclass": MULTICLASS, "regression": REGRESSION}[kind]:
        metric = metric_of(name, kind)
        assert metric.score(label, good) > metric.score(label, bad)


def test_what_is_undefined_is_nan():
    ones, half = np.ones(3), np.full(3, 0.5)
    assert np.isnan(metric_of("roc_auc", "binary").score(ones, half))
    assert np.isnan(metric_of("average_precision", "binary").score(ones, half))
    assert np.isnan(metric_of("roc_auc_ovr", "multiclass").score(ones, np.full((3, 2), 0.5)))
    assert np.isnan(metric_of("r2", "regression").score(ones[:1], half[:1]))
    for name in REGRESSION:
        assert np.isnan(metric_of(name, "regression").score(ones[:0], half[:0]))
        assert np.isnan(metric_of(name, "regression").score(ones, np.array([1, np.nan, 1])))


def test_classes_that_never_occur_do_not_spoil_the_score():
    prediction = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    assert metric_of("roc_auc_ovr", "multiclass").score(np.array([0.0, 1.0]), prediction) == 1.0


def test_names():
    assert [default_metric(kind).name for kind in ("binary", "multiclass", "regression")] == [
        "roc_auc",
        "roc_auc_ovr",
        "neg_mean_absolute_error",
    ]
    assert metric_of(None, "binary") == default_metric("binary")
    with pytest.raises(TaskError, match=r"metric=rmse.*neg_root_mean_squared_error"):
        metric_of("rmse", "regression")


@pytest.mark.parametrize("name", sorted({*BINARY, *MULTICLASS, *REGRESSION}))
def test_every_metric_has_a_title_and_an_explanation(name):
    metric = metric_named(name)
    assert metric.name == name
    assert metric == metric_of(name, metric.kind)
    assert metric.title
    assert "_" not in metric.title
    assert metric.explanation.endswith(".")
    assert (metric.sign < 0) == ("lower is better" in metric.explanation) == name.startswith("neg_")


def test_metrics_by_name_alone():
    assert metric_named("roc_auc_ovr").title == "AUROC (one against rest)"
    with pytest.raises(TaskError, match=r"metric=auc.*roc_auc_ovr"):
        metric_named("auc")


def test_skill_of_a_constant_is_zero_and_of_perfection_one():
    auc, mae, accuracy = metric_of("roc_auc", "binary"), metric_of(None, "regression"), metric_of("accuracy", "binary")
    assert (skill(auc, 0.5, 0.5), skill(auc, 1.0, 0.5)) == (0, 1)
    assert (skill(mae, -3.0, -3.0), skill(mae, 0.0, -3.0)) == (0, 1)
    assert (skill(accuracy, 0.7, 0.7), skill(accuracy, 1.0, 0.7)) == (0, pytest.approx(1))


@pytest.mark.parametrize(
    ("kind", "name"),
    [("binary", "roc_auc"), ("multiclass", "roc_auc_ovr"), ("multiclass", "neg_log_loss"), ("regression", "r2")],
)
@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), ties=st.booleans(), undefined=st.booleans())
def test_scores_of_drawn_rows_are_the_scores_of_these_rows_to_the_last_bit(kind, name, seed, ties, undefined):
    draw, classes = np.random.default_rng(seed), {"binary": 2, "multiclass": 3, "regression": 50}[kind]
    label = draw.integers(0, classes, 20).astype(float)
    prediction = draw.integers(1, 5, (20, 3)) / 5 if ties else draw.uniform(0.01, 0.99, (20, 3))
    prediction = prediction if kind == "multiclass" else prediction[:, 0]
    if undefined:
        prediction[3] = np.nan
    metric = metric_of(name, kind)
    scored = metric.score_of_rows(label, prediction)
    for size in (0, 1, 2, 5, 20):
        rows = draw.integers(0, 20, size)
        found, wanted = np.array([scored(rows), metric.score(label[rows], prediction[rows])])
        assert found.tobytes() == wanted.tobytes()


def test_the_bootstrap_draws_whole_clusters():
    draw = np.random.default_rng(0)
    groups, size = 40, 25
    clusters = np.repeat(np.arange(groups), size)
    effect = np.repeat(draw.normal(size=groups), size)
    metric = metric_of("neg_mean_absolute_error", "regression")
    together = bootstrap_scores(metric, effect, np.zeros(len(effect)), clusters, draws=200)
    apart = bootstrap_scores(metric, effect, np.zeros(len(effect)), np.arange(len(effect)), draws=200)
    expected = np.abs(effect[::size]).std() / np.sqrt(groups)
    assert together.std() == pytest.approx(expected, rel=0.25)
    assert apart.std() < together.std() / 3
    assert np.array_equal(together, bootstrap_scores(metric, effect, np.zeros(len(effect)), clusters, draws=200))


def test_undefined_draws_are_left_out():
    metric = metric_of("roc_auc", "binary")
    scores = bootstrap_scores(metric, np.array([0.0, 0, 0, 1]), np.array([0.1, 0.2, 0.3, 0.9]), np.arange(4), draws=100)
    assert 0 < len(scores) < 100
    assert len(bootstrap_scores(metric, np.ones(4), np.ones(4), np.zeros(4, dtype=np.int64))) == 0
    assert len(bootstrap_scores(metric, np.ones(0), np.ones(0), np.zeros(0, dtype=np.int64))) == 0


def test_an_interval_holds_its_score(problem):
    rows = problem.rows("val")
    prediction = np.random.default_rng(0).random(len(rows)) * 0.5 + rows.label * 0.3
    score, (low, high) = interval_of(problem.task.metric, rows, prediction)
    assert low < score < high
    wider = interval_of(problem.task.metric, rows, prediction, level=0.99)[1]
    assert wider[0] <= low
    assert wider[1] >= high
    assert np.isnan(interval_of(problem.task.metric, rows.unlabelled(), prediction)[0])

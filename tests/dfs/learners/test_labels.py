"""The loss that a regression follows, its scale, and predictions of labels that are never negative."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.dfs.learners import TabularData, learner_of
from relselect.dfs.learners.labels import LabelScale, about_median, fits_median
from relselect.dfs.prefix.matrix import FeatureMatrix
from relselect.errors import ConfigError
from relselect.tasks.metrics import metric_named
from tests.dfs.learners.test_contract import SMALL
from tests.shop import shop_problem

MAE, RMSE = "neg_mean_absolute_error", "neg_root_mean_squared_error"


def task(metric: str = MAE):
    return replace(shop_problem("regression").task, metric=metric_named(metric))


@pytest.mark.parametrize(
    ("metric", "statistic", "median"),
    [(MAE, "auto", True), (RMSE, "auto", False), (MAE, "mean", False), (RMSE, "median", True)],
)
def test_the_loss_follows_the_metric_unless_a_statistic_is_asked_for(metric, statistic, median):
    assert fits_median(task(metric), {"statistic": statistic}) is median


def test_another_statistic_is_refused():
    with pytest.raises(ConfigError, match=r"statistic=mode.*auto, mean, median"):
        fits_median(task(), {"statistic": "mode"})


def test_a_median_of_zero_is_said_where_it_will_be_predicted():
    sparse, dense = np.array([0.0, 0.0, 0.0, 9.0]), np.array([0.0, 1.0, 2.0])
    assert 'statistic="mean"' in (about_median(task(), {}, sparse) or "")
    assert about_median(task(), {}, dense) is None
    assert about_median(task(), {"statistic": "mean"}, sparse) is None
    assert about_median(task(RMSE), {}, sparse) is None
    assert about_median(task(), {}, np.zeros(4)) is None


def test_labels_return_from_their_scale():
    label = np.array([-3.0, 0.0, 5.0, 8.0])
    scale = LabelScale.of(task(), label)
    assert scale.floor is None
    assert np.allclose(scale.values(scale.standard(label)), label)
    assert LabelScale.from_json(scale.to_json()) == scale
    assert LabelScale.of(task(), np.full(3, 2.0)).scale == 1.0


@pytest.mark.parametrize("damage", [{"scale": 0}, {"scale": True}, {"centre": "1"}, {"floor": "0"}])
def test_a_damaged_scale_is_refused(damage):
    with pytest.raises(ValueError):  # noqa: PT011
        LabelScale.from_json({**LabelScale(1.0, 2.0, 0.0).to_json(), **damage})


def sparse_data(rows: int, seed: int) -> TabularData:
    """One row in five has a label, and it grows with the feature."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(rows, 2))
    label = np.where(draw.random(rows) < 0.2, np.exp(values[:, 0]) * 50, 0.0)
    return TabularData(FeatureMatrix(np.asfortranarray(values), ("a", "b"), (False, False)), label)


@pytest.mark.parametrize("name", ["lightgbm", "tabm"])
def test_the_mean_keeps_the_total_and_nothing_negative_is_predicted(name):
    learner, problem = learner_of(name), shop_problem("regression")
    train, stop = sparse_data(600, 0), sparse_data(600, 1)
    totals = {}
    for statistic in ("median", "mean"):
        config = {**learner.default(problem), **SMALL[name], "statistic": statistic}
        found = learner.fit(task(), config, train, stop, seed=0, budget=Budget(None), progress=lambda *how: None)
        predicted = found.model.predict(stop.features.values)
        assert predicted.min() >= 0
        totals[statistic] = predicted.sum() / stop.label.sum()
    assert totals["median"] < 0.3
    assert 0.6 < totals["mean"] < 1.5

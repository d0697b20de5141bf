"""Predictors of both kinds give intervals and calibrated probabilities, before and after they are saved."""

from __future__ import annotations

import numpy as np
import pytest

import relselect as rs
from relselect.errors import TaskError
from tests.shop import shop, shop_tables, shop_task


@pytest.fixture(scope="module")
def amounts(database, tables):
    """A predictor of a number."""
    task = shop_task(database, tables, kind="regression")
    return rs.select_and_train(database, task, "60s", families="dfs", max_trials=1, explain=False)


def test_intervals_hold_labels_of_rows_that_came_later(amounts, tmp_path):
    frame = amounts.predict(split="test", interval=0.8)
    assert list(frame.columns[-3:]) == ["prediction", "low", "high"]
    assert (frame["low"] <= frame["prediction"]).all()
    assert (frame["prediction"] <= frame["high"]).all()
    labels = amounts.task.splits["test"].label
    found = amounts.coverage(interval=0.8)
    assert found.share == pytest.approx(((frame["low"] <= labels) & (labels <= frame["high"])).mean())
    assert found.rows == len(labels)
    assert 0.6 < found.share < 0.95
    amounts.save(tmp_path / "saved")
    again = rs.load(tmp_path / "saved").predict(shop(shop_tables()), split="test", interval=0.8)
    np.testing.assert_array_equal(again["low"], frame["low"])


def test_calibrated_probabilities_keep_the_order(trained):
    fit, _ = trained("dfs")
    plain, scaled = fit.predict(split="test"), fit.predict(split="test", calibrated=True)
    order = np.argsort(plain["probability"].to_numpy(), kind="stable")
    assert (np.diff(scaled["probability"].to_numpy()[order]) >= 0).all()
    assert not np.allclose(plain["probability"], scaled["probability"])
    labels = fit.task.splits["val"].label
    select = rs.api.Fitted.predict(fit, split="val", calibrated=True)["probability"]
    assert select.mean() == pytest.approx(labels.mean(), abs=0.05)
    both = fit.predict_proba(split="test", calibrated=True)
    np.testing.assert_allclose(both[:, 1], scaled["probability"])


def test_what_a_kind_does_not_have_is_refused(amounts, trained):
    fit, _ = trained("dfs")
    with pytest.raises(TaskError, match="is no regression, and intervals are of numbers"):
        fit.predict(split="test", interval=0.9)
    with pytest.raises(TaskError, match="is a regression, which has no probabilities"):
        amounts.predict(split="test", calibrated=True)
    with pytest.raises(TaskError, match="no regression"):
        fit.coverage()

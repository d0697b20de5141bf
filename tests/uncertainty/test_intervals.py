"""Intervals hold the promised share of labels, at every level of the prediction; what cannot be promised is refused."""

from __future__ import annotations

import numpy as np
import pytest

from relselect.errors import ConfigError, TaskError
from relselect.uncertainty import ResidualIntervals


def rows(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return labels whose spread grows with the prediction, skewed to the right, and predictions."""
    draw = np.random.default_rng(seed)
    predictions = draw.exponential(10.0, count)
    return predictions * draw.gamma(4.0, 0.25, count), predictions


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_the_promised_share_holds_over_many_draws(level: float) -> None:
    shares = []
    for seed in range(60):
        labels, predictions = rows(seed, 199)
        later, asked = rows(1000 + seed, 500)
        shares.append(ResidualIntervals(labels, predictions).coverage(later, asked, level).share)
    error = np.std(shares) / np.sqrt(len(shares))
    assert level - 3 * error <= np.mean(shares) <= level + 0.02 + 3 * error


def test_groups_of_similar_predictions_hold_it_where_predictions_are_small_and_large() -> None:
    labels, predictions = rows(0, 3000)
    later, asked = rows(1, 20_000)
    intervals = ResidualIntervals(labels, predictions)
    for part in np.array_split(np.argsort(asked), 5):
        assert intervals.coverage(later[part], asked[part], 0.9).share == pytest.approx(0.9, abs=0.04)
    one = ResidualIntervals(labels[:199], predictions[:199])
    smallest = np.argsort(asked)[:4000]
    assert one.coverage(later[smallest], asked[smallest], 0.9).share > 0.97  # one group for all is too wide there


def test_an_interval_holds_its_prediction_and_no_negative_count() -> None:
    labels, predictions = rows(0, 500)
    asked = np.linspace(0.0, 80.0, 50)
    low, high = ResidualIntervals(labels, predictions).around(asked, 0.9)
    assert (low <= asked).all()
    assert (asked <= high).all()
    assert low.min() == 0.0
    shifted, _ = ResidualIntervals(labels - 50.0, predictions - 50.0).around(asked - 50.0, 0.9)
    assert shifted.min() < -50.0


def test_wider_levels_contain_narrower_ones_and_unlabelled_rows_are_left_out() -> None:
    labels, predictions = rows(0, 400)
    intervals = ResidualIntervals(np.append(labels, np.nan), np.append(predictions, 3.0))
    asked = predictions[:40]
    inner, outer = intervals.around(asked, 0.8), intervals.around(asked, 0.95)
    assert (outer[0] <= inner[0]).all()
    assert (outer[1] >= inner[1]).all()
    found = intervals.coverage(np.append(labels, np.nan), np.append(predictions, 1.0), 0.9)
    assert found.rows == 400
    assert found.low < found.share < found.high


def test_constant_predictions_are_one_group_or_several_equal_ones() -> None:
    labels = np.random.default_rng(0).normal(size=600)
    low, high = ResidualIntervals(labels, np.zeros(600)).around(np.zeros(3), 0.9)
    assert len(set(low)) == len(set(high)) == 1
    assert -2.2 < low[0] < -1.2 < 1.2 < high[0] < 2.2


def test_equal_predictions_are_in_one_group_and_every_group_is_large() -> None:
    draw = np.random.default_rng(0)
    for predictions in (
        draw.integers(0, 3, 1000).astype(float),
        np.sort(draw.poisson(0.3, 731)).astype(float),
        np.append(np.zeros(950), draw.random(50)),
        draw.random(199),
        draw.random(12_345),
    ):
        groups = ResidualIntervals(draw.normal(size=len(predictions)), predictions)
        sizes = [len(each) for each in groups._residuals]
        assert sum(sizes) == len(predictions)
        assert len(sizes) <= 10
        assert min(sizes) >= min(100, len(predictions))
        found = np.searchsorted(groups._begins, predictions, side="right")
        assert all(len(set(found[predictions == value])) == 1 for value in np.unique(predictions)[:20])


@pytest.mark.parametrize("level", [0, 1, 1.5, -0.1, True, "90%", float("nan")])
def test_a_level_that_is_none_is_refused(level: object) -> None:
    with pytest.raises(ConfigError, match="interval="):
        ResidualIntervals(np.zeros(200), np.zeros(200)).around(np.zeros(1), level)  # type: ignore[arg-type]


def test_too_few_rows_are_refused_with_the_number_that_it_takes() -> None:
    few = ResidualIntervals(np.arange(18.0), np.zeros(18))
    with pytest.raises(TaskError, match=r"rests on 18 select rows, and intervals of 0\.9 need 19"):
        few.around(np.zeros(1), 0.9)
    ResidualIntervals(np.arange(19.0), np.zeros(19)).around(np.zeros(1), 0.9)
    with pytest.raises(TaskError, match="no label to compare"):
        few.coverage(np.full(3, np.nan), np.zeros(3), 0.5)

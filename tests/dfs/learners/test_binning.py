"""Columns of few values, and data sets that trials share."""

from __future__ import annotations

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.dfs.learners import TabularData, learner_of
from relselect.dfs.learners.binning import binned_of, shift_of
from relselect.dfs.learners.labels import LabelScale
from relselect.dfs.prefix.matrix import FeatureMatrix
from tests.shop import shop_problem


def table(*columns, label=None) -> TabularData:
    values = np.asfortranarray(np.column_stack(columns).astype(np.float64))
    names = tuple(f"x{n}" for n in range(values.shape[1]))
    return TabularData(
        FeatureMatrix(values, names, (False,) * len(names)), np.zeros(len(values)) if label is None else label
    )


@pytest.mark.parametrize("pair", [(1.0, 2.0), (0.0, 1.0), (-1.0, 3.0), (0.25, 0.5), (-2.0, -1.0)])
def test_random_trees_split_a_column_of_two_values(pair):
    draw = np.random.default_rng(0)
    which = draw.integers(0, 2, 400)
    train = table(np.array(pair)[which], label=which.astype(np.float64))
    learner, problem = learner_of("lightgbm"), shop_problem("binary")
    config = {**learner.default(problem), "rounds": 30, "learning_rate": 0.2, "bags": 1, "colsample": 1.0}
    found = learner.fit(problem.task, config, train, train, seed=0, budget=Budget(None), progress=lambda *how: None)
    low, high = found.model.predict(np.array(pair)[:, None])
    assert high - low > 0.8


def test_only_few_values_that_subtraction_keeps_apart_are_shifted():
    draw = np.random.default_rng(0)
    few, many = draw.integers(1, 4, 200).astype(float), draw.normal(size=200)
    tiny = np.where(few > 1, 1e-30, 1.0)
    negative, missing = -few, np.where(few > 2, np.nan, few)
    shift = shift_of([table(few, many, tiny, negative, missing)])
    assert shift.tolist() == [5.0, 0.0, 0.0, 0.0, 3.0]
    assert shift_of([table(np.full(9, np.nan))]).tolist() == [0.0]


def test_rows_are_binned_once_for_all_trials():
    train, stop, scale = table(np.arange(50.0)), table(np.arange(20.0)), LabelScale()
    first = binned_of(train, stop, scale)
    assert binned_of(train, stop, scale) is first
    other = table(np.arange(20.0))
    assert binned_of(train, other, scale).of is other
    assert binned_of(train, stop, LabelScale(1.0, 2.0)).scale == LabelScale(1.0, 2.0)

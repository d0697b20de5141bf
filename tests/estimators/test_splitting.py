"""Folds in the order of time: no training row's label is known after its test block begins."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import check_cv

from relselect.errors import ConfigError, TaskError
from relselect.estimators import CutoffSplit


@given(st.lists(st.integers(0, 40), min_size=4, max_size=60), st.integers(2, 4), st.integers(0, 6))
def test_no_fold_trains_on_what_its_test_rows_could_not_know(days, folds, horizon):
    X = pd.DataFrame({"cutoff": days})
    try:
        found = list(CutoffSplit(folds, horizon=horizon).split(X))
    except TaskError:
        return
    tested = [place for _, test in found for place in test]
    assert len(found) == folds
    assert len(tested) == len(set(tested))
    cutoff = np.array(days)
    for train, test in found:
        assert cutoff[train].max() + horizon <= cutoff[test].min()
        assert not set(cutoff[train]) & set(cutoff[test])
    assert max(cutoff[place] for place in tested) == cutoff.max()


def test_dates_of_every_frame_and_horizons_as_text():
    dates = pd.date_range("2024-01-01", periods=6, freq="30D")
    expected = [([0, 1], [3]), ([0, 1, 2], [4]), ([0, 1, 2, 3], [5])]
    for X in (pd.DataFrame({"day": dates}), pl.DataFrame({"day": dates.to_numpy()})):
        found = CutoffSplit(3, cutoff="day", horizon="45d").split(X)
        assert [(train.tolist(), test.tolist()) for train, test in found] == expected
    assert check_cv(CutoffSplit(3)).get_n_splits() == 3


def test_mistakes_are_told():
    X = pd.DataFrame({"cutoff": pd.date_range("2024-01-01", periods=3)})
    with pytest.raises(ConfigError, match="2 or more"):
        list(CutoffSplit(1).split(X))
    with pytest.raises(TaskError, match="distinct cutoffs"):
        list(CutoffSplit(5).split(X))
    with pytest.raises(TaskError, match="no label is known"):
        list(CutoffSplit(2, horizon="9d").split(X))
    with pytest.raises(TaskError, match="has no column"):
        list(CutoffSplit(2, cutoff="day").split(X))
    with pytest.raises(TaskError, match="Parse the column"):
        list(CutoffSplit(2).split(X.astype(str)))

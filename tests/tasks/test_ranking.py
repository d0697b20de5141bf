"""Ranks, the area under the ROC curve and Spearman's correlation against scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from relselect.tasks.ranking import auc, auc_of_levels, average_ranks, levels_of, spearman

ROWS = st.lists(
    st.tuples(st.booleans(), st.sampled_from([-2.5, -1e-300, 0.0, 0.1, 0.3, 1e18]), st.integers(0, 3)),
    min_size=2,
    max_size=40,
)


@given(ROWS)
def test_auc_is_scikit_learns_with_ties_and_weights(rows: list[tuple[bool, float, int]]) -> None:
    positive, prediction, weight = (np.array(column) for column in zip(*rows, strict=True))
    if 0 < positive.sum() < len(positive):
        assert auc(positive, prediction) == pytest.approx(roc_auc_score(positive, prediction), abs=1e-12)
        assert auc(positive.astype(float), prediction) == auc(positive, prediction)
    weight = weight.astype(np.float64)
    found = auc(positive, prediction, weight)
    if weight[positive].sum() and weight[~positive].sum():
        assert found == pytest.approx(roc_auc_score(positive, prediction, sample_weight=weight), abs=1e-12)
        times = weight.astype(int)
        assert found == auc(np.repeat(positive, times), np.repeat(prediction, times))
    else:
        assert np.isnan(found)
    assert auc_of_levels(positive, levels_of(prediction), weight) == pytest.approx(found, nan_ok=True)


@given(ROWS)
def test_ranks_and_spearman_are_scipys(rows: list[tuple[bool, float, int]]) -> None:
    x, y = np.array([row[1] for row in rows]), np.array([float(row[2]) for row in rows])
    assert np.array_equal(average_ranks(x), stats.rankdata(x))
    assert np.array_equal(levels_of(x), stats.rankdata(x, method="dense") - 1)
    if len(set(x)) > 1 and len(set(y)) > 1:
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    else:
        assert spearman(x, y) == 0.0


def test_one_class_and_no_rows_have_no_auc() -> None:
    for positive in (np.zeros(3), np.ones(3), np.zeros(0)):
        assert np.isnan(auc(positive, np.arange(len(positive), dtype=float)))


def test_large_inputs_are_sorted_once() -> None:
    draw = np.random.default_rng(0)
    prediction = draw.integers(0, 1000, 300_000) / 7
    positive = draw.random(300_000) < prediction / prediction.max()
    assert auc(positive, prediction) == pytest.approx(roc_auc_score(positive, prediction), abs=1e-12)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relselect.database.clock import DAY
from relselect.dfs.search.folds import forward_folds, time_sample
from tests.shop import shop_problem


@pytest.fixture(scope="module")
def problem():
    return shop_problem()


def test_folds_go_forward_and_fit_no_label_that_was_not_known(problem):
    rows = problem.rows("train")
    folds = forward_folds(problem, rows)
    assert len(folds) == 3
    for fold in folds:
        start = rows.cutoff[fold.held].min()
        assert (rows.cutoff[fold.fit] + 30 * DAY <= start).all()
        later = np.flatnonzero(rows.cutoff + 30 * DAY <= start)
        assert np.array_equal(fold.fit, later)  # nothing else is left out
    held = np.concatenate([fold.held for fold in folds])
    assert len(np.unique(held)) == len(held)
    starts = [rows.cutoff[fold.held].min() for fold in folds]
    assert starts == sorted(starts)
    assert rows.cutoff[folds[-1].held].max() == rows.cutoff.max()


def test_few_dates_give_folds_of_entities(problem):
    rows = problem.rows("train")
    one = replace(rows, cutoff=np.full(len(rows), rows.cutoff[0]))
    folds = forward_folds(problem, one)
    assert len(folds) == 3
    for fold in folds:
        assert not set(one.entity[fold.fit]) & set(one.entity[fold.held])
        assert len(fold.fit) + len(fold.held) == len(one)


def test_too_few_rows_give_no_fold(problem):
    assert forward_folds(problem, problem.rows("train").take(slice(0, 60))) == []


@pytest.mark.parametrize("most", [10, 37, 10_000])
def test_a_sample_covers_all_of_time_and_is_that_of_its_seed(problem, most):
    rows = problem.rows("train")
    sample = time_sample(rows, most, seed=3)
    assert len(sample) == min(most, len(rows))
    assert sample.entity.tobytes() == time_sample(rows, most, seed=3).entity.tobytes()
    share = np.array([np.mean(sample.cutoff == date) - np.mean(rows.cutoff == date) for date in np.unique(rows.cutoff)])
    assert np.abs(share).max() <= 2 / len(sample)
    if most < len(rows):
        assert sample.entity.tobytes() != time_sample(rows, most, seed=4).entity.tobytes()

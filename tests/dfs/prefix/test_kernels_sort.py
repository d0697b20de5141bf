import numpy as np
import pytest

from relselect.dfs.prefix.kernels_sort import sort_ties


@pytest.mark.parametrize("share", [0.5, 0.95, 1.0])
def test_values_of_one_key_and_time_are_sorted_as_numpy_sorts_them(share):
    rng = np.random.default_rng(7)
    for size in (0, 1, 2, 24, 25, 48, 49, 400, 3_000):
        values = np.round(rng.normal(size=size), 1) + 0.0
        values[rng.random(size) < 0.2] = np.nan
        tied = rng.random(size) < share
        tied[:1] = False
        group = np.cumsum(~tied)
        wanted = [np.sort(values[group == each]) for each in np.unique(group)]
        assert np.array_equal(sort_ties(values, tied), np.concatenate([values[:0], *wanted]), equal_nan=True)

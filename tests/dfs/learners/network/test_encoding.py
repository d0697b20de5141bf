"""The encoding of features for a network."""

from __future__ import annotations

import numpy as np
import pytest

from relselect.dfs.learners.network.encoding import TabularEncoding
from relselect.dfs.prefix.matrix import FeatureMatrix


def matrix(*columns: list[float], categorical: tuple[bool, ...]) -> FeatureMatrix:
    values = np.asfortranarray(np.column_stack(columns).astype(np.float64))
    return FeatureMatrix(values, tuple(f"x{n}" for n in range(len(columns))), categorical)


def test_numbers_become_normal_quantiles_of_their_ranks():
    draw = np.random.default_rng(0)
    heavy = np.exp(3 * draw.normal(size=5000))
    numbers, _ = TabularEncoding.fit(matrix(list(heavy), categorical=(False,))).encode(heavy[:, None])
    order = np.argsort(heavy)
    assert (np.diff(numbers[order, 0]) >= 0).all()
    assert numbers.mean() == pytest.approx(0, abs=0.02)
    assert numbers.std() == pytest.approx(1, abs=0.05)
    assert np.abs(numbers).max() < 3.2


def test_values_beyond_training_stay_on_the_scale():
    encoding = TabularEncoding.fit(matrix([1.0, 2.0, 3.0, 4.0], categorical=(False,)))
    numbers, _ = encoding.encode(np.array([[-1e300], [np.inf], [1.0], [4.0]]))
    assert -3.2 < numbers[0, 0] <= numbers[2, 0] < numbers[3, 0] <= numbers[1, 0] < 3.2


def test_ties_get_the_mean_of_their_ranks():
    encoding = TabularEncoding.fit(matrix([0.0] * 50 + [1.0] * 50, categorical=(False,)))
    low, high = encoding.encode(np.array([[0.0], [1.0]]))[0][:, 0]
    assert low == pytest.approx(-high, abs=1e-2)
    assert -3 < low < -1


def test_missing_values_are_in_the_middle_and_flagged_where_training_had_some():
    encoding = TabularEncoding.fit(matrix([1.0, np.nan, 3.0], [1.0, 2.0, 3.0], categorical=(False, False)))
    numbers, _ = encoding.encode(np.array([[np.nan, np.nan]]))
    assert encoding.flagged == (True, False)
    assert numbers.tolist() == [[0.0, 0.0, 1.0]]


def test_unknown_categories_share_the_number_of_missing_ones():
    encoding = TabularEncoding.fit(matrix([0.0, 2.0, np.nan], categorical=(True,)))
    _, codes = encoding.encode(np.array([[0.0], [2.0], [np.nan], [3.0], [-1.0]]))
    assert codes[:, 0].tolist() == [1, 3, 0, 0, 0]
    assert encoding.cardinalities == (4,)


def test_a_column_without_any_value_is_encoded():
    numbers, codes = TabularEncoding.fit(matrix([np.nan] * 3, [np.nan] * 3, categorical=(False, True))).encode(
        np.array([[1.0, 0.0]])
    )
    assert np.isfinite(numbers).all()
    assert codes.tolist() == [[0]]

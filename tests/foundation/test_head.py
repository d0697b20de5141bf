"""The head finds what scikit-learn's solvers find, and what was planted."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from relselect.foundation.head import fit_head


def planted(kind: str, rows: int = 400):
    draw = np.random.default_rng(3)
    x = draw.normal(size=(rows, 4)) * [1, 10, 0.1, 1] + [0, 5, 0, 2]
    score = x[:, 0] - 0.2 * x[:, 1] + draw.normal(0, 0.5, rows)
    labels = {"regression": score, "binary": score > -1, "multiclass": np.digitize(score, [-2, 0])}
    return x, labels[kind].astype(float)


@pytest.mark.parametrize("penalty", [1e-3, 1e-1])
def test_a_ridge_regression_is_scikit_learns(penalty):
    x, y = planted("regression")
    head = fit_head(x, y, "regression", 0, penalty, absolute=False)
    standard, spread = (x - x.mean(0)) / x.std(0), y.std()
    peer = Ridge(alpha=penalty * len(x)).fit(standard, (y - y.mean()) / spread)
    assert np.allclose(head.predict(x), peer.predict(standard) * spread + y.mean(), atol=1e-6)


def test_a_logistic_regression_is_scikit_learns():
    x, y = planted("binary")
    head = fit_head(x, y, "binary", 2, 1e-2, absolute=False)
    standard = (x - x.mean(0)) / x.std(0)
    peer = LogisticRegression(C=1 / (1e-2 * len(x)), tol=1e-10, max_iter=1000).fit(standard, y)
    assert np.allclose(head.predict(x), peer.predict_proba(standard)[:, 1], atol=1e-4)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
def test_weights_are_read_in_units_of_their_mean(kind, absolute):
    x, y = planted(kind)
    weight = np.resize([1.0, 20.0, 3.0], len(y))
    plain, head, sevenfold, ones = (
        fit_head(x, y, kind, 3, 1e-3, absolute=absolute, row_weight=each).predict(x)
        for each in (None, weight, 7 * weight, np.ones(len(y)))
    )
    assert np.array_equal(ones, plain)
    assert np.allclose(sevenfold, head)
    assert np.abs(head - plain).max() > 1e-3


def test_weights_are_scikit_learns():
    x, y = planted("regression")
    weight = np.resize([1.0, 5.0, 0.5], len(y))
    standard, spread = (x - x.mean(0)) / x.std(0), y.std()
    counted = weight / weight.mean()
    head = fit_head(x, y, "regression", 0, 1e-2, absolute=False, row_weight=weight)
    peer = Ridge(alpha=1e-2 * len(x)).fit(standard, (y - y.mean()) / spread, counted)
    assert np.allclose(head.predict(x), peer.predict(standard) * spread + y.mean(), atol=1e-6)
    x, y = planted("binary")
    standard = (x - x.mean(0)) / x.std(0)
    head = fit_head(x, y, "binary", 2, 1e-2, absolute=False, row_weight=weight)
    peer = LogisticRegression(C=1 / (1e-2 * len(x)), tol=1e-10, max_iter=1000).fit(standard, y, counted)
    assert np.allclose(head.predict(x), peer.predict_proba(standard)[:, 1], atol=1e-4)


def test_classes_share_all_of_the_probability():
    x, y = planted("multiclass")
    chance = fit_head(x, y, "multiclass", 3, 1e-3, absolute=False).predict(x)
    assert chance.shape == (400, 3)
    assert np.allclose(chance.sum(axis=1), 1)
    assert (chance.argmax(axis=1) == y).mean() > 0.75


def test_the_absolute_error_is_not_moved_by_outliers():
    x, y = planted("regression")
    spoilt = y.copy()
    spoilt[:20] += 500
    plain, robust = (
        fit_head(x, spoilt, "regression", 0, 1e-4, absolute=absolute).predict(x) for absolute in (False, True)
    )
    assert np.abs(robust - y)[20:].mean() < 0.6 < np.abs(plain - y)[20:].mean()


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_one_value_and_separable_classes_have_a_solution(kind):
    x = np.column_stack([np.linspace(-1, 1, 30), np.ones(30)])
    for y in (np.ones(30), (x[:, 0] > 0).astype(float)):
        found = fit_head(x, y, kind, 2, 1e-9, absolute=False).predict(x)
        assert np.isfinite(found).all()
        assert np.abs(found - y).mean() < 0.3

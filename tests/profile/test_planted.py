"""Planted homophily is found, and the intervals hold it as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.profile.dyads import Pairs, estimate
from relselect.profile.homophily import homophily_measures
from relselect.profile.statistics import adjusted, agreement_columns, pearson, pearson_columns
from relselect.profile.view import make_view
from tests.profile import worlds

PLANTED = (-0.5, 0.0, 0.3, 0.7, 1.0)


def measured(problem, name: str = "homophily_mean"):
    found = homophily_measures(make_view(problem, 0), Budget(None))
    return next(measure for measure in found if measure.name == name)


@pytest.mark.parametrize("kind", ["binary", "regression"])
@pytest.mark.parametrize("planted", PLANTED)
def test_two_standard_errors_hold_the_planted_value(kind: str, planted: float) -> None:
    measure = measured(worlds.paired(planted, kind, groups=600, seed=3))
    assert abs(measure.value - planted) <= 2 * measure.stderr + 1e-9
    assert measure.stderr < 0.05


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_intervals_cover_over_200_draws(kind: str) -> None:
    held = []
    for draw in range(200):
        planted = PLANTED[draw % (len(PLANTED) - 1)]  # at 1 every interval is a point that holds it
        measure = measured(worlds.paired(planted, kind, groups=80, dates=2, seed=draw))
        held.append(abs(measure.value - planted) <= 2 * measure.stderr)
    # 95.4 % for normal errors; three standard deviations of a share of 200 are 4.4 points
    assert np.mean(held) >= 0.91


def covered(size: int, agreement: float, kind: str, groups: int, worlds_drawn: int = 200) -> float:
    """Return how often the interval of pairs within groups of any size holds the truth, without a database."""
    rng = np.random.default_rng(size)
    r = agreement if kind == "regression" else np.sin(agreement * np.pi / 2)
    shared = np.full((size, size), r) + np.eye(size) * (1 - r)
    one, other = (np.array(side) for side in np.nonzero(~np.eye(size, dtype=bool)))
    u = (np.arange(groups)[:, None] * size + one).reshape(-1)
    v = (np.arange(groups)[:, None] * size + other).reshape(-1)
    held = []
    for _ in range(worlds_drawn):
        values = rng.multivariate_normal(np.zeros(size), shared, size=groups).reshape(-1)
        if kind == "regression":
            columns, statistic = pearson_columns(values[u], values[v]), pearson
        else:
            hot = np.eye(2)[(values > 0).astype(int)]
            columns, statistic = agreement_columns(hot[u], hot[v]), adjusted
        found = estimate(Pairs(u, v, np.column_stack(columns), groups * size), statistic)
        held.append(abs(found.value - agreement) <= 2 * found.error)
    return float(np.mean(held))


@pytest.mark.parametrize("kind", ["binary", "regression"])
@pytest.mark.parametrize(("size", "agreement"), [(2, -0.5), (4, 0.3), (6, 0.6)])
def test_errors_know_that_pairs_share_entities_and_groups(kind: str, size: int, agreement: float) -> None:
    assert covered(size, agreement, kind, groups=100) >= 0.91


def test_one_component_falls_back_on_dyads() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        values = rng.normal(size=150)
        u, v = np.array([(i, (i + k) % 150) for i in range(150) for k in (1, 2, 7)]).T
        columns = np.column_stack(pearson_columns(values[u], values[v]))
        found = estimate(Pairs(u, v, columns, 150), pearson)
        held.append(abs(found.value) <= 2 * found.error)
    assert np.mean(held) >= 0.91

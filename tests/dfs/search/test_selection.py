from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from relselect.budget import Budget
from relselect.dfs import DFS
from relselect.dfs.prefix.matrix import FeatureMatrix
from relselect.dfs.search.prepared import FeatureFilter, prepare
from relselect.dfs.search.selection import FeatureDrift, describe_drift, drift_of, informative
from relselect.events import Notice
from relselect.problem import Problem
from tests.rows import shared_rows
from tests.shop import shop
from tests.strategies import dressed

ROWS = 600


def matrix(columns: dict[str, np.ndarray], categorical: tuple[str, ...] = ()) -> FeatureMatrix:
    values = np.asfortranarray(np.stack(list(columns.values()), axis=1).astype(np.float64))
    return FeatureMatrix(values, tuple(columns), tuple(name in categorical for name in columns))


def planted(seed: int) -> tuple[FeatureMatrix, np.ndarray, np.ndarray]:
    """Columns that stay, columns that move, the cutoffs, and which rows are late."""
    rng = np.random.default_rng(seed)
    cutoff = np.sort(rng.integers(0, 60, ROWS)).astype(np.int64)
    late = cutoff > cutoff[int(2 / 3 * ROWS)]
    holes = rng.random(ROWS) < 0.3
    columns = {
        "noise": rng.normal(size=ROWS),
        "clock": cutoff + rng.normal(size=ROWS),
        "shifted": rng.normal(size=ROWS) + 3.0 * late,
        "holes": np.where(holes, np.nan, rng.normal(size=ROWS)),
        "appears": np.where(late, rng.normal(size=ROWS), np.nan),
        "kind": rng.integers(0, 3, ROWS),
        "renamed": rng.integers(0, 3, ROWS) + 3 * late,
    }
    return matrix(columns, ("kind", "renamed")), cutoff, late


@pytest.mark.parametrize("seed", range(3))
def test_what_moves_is_told_from_what_stays(seed):
    features, cutoff, _ = planted(seed)
    moved = dict(zip(features.names, drift_of(features, cutoff), strict=True))
    assert max(moved[name] for name in ("noise", "holes", "kind")) < 0.2
    assert min(moved[name] for name in ("clock", "shifted", "appears", "renamed")) > 0.7


def test_the_statistic_is_that_of_kolmogorov_and_smirnov():
    features, cutoff, late = planted(4)
    for name, found in zip(features.names, drift_of(features, cutoff), strict=True):
        if name in ("noise", "clock", "shifted"):
            values = features.values[:, features.names.index(name)]
            assert found == pytest.approx(ks_2samp(values[late], values[~late]).statistic, abs=1e-12)


@given(st.permutations(range(60)), st.floats(0.1, 100), st.floats(-1e6, 1e6))
def test_neither_order_of_rows_nor_scale_matters(order, factor, offset):
    rng = np.random.default_rng(0)
    cutoff = np.repeat(np.arange(20), 6).astype(np.int64)
    values = rng.integers(0, 9, 120) + cutoff / 4
    places = np.array([place for half in order for place in (2 * half, 2 * half + 1)])
    columns = matrix({"x": values}), matrix({"x": (values * factor + offset)[places]})
    assert drift_of(columns[1], cutoff[places])[0] == pytest.approx(drift_of(columns[0], cutoff)[0], abs=1e-12)


def test_few_rows_and_few_dates_tell_nothing():
    features, cutoff, _ = planted(5)
    few = FeatureMatrix(features.values[::20], features.names, features.categorical)
    assert (drift_of(few, cutoff[::20]) == 0).all()
    assert (drift_of(features, np.zeros(ROWS, dtype=np.int64)) == 0).all()
    assert len(drift_of(FeatureMatrix(np.empty((0, 2)), ("a", "b"), (False, False)), np.empty(0, dtype=np.int64))) == 2


def test_constants_and_repetitions_say_nothing():
    x = np.array([1.0, 2.0, np.nan])
    nothing, same = np.full(3, np.nan), np.array([np.nan, 5.0, 5.0])
    assert informative(np.stack([np.ones(3), x, nothing, x.copy(), same], axis=1)) == [1, 4]
    assert informative(np.empty((3, 0))) == []


def test_the_furthest_are_named_first():
    drifted = (FeatureDrift("a", 0.98), FeatureDrift("b", 0.91), FeatureDrift("c", 0.9), FeatureDrift("d", 0.8))
    assert describe_drift(drifted) == "a (0.98), b (0.91), c (0.90) and 1 more"
    assert describe_drift(drifted[:1]) == "a (0.98)"


def test_a_family_leaves_out_what_drifts_and_says_so(problem):
    whole = prepare(problem, shared_rows(problem))
    narrow = whole.narrowed(FeatureFilter(drift=0.7))
    gone = set(whole.plan.names) - set(narrow.plan.names)
    assert gone == {name for name, moved in zip(whole.plan.names, whole.moved, strict=True) if moved > 0.7}
    assert "CALENDAR(day_of_year)" in gone  # less than a year of training: the calendar is a clock
    assert [each.statistic for each in narrow.drifted] == sorted((d.statistic for d in narrow.drifted), reverse=True)
    assert narrow.train.features.names == narrow.stop.features.names == narrow.plan.names
    assert len(whole.narrowed(FeatureFilter(drift=-1.0)).plan) == len(whole.plan)
    events: list[object] = []
    family = DFS()
    config = {**family.default(problem), "rounds": 5, "bags": 1, "drift": 0.7}
    candidate = family.fit(
        problem, shared_rows(problem), config, seed=0, number=0, budget=Budget(60), emit=events.append
    )
    assert candidate.facts["n_drifted"] == len(gone)
    assert {each["feature"] for each in candidate.facts["drifted"]} == gone
    assert any(isinstance(event, Notice) and narrow.drifted[0].feature in event.message for event in events)
    assert any(narrow.drifted[0].feature in note for note in candidate.notes)


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_training_cannot_see_decide_nothing(problem, seed):
    tables = dressed(dict(problem.user_database.tables), problem.fit_asof, seed)
    other = Problem(shop({name: table.data for name, table in tables.items()}), problem.task)
    assert selected(other) == selected(problem)
    earlier = dressed(dict(problem.user_database.tables), problem.fit_asof // 2, seed)
    assert selected(Problem(shop({name: t.data for name, t in earlier.items()}), problem.task)) != selected(problem)


def selected(problem: Problem) -> dict[str, float]:
    prepared = prepare(problem, shared_rows(problem))
    return dict(zip(prepared.plan.names, prepared.moved.tolist(), strict=True))

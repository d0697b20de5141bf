"""Affinities and what an entity's past says, against plain computations and planted truths."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from relselect.budget import Budget
from relselect.database import Database
from relselect.problem import Problem
from relselect.profile import profile_task
from relselect.profile.feature_affinity import feature_affinity_measures, tabpfn_weights
from relselect.profile.past import past_measures
from relselect.profile.path_affinity import path_affinity_measures, ridge_predictions
from relselect.profile.skill import HeldOut, hold_out
from relselect.profile.view import make_view
from relselect.tasks import Task
from tests.profile import worlds

DAY = 86_400_000_000


def planted(kind: str, seed: int = 0, *, noise: bool = False) -> Problem:
    """Customers whose label is told by the mean of the amounts they have spent so far, or by nothing at all."""
    rng = np.random.default_rng(seed)
    people, size = 150, 3000
    level = rng.normal(size=people)
    customer = rng.integers(0, people, size)
    orders = pd.DataFrame(
        {
            "customer": customer,
            "amount": level[customer] + 0.3 * rng.normal(size=size),
            "at": worlds.day(rng.integers(0, 100, size)),
        }
    )
    base = Database.from_dataframes(
        {"customers": pd.DataFrame({"id": np.arange(people)}), "orders": orders},
        keys={"customers": "id"},
        times={"orders": "at"},
        foreign_keys={"orders": {"customer": "customers"}},
    )
    asked = pd.DataFrame([(c, d) for d in range(20, 100, 10) for c in range(people)], columns=["id", "day"])
    truth = rng.normal(size=len(asked)) if noise else level[asked["id"]] + 0.3 * rng.normal(size=len(asked))
    label = {"binary": (truth > 0).astype(int), "regression": truth}
    label["multiclass"] = np.array(["a", "b", "c"])[np.digitize(truth, [-0.4, 0.4])]
    frame = asked.assign(label=label[kind], date=worlds.day(asked.pop("day")))
    task = Task.from_labels(
        base, frame, name="planted", entity="customers", kind=kind, time="date", horizon="10d",
        val_start=worlds.day([80])[0], test_start=worlds.day([90])[0],
    )  # fmt: skip
    return Problem(base, task)


@pytest.mark.parametrize("kind", ["binary", "regression", "multiclass"])
def test_planted_features_are_found_by_both_probes(kind: str) -> None:
    view = make_view(planted(kind), 0)
    for measure in feature_affinity_measures(view, Budget(None))[:2]:
        assert measure.value > 0.4, measure
        assert 0 < measure.stderr < 0.2
    for measure in path_affinity_measures(view, Budget(None)):
        assert measure.value > 0.3, measure


def test_noise_has_no_skill() -> None:
    view = make_view(planted("binary", noise=True), 0)
    for measure in [*feature_affinity_measures(view, Budget(None))[:2], *path_affinity_measures(view, Budget(None))]:
        assert abs(measure.value) < 4 * measure.stderr + 0.02, measure


def test_nothing_scored_was_known_when_the_probe_was_fitted() -> None:
    view = make_view(planted("binary"), 0)
    held = hold_out(view, 10_000, 10_000)
    assert isinstance(held, HeldOut)
    assert view.known[held.fit].max() <= view.cutoff[held.score].min()
    assert not set(held.fit) & set(held.score)
    few = hold_out(view, 50, 20)
    assert isinstance(few, HeldOut)
    assert (len(few.fit), len(few.score)) == (50, 20)
    assert set(few.fit) <= set(held.fit)


def by_hand(x: np.ndarray, y: np.ndarray, z: np.ndarray, penalty: float) -> np.ndarray:
    center, spread = x.mean(axis=0), x.std(axis=0)
    a, b = (x - center) / spread, (z - center) / spread
    scale = (np.linalg.svd(a, compute_uv=False) ** 2).mean()
    return y.mean() + b @ np.linalg.solve(a.T @ a + penalty * scale * np.eye(x.shape[1]), a.T @ (y - y.mean()))


@pytest.mark.parametrize("noise", [0.1, 1.0, 30.0])
def test_ridge_equals_a_search_over_penalties_by_hand(noise: float) -> None:
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(80, 12)), rng.normal(size=(30, 12))
    y = (x[:, :1] - 0.5 * x[:, 1:2]) + noise * rng.normal(size=(80, 1))
    late = np.arange(80) >= 60
    penalties = [10.0**power for power in (-4, -3, -2, -1, 0, 1, 2, 5)]
    errors = [float(((y[late] - by_hand(x[~late], y[~late], x[late], p)) ** 2).sum()) for p in penalties]
    expected = by_hand(x, y, z, penalties[int(np.argmin(errors))])
    np.testing.assert_allclose(ridge_predictions(x, y, z, late), expected, rtol=1e-9)


def test_ridge_of_constant_embeddings_is_the_mean() -> None:
    y = np.arange(5.0)[:, None]
    found = ridge_predictions(np.ones((5, 3)), y, np.ones((2, 3)), np.arange(5) > 3)
    np.testing.assert_allclose(found, [[2.0], [2.0]])


def test_numbers_with_heavy_tails_are_no_worse_than_their_median() -> None:
    found = worlds.frames(5, people=150, size=600)
    label = worlds.labels(5, found["people"], "regression")
    wild = np.random.default_rng(0).standard_cauchy(len(label)) * 1e6
    view = make_view(worlds.problem(found, label.assign(label=wild), "regression"), 0)
    for measure in path_affinity_measures(view, Budget(None)):
        assert abs(measure.value) < 0.05


def asked_before_they_are_there(kind: str, *, stored: bool) -> Problem:
    """Return a task about rows that appear after their cutoff, or never, with a declared feature that tells the label."""
    rng = np.random.default_rng(0)
    size = 600
    told = rng.normal(size=size)
    noisy = told + 0.5 * rng.normal(size=size)
    day = np.sort(rng.integers(0, 100, size))
    frame = pd.DataFrame({"id": range(size), "date": worlds.day(day), "told": told, "label": noisy})
    frame["label"] = (noisy > 0).astype(int) if kind == "binary" else noisy
    sales = pd.DataFrame({"id": range(size), "shop": rng.integers(0, 5, size), "at": worlds.day(day + 0.5)})
    base = Database.from_dataframes(
        {"shops": pd.DataFrame({"id": range(5)}), "sales": sales if stored else sales.iloc[:1]},
        keys={"shops": "id", "sales": "id"}, times={"sales": "at"}, foreign_keys={"sales": {"shop": "shops"}},
    )  # fmt: skip
    task = Task.from_labels(
        base, frame, name="t", entity="sales", kind=kind, time="date", entity_columns="id", features=["told"],
        horizon="1d",
    )  # fmt: skip
    return Problem(base, task)


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_rows_about_what_is_not_there_yet_are_measured(kind: str) -> None:
    profile = profile_task(asked_before_they_are_there(kind, stored=True))
    assert profile.value("feature_affinity_depth1") > 0.3
    assert profile.value("label_drift") == pytest.approx(0, abs=0.5)
    assert profile.value("new_entity_share") == 1
    assert "not there" not in profile["label_drift"].reading
    for name in ("entity_skill", "homophily_mean", "past_agreement"):
        assert not profile[name].exists
    assert profile["entity_skill"].reading.endswith("so none has a past.")


def test_what_is_not_there_yet_is_like_what_never_comes() -> None:
    kept = [
        [(m.name, m.value, m.stderr, m.reading) for m in profile_task(problem).measures if m.group != "scale"]
        for problem in (asked_before_they_are_there("binary", stored=True), asked_before_they_are_there("binary", stored=False))
    ]  # fmt: skip
    np.testing.assert_equal(*kept)


def test_past_measures_equal_pandas() -> None:
    problem = planted("binary")
    rows = problem.rows("train")
    train = pd.DataFrame({"entity": rows.entity, "cutoff": rows.cutoff // DAY, "label": rows.label})
    found = {measure.name: measure for measure in past_measures(make_view(problem, 0))}
    pairs = train.merge(train, on="entity", suffixes=("", "_past"))
    pairs = pairs[pairs["cutoff_past"] + 10 <= pairs["cutoff"]]
    for gap in (1, 2, 4):
        apart = pairs["cutoff"] - pairs["cutoff_past"]
        near = pairs[(apart >= gap * 10) & (apart < 2 * gap * 10)]
        near = near.sort_values("cutoff_past").groupby(["entity", "cutoff"]).tail(1)
        expected = near["label"].corr(near["label_past"])
        assert found[f"gap{gap}_autocorrelation"].value == pytest.approx(expected, abs=1e-9)
    mean = pairs.groupby(["entity", "cutoff"]).agg(now=("label", "first"), past=("label_past", "mean"))
    assert found["past_agreement"].value == pytest.approx(mean["now"].corr(mean["past"]), abs=1e-9)
    same = np.where(mean["now"] == 1, mean["past"], 1 - mean["past"]).mean()
    assert found["same_label_ratio"].value == pytest.approx(same, abs=1e-9)
    assert found["new_entity_share"].value == 0.0


def test_weights_of_tabpfn_are_looked_for_and_never_fetched(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TABPFN_MODEL_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert tabpfn_weights("binary") is None
    (tmp_path / "tabpfn-v2-classifier.ckpt").write_bytes(b"")
    assert tabpfn_weights("binary") == tmp_path / "tabpfn-v2-classifier.ckpt"
    assert tabpfn_weights("regression") is None

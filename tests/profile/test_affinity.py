"""Affinities and what an entity's past says, against plain computations and planted truths."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from relselect.budget import Budget
from relselect.database import Database
from relselect.problem import Problem
from relselect.profile.feature_affinity import feature_affinity_measures, tabpfn_weights
from relselect.profile.past import past_measures
from relselect.profile.path_affinity import path_affinity_measures, ridge_predictions
from relselect.profile.skill import Held, hold_out
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
    assert isinstance(held, Held)
    assert view.known[held.fit].max() <= view.cutoff[held.score].min()
    assert not set(held.fit) & set(held.score)
    few = hold_out(view, 50, 20)
    assert isinstance(few, Held)
    assert (len(few.fit), len(few.score)) == (50, 20)
    assert set(few.fit) <= set(held.fit)


def test_ridge_equals_a_search_over_penalties_by_hand() -> None:
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(80, 12)), rng.normal(size=(30, 12))
    y = (x[:, :1] - 0.5 * x[:, 1:2]) + rng.normal(size=(80, 1))
    center, spread = x.mean(axis=0), x.std(axis=0)
    a, b = (x - center) / spread, (z - center) / spread
    scores = []
    for penalty in 10.0 ** np.arange(-4.0, 3.0) * (np.linalg.svd(a, compute_uv=False) ** 2).mean():
        inverse = np.linalg.inv(a.T @ a + penalty * np.eye(12))
        hat = a @ inverse @ a.T
        left = (y - y.mean()) - hat @ (y - y.mean())
        gcv = float((left**2).sum()) / (1 - (np.trace(hat) + 1) / 80) ** 2
        scores.append((gcv, y.mean() + b @ inverse @ a.T @ (y - y.mean())))
    np.testing.assert_allclose(ridge_predictions(x, y, z), min(scores, key=lambda each: each[0])[1], rtol=1e-9)


def test_ridge_of_constant_embeddings_is_the_mean() -> None:
    y = np.arange(5.0)[:, None]
    np.testing.assert_allclose(ridge_predictions(np.ones((5, 3)), y, np.ones((2, 3))), [[2.0], [2.0]])


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

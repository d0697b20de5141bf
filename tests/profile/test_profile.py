"""Scale, baselines and temporal measures against plain pandas, and the profile as a value."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from relselect.events import Event, StageFinished, StageStarted
from relselect.problem import Problem
from relselect.profile import Profile, ProfileCache, profile_task
from relselect.profile.baselines import baseline_measures
from relselect.profile.scale import scale_measures
from relselect.profile.temporal import last_fifth, temporal_measures
from relselect.profile.view import make_view
from relselect.selector.prior import MEASURES
from tests.profile import worlds


def make(kind: str, seed: int = 0, people: int = 80) -> tuple[Problem, pd.DataFrame]:
    found = worlds.frames(seed, people=people)
    # Everybody is there from the start: rows that ask about somebody not born yet are left out of every measure.
    found["people"]["born"] = worlds.START
    problem = worlds.problem(found, worlds.labels(seed, found["people"], kind), kind)
    rows = problem.rows("train")
    return problem, pd.DataFrame({"entity": rows.entity, "cutoff": rows.cutoff, "label": rows.label})


def measured(problem: Problem) -> Profile:
    """Return what these tests ask about, without the affinities."""
    view = make_view(problem, 0)
    return Profile((*scale_measures(view), *baseline_measures(view), *temporal_measures(view)), 0.0)


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_lag_autocorrelation_equals_pandas(kind: str) -> None:
    problem, train = make(kind)
    profile = measured(problem)
    train = train.sort_values(["entity", "cutoff"])
    for lag in (1, 2, 3):
        pairs = pd.DataFrame({"now": train["label"], "before": train.groupby("entity")["label"].shift(lag)}).dropna()
        measure = profile[f"lag{lag}_autocorrelation"]
        assert measure.value == pytest.approx(pairs["now"].corr(pairs["before"]), abs=1e-9)
        assert 0 < measure.stderr < 0.3


def test_multiclass_autocorrelation_is_agreement_beyond_chance() -> None:
    problem, train = make("multiclass")
    train = train.sort_values(["entity", "cutoff"])
    pairs = pd.DataFrame({"now": train["label"], "before": train.groupby("entity")["label"].shift(1)}).dropna()
    h = (pairs["now"] == pairs["before"]).mean()
    b = sum((pairs["now"] == c).mean() * (pairs["before"] == c).mean() for c in range(3))
    assert measured(problem).value("lag1_autocorrelation") == pytest.approx((h - b) / (1 - b), abs=1e-9)


def test_drift_equals_pandas() -> None:
    problem, train = make("regression")
    late = train["cutoff"] >= last_fifth(train["cutoff"].to_numpy())
    expected = (train["label"][late].mean() - train["label"][~late].mean()) / train["label"].std(ddof=0)
    assert measured(problem).value("label_drift") == pytest.approx(expected, abs=1e-9)


def test_baselines_are_fitted_on_what_was_known_before_they_are_scored() -> None:
    problem, train = make("regression")
    start = last_fifth(train["cutoff"].to_numpy())
    week = 7 * 86_400_000_000
    known, scored = train[train["cutoff"] + week <= start], train[train["cutoff"] >= start]
    middle = known["label"].median()
    worst = (scored["label"] - middle).abs().mean()
    for name, own in (
        ("entity_skill", known.groupby("entity")["label"].median()),
        ("entity_mean_skill", known.groupby("entity")["label"].mean()),
    ):
        fallback = middle if name == "entity_skill" else known["label"].mean()
        predicted = scored["entity"].map(own).fillna(fallback)
        expected = 1 - (scored["label"] - predicted).abs().mean() / worst
        assert measured(problem).value(name) == pytest.approx(expected, abs=1e-9)


def test_binary_skill_is_gini() -> None:
    from sklearn.metrics import roc_auc_score

    problem, train = make("binary")
    start = last_fifth(train["cutoff"].to_numpy())
    known = train[train["cutoff"] + 7 * 86_400_000_000 <= start]
    scored = train[train["cutoff"] >= start]
    predicted = scored["entity"].map(known.groupby("entity")["label"].mean()).fillna(known["label"].mean())
    profile = measured(problem)
    assert profile.value("entity_skill") == pytest.approx(2 * roc_auc_score(scored["label"], predicted) - 1, abs=1e-9)
    assert profile.value("global_skill") == 0
    assert 0 < profile["entity_skill"].stderr < 0.5


def test_scale() -> None:
    problem, train = make("binary")
    profile = measured(problem)
    assert profile.value("log10_train_rows") == pytest.approx(math.log10(len(train)))
    assert profile.value("rows_per_entity") == pytest.approx(len(train) / train["entity"].nunique())
    assert profile.value("tables") == 5
    share = train["label"].mean()
    entropy = -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
    assert profile.value("class_balance") == pytest.approx(entropy)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_every_measure_reads_and_the_names_agree(kind: str) -> None:
    heard: list[Event] = []
    problem, _ = make(kind)
    profile = profile_task(problem, emit=heard.append)
    assert isinstance(heard[0], StageStarted)
    assert isinstance(heard[-1], StageFinished)
    assert len({m.name for m in profile.measures}) == len(profile.measures)
    assert all(m.reading.endswith(".") and "nan" not in m.reading for m in profile.measures)
    assert {m.group for m in profile.measures} == {"scale", "baselines", "temporal", "homophily", "affinity"}
    again = Profile.from_json(profile.to_json())
    np.testing.assert_equal([m.value for m in again.measures], [m.value for m in profile.measures])
    assert again.version == profile.version
    assert math.isnan(profile.value("no such measure"))


def test_a_label_that_stops_varying_has_defined_values() -> None:
    found = worlds.frames(0)
    label = worlds.labels(0, found["people"], "binary")
    flat = label["date"].between(worlds.day([40])[0], worlds.day([79])[0])
    problem = worlds.problem(found, label.assign(label=label["label"].where(~flat, 0)))
    measure = measured(problem)["entity_skill"]
    assert not measure.exists
    assert "undefined" in measure.reading


def test_only_the_measures_that_are_named_are_measured() -> None:
    problem, _ = make("binary")
    whole, part = profile_task(problem), profile_task(problem, only=MEASURES)
    assert set(MEASURES) <= {measure.name for measure in part.measures}
    for measure in part.measures:
        assert measure.value == pytest.approx(whole.value(measure.name), nan_ok=True, abs=0.0)
    names = {measure.name for measure in whole.measures} - {measure.name for measure in part.measures}
    assert {"lag1_autocorrelation", "past_agreement", "feature_affinity_depth1", "path_affinity_sage3"} <= names
    least = {measure.group for measure in profile_task(problem, only=()).measures}
    assert least == {"scale", "baselines"}


def test_a_whole_profile_answers_for_a_part_of_it(tmp_path) -> None:
    problem, cache = make("binary")[0], ProfileCache(tmp_path)
    part = profile_task(problem, only=MEASURES, cache=cache)
    assert profile_task(problem, only=MEASURES, cache=cache).to_json() == part.to_json()
    whole = profile_task(problem, cache=cache)
    assert len(whole.measures) > len(part.measures)
    cache.place(problem, 0, 2, MEASURES).unlink()
    assert profile_task(problem, only=MEASURES, cache=cache).to_json() == whole.to_json()

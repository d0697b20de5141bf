"""Synthetic databases: seeded, valid, the signal where the specification says it is, and the best possible score known."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from relselect.budget import Budget
from relselect.errors import ConfigError
from relselect.examples import Example, SyntheticSpec, synthetic_database, synthetic_specs
from relselect.examples.synthetic_score import aggregates, row_scores
from relselect.examples.synthetic_world import cutoff_days, draw_world
from relselect.problem import Problem
from relselect.profile.homophily import homophily_measures
from relselect.profile.view import make_view

SMALL = SyntheticSpec(people=120, cutoffs=6, events=8)
SPLITS = ("train", "val", "test")


def frames(example: Example) -> dict[str, pd.DataFrame]:
    return {name: table.data.to_pandas() for name, table in example.database.tables.items()}


def asked(example: Example, split: str) -> pd.DataFrame:
    frame = example.task("planted").splits[split]
    return pd.DataFrame(
        {
            "person": frame.keys["person_id"].to_numpy(),
            "cutoff": frame.cutoff.astype("datetime64[us]"),
            "label": frame.label,
        }
    )


def best_of(example: Example, values: pd.DataFrame, split: str = "test") -> float:
    """Return the AUROC of the mean of the visible `values` (person, time, value), standardised over the people at a cutoff."""
    rows = asked(example, split)
    everyone = range(example.database["people"].num_rows)
    found = np.empty(len(rows))
    for cutoff, of_cutoff in rows.groupby("cutoff"):
        visible = values[values["time"] <= cutoff]
        mean = visible.groupby("person")["value"].mean().reindex(everyone, fill_value=0.0)
        found[of_cutoff.index] = ((mean - mean.mean()) / mean.std())[of_cutoff["person"]]
    return float(roc_auc_score(rows["label"], found))


def test_equal_specifications_and_seeds_give_equal_examples():
    first, second = (synthetic_database(SMALL, 3) for _ in range(2))
    assert first.database.fingerprint == second.database.fingerprint
    assert first.task("planted").fingerprint == second.task("planted").fingerprint
    assert first.bayes == second.bayes
    for other in (synthetic_database(SMALL, 4), synthetic_database(replace(SMALL, noise=0.31), 3)):
        assert other.database.fingerprint != first.database.fingerprint


def test_a_linear_value_three_keys_away_is_where_the_specification_says():
    example = synthetic_database(replace(SMALL, people=600, hops=3, missing=0.2), 1)
    table = frames(example)
    joined = table["events"].merge(table["items"], left_on="items_id", right_on="id", suffixes=("", "_item"))
    joined = joined.merge(table["makers"], left_on="makers_id", right_on="id", suffixes=("", "_maker"))
    values = pd.DataFrame({"person": joined["people_id"], "time": joined["time"], "value": joined["a_maker"]})
    assert best_of(example, values) == pytest.approx(example.bayes["planted"]["test"], abs=1e-9)
    assert table["events"]["items_id"].isna().mean() == pytest.approx(0.2, abs=0.03)


def test_signs_of_two_rows_say_what_neither_says_alone():
    example = synthetic_database(replace(SMALL, people=1500, hops=2, pattern="xor", noise=0.1), 1)
    table = frames(example)
    joined = table["events"].merge(table["items"], left_on="items_id", right_on="id", suffixes=("", "_item"))
    values = pd.DataFrame({"person": joined["people_id"], "time": joined["time"]})
    best = best_of(example, values.assign(value=np.sign(joined["a_item"]) * np.sign(joined["b"])))
    assert best == pytest.approx(example.bayes["planted"]["test"], abs=1e-9)
    assert best > 0.9
    for alone in (joined["a_item"], joined["b"], joined["a_item"].abs()):
        assert abs(best_of(example, values.assign(value=alone)) - 0.5) < 0.06


def test_tags_are_reached_through_the_bridge_of_links():
    spec = replace(SMALL, people=600, hops=4, depth=4, bridge=True, pattern="threshold")
    example = synthetic_database(spec, 1)
    table = frames(example)
    tagged = table["links"].merge(table["tags"], left_on="tags_id", right_on="id", suffixes=("", "_tag"))
    per_item = (tagged["a_tag"] > 0.5).groupby(tagged["items_id"]).mean()
    events = table["events"][table["events"]["items_id"].isin(per_item.index)]
    value = per_item[events["items_id"]].to_numpy()
    values = pd.DataFrame({"person": events["people_id"], "time": events["time"], "value": value})
    # means of shares tie, and sums in another order break ties otherwise
    assert best_of(example, values) == pytest.approx(example.bayes["planted"]["test"], abs=1e-3)


@pytest.mark.parametrize("bridge", [False, True])
def test_people_met_are_reached_directly_or_through_meetings(bridge):
    spec = replace(
        SMALL, people=600, source="peers", contacts=8, bridge=bridge, hops=4 if bridge else 2, pattern="gate"
    )
    example = synthetic_database(spec, 1)
    table = frames(example)
    if bridge:
        pairs = table["attendances"].merge(table["attendances"], on="meetings_id", suffixes=("", "_other"))
        pairs = pairs[pairs["id"] != pairs["id_other"]].rename(columns={"people_id": "one", "people_id_other": "other"})
    else:
        turned = table["contacts"].rename(columns={"one": "other", "other": "one"})
        pairs = pd.concat([table["contacts"], turned])
    own = np.sign(table["people"]["a"].to_numpy())
    value = own[pairs["one"]] * table["people"]["a"].to_numpy()[pairs["other"]]
    values = pd.DataFrame({"person": pairs["one"], "time": pairs["time"], "value": value})
    assert best_of(example, values) == pytest.approx(example.bayes["planted"]["test"], abs=1e-9)


@pytest.mark.parametrize("bridge", [False, True])
@pytest.mark.parametrize("homophily", [-0.9, 0.0, 0.9])
def test_the_profile_measures_the_homophily_that_was_asked_for(homophily, bridge):
    spec = replace(
        SMALL, people=800, contacts=10, bridge=bridge, homophily=homophily, kinship=1.0, once=True, noise=0.02
    )
    problem = Problem(*(lambda e: (e.database, e.task("planted")))(synthetic_database(spec, 2)))
    measures = homophily_measures(make_view(problem, 0), Budget(None))
    route = "attendances" if bridge else "contacts"
    found = {m.name: m for m in measures if m.name.startswith("homophily[") and route in m.name}
    assert found
    assert all(m.value == pytest.approx(0.92 * homophily, abs=max(0.12, 4 * m.stderr)) for m in found.values())


def test_no_fitted_model_beats_the_true_probabilities():
    from lightgbm import LGBMClassifier

    for seed in range(3):
        example = synthetic_database(replace(SMALL, people=1000, hops=1), seed)
        events = frames(example)["events"]

        def features(split: str, example=example, events=events) -> tuple[np.ndarray, np.ndarray]:
            rows = asked(example, split)
            parts = []
            for cutoff, of_cutoff in rows.groupby("cutoff"):
                seen = events[events["time"] <= cutoff].groupby("people_id")[["a", "b"]].agg(["mean", "sum", "count"])
                parts.append(seen.reindex(of_cutoff["person"]).to_numpy())
            return np.concatenate(parts), rows.sort_values("cutoff", kind="stable")["label"].to_numpy()

        model = LGBMClassifier(n_estimators=60, num_leaves=8, n_jobs=1, verbose=-1).fit(*features("train"))
        values, label = features("test")
        reached = roc_auc_score(label, model.predict_proba(values)[:, 1])
        assert 0.7 < reached < example.bayes["planted"]["test"] + 0.01


def test_the_best_error_of_a_regression_is_that_of_the_noise():
    example = synthetic_database(replace(SMALL, people=2000, kind="regression", noise=0.4), 0)
    expected = -np.sqrt(0.4) * np.sqrt(2 / np.pi)
    assert example.bayes["planted"]["test"] == pytest.approx(expected, rel=0.05)


def test_pure_noise_cannot_be_predicted_and_rare_labels_are_rare():
    assert synthetic_database(replace(SMALL, noise=1.0), 0).bayes["planted"] == dict.fromkeys(SPLITS, 0.5)
    example = synthetic_database(replace(SMALL, people=1000, base_rate=0.1), 0)
    rates = [frame.label.mean() for frame in example.task("planted").splits.values()]
    assert rates == pytest.approx([0.1] * 3, abs=0.03)


def test_drift_turns_the_score_from_one_pair_of_columns_to_the_other():
    spec = replace(SMALL, people=800, drift=1.0)
    world, days = draw_world(spec, np.random.default_rng(0)), cutoff_days(spec)
    score = row_scores(world, spec, days)
    first, second = (aggregates(world, spec, days, *names) for names in ("ab", "cd"))
    assert np.corrcoef(score[0], first[0])[0, 1] == pytest.approx(1.0)
    assert np.corrcoef(score[-1], second[-1])[0, 1] == pytest.approx(1.0)
    assert abs(np.corrcoef(score[-1], first[-1])[0, 1]) < 0.2
    steady = row_scores(world, replace(spec, drift=0.0), days)
    assert np.corrcoef(steady[-1], first[-1])[0, 1] == pytest.approx(1.0)


@st.composite
def specs(draw) -> SyntheticSpec:
    bridge, source = draw(st.booleans()), draw(st.sampled_from(["path", "peers"]))
    depth = draw(st.integers(1, 4))
    hops = draw(st.integers(1, depth)) if source == "path" else 4 if bridge else 2
    choice = {name: draw(st.sampled_from(values)) for name, values in (
        ("pattern", ["linear", "threshold", "band", "xor", "gate"]),
        ("aggregate", ["mean", "sum"]),
        ("recency", ["all", "month", "last"]),
        ("missing", [0.0, 0.4]),
        ("drift", [0.0, 0.5]),
    )}  # fmt: skip
    return SyntheticSpec(
        people=30, cutoffs=4, events=6, contacts=4, depth=depth, bridge=bridge, source=source, hops=hops, **choice
    )


@settings(max_examples=60, deadline=None)
@given(specs(), st.integers(0, 50))
def test_law_no_row_after_the_cutoff_enters_a_score(spec, seed):
    world, days = draw_world(spec, np.random.default_rng(seed)), cutoff_days(spec)
    scores = row_scores(world, spec, days)
    for number, day in enumerate(days):
        for columns in ("ab", "cd"):
            whole = aggregates(world, spec, days[number : number + 1], *columns)
            assert (aggregates(world.until(day), spec, days[number : number + 1], *columns) == whole).all()
    assert (row_scores(world.until(days[-2]), spec, days)[:-1] == scores[:-1]).all()
    assert world.until(days[0]).day.max(initial=0.0) <= days[0]


def test_labels_follow_the_probabilities_of_the_score():
    """Equal rows up to a cutoff leave nothing but the drawn noise: the residuals of a regression are normal and independent."""
    spec = replace(SMALL, people=1500, kind="regression", noise=0.3)
    example = synthetic_database(spec, 5)
    events = frames(example)["events"]
    rows = asked(example, "train")
    cutoff = rows["cutoff"].min()
    seen = events[events["time"] <= cutoff].groupby("people_id")["a"].mean().reindex(range(1500), fill_value=0.0)
    score = (seen - seen.mean()) / seen.std(ddof=0)
    mine = rows[rows["cutoff"] == cutoff]
    rest = mine["label"].to_numpy() - np.sqrt(0.7) * score[mine["person"]].to_numpy()
    assert rest.std() == pytest.approx(np.sqrt(0.3), rel=0.06)
    assert abs(np.corrcoef(rest, score[mine["person"]])[0, 1]) < 0.08
    later = events[events["time"] > cutoff].groupby("people_id")["a"].mean().reindex(mine["person"], fill_value=0.0)
    assert abs(np.corrcoef(rest, later)[0, 1]) < 0.08
    assert np.mean(rest > norm.ppf(0.9) * np.sqrt(0.3)) == pytest.approx(0.1, abs=0.03)


def test_schemas_hold_what_was_asked_for():
    spec = replace(SMALL, depth=4, distractors=3, contacts=4, columns=5, bridge=True)
    database = synthetic_database(spec, 0).database
    assert set(database.tables) == {
        "people", "events", "items", "links", "tags", "meetings", "attendances", "log_0", "log_1", "log_2"
    }  # fmt: skip
    assert not any(database.counts.dangling_keys.values())
    assert not any(database.counts.null_keys.values())
    assert {"a", "b", "c", "d", "x0", "x4"} <= set(database["events"].columns)
    assert [key.table for key in database["log_1"].foreign_keys] == ["log_0"]
    assert set(synthetic_database(replace(SMALL, depth=1), 0).database.tables) == {"people", "events"}


def test_nobody_is_asked_twice_where_everybody_is_asked_once():
    task = synthetic_database(replace(SMALL, once=True), 0).task("planted")
    people = np.concatenate([frame.keys["person_id"].to_numpy() for frame in task.splits.values()])
    assert sorted(people) == list(range(120))


def test_a_hundred_thousand_rows_take_seconds():
    begun = time.perf_counter()
    example = synthetic_database(SyntheticSpec(people=4000, events=20, hops=3), 0)
    assert example.database.num_rows > 90_000
    assert time.perf_counter() - begun < 10


def test_the_shipped_grid_is_valid_and_covers_the_ranges():
    known = synthetic_specs()
    assert len(known) >= 60
    assert len(set(known.values())) == len(known)
    assert {spec.pattern for spec in known.values()} == {"linear", "threshold", "band", "xor", "gate"}
    assert {spec.hops for spec in known.values() if spec.source == "path"} == {1, 2, 3, 4}
    homophily = [spec.homophily for spec in known.values()]
    assert (min(homophily), max(homophily)) == (-1.0, 1.0)
    assert {spec.kind for spec in known.values()} == {"binary", "regression"}
    for name in ("xor-2-small", "missing-03", "rare-005"):
        assert np.isfinite(list(synthetic_database(known[name], 0).bayes["planted"].values())).all()


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"pattern": "cubic"}, "linear, threshold, band, xor, gate"),
        ({"hops": 4}, "depth=4"),
        ({"depth": 5}, "must be 1 to 4"),
        ({"cutoffs": 2}, "split needs a cutoff"),
        ({"source": "peers", "hops": 2}, "contacts=8"),
        ({"source": "peers", "contacts": 4, "bridge": True, "hops": 2}, "hops=4"),
        ({"homophily": 0.5}, "contacts=8"),
        ({"homophily": 1.5, "contacts": 4}, "from -1 to 1"),
        ({"noise": 0.0}, "from 0.01 to 1"),
        ({"noise": True}, "from 0.01 to 1"),
        ({"people": 0}, "whole number from 1"),
        ({"columns": -1}, "whole number from 1"),
        ({"base_rate": 1.0}, "base_rate=0.1"),
        ({"once": 1}, "true or false"),
    ],
)
def test_impossible_specifications_are_refused(given_, message):
    with pytest.raises(ConfigError, match=message):
        SyntheticSpec(**given_)


def test_an_unknown_field_of_the_grid_is_named(tmp_path, monkeypatch):
    from relselect.examples import synthetic_spec

    path = tmp_path / "synthetic.yaml"
    path.write_text("defaults: {people: 10}\nspecs: {one: {colour: red}}\n", encoding="utf-8")
    monkeypatch.setattr(synthetic_spec, "config_path", lambda *parts: path)
    with pytest.raises(ConfigError, match=r"one.*colour.*no fields of a specification"):
        synthetic_specs()

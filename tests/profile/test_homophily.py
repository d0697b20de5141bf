"""Homophily: equal to the definition, near planted values, blind to what is hidden."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

from relselect.budget import Budget
from relselect.database import Database
from relselect.events import Event, Notice
from relselect.problem import Problem
from relselect.profile import Profile, profile_task
from relselect.profile import homophily as paths_of_homophily
from relselect.profile.homophily import homophily_measures
from relselect.profile.paths import find_paths
from relselect.profile.view import make_view
from relselect.tasks import Task
from tests.profile import worlds
from tests.profile.brute import homophily


def facts(profile: Profile) -> str:
    stored = profile.to_json()
    return json.dumps([{k: v for k, v in m.items() if k != "seconds"} for m in stored["measures"]], sort_keys=True)


def test_all_kinds_of_paths_are_found() -> None:
    names = [path.name for path in find_paths(worlds.database(worlds.frames(0)), "people")]
    assert "people - boss" in names
    assert "people - matches.home and away" in names
    assert "people > people.region = people > people.region" in names
    assert "people > people.boss = people > people.boss" in names
    assert "people < matches.away > matches.club = people < members.person > members.sponsor" in names
    assert len(names) == len(set(names)) == 4 + 4 * 5 // 2


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_definition(kind: str, seed: int) -> None:
    found = worlds.frames(seed)
    problem = worlds.problem(found, worlds.labels(seed, found["people"], kind), kind)
    measured = {each.name: each for each in homophily_measures(make_view(problem, 0), Budget(None), hops=4)}
    paths = find_paths(problem.database, "people", hops=4)
    compared = sorted(paths, key=lambda path: not path.symmetric)[:24]
    assert any(path.chain for path in compared)
    for path in compared:
        *expected, pairs = homophily(problem, path)
        for sort, value in zip(("", "raw_", "insensitive_", "aggregated_"), expected, strict=True):
            found = measured[f"{sort}homophily[{path.name}]"]
            if pairs < 30:
                assert math.isnan(found.value)
            else:
                assert found.value == pytest.approx(value, abs=1e-9, nan_ok=True)
        if pairs >= 30:
            assert f"{pairs:,} pairs" in measured[f"homophily[{path.name}]"].reading


def test_delayed_rows_see_less() -> None:
    found = worlds.frames(3)
    label = worlds.labels(3, found["people"], "binary")
    problem = worlds.problem(found, label.assign(known=label["date"] + pd.Timedelta("12D")), known_at="known")
    profile = profile_task(problem)
    for path in find_paths(problem.database, "people")[:6]:
        adjusted, *_, pairs = homophily(problem, path)
        if pairs >= 30:
            assert profile.value(f"homophily[{path.name}]") == pytest.approx(adjusted, abs=1e-9)


@pytest.mark.parametrize("planted", [0.6, 0.2, 0.0])
def test_planted_homophily_is_found(planted: float) -> None:
    for seed in (0, 1, 2):
        measure = profile_task(worlds.grouped(planted, groups=120, seed=seed), seed=seed)["homophily_mean"]
        assert 0 < measure.stderr < 0.15
        assert abs(measure.value - planted) < 3 * measure.stderr


def test_planted_heterophily_is_found() -> None:
    # Three of six have the label: another member has the same one with probability 2/5, so h_adj = (2/5 - 1/2) / (1/2).
    measure = profile_task(worlds.grouped(-1, groups=60))["homophily_mean"]
    assert measure.value == pytest.approx(-0.2, abs=max(1e-6, 3 * measure.stderr))


def with_hidden_rows(found: dict[str, pd.DataFrame], after: float) -> dict[str, pd.DataFrame]:
    """Add rows later than `after` days to every timed table, and shuffle all."""
    rng = np.random.default_rng(5)
    late, known = dict(found), found["people"]["id"].to_numpy()
    new = np.arange(5000, 5008)
    people = pd.DataFrame(
        {
            "id": new,
            "region": "north",
            "boss": pd.array([known[0]] * 8, "Int64"),
            "born": worlds.day([after] * 8),
        }
    )
    late["people"] = pd.concat([people, found["people"]])
    late["clubs"] = pd.concat([pd.DataFrame({"id": [77], "founded": worlds.day([after])}), found["clubs"]])
    everyone = np.concatenate([new, known])
    members = {
        "person": rng.choice(everyone, 40),
        "club": 77,
        "sponsor": 1,
        "joined": worlds.day([after] * 40),
    }
    late["members"] = pd.concat([pd.DataFrame(members), found["members"]])
    matches = {
        "home": rng.choice(everyone, 40),
        "away": rng.choice(known, 40),
        "club": 2,
        "played": worlds.day([after] * 40),
    }
    late["matches"] = pd.concat([found["matches"], pd.DataFrame(matches)])
    return {name: frame.sample(frac=1, random_state=1).reset_index(drop=True) for name, frame in late.items()}


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_hidden_rows_and_row_order_change_nothing(kind: str) -> None:
    found = worlds.frames(7, people=60, size=1500)
    label = worlds.labels(7, found["people"], kind)
    problem = worlds.problem(found, label, kind)
    end = (problem.fit_asof / 86_400e6) - worlds.START.timestamp() / 86_400
    other = worlds.problem(with_hidden_rows(found, end + 0.001), label.sample(frac=1, random_state=2), kind)
    assert facts(profile_task(problem, seed=3)) == facts(profile_task(other, seed=3))


def test_labels_of_validation_and_test_are_not_read() -> None:
    found = worlds.frames(7)
    label = worlds.labels(7, found["people"], "binary")
    problem = worlds.problem(found, label)
    later = label["date"] > pd.Timestamp(problem.fit_asof, unit="us")
    flipped = label.assign(label=np.where(later, 1 - label["label"], label["label"]))
    assert facts(profile_task(problem)) == facts(profile_task(worlds.problem(found, flipped)))


def test_the_seed_decides_and_repeats() -> None:
    found = worlds.frames(7, people=60, size=3000)
    problem = worlds.problem(found, worlds.labels(7, found["people"], "binary"))
    assert facts(profile_task(problem, seed=1)) == facts(profile_task(problem, seed=1))
    assert facts(profile_task(problem, seed=1)) != facts(profile_task(problem, seed=2))


def test_static_tasks_compare_entities_once() -> None:
    rng = np.random.default_rng(0)
    group = np.arange(300) // 10
    value = (rng.random(300) < np.where(rng.random(30) < 0.5, 0.9, 0.1)[group]).astype(int)
    base = Database.from_dataframes(
        {"groups": pd.DataFrame({"id": range(30)}), "atoms": pd.DataFrame({"id": range(300), "group": group})},
        keys={"groups": "id", "atoms": "id"}, foreign_keys={"atoms": {"group": "groups"}},
    )  # fmt: skip
    task = Task.from_labels(
        base,
        pd.DataFrame({"id": range(300), "label": value}),
        name="t",
        entity="atoms",
        kind="binary",
        entity_columns="id",
    )
    problem = Problem(base, task)
    profile = profile_task(problem)
    train = problem.rows("train")
    pairs = [(i, j) for i in range(len(train)) for j in range(i) if group[train.entity[i]] == group[train.entity[j]]]
    assert profile.value("homophily_pairs") == len(pairs)
    h = np.mean([train.label[i] == train.label[j] for i, j in pairs])
    assert profile.value("raw_homophily[atoms > atoms.group = atoms > atoms.group]") == pytest.approx(h)
    assert profile.value("homophily_mean") > 0.3
    assert math.isnan(profile.value("lag1_autocorrelation"))


def test_no_path_and_no_time_are_said() -> None:
    found = worlds.frames(0)
    label = worlds.labels(0, found["people"], "binary")
    unknown = worlds.problem(found, label, known_after=None)
    measure = profile_task(unknown)["homophily_mean"]
    assert not measure.exists
    assert "not known when labels become known" in measure.reading


def test_out_of_time_is_no_error() -> None:
    found = worlds.frames(0)
    problem = worlds.problem(found, worlds.labels(0, found["people"], "binary"))
    heard: list[Event] = []
    assert profile_task(problem, budget=Budget(10).until(0.0), emit=heard.append).measures == ()
    assert any(isinstance(event, Notice) for event in heard)
    late = homophily_measures(make_view(problem, 0), Budget(10).until(0.0))
    assert not any(measure.exists for measure in late if measure.name not in ("homophily_paths", "homophily_pairs"))
    assert any("time ended before" in measure.reading for measure in late)


def test_many_paths_leave_time_for_the_affinities(monkeypatch: pytest.MonkeyPatch) -> None:
    found = worlds.frames(0)
    problem = worlds.problem(found, worlds.labels(0, found["people"], "binary"))
    measured, clock, ahead = paths_of_homophily._found, time.monotonic, [0.0]

    def slowly(*given: Any) -> Any:
        ahead[0] += 60.0
        return measured(*given)

    monkeypatch.setattr(time, "monotonic", lambda: clock() + ahead[0])
    monkeypatch.setattr(paths_of_homophily, "_found", slowly)
    profile = profile_task(problem, budget=Budget(100.0))
    assert "time ended before" in profile["homophily_paths"].reading
    assert profile["path_affinity_sage2"].exists

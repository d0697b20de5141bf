"""Homophily and the past on real databases, where nothing is sampled, against joins in pandas."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from relselect import examples
from relselect.api import open_task
from relselect.budget import Budget
from relselect.configs import open_database
from relselect.database import Database
from relselect.database.clock import DAY
from relselect.problem import LABELS, Problem
from relselect.profile.homophily import homophily_measures
from relselect.profile.past import past_measures
from relselect.profile.paths import HalfPath, MetaPath, find_paths
from relselect.profile.temporal import temporal_measures
from relselect.profile.view import make_view
from relselect.profile.walker import MetaPathWalker
from relselect.tasks import Task

CASES = [
    ("lahman", "player-active"),
    ("rel-f1", "driver-dnf"),
    ("rel-f1", "driver-top3"),
    ("rel-f1", "driver-position"),
]
ROWS = 400


@pytest.fixture(autouse=True)
def nothing_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = MetaPathWalker.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "cap", 10**9)
    monkeypatch.setitem(defaults, "most_pairs", 10**12)


@pytest.fixture(params=CASES, ids="-".join, scope="module")
def problem(request: pytest.FixtureRequest) -> Problem:
    database, task = request.param
    if database != "lahman" and not os.environ.get("RELSELECT_DATA"):
        pytest.skip("RELSELECT_DATA is not set")
    example = examples.lahman() if database == "lahman" else None
    base = example.database if example else open_database(database)
    return thinned(base, example.tasks[task] if example else open_task(base, task))


def thinned(database: Database, task: Task) -> Problem:
    """Return the task about so many of its entities that every one of their train rows is measured."""
    whole = Problem(database, task)
    rows = whole.rows("train")
    every = math.ceil((rows.entity >= 0).sum() / ROWS)
    kept = rows.take(np.flatnonzero((rows.entity >= 0) & (rows.entity % every == 0)))
    keys = database[task.entity].data[database[task.entity].primary_key[0]].to_numpy()
    frame = pd.DataFrame({"id": keys[kept.entity], "date": pd.to_datetime(kept.cutoff, unit="us"), "label": kept.label})
    again = Task.from_labels(
        database, frame, name="thinned", entity=task.entity, kind=task.kind, time="date", entity_columns="id",
        horizon=f"{task.horizon // DAY}d",
    )  # fmt: skip
    return Problem(database, again)


def seen(problem: Problem, table: str) -> np.ndarray:
    return problem.database.times(table)


def known_labels(problem: Problem, asof: int) -> pd.Series:
    """Return the mean label of every entity that has one known at a moment."""
    labels, times = problem.database[LABELS].data["label"].to_numpy(), seen(problem, LABELS)
    entity = problem.database.parents(LABELS)[0]
    here = (times <= asof) & (entity >= 0)
    return pd.Series(labels[here].astype(float)).groupby(entity[here]).mean()


def edges(problem: Problem, half: HalfPath, asof: int) -> pd.DataFrame:
    """Return who is joined to which row at the end of half a path, by what is visible at a moment."""
    parents = problem.database.parents(half.table)
    own = np.arange(len(seen(problem, half.table))) if half.direct else parents[half.to_entity]
    found = pd.DataFrame({"who": own, "end": parents[half.to_end], "time": seen(problem, half.table)})
    found = found[(found["who"] >= 0) & (found["end"] >= 0) & (found["time"] <= asof)]
    found = found[seen(problem, problem.entity)[found["who"]] <= asof]
    return found.loc[seen(problem, half.end)[found["end"]] <= asof, ["who", "end"]].drop_duplicates()


def joined(problem: Problem, path: MetaPath, who: np.ndarray, asof: int) -> pd.DataFrame:
    """Return the pairs (who, other) over a path, each once."""
    if path.link is not None:
        one = HalfPath(problem.entity, path.link.table, path.link.one, path.link.other)
        found = edges(problem, one, asof).rename(columns={"end": "other"})
        found = pd.concat([found, found.rename(columns={"who": "other", "other": "who"})])
        found = found[found["who"].isin(who)]
    else:
        one, other = path.halves
        ways = []
        for out, back in ((one, other), (other, one)):
            mine = edges(problem, out, asof)
            theirs = edges(problem, back, asof).rename(columns={"who": "other"})
            ways.append(mine[mine["who"].isin(who)].merge(theirs, on="end")[["who", "other"]])
        found = pd.concat(ways)
    return found[found["who"] != found["other"]].drop_duplicates()


def compared(problem: Problem, path: MetaPath) -> Iterator[pd.DataFrame]:
    """Yield, per moment, the rows' labels beside the mean labels of those whom they reach."""
    train = problem.rows("train")
    asked = pd.DataFrame({"who": train.entity, "label": train.label, "row": np.arange(len(train))})
    for asof in np.unique(train.asof):
        rows = asked[train.asof == asof]
        pairs = joined(problem, path, rows["who"].to_numpy(), int(asof))
        pairs["theirs"] = pairs["other"].map(known_labels(problem, int(asof)))
        yield rows.merge(pairs.dropna(), on="who")


def agreement(one: pd.Series, other: pd.Series) -> float:
    """Return the agreement of two chances beyond what their means agree anyway."""
    h = (one * other + (1 - one) * (1 - other)).mean()
    b = one.mean() * other.mean() + (1 - one.mean()) * (1 - other.mean())
    return (h - b) / (1 - b)


def test_homophily_equals_joins(problem: Problem) -> None:
    measured = {each.name: each for each in homophily_measures(make_view(problem, 0), Budget(None))}
    statistic = pd.Series.corr if problem.task.kind == "regression" else agreement
    paths = find_paths(problem.database, problem.entity)
    exist = 0
    checked = sorted(paths, key=lambda path: not path.symmetric)[:24]
    for path in checked if len(checked) < 24 else checked[::3]:  # plain joins take seconds per path
        pairs = pd.concat(list(compared(problem, path)))
        value = measured[f"homophily[{path.name}]"].value
        if len(pairs) < 30 or pairs["label"].nunique() < 2 or pairs["theirs"].nunique() < 2:
            assert math.isnan(value) or len(pairs) >= 30
            continue
        exist += 1
        assert f"{len(pairs):,} pairs" in measured[f"homophily[{path.name}]"].reading
        assert value == pytest.approx(statistic(pairs["label"], pairs["theirs"]), abs=1e-9)
        rows = pairs.groupby("row").agg(label=("label", "first"), theirs=("theirs", "mean"))
        gathered = measured[f"aggregated_homophily[{path.name}]"].value
        assert gathered == pytest.approx(statistic(rows["label"], rows["theirs"]), abs=1e-9)
    assert exist >= 2


def test_the_past_equals_pandas(problem: Problem) -> None:
    view = make_view(problem, 0)
    measured = {each.name: each.value for each in [*temporal_measures(view), *past_measures(view)]}
    train = problem.rows("train")
    frame = pd.DataFrame({"who": train.entity, "at": train.cutoff, "label": train.label}).sort_values(["who", "at"])
    for lag in (1, 2, 3):
        pairs = frame.assign(before=frame.groupby("who")["label"].shift(lag)).dropna()
        expected = pairs["label"].corr(pairs["before"])
        assert measured[f"lag{lag}_autocorrelation"] == pytest.approx(expected, abs=1e-9)
    past = []
    for row, (who, asof) in enumerate(zip(train.entity, train.asof, strict=True)):
        own = (train.entity == who) & (train.cutoff + problem.task.horizon <= asof)
        if own.any():
            past.append((train.label[row], train.label[own].mean()))
    now, before = map(pd.Series, zip(*past, strict=True))
    assert measured["past_agreement"] == pytest.approx(now.corr(before), abs=1e-9)
    first = frame["at"] > frame["at"].min()
    new = frame.groupby("who")["at"].transform("min") == frame["at"]
    assert measured["new_entity_share"] == pytest.approx(new[first].mean(), abs=1e-9)

"""Small random databases whose every relation the profile must see: a shared parent, a bridge, a link, a self reference."""

from __future__ import annotations

import numpy as np
import pandas as pd

from relselect.database import Database
from relselect.problem import Problem
from relselect.tasks import Task

START = pd.Timestamp("2024-01-01")


def day(number: object) -> pd.Series:
    return START + pd.to_timedelta(np.asarray(number), unit="D")


def frames(seed: int, people: int = 25, size: int = 120) -> dict[str, pd.DataFrame]:
    """Return people of regions who join clubs, play matches and have bosses, within 100 days."""
    rng = np.random.default_rng(seed)
    keys = rng.permutation(1000)[:people]
    boss = pd.Series(np.where(rng.random(people) < 0.7, rng.choice(keys, people), -1)).replace(-1, None)
    return {
        "regions": pd.DataFrame({"id": ["north", "south", "west"]}),
        "people": pd.DataFrame(
            {
                "id": keys,
                "region": rng.choice(["north", "south", "west"], people),
                "boss": boss.astype("Int64"),
                "born": day(rng.integers(0, 30, people)),
            }
        ),
        "clubs": pd.DataFrame({"id": range(6), "founded": day(rng.integers(0, 40, 6))}),
        "members": pd.DataFrame(
            {
                "person": rng.choice(keys, size),
                "club": rng.integers(0, 6, size),
                "sponsor": rng.integers(0, 6, size),
                "joined": day(rng.integers(0, 100, size)),
            }
        ),
        "matches": pd.DataFrame(
            {
                "home": rng.choice(keys, size // 2),
                "away": rng.choice(keys, size // 2),
                "club": rng.integers(0, 6, size // 2),
                "played": day(rng.integers(0, 100, size // 2)),
            }
        ),
    }


def database(found: dict[str, pd.DataFrame]) -> Database:
    return Database.from_dataframes(
        found,
        keys={"regions": "id", "people": "id", "clubs": "id"},
        times={"people": "born", "clubs": "founded", "members": "joined", "matches": "played"},
        foreign_keys={
            "people": {"region": "regions", "boss": "people"},
            "members": {"person": "people", "club": "clubs", "sponsor": "clubs"},
            "matches": {"home": "people", "away": "people", "club": "clubs"},
        },
    )


def labels(seed: int, people: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return every person's label at ten dates, some left out."""
    rng = np.random.default_rng(seed + 1)
    rows = [(key, d) for d in range(10, 101, 10) for key in people["id"] if rng.random() < 0.8]
    frame = pd.DataFrame(rows, columns=["id", "day"])
    level = dict(zip(people["id"], rng.normal(size=len(people)), strict=True))
    value = frame["id"].map(level) + rng.normal(size=len(frame))
    if kind == "binary":
        value = (value > 0).astype(int)
    if kind == "multiclass":
        value = np.array(["low", "mid", "high"])[np.digitize(value, [-0.5, 0.5])]
    return frame.assign(label=value, date=day(frame.pop("day")))


def problem(found: dict[str, pd.DataFrame], label: pd.DataFrame, kind: str = "binary", **how: object) -> Problem:
    base = database(found)
    task = Task.from_labels(
        base,
        label,
        name="t",
        entity="people",
        kind=kind,
        time="date",
        entity_columns="id",
        horizon="7d",
        **how,
    )
    return Problem(base, task)


def grouped(agreement: float, *, groups: int = 60, size: int = 6, dates: int = 6, seed: int = 0) -> Problem:
    """Return a problem in which the labels of a club's members agree as planted.

    Each club has a hidden state (a fair coin) that a member shows with probability (1 + sqrt(agreement)) / 2,
    so that two members agree, beyond chance, at `agreement`. A negative value splits every club evenly
    instead.
    """
    rng = np.random.default_rng(seed)
    people = groups * size
    club = np.arange(people) // size
    if agreement < 0:
        place = np.argsort(np.argsort(rng.random((groups, size)), axis=1), axis=1)
        value = (place < size // 2).astype(int).reshape(-1)
    else:
        state = rng.integers(0, 2, groups)[club]
        shown = rng.random(people) < (1 + np.sqrt(agreement)) / 2
        value = np.where(shown, state, 1 - state)
    rows = [(i, 10 * d + 10, value[i]) for d in range(dates) for i in range(people)]
    frame = pd.DataFrame(rows, columns=["id", "day", "label"])
    frame = frame.assign(date=day(frame.pop("day")))
    base = Database.from_dataframes(
        {
            "people": pd.DataFrame({"id": range(people)}),
            "clubs": pd.DataFrame({"id": range(groups)}),
            "members": pd.DataFrame({"person": range(people), "club": club, "joined": day(np.zeros(people))}),
        },
        keys={"people": "id", "clubs": "id"},
        times={"members": "joined"},
        foreign_keys={"members": {"person": "people", "club": "clubs"}},
    )
    task = Task.from_labels(
        base, frame, name="t", entity="people", kind="binary", time="date", entity_columns="id", horizon="7d"
    )
    return Problem(base, task)


def paired(agreement: float, kind: str, *, groups: int = 80, size: int = 2, dates: int = 2, seed: int = 0) -> Problem:
    """Return a problem in which two members of a club agree, beyond chance, or correlate, at `agreement`.

    Values of a club are exchangeable normals, of correlation r; binary labels are their signs, whose agreement beyond
    chance is 2 asin(r) / pi (Sheppard 1899). Below zero clubs have two members.
    """
    rng = np.random.default_rng(seed)
    r = agreement if kind == "regression" else np.sin(agreement * np.pi / 2)
    shared = np.full((size, size), r) + np.eye(size) * (1 - r)
    values = rng.multivariate_normal(np.zeros(size), shared, size=groups, method="eigh").reshape(-1)
    if kind == "binary":
        values = (values > 0).astype(int)
    people = groups * size
    club = np.arange(people) // size
    dated = np.repeat(10 * np.arange(dates + 2) + 10, people)  # the last two validate and test
    frame = pd.DataFrame({"id": np.tile(np.arange(people), dates + 2), "label": np.tile(values, dates + 2)})
    frame = frame.assign(date=day(dated))
    base = Database.from_dataframes(
        {
            "people": pd.DataFrame({"id": range(people), "club": club, "born": day(np.zeros(people))}),
            "clubs": pd.DataFrame({"id": range(groups)}),
        },
        keys={"people": "id", "clubs": "id"},
        times={"people": "born"},
        foreign_keys={"people": {"club": "clubs"}},
    )
    task = Task.from_labels(
        base, frame, name="t", entity="people", kind=kind, time="date", entity_columns="id", horizon="7d",
        val_start=day([10 * dates + 10])[0], test_start=day([10 * dates + 20])[0],
    )  # fmt: skip
    return Problem(base, task)

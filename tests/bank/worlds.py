"""Tiny generated databases for banks, and a manifest of them with a family that is fitted in no time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from relselect.bank import BankManifest, BankSource
from relselect.database import Database
from relselect.tasks import Task


def things(name: str, *, seed: int = 0, broken: bool = False) -> SimpleNamespace:
    """Return 60 things that are asked at 12 dates whether their level is high, two tasks of one database."""
    if broken:
        raise ValueError("the generator gave up")
    rng = np.random.default_rng(seed)
    level = rng.normal(size=60)
    dates = pd.date_range("2024-01-01", periods=12, freq="7D")
    rows = [(i, d, level[i] + rng.normal()) for d in dates for i in range(60)]
    labels = pd.DataFrame(rows, columns=["id", "date", "value"])
    labels["high"] = (labels["value"] > 0).astype(int)
    frame = pd.DataFrame({"id": range(60), "level": level})
    events = pd.DataFrame(
        {"thing": np.arange(120) % 60, "date": dates[np.arange(120) % 12], "size": rng.normal(size=120)}
    )
    database = Database.from_dataframes(
        {"things": frame, "events": events},
        keys={"things": "id"},
        times={"events": "date"},
        foreign_keys={"events": {"thing": "things"}},
    )
    when: dict[str, Any] = {"val_start": dates[6], "test_start": dates[9], "time": "date", "horizon": "7d"}
    tasks = {
        "high": Task.from_labels(
            database, labels[["id", "date", "high"]], name="high", entity="things", kind="binary", target="high", **when
        ),
        "value": Task.from_labels(
            database,
            labels[["id", "date", "value"]],
            name="value",
            entity="things",
            kind="regression",
            target="value",
            **when,
        ),
    }
    return SimpleNamespace(database=database, tasks=tasks, bayes={"high": {"test": 0.9}})


class Things:
    """The generator of `things`."""

    def names(self) -> list[str]:
        return ["a", "b"]

    def facts(self, name: str, **parameters: Any) -> dict[str, Any]:
        return {"kind of thing": name, **parameters}

    def make(self, name: str, **parameters: Any) -> SimpleNamespace:
        return things(name, **parameters)


def manifest(**changes: Any) -> BankManifest:
    """Return a manifest of two tiny databases."""
    usual: dict[str, Any] = {
        "name": "tiny",
        "origin": "synthetic",
        "generator": "tests.bank.worlds:Things",
        "databases": {"a": BankSource(parameters={"seed": 1}), "b": BankSource(parameters={"seed": 2}, tasks=["high"])},
        "families": ["ridge"],
        "seeds": [0, 1],
        "configurations": 2,
        "cap": "1min",
    }
    return BankManifest(**{**usual, **changes})


def files(folder: Path) -> list[str]:
    """Return the files of a bank that are not temporary, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

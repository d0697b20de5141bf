"""A tiny problem and a family that is fitted in no time, for tests of the study itself."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from relselect.budget import Budget
from relselect.database import Database
from relselect.errors import BudgetExhausted
from relselect.events import Emit
from relselect.families.candidate import Candidate, Config, CurvePoint, LearningCurve
from relselect.families.protocol import FitWatch, RowSource, TrainingLength
from relselect.problem import Problem
from relselect.tasks import Rows, Task


def tiny_problem() -> Problem:
    """Return 40 entities asked at 10 dates whether their level is high."""
    rng = np.random.default_rng(0)
    level = rng.normal(size=40)
    dates = pd.date_range("2024-01-01", periods=10, freq="7D")
    labels = pd.DataFrame(
        [(i, d, int(level[i] + rng.normal() > 0)) for d in dates for i in range(40)],
        columns=["id", "date", "label"],
    )
    events = pd.DataFrame({"thing": np.arange(40), "date": dates[np.arange(40) % 10], "size": level})
    database = Database.from_dataframes(
        {"things": pd.DataFrame({"id": range(40)}), "events": events},
        keys={"things": "id"},
        times={"events": "date"},
        foreign_keys={"events": {"thing": "things"}},
    )
    task = Task.from_labels(database, labels, name="high", entity="things", kind="binary", time="date", horizon="7d")
    return Problem(database, task)


class Bowl:
    """Scores a configuration by its distance from x = 0.3; misbehaves at numbers it is told."""

    name = "bowl"

    def __init__(self, **misbehaviour: Any) -> None:
        self.misbehaviour = misbehaviour
        self.fitted: list[int] = []

    def default(self, problem: Problem) -> Config:
        return {"x": 0.9, "kind": "a", "inner": {"depth": 3}}

    def space(self, trial: Any, problem: Problem) -> Config:
        return {
            "x": trial.suggest_float("x", 0, 1),
            "kind": trial.suggest_categorical("kind", ["a", "b"]),
            "inner": {"depth": trial.suggest_int("inner.depth", 1, 5)},
        }

    def fit(
        self,
        problem: Problem,
        rows: RowSource,
        config: Config,
        *,
        seed: int,
        number: int,
        budget: Budget,
        emit: Emit,
        resume: Path | None = None,
    ) -> Candidate:
        self.fitted.append(number)
        self._misbehave(number)
        rng = np.random.default_rng(seed)
        score = -((config["x"] - 0.3) ** 2) + 0.001 * rng.random()
        predictions = rng.random(len(rows.select))
        interval = (score - 0.1, score + 0.1)
        return Candidate(self.name, config, seed, number, rng.random(3), predictions, score, interval, seconds=0.01)

    def refit(self, candidate: Candidate, problem: Problem, rows: RowSource, **how: Any) -> None:
        return None

    def _misbehave(self, number: int) -> None:
        wanted = self.misbehaviour
        time.sleep(wanted.get("sleep", 0.0))
        if number in wanted.get("fail", ()):
            raise RuntimeError(f"no luck with {number}")
        if number == wanted.get("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if number == wanted.get("interrupt"):
            raise KeyboardInterrupt
        if number == wanted.get("exhaust"):
            raise BudgetExhausted("nothing yet")

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> np.ndarray:
        return np.full(len(rows), 0.5)

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        return candidate

    def save(self, candidate: Candidate, folder: Path) -> None:
        (folder / "model.json").write_text(json.dumps(candidate.model.tolist()))

    def load(self, folder: Path, header: Candidate) -> Candidate:
        return replace(header, model=np.array(json.loads((folder / "model.json").read_text())))

    def probe(self, candidate: Candidate, problem: Problem, rows: RowSource) -> None:
        return None


class Climber(Bowl):
    """A bowl that is trained in rounds: its learning curve rises to the score, and an unfinished training is kept on disk.

    A configuration of greater depth climbs faster. The two kinds have curves of their own.
    """

    name = "climber"
    ROUNDS = 81

    def __init__(self, **misbehaviour: Any) -> None:
        super().__init__(**misbehaviour)
        #: Number -> rounds that were trained here.
        self.trained: dict[int, int] = {}

    def alternatives(self, problem: Problem) -> list[Config]:
        return [{"x": 0.95, "kind": "b", "inner": {"depth": 1}}]

    def training_length(self, config: Config) -> TrainingLength:
        return TrainingLength(self.ROUNDS, "rounds", "stop", config["kind"])

    def fit(
        self,
        problem: Problem,
        rows: RowSource,
        config: Config,
        *,
        seed: int,
        number: int,
        budget: Budget,
        emit: Emit,
        resume: Path | None = None,
        watch: FitWatch | None = None,
    ) -> Candidate:
        how: Any = {"seed": seed, "number": number, "budget": budget, "emit": emit}
        found = super().fit(problem, rows, config, **how)
        state = None if resume is None else resume / "rounds.json"
        begun = json.loads(state.read_text()) if state is not None and state.exists() else 0
        points = [self._point(found.score, config, done) for done in range(1, begun + 1)]
        for done in range(begun + 1, self.ROUNDS + 1):
            self.trained[number] = self.trained.get(number, 0) + 1
            points.append(self._point(found.score, config, done))
            if watch is not None:
                watch(points)
            if state is not None:
                state.parent.mkdir(parents=True, exist_ok=True)
                state.write_text(json.dumps(done))
            if [number, done] == self.misbehaviour.get("kill_at"):
                os.kill(os.getpid(), signal.SIGKILL)
            if [number, done] == self.misbehaviour.get("interrupt_at"):
                raise KeyboardInterrupt
        return replace(found, family=self.name, curve=LearningCurve("round", "stop", tuple(points)))

    @staticmethod
    def _point(score: float, config: Config, done: int) -> CurvePoint:
        value = score - math.exp(-done * config["inner"]["depth"] / 20)
        return CurvePoint(done, -value, value)

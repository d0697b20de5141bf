"""A third family for the tests: ridge regression on the entity's own numbers and on the columns of the task row.

It is what a newcomer would write, and nothing outside of it knows of it.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from relselect.budget import Budget
from relselect.database import SemanticType
from relselect.database.columns import as_float
from relselect.errors import ConfigError
from relselect.events import Emit
from relselect.families import Candidate, Config, FamilyInfo, FeatureImportance, Importances, RowSource
from relselect.files import write_json
from relselect.problem import Problem
from relselect.tasks import Rows
from relselect.tasks.metrics import interval_of


class Ridge:
    """Least squares with a penalty on the squares of the weights; classes are regressed as 0 and 1."""

    name = "ridge"

    def default(self, problem: Problem) -> Config:
        return {"penalty": 1.0}

    def space(self, trial: Any, problem: Problem) -> Config:
        return {"penalty": trial.suggest_float("penalty", 1e-3, 1e3, log=True)}

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
        budget.check()
        begun, unknown = time.monotonic(), set(config) - {"penalty"}
        if unknown:
            raise ConfigError(min(unknown), config[min(unknown)], "is no option of ridge regression", "Use penalty")
        model = _learnt(problem, rows.train(seed=seed, copies=0), config["penalty"])
        nan = float("nan")
        bare = Candidate(self.name, config, seed, number, model, np.empty(0), nan, (nan, nan))
        predictions = self.predict(bare, problem, rows.select)
        score, interval = interval_of(problem.task.metric, rows.select, predictions, seed=seed)
        size = np.abs(model["weights"]).sum(axis=1)[1:]
        heaviest = sorted(zip(model["names"], size / max(size.sum(), 1e-12), strict=True), key=lambda pair: -pair[1])
        return replace(
            bare,
            predictions=predictions,
            score=score,
            interval=interval,
            seconds=time.monotonic() - begun,
            importances=Importances("weight", tuple(FeatureImportance(name, float(part)) for name, part in heaviest)),
        )

    def refit(self, candidate: Candidate, problem: Problem, rows: RowSource, **how: Any) -> Candidate:
        every = Rows.concat([get(seed=candidate.seed, copies=0) for get in (rows.train, rows.added)])
        return replace(candidate, model=_learnt(problem, every, candidate.config["penalty"]))

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> np.ndarray:
        model = candidate.model
        found = _inputs(problem, rows, model) @ np.asarray(model["weights"])
        if problem.task.kind == "regression":
            return found[:, 0]
        found = found.clip(1e-6, 1)
        return found / found.sum(axis=1, keepdims=True) if problem.task.kind == "multiclass" else found[:, 0]

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        return candidate

    def save(self, candidate: Candidate, folder: Path) -> None:
        write_json(folder / "ridge.json", {key: np.asarray(each).tolist() for key, each in candidate.model.items()})

    def load(self, folder: Path, header: Candidate) -> Candidate:
        return replace(header, model=json.loads((folder / "ridge.json").read_text(encoding="utf-8")))

    def probe(self, candidate: Candidate, problem: Problem, rows: RowSource) -> None:
        return None


def _learnt(problem: Problem, rows: Rows, penalty: float) -> dict[str, Any]:
    numbers = (SemanticType.NUMERICAL, SemanticType.BOOLEAN)
    own = [name for name, kind in problem.types[problem.entity].items() if kind in numbers]
    model: dict[str, Any] = {"own": own, "row": [] if rows.features is None else rows.features.column_names}
    model |= {"names": [*model["own"], *model["row"]], "centre": [0.0], "scale": [1.0]}
    values = _inputs(problem, rows, model)[:, 1:]
    model |= {"centre": values.mean(axis=0), "scale": values.std(axis=0) + 1e-9}
    inputs = _inputs(problem, rows, model)
    label = rows.label[:, None]
    if problem.task.kind == "multiclass":
        label = np.eye(len(problem.task.classes))[rows.label.astype(int)]
    shrink = penalty * np.eye(inputs.shape[1])
    shrink[0, 0] = 0.0
    return {**model, "weights": np.linalg.solve(inputs.T @ inputs + shrink, inputs.T @ label)}


def _inputs(problem: Problem, rows: Rows, model: dict[str, Any]) -> np.ndarray:
    """A one, the numbers of the entity's row and those of the task row, missing ones 0; shape (n, 1 + columns)."""
    data = problem.database[problem.entity].data
    columns = [np.where(rows.entity >= 0, as_float(data[name])[rows.entity], np.nan) for name in model["own"]]
    columns += [as_float(rows.features[name]) for name in model["row"]]
    values = np.nan_to_num(np.stack(columns, axis=1)) if columns else np.empty((len(rows), 0))
    return np.hstack([np.ones((len(rows), 1)), (values - model["centre"]) / model["scale"]])


RIDGE = FamilyInfo(
    name="ridge",
    title="ridge regression",
    phrase="a ridge regression",
    short="Ridge",
    colours=("#8a5a00", "#e0b050"),
    make=Ridge,
    description="A straight line through the numbers in the row of the entity.",
)

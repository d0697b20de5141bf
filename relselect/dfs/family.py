"""Feature synthesis as a family: the default plan's features and gradient-boosted trees."""

from __future__ import annotations

import json
import resource
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.budget import Budget
from relselect.errors import BundleError
from relselect.events import Emit, EpochDone, StageFinished, StageStarted
from relselect.family import Candidate, Checkpoint, Config, Probe
from relselect.problem import Problem
from relselect.tasks import Rows
from relselect.tasks.scoring import interval_of

if TYPE_CHECKING:
    import optuna
    from numpy.typing import NDArray

    from relselect.dfs.encoding import Vocabulary
    from relselect.dfs.features import Prepared
    from relselect.dfs.lightgbm import Fitted, Trees
    from relselect.dfs.plan import Plan

__all__ = ["DFS", "Model"]

#: Features named in a candidate's details.
_TOLD = 20
#: Fewest training rows in a leaf that are ever tried.
_LEAST_LEAF = 5
#: Rounds between two progress events.
_PROGRESS = 50


@dataclass(frozen=True)
class Model:
    """What predicts.

    Attributes:
        plan: The features the trees read, in their order.
        vocabulary: Their categories.
        trees: The trees, or a constant.
    """

    plan: Plan
    vocabulary: Vocabulary
    trees: Trees


class DFS:
    """Deep feature synthesis (Kanter and Veeramachaneni 2015) with LightGBM."""

    name = "dfs"

    def default(self, problem: Problem) -> Config:
        """Return a configuration for many correlated features and few rows: small trees, each on a fifth of the features."""
        smallest = max(_LEAST_LEAF, min(50, len(problem.task.splits["train"]) // 20))
        return {
            "learner": "lightgbm",
            "depth": 2,
            "windows": True,
            "learning_rate": 0.03,
            "num_leaves": 8,
            "min_child_samples": smallest,
            "subsample": 0.8,
            "colsample": 0.2,
            "lambda_l1": 0.0,
            "lambda_l2": 1.0,
            "rounds": 2000,
            "patience": 100,
            "stop_on": "loss",
        }

    def space(self, trial: optuna.Trial, problem: Problem) -> Config:
        """Return a suggested configuration; leaves hold at most a tenth of the training rows, so that trees can grow."""
        largest = max(2 * _LEAST_LEAF, min(200, len(problem.task.splits["train"]) // 10))
        return {
            **self.default(problem),
            "depth": trial.suggest_categorical("depth", [2, 1]),
            "windows": trial.suggest_categorical("windows", [True, False]),
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 4, 255, log=True),
            "min_child_samples": trial.suggest_int("min_child_samples", _LEAST_LEAF, largest, log=True),
            "subsample": trial.suggest_float("subsample", 0.4, 1.0),
            "colsample": trial.suggest_float("colsample", 0.1, 1.0),
            "lambda_l1": trial.suggest_float("lambda_l1", 1e-8, 10.0, log=True),
            "lambda_l2": trial.suggest_float("lambda_l2", 1e-8, 100.0, log=True),
        }

    def fit(
        self,
        problem: Problem,
        config: Config,
        *,
        seed: int,
        number: int,
        budget: Budget,
        emit: Emit,
        resume: Path | None = None,
    ) -> Candidate:
        """Compute the features (once per problem) and train; see `Family.fit`. Trees train too fast to be resumed."""
        from relselect.dfs.lightgbm import train

        begun = time.monotonic()
        budget.check()
        prepared = _prepared(problem, budget, emit).narrowed(int(config["depth"]), bool(config["windows"]))

        def progress(step: int, loss: float, score: float) -> None:
            if step % _PROGRESS == 1:
                emit(EpochDone(self.name, number, step, loss, score, time.monotonic() - begun))

        fitted = train(
            problem.task,
            config,
            (prepared.train, prepared.label),
            (prepared.val, prepared.val_label),
            seed=seed,
            budget=_before_test(problem, prepared, budget),
            progress=progress,
        )
        model = Model(prepared.plan, prepared.vocabulary, fitted.trees)
        predictions = fitted.trees.predict(prepared.val.values)
        score, interval = interval_of(problem, problem.rows("val"), predictions, seed=seed)
        return Candidate(
            family=self.name,
            config=config,
            seed=seed,
            number=number,
            val_predictions=predictions,
            val_score=score,
            val_interval=interval,
            seconds=time.monotonic() - begun,
            peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            device="cpu",
            model=model,
            checkpoints=(Checkpoint(fitted.rounds, score),),
            notes=_notes(prepared, fitted),
            details=_details(prepared, fitted),
        )

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> NDArray[np.float64]:
        """Compute the model's features for the rows and predict; see `Family.predict`."""
        from relselect.dfs.matrix import compute

        model: Model = candidate.model
        return model.trees.predict(compute(problem, model.plan, rows, model.vocabulary).values)

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        """Return the candidate itself: it carries its best round only."""
        return candidate

    def save(self, candidate: Candidate, folder: Path) -> None:
        """Write `plan.json`, `vocabulary.json`, `constant.json` and, unless the model is a constant, `model.txt`."""
        model: Model = candidate.model
        model.plan.save(folder / "plan.json")
        model.vocabulary.save(folder / "vocabulary.json")
        (folder / "constant.json").write_text(json.dumps(model.trees.constant.tolist()), encoding="utf-8")
        if model.trees.text is not None:
            (folder / "model.txt").write_text(model.trees.text, encoding="utf-8")

    def load(self, folder: Path, header: Candidate) -> Candidate:
        """Return `header` with the model that `save` wrote.

        Raises:
            BundleError: A file is missing or damaged.
        """
        from relselect.dfs.encoding import Vocabulary
        from relselect.dfs.lightgbm import Trees
        from relselect.dfs.plan import Plan

        try:
            constant = np.array(json.loads((folder / "constant.json").read_text(encoding="utf-8")), dtype=np.float64)
            text = (folder / "model.txt").read_text(encoding="utf-8") if (folder / "model.txt").exists() else None
            model = Model(
                Plan.load(folder / "plan.json"), Vocabulary.load(folder / "vocabulary.json"), Trees(text, constant)
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            rule = f"holds no readable feature synthesis model ({error})"
            raise BundleError("folder", str(folder), rule, "Save it again") from None
        return replace(header, model=model)

    def probe(self, candidate: Candidate, problem: Problem) -> Probe | None:
        """Return None: trees have no gradient in their weights."""
        return None


def _before_test(problem: Problem, prepared: Prepared, budget: Budget) -> Budget:
    """Return what is left for training when the features of the test rows, which are scored at the end, have their time."""
    if not problem.task.has_test:
        return budget
    rows = len(prepared.train.values) + len(prepared.val.values)
    needed = prepared.seconds * len(problem.rows("test")) / max(1, rows)
    return budget.until(max(budget.left() - needed, budget.left() / 2))


def _prepared(problem: Problem, budget: Budget, emit: Emit) -> Prepared:
    from relselect.dfs.features import prepare

    begun = time.monotonic()
    found: list[Any] = []

    def check() -> None:
        budget.check()
        if not found:
            found.append(True)
            emit(StageStarted("features"))

    prepared = prepare(problem, check)
    if found:
        emit(StageFinished("features", time.monotonic() - begun, f"{len(prepared.plan)} features"))
    return prepared


def _notes(prepared: Prepared, fitted: Fitted) -> tuple[str, ...]:
    notes = []
    if fitted.stopped == "constant":
        notes.append("Training showed one label or no feature: the model is a constant.")
    if fitted.stopped == "budget":
        notes.append(f"The budget ended training; the best of the finished rounds is {fitted.rounds}.")
    if prepared.sampled:
        notes.append(f"Training rows were sampled to {len(prepared.label):,} to bound memory.")
    return tuple(notes)


def _details(prepared: Prepared, fitted: Fitted) -> dict[str, Any]:
    gains = fitted.trees.gains()
    top = [] if gains is None else np.argsort(-gains, kind="stable")[:_TOLD].tolist()
    features, entity = prepared.plan.features, prepared.plan.entity
    return {
        "n_features": len(prepared.plan),
        "n_train_rows": len(prepared.label),
        "feature_seconds": round(prepared.seconds, 3),
        "rounds": fitted.rounds,
        "stopped": fitted.stopped,
        "learning_curve": fitted.curve,
        "feature_importances": [
            {"feature": features[k].name, "importance": float(gains[k]), "description": features[k].describe(entity)}
            for k in top
            if gains is not None and gains[k] > 0
        ],
    }

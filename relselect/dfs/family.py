"""Feature synthesis as a family: the default plan's features and gradient-boosted trees.

A candidate is validated by trees that saw no validation row; what predicts afterwards has been fitted once more, on the
training and the validation rows, for as many rounds as were best. The labels next to the rows that are predicted are worth
more than a model that can be checked against them, and they have been used: for the score.
"""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.budget import Budget
from relselect.dfs.plan.own import OWN
from relselect.dfs.search.selection import DRIFT, told
from relselect.errors import BudgetExhausted, BundleError
from relselect.events import Emit, EpochDone, Notice, StageFinished, StageStarted
from relselect.families.protocol import Candidate, Checkpoint, Config, Probe
from relselect.problem import Problem
from relselect.tasks import Rows
from relselect.tasks.metrics import interval_of

if TYPE_CHECKING:
    import optuna
    from numpy.typing import NDArray

    from relselect.dfs.learners.lightgbm import Fitted
    from relselect.dfs.learners.trees import Trees
    from relselect.dfs.plan.feature import Feature
    from relselect.dfs.plan.plan import Plan
    from relselect.dfs.prefix.encoding import Vocabulary
    from relselect.dfs.search.prepared import Prepared

__all__ = ["DFS", "Model"]

#: Features named in a candidate's details.
_TOLD = 20
#: Fewest training rows in a leaf that are ever tried.
_LEAST_LEAF = 5
#: Rounds between two progress events.
_PROGRESS = 50
#: Part of the time for training that validation may take when trees are fitted again afterwards.
_FIRST = 0.6


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
        """Return a configuration for many correlated features and few rows: small random trees on a few of the features each."""
        smallest = max(_LEAST_LEAF, min(50, len(problem.task.splits["train"]) // 20))
        return {
            "learner": "lightgbm",
            "depth": 2,
            "windows": True,
            "history": True,
            "nested": True,
            "conditions": False,
            "rich": False,
            "drift": DRIFT,
            "copies": 3,
            "refit": True,
            "bags": 3,
            "extra_trees": True,
            "learning_rate": 0.03,
            "num_leaves": 16,
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
            "extra_trees": trial.suggest_categorical("extra_trees", [True, False]),
            "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.1, log=True),
            "num_leaves": trial.suggest_int("num_leaves", 4, 128, log=True),
            "min_child_samples": trial.suggest_int("min_child_samples", _LEAST_LEAF, largest, log=True),
            "subsample": trial.suggest_float("subsample", 0.4, 1.0),
            "colsample": trial.suggest_float("colsample", 0.05, 1.0),
            "lambda_l2": trial.suggest_float("lambda_l2", 1e-3, 100.0, log=True),
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
        from relselect.dfs.learners.lightgbm import train
        from relselect.dfs.search.prepared import Wanted

        begun = time.monotonic()
        budget.check()
        everything = _prepared(problem, config, budget, emit)
        prepared = everything.narrowed(Wanted.of(config))
        if number == 0 and prepared.drifted:
            emit(Notice("features", _about_drift(prepared)))

        def progress(step: int, loss: float, score: float) -> None:
            if step % _PROGRESS == 1:
                emit(EpochDone(self.name, number, step, loss, score, time.monotonic() - begun))

        training = _before_test(problem, prepared, budget)
        data = prepared.train, prepared.label
        fitted = train(
            problem.task,
            config,
            data,
            (prepared.val, prepared.val_label),
            seed=seed,
            budget=training.share(_FIRST) if config["refit"] else training,
            progress=progress,
        )
        model = Model(prepared.plan, prepared.vocabulary, fitted.trees)
        predictions = _validated(problem, prepared, model)
        score, interval = interval_of(problem.task.metric, problem.rows("val"), predictions, seed=seed)
        again = _fitted_again(problem, prepared, config, fitted, seed, training) if config["refit"] else None
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
            model=model if again is None else replace(model, trees=again),
            checkpoints=(Checkpoint(fitted.rounds, score),),
            notes=_notes(prepared, config, fitted, again),
            details=_details(prepared, fitted, again),
        )

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> NDArray[np.float64]:
        """Compute the model's features for the rows, a bounded block at a time, and predict; see `Family.predict`."""
        return _predicted(problem, candidate.model, rows)

    def reads(self, candidate: Candidate) -> dict[str, set[str]]:
        """Return the columns that the model's features read, by table, those on their paths included."""
        plan: Plan = candidate.model.plan
        found: dict[str, set[str]] = {}
        for feature in plan:
            _note_reads(feature, plan.entity, found)
        return found

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        """Return the candidate itself: it carries its best round only."""
        return candidate

    def save(self, candidate: Candidate, folder: Path) -> None:
        """Write `plan.json`, `vocabulary.json`, `trees.json` and, for each booster, `trees_<number>.txt`."""
        model: Model = candidate.model
        model.plan.save(folder / "plan.json")
        model.vocabulary.save(folder / "vocabulary.json")
        model.trees.save(folder)

    def load(self, folder: Path, header: Candidate) -> Candidate:
        """Return `header` with the model that `save` wrote.

        Raises:
            BundleError: A file is missing or damaged.
        """
        from relselect.dfs.learners.trees import Trees
        from relselect.dfs.plan.plan import Plan
        from relselect.dfs.prefix.encoding import Vocabulary

        try:
            model = Model(
                Plan.load(folder / "plan.json"), Vocabulary.load(folder / "vocabulary.json"), Trees.load(folder)
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            rule = f"holds no readable feature synthesis model ({error})"
            raise BundleError("folder", str(folder), rule, "Save it again") from None
        return replace(header, model=model)

    def probe(self, candidate: Candidate, problem: Problem) -> Probe | None:
        """Return None: trees have no gradient in their weights."""
        return None


def _note_reads(feature: Feature, start: str, found: dict[str, set[str]]) -> None:
    """Note what a feature reads when its path starts at a table; conditions stand where the steps down end."""
    for hop in feature.path:
        found.setdefault(hop.table, set())
    up, down, _ = feature.parts
    if feature.where is not None:
        found.setdefault((*up, *down)[-1].table, set()).add(feature.where.column)
    end = feature.path[-1].table if feature.path else start
    if feature.base is not None:
        _note_reads(feature.base, end, found)
    elif feature.column is not None and feature.aggregate not in OWN:
        found.setdefault(end, set()).add(feature.column)


def _before_test(problem: Problem, prepared: Prepared, budget: Budget) -> Budget:
    """Return what is left for training when the features of the test rows, which are scored at the end, have their time."""
    if not problem.task.has_test:
        return budget
    rows = len(prepared.train.values) + len(prepared.val.values)
    needed = prepared.seconds * len(problem.rows("test")) / max(1, rows)
    return budget.until(max(budget.left() - needed, budget.left() / 2))


def _prepared(problem: Problem, config: Config, budget: Budget, emit: Emit) -> Prepared:
    from relselect.dfs.search.prepared import Offer, prepare

    begun = time.monotonic()
    found: list[Any] = []

    def check() -> None:
        budget.check()
        if not found:
            found.append(True)
            emit(StageStarted("features"))

    prepared = prepare(problem, check, Offer.of(config))
    if found:
        emit(StageFinished("features", time.monotonic() - begun, f"{len(prepared.plan)} features"))
    return prepared


def _predicted(problem: Problem, model: Model, rows: Rows) -> NDArray[np.float64]:
    from relselect.dfs.search.prepared import features_of, runs

    found = [
        model.trees.predict(features_of(problem, model.plan, run, model.vocabulary).values)
        for run in runs(rows, len(model.plan))
    ]
    return np.concatenate(found)


def _validated(problem: Problem, prepared: Prepared, model: Model) -> NDArray[np.float64]:
    """Return predictions of all validation rows; those that training was not stopped on are computed in blocks."""
    rows = problem.rows("val")
    if len(prepared.val_places) == len(rows):
        return model.trees.predict(prepared.val.values)
    return _predicted(problem, model, rows)


def _fitted_again(
    problem: Problem, prepared: Prepared, config: Config, fitted: Fitted, seed: int, budget: Budget
) -> Trees | None:
    """Return trees fitted on training and validation rows, or None where there is no time for them."""
    from relselect.dfs.learners.lightgbm import train_again
    from relselect.dfs.search.prepared import Offer, validation_as_training

    if budget.left() < fitted.seconds * len(fitted.trees.texts):
        return None
    try:
        later = validation_as_training(problem, prepared, budget.check, Offer.of(config))
    except BudgetExhausted:
        return None
    parts = [(prepared.train, prepared.label), later]
    return train_again(problem.task, config, parts, fitted, seed=seed, budget=budget)


def _notes(prepared: Prepared, config: Config, fitted: Fitted, again: Trees | None) -> tuple[str, ...]:
    notes = []
    if fitted.stopped == "constant":
        notes.append("Training showed one label or no feature: the model is a constant.")
    if fitted.stopped == "budget":
        notes.append(f"The budget ended training; the best of the finished rounds is {fitted.rounds}.")
    if prepared.sampled:
        notes.append(f"Training rows were sampled to {len(prepared.label):,} to bound memory.")
    if prepared.drifted:
        notes.append(_about_drift(prepared))
    if again is not None:
        notes.append("Predictions come from trees fitted again on training and validation rows.")
    elif config["refit"] and fitted.stopped != "constant":
        notes.append("The budget left no time to fit again on training and validation rows.")
    return tuple(notes)


def _about_drift(prepared: Prepared) -> str:
    count = len(prepared.drifted)
    which = "1 feature that moves" if count == 1 else f"{count} features that move"
    return f"Left out: {which} too far between early and late training rows: {told(prepared.drifted)}."


def _details(prepared: Prepared, fitted: Fitted, again: Trees | None) -> dict[str, Any]:
    gains = fitted.trees.gains()
    top = [] if gains is None else np.argsort(-gains, kind="stable")[:_TOLD].tolist()
    features, entity = prepared.plan.features, prepared.plan.entity
    return {
        "n_features": len(prepared.plan),
        "n_drifted": len(prepared.drifted),
        "drifted": [{"feature": each.feature, "statistic": each.statistic} for each in prepared.drifted[:_TOLD]],
        "n_train_rows": len(prepared.label),
        "feature_seconds": round(prepared.seconds, 3),
        "rounds": fitted.rounds,
        "boosters": len(fitted.trees.texts),
        "fitted_again": again is not None,
        "stopped": fitted.stopped,
        "learning_curve": fitted.curve,
        "feature_importances": [
            {"feature": features[k].name, "importance": float(gains[k]), "description": features[k].describe(entity)}
            for k in top
            if gains is not None and gains[k] > 0
        ],
    }

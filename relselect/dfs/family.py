"""Feature synthesis as a family: the features of a plan, and a learner that reads them.

A candidate is validated by a model that saw no validation row. A refit trains on the training and the validation rows, for
as many rounds as were best.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.budget import Budget
from relselect.dfs.learners.labels import about_median
from relselect.dfs.learners.lightgbm import largest_leaf
from relselect.dfs.learners.registry import LEARNERS, check_weighable, learner_of, usable_learners
from relselect.dfs.model import FeatureModel, load_model, text_scores, with_texts
from relselect.dfs.search.selection import DRIFT, describe_drift
from relselect.errors import BudgetExhausted, BundleError, ConfigError
from relselect.events import Emit, EpochDone, Notice, StageFinished, StageStarted
from relselect.families.candidate import Candidate, Checkpoint, Config, CurvePoint, FeatureImportance, Importances
from relselect.families.protocol import TrainingLength
from relselect.families.space_files import shipped_space
from relselect.memory import peak_memory_mb
from relselect.problem import Problem
from relselect.tasks import Rows
from relselect.tasks.metrics import interval_of
from relselect.untrusted import brief

if TYPE_CHECKING:
    import optuna
    from numpy.typing import NDArray

    from relselect.dfs.learners.protocol import LearnedModel, LearnerFit, ProbedModel
    from relselect.dfs.search.prepared import PreparedFeatures
    from relselect.dfs.texts.scores import TextScores
    from relselect.families.protocol import FitWatch, Probe, RowSource
    from relselect.families.space import SearchSpace

__all__ = ["DFS", "FeatureModel"]

#: Features named in a candidate's importances.
_NAMED = 20
#: Learning rate at which a boosting round counts as one.
_USUAL_RATE = 0.03
#: Rounds between two progress events.
_PROGRESS = 50
#: Select rows that flatness is measured on at most.
_PROBED = 256


class DFS:
    """Deep feature synthesis (Kanter and Veeramachaneni 2015) with a tabular learner.

    Args:
        space: What studies search; None for the shipped space.
    """

    name = "dfs"

    def __init__(self, space: SearchSpace | None = None) -> None:
        self.design = shipped_space(self.name) if space is None else space

    def default(self, problem: Problem) -> Config:
        """Return the default features and the default options of the default learner."""
        learner = next(iter(LEARNERS))
        return {"learner": learner, **_FEATURES, **learner_of(learner).default(problem)}

    def adjusted(self, problem: Problem, options: Config) -> Config:
        """Return the default for a caller who fixed some options: of the learner that they name, if they do.

        Raises:
            ConfigError: There is no such learner, it takes no weights and the task has some, or neither it nor the features have
                such an option.
        """
        name = options.get("learner", next(iter(LEARNERS)))
        known = {"learner": name, **_FEATURES, **learner_of(name).default(problem)}
        check_weighable(name, problem)
        _check_options(options, known)
        return {**known, **options}

    def space(self, trial: optuna.Trial, problem: Problem) -> Config:
        """Return a suggested configuration."""
        return self.designed(problem, self.design.suggest(trial, self.known(problem)))

    def known(self, problem: Problem) -> dict[str, Any]:
        """Return the learners that are tuned on the problem, and the most rows that a leaf of a tree is made to hold."""
        return {"learners": usable_learners(problem), "largest_leaf": largest_leaf(len(problem.task.splits["train"]))}

    def designed(self, problem: Problem, suggested: Config) -> Config:
        """Return the default of the suggested learner with the options that are searched."""
        learner = suggested.get("learner", next(iter(LEARNERS)))
        return {"learner": learner, **_FEATURES, **learner_of(learner).default(problem), **suggested}

    def with_space(self, space: SearchSpace) -> DFS:
        """Return the family with another search space."""
        return DFS(space)

    def training_length(self, config: Config) -> TrainingLength | None:
        """Return the most rounds or steps of the learner; None where it learns in one step.

        A boosting round of twice the learning rate goes twice as far (Friedman 2001): at equal rounds the smaller rate would
        always look worse.
        """
        track = f"{config.get('learner')}, {config.get('statistic')}"
        if "rounds" in config:
            pace = float(config["learning_rate"]) / _USUAL_RATE
            return TrainingLength(float(config["rounds"]), "rounds", "stop", track, pace)
        return TrainingLength(float(config["steps"]), "steps", "stop", track) if "steps" in config else None

    def alternatives(self, problem: Problem) -> tuple[Config, ...]:
        """Return the default with a search for further features, which some tasks gain much by and most do not need."""
        return ({**self.default(problem), "search": True},)

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
        """Compute the features (once per problem) and train; see `Watched.fit`. Trees train too fast to be resumed.

        Raises:
            BudgetExhausted: The budget ended before the first round.
            FitPruned: `watch` ended the fit.
            ConfigError: The configuration names no known learner, one that takes no weights where the task has some, or an option
                that neither the features nor the learner have.
        """
        begun = time.monotonic()
        learner = learner_of(config.get("learner"))
        check_weighable(learner.name, problem)
        _check_options(config, {**_FEATURES, **learner.default(problem)})
        budget.check()
        texts = text_scores(problem, rows, config, budget)
        rows = with_texts(rows, problem, texts)
        search_seconds = float(config.get("search_share", 1.0)) * budget.left()
        prepared = _prepared(problem, rows, config, budget, emit, search_seconds)
        if number == 0:
            for note in _about_features(prepared):
                emit(Notice("features", note))
        sparse = about_median(problem.task, config, prepared.train.label)
        if number == 0 and sparse is not None:
            emit(Notice("label", sparse, "warning"))

        points: list[CurvePoint] = []

        def progress(step: int, loss: float, score: float) -> None:
            if points and step <= points[0].step:  # the training began anew, see `train_booster`
                points.clear()
            points.append(CurvePoint(step, loss, score))
            if watch is not None:
                watch(points)
            if step % _PROGRESS == 1:
                emit(EpochDone(self.name, number, step, loss, score, time.monotonic() - begun))

        fitted = learner.fit(
            problem.task,
            config,
            prepared.train,
            prepared.stop,
            seed=seed,
            budget=_before_awaiting(rows, prepared, budget),
            progress=progress,
        )
        for note in fitted.notes:
            emit(Notice("learner", note, "warning"))
        bare = Candidate(self.name, config, seed, number, None, np.empty(0), float("nan"), (float("nan"), float("nan")))
        return replace(_scored(bare, problem, rows, prepared, fitted, texts), seconds=time.monotonic() - begun)

    def refit(
        self,
        candidate: Candidate,
        problem: Problem,
        rows: RowSource,
        *,
        budget: Budget,
        emit: Emit,
        resume: Path | None = None,
    ) -> Candidate | None:
        """Train on the training and the validation rows for as many rounds as were best; see `Family.refit`."""
        from relselect.dfs.search.prepared import FeatureSpace, added_rows

        config, facts = candidate.config, candidate.facts
        if not config["refit"] or budget.left() < _refit_seconds(candidate, rows):
            return None
        try:
            # A search finds the same features again; one that had no time is not begun.
            late = bool((facts.get("search") or {}).get("fallback"))
            rows = with_texts(rows, problem, candidate.model.texts)
            prepared = _prepared(problem, rows, config, budget, emit, 0.0 if late else float("inf"))
            if prepared.plan.names != candidate.model.plan.names:
                return None
            later = added_rows(problem, rows, prepared, budget.check, FeatureSpace.of(config))
        except BudgetExhausted:
            return None
        learned = learner_of(config["learner"]).refit(
            problem.task,
            config,
            [prepared.train, later],
            rounds=_rounds(candidate),
            members=int(facts["boosters"]),
            seed=candidate.seed,
            budget=budget,
        )
        return None if learned is None else replace(candidate, model=replace(candidate.model, learned=learned))

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> NDArray[np.float64]:
        """Compute the model's features for the rows, a bounded block at a time, and predict; see `Family.predict`."""
        model: FeatureModel = candidate.model
        return model.predict(problem, rows)

    def reads(self, candidate: Candidate) -> dict[str, set[str]]:
        """Return the columns that the model's features read, by table, those on their paths included."""
        model: FeatureModel = candidate.model
        return model.reads()

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        """Return the candidate with the state of one of its checkpoints; itself where the learner keeps no states."""
        state = candidate.checkpoints[checkpoint].state
        if state is None:
            return candidate
        learned: ProbedModel = candidate.model.learned
        return replace(candidate, model=replace(candidate.model, learned=learned.at(state)), checkpoint=checkpoint)

    def save(self, candidate: Candidate, folder: Path) -> None:
        """Write `plan.json`, `vocabulary.json`, the files of the learner's model and the states of its checkpoints."""
        from relselect.dfs.learners.protocol import ProbedModel

        model: FeatureModel = candidate.model
        model.save(folder)
        if isinstance(model.learned, ProbedModel):
            model.learned.save_states(_states(candidate), folder)

    def load(self, folder: Path, header: Candidate) -> Candidate:
        """Return `header` with the model that `save` wrote.

        Raises:
            BundleError: A file is missing or damaged.
        """
        try:
            model = load_model(folder, header)
            return replace(header, model=model, checkpoints=_with_states(header.checkpoints, model.learned, folder))
        except Exception as error:  # whatever LightGBM raises, too
            rule = f"holds no readable feature synthesis model ({type(error).__name__}: {brief(error)})"
            raise BundleError("folder", str(folder), rule, "Save it again") from error

    def probe(self, candidate: Candidate, problem: Problem, rows: RowSource) -> Probe | None:
        """Return what the learner's model offers on the select rows; None where its loss has no gradient."""
        from relselect.dfs.learners.protocol import ProbedModel, TabularData
        from relselect.dfs.prefix.matrix import compute

        model: FeatureModel = candidate.model
        states, some = _states(candidate), rows.select.drawn(_PROBED)
        if not isinstance(model.learned, ProbedModel) or not states or some.label is None or not len(some):
            return None
        features = compute(problem, model.plan, model.rows(problem, some), model.vocabulary)
        return model.learned.probe(TabularData(features, some.label), states)


#: Features of the default configuration, what of its label a regression predicts, and whether the decided model is refitted.
_FEATURES: Config = {
    "depth": 2,
    "windows": True,
    "history": True,
    "nested": True,
    "conditions": False,
    "rich": False,
    "search": False,
    "search_share": 0.3,
    "search_keep": 600,
    "search_depth": 4,
    "search_conditions": True,
    "search_ratios": True,
    "search_neighbours": True,
    "search_rich": True,
    "drift": DRIFT,
    "texts": True,
    "copies": 3,
    "statistic": "auto",
    "refit": True,
}


def _check_options(config: Config, known: Config) -> None:
    for name, value in config.items():
        if name not in known and name != "learner":
            raise ConfigError(name, value, "is no option of feature synthesis", f"Use learner, {', '.join(known)}")


def _scored(
    bare: Candidate,
    problem: Problem,
    rows: RowSource,
    prepared: PreparedFeatures,
    fitted: LearnerFit,
    texts: TextScores | None,
) -> Candidate:
    """Return the candidate with its model, its scores and what there is to say of the fit."""
    model = FeatureModel(prepared.plan, prepared.vocabulary, fitted.model, texts)
    stop, select = _validated(problem, rows, prepared, model)
    score, interval = interval_of(problem.task.metric, rows.select, select, seed=bare.seed)
    stop_score = problem.task.metric.score(prepared.stop.label, stop)
    return replace(
        bare,
        model=model,
        predictions=select,
        score=score,
        interval=interval,
        stop_score=stop_score,
        peak_memory_mb=peak_memory_mb(),
        ended=fitted.ended,
        checkpoints=fitted.checkpoints or (Checkpoint(fitted.rounds, stop_score),),
        checkpoint=0,
        curve=fitted.curve,
        importances=_importances(prepared, fitted),
        notes=_notes(prepared, fitted),
        facts=_facts(prepared, fitted),
    )


def _refit_seconds(candidate: Candidate, rows: RowSource) -> float:
    """Return about how long a refit takes: the boosters again, what the fit took beside them, the features of the added rows."""
    facts = candidate.facts
    boosters = facts["seconds_per_booster"] * facts["boosters"]
    beside = max(0.0, candidate.seconds - boosters - facts["feature_seconds"])
    added = len(rows.stop) + len(rows.select)
    return float(boosters + beside + facts["feature_seconds"] * added / max(1, facts["n_train_rows"] + added))


def _before_awaiting(rows: RowSource, prepared: PreparedFeatures, budget: Budget) -> Budget:
    """Return what is left for training when the features of the rows that are predicted at the end have their time."""
    if not rows.awaiting:
        return budget
    computed = sum(len(part.label) for part in (prepared.train, prepared.stop))
    needed = prepared.seconds * rows.awaiting / max(1, computed)
    return budget.until(max(budget.left() - needed, budget.left() / 2))


def _prepared(
    problem: Problem, rows: RowSource, config: Config, budget: Budget, emit: Emit, search_seconds: float
) -> PreparedFeatures:
    from relselect.dfs.search.prepared import FeatureFilter, FeatureSpace, prepare

    begun = time.monotonic()
    found: list[Any] = []

    def check() -> None:
        budget.check()
        if not found:
            found.append(True)
            emit(StageStarted("features"))

    space, wanted = FeatureSpace.of(config), FeatureFilter.of(config)
    prepared = prepare(problem, rows, check, space, wanted, search_seconds=search_seconds)
    if found:
        emit(StageFinished("features", time.monotonic() - begun, f"{len(prepared.plan)} features"))
    return prepared


def _validated(
    problem: Problem, rows: RowSource, prepared: PreparedFeatures, model: FeatureModel
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return predictions of the stop rows and of the select rows; those that are not held are computed in blocks."""
    stop = model.learned.predict(prepared.stop.features.values)
    if prepared.select is None:
        return stop, model.predict(problem, rows.select)
    shared = prepared.select is prepared.stop.features
    return stop, stop if shared else model.learned.predict(prepared.select.values)


def _rounds(candidate: Candidate) -> int:
    """Return the rounds, or steps, of the state that was decided."""
    if candidate.checkpoint is None or candidate.checkpoints[candidate.checkpoint].state is None:
        return int(candidate.facts["rounds"])
    return candidate.checkpoints[candidate.checkpoint].step


def _states(candidate: Candidate) -> list[Any]:
    """Return the states of the checkpoints; none where the learner keeps none."""
    return [each.state for each in candidate.checkpoints if each.state is not None]


def _with_states(checkpoints: tuple[Checkpoint, ...], learned: LearnedModel, folder: Path) -> tuple[Checkpoint, ...]:
    from relselect.dfs.learners.protocol import ProbedModel

    if not isinstance(learned, ProbedModel):
        return checkpoints
    states = learned.load_states(folder, len(checkpoints))
    return tuple(replace(each, state=state) for each, state in zip(checkpoints, states, strict=True))


def _notes(prepared: PreparedFeatures, fitted: LearnerFit) -> tuple[str, ...]:
    notes = list(fitted.notes)
    if fitted.ended == "constant":
        notes.append("Training showed one label or no feature: the model is a constant.")
    if fitted.ended == "budget":
        notes.append(f"The budget ended training; the best of the finished rounds is {fitted.rounds}.")
    if prepared.sampled:
        notes.append(f"Training rows were sampled to {len(prepared.train.label):,} to bound memory.")
    return (*notes, *_about_features(prepared))


def _about_features(prepared: PreparedFeatures) -> list[str]:
    """Return what the search did, and which features moved too far, each as a sentence."""
    notes = [] if prepared.search is None else [prepared.search.describe()]
    count = len(prepared.drifted)
    if count:
        which = "1 feature that moves" if count == 1 else f"{count} features that move"
        moved = describe_drift(prepared.drifted)
        notes.append(f"Left out: {which} too far between early and late training rows: {moved}.")
    return notes


def _importances(prepared: PreparedFeatures, fitted: LearnerFit) -> Importances | None:
    shares = fitted.model.importances()
    if shares is None:
        return None
    features, entity = prepared.plan.features, prepared.plan.entity
    top = [int(place) for place in np.argsort(-shares, kind="stable")[:_NAMED] if shares[place] > 0]
    return Importances(
        "gain",
        tuple(
            FeatureImportance(features[place].name, float(shares[place]), features[place].describe(entity))
            for place in top
        ),
    )


def _facts(prepared: PreparedFeatures, fitted: LearnerFit) -> dict[str, Any]:
    return {
        "n_features": len(prepared.plan),
        "n_drifted": len(prepared.drifted),
        "drifted": [{"feature": each.feature, "statistic": each.statistic} for each in prepared.drifted[:_NAMED]],
        "n_train_rows": len(prepared.train.label),
        "feature_seconds": round(prepared.seconds, 3),
        "search": None if prepared.search is None else prepared.search.facts(),
        "rounds": fitted.rounds,
        "boosters": fitted.members,
        "seconds_per_booster": fitted.seconds,
    }

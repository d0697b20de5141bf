"""What every registered learner has to do."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import optuna
import pytest

from relselect.budget import Budget
from relselect.dfs import DFS
from relselect.dfs.learners import LEARNERS, LearnedModel, Learner, LearnerFit, TabularData, learner_of
from relselect.dfs.prefix.matrix import FeatureMatrix
from relselect.errors import BudgetExhausted, ConfigError, FitPruned
from relselect.families import Config
from relselect.problem import Problem
from tests.shop import shop_problem

KINDS = ("binary", "regression", "multiclass")
#: Options under which a learner trains in no time; one without an entry trains under its default.
SMALL: dict[str, Config] = {
    "lightgbm": {"rounds": 60, "bags": 2, "min_child_samples": 5, "learning_rate": 0.1},
    "catboost": {"rounds": 60, "learning_rate": 0.2, "depth_of_trees": 4},
    "tabpfn": {"rounds": 60, "bags": 1, "min_child_samples": 5, "learning_rate": 0.1},
    "tabm": {
        "members": 4,
        "width": 32,
        "batch_size": 64,
        "steps": 200,
        "learning_rate": 0.01,
        "embedding": 4,
        "stop_on": "loss",
    },
}


@dataclass(frozen=True)
class Case:
    """A learner, a task, and rows whose label follows the first of their features."""

    learner: Learner
    problem: Problem
    config: Config
    train: TabularData
    stop: TabularData

    def fit(self, seed: int = 0, budget: Budget | None = None) -> LearnerFit:
        limit = budget or Budget(None)
        task, quiet = self.problem.task, lambda *how: None
        return self.learner.fit(task, self.config, self.train, self.stop, seed=seed, budget=limit, progress=quiet)

    def score(self, model: LearnedModel) -> float:
        return self.problem.task.metric.score(self.stop.label, model.predict(self.stop.features.values))


def data(kind: str, rows: int, seed: int) -> TabularData:
    """Four numbers, one of them missing here and there, and a category; labels of two, three or many values."""
    draw = np.random.default_rng(seed)
    values = np.asfortranarray(np.column_stack([draw.normal(size=(rows, 4)), draw.integers(0, 3, rows)]))
    values[draw.random(rows) < 0.2, 1] = np.nan
    signal = values[:, 0] + (values[:, 4] == 1) + draw.normal(0, 0.2, rows)
    label = {"binary": signal > 0.3, "regression": 3 * signal, "multiclass": np.digitize(signal, [-0.2, 0.8])}[kind]
    names = ("a", "b", "c", "d", "kind")
    return TabularData(FeatureMatrix(values, names, (False,) * 4 + (True,)), label.astype(np.float64))


@pytest.fixture(params=[(name, kind) for name in LEARNERS for kind in KINDS], ids="-".join, scope="module")
def case(request: pytest.FixtureRequest) -> Case:
    name, kind = request.param
    if name == "catboost":
        pytest.importorskip("catboost", reason="the extra is not installed")
    learner, problem = learner_of(name), shop_problem(kind)
    config = {"learner": name, **learner.default(problem), **SMALL.get(name, {})}
    return Case(learner, problem, config, data(kind, 400, 0), data(kind, 200, 1))


@pytest.fixture(scope="module")
def fitted(case: Case) -> LearnerFit:
    return case.fit()


def test_its_options_are_json(case: Case) -> None:
    default = case.learner.default(case.problem)
    assert case.learner.name in LEARNERS
    assert json.loads(json.dumps(default)) == default


def test_what_the_shipped_space_searches_are_its_options(case: Case) -> None:
    family = DFS()
    study = optuna.create_study()
    study.enqueue_trial({"learner": case.learner.name})
    known = {**family.known(case.problem), "learners": list(LEARNERS)}
    suggested = family.design.suggest(study.ask(), known)
    assert suggested["learner"] == case.learner.name
    own = set(suggested) - {"learner", "depth", "windows", "search"}
    assert own
    assert own <= set(case.learner.default(case.problem))


def test_it_learns(case: Case, fitted: LearnerFit) -> None:
    found = fitted.model.predict(case.stop.features.values)
    kind = case.problem.task.kind
    assert found.shape == ((200, 3) if kind == "multiclass" else (200,))
    if kind == "regression":
        assert case.score(fitted.model) > -0.5 * np.abs(case.stop.label - np.median(case.train.label)).mean()
        return
    assert ((found >= 0) & (found <= 1)).all()
    assert case.score(fitted.model) > 0.85
    if kind == "multiclass":
        assert np.allclose(found.sum(axis=1), 1)


def test_its_facts_are_sound(case: Case, fitted: LearnerFit) -> None:
    assert fitted.members >= 1
    assert fitted.rounds >= 0
    assert fitted.seconds >= 0
    json.dumps(fitted.curve.to_json(), allow_nan=False)
    shares = fitted.model.importances()
    if shares is not None:
        assert shares.shape == (5,)
        assert shares.sum() == pytest.approx(1)
        assert shares.argmax() == 0


def test_predictions_do_not_depend_on_the_batch(case: Case, fitted: LearnerFit) -> None:
    values = case.stop.features.values
    halves = [fitted.model.predict(values[:77]), fitted.model.predict(values[77:])]
    assert np.allclose(np.concatenate(halves), fitted.model.predict(values), atol=1e-5, rtol=0)
    assert len(fitted.model.predict(values[:0])) == 0


def test_it_predicts_the_same_bits_once_loaded(case: Case, fitted: LearnerFit, tmp_path) -> None:
    fitted.model.save(tmp_path)
    values = case.stop.features.values
    assert case.learner.load(tmp_path).predict(values).tobytes() == fitted.model.predict(values).tobytes()
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".txt", ".safetensors", ".parquet", ".npy"}


def test_equal_seeds_give_equal_models(case: Case, fitted: LearnerFit) -> None:
    values = case.stop.features.values
    assert case.fit().model.predict(values).tobytes() == fitted.model.predict(values).tobytes()


def test_a_refit_reads_all_labelled_rows(case: Case, fitted: LearnerFit) -> None:
    again = case.learner.refit(
        case.problem.task,
        case.config,
        [case.train, case.stop],
        rounds=fitted.rounds,
        members=fitted.members,
        seed=0,
        budget=Budget(None),
    )
    assert again is not None
    assert case.score(again) > case.score(fitted.model)


def test_a_refit_that_runs_out_of_time_gives_nothing(case: Case, fitted: LearnerFit) -> None:
    parts, spent = [case.train, case.stop], Budget(1e-9)
    task, rounds = case.problem.task, max(2, fitted.rounds)
    again = case.learner.refit(task, case.config, parts, rounds=rounds, members=fitted.members, seed=0, budget=spent)
    assert again is None


def test_labels_without_variation_give_a_constant(case: Case) -> None:
    one = TabularData(case.train.features, np.ones(400))
    found = case.learner.fit(
        case.problem.task, case.config, one, case.stop, seed=0, budget=Budget(None), progress=lambda *how: None
    ).model.predict(case.stop.features.values)
    assert np.isfinite(found).all()
    assert np.ptp(found, axis=0).max() < 1e-9


def test_a_spent_budget_is_said(case: Case) -> None:
    with pytest.raises(BudgetExhausted):
        case.fit(budget=Budget(1e-9))


def test_a_fit_is_ended_by_what_its_progress_raises(case: Case) -> None:
    seen: list[int] = []

    def progress(step: int, loss: float, score: float) -> None:
        seen.append(step)
        if len(seen) == 2:
            raise FitPruned("pruned at the second point")

    def fit() -> None:
        budget = Budget(None)
        case.learner.fit(
            case.problem.task, case.config, case.train, case.stop, seed=0, budget=budget, progress=progress
        )

    if DFS().training_length(case.config) is None:
        fit()
        assert not seen
        return
    with pytest.raises(FitPruned, match="second point"):
        fit()
    assert len(seen) == 2


def test_a_learner_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"learner=forest.*lightgbm"):
        learner_of("forest")


def reweighted(rows: TabularData, weights: np.ndarray | None) -> TabularData:
    return TabularData(rows.features, rows.label, weights)


def kept(rows: TabularData, places: np.ndarray) -> TabularData:
    values = np.asfortranarray(rows.features.values[places])
    return TabularData(replace(rows.features, values=values), rows.label[places])


def test_a_heavy_half_of_contradicting_rows_wins(case: Case):
    if not case.learner.weighs_rows:
        pytest.skip("it takes no weights")
    train = kept(case.train, np.tile(np.arange(len(case.train.label)), 2))
    half = len(case.train.label)
    shuffled = train.label.copy()
    shuffled[half:] = np.random.default_rng(3).permutation(shuffled[half:])
    rows = replace(train, label=shuffled)
    scores = []
    for heavy in (slice(None, half), slice(half, None)):
        weights = np.full(len(shuffled), 0.02)
        weights[heavy] = 1.0
        scores.append(case.score(replace(case, train=reweighted(rows, weights)).fit().model))
    assert scores[0] > scores[1] + 0.1


def test_whole_weights_are_like_repeated_rows(case: Case):
    if not case.learner.weighs_rows:
        pytest.skip("it takes no weights")
    weights = np.random.default_rng(4).integers(1, 4, len(case.train.label))
    places = np.repeat(np.arange(len(weights)), weights)
    light = {"lightgbm": {"min_child_samples": 1, "subsample": 1.0, "colsample": 1.0, "extra_trees": False}}
    same = replace(case, config={**case.config, **light.get(case.learner.name, {})})
    one = replace(same, train=reweighted(case.train, weights.astype(float))).fit().model
    other = replace(same, train=kept(case.train, places)).fit().model
    found = [model.predict(case.stop.features.values) for model in (one, other)]
    spread = found[0].std()
    assert np.corrcoef(*(each.ravel() for each in found))[0, 1] > 0.97
    assert abs(found[0].mean() - found[1].mean()) < 0.1 * spread
    if case.learner.name == "lightgbm":  # bins and sums of floats apart, it is the same training
        assert np.abs(found[0] - found[1]).mean() < 0.1 * spread

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import optuna
import pandas as pd
import pyarrow as pa
import pytest

from relselect.budget import Budget
from relselect.dfs import DFS
from relselect.dfs.learners import learner_of
from relselect.dfs.plan.enumeration import DEFAULT, RICH
from relselect.dfs.search.prepared import FeatureFilter, prepare
from relselect.errors import BudgetExhausted, BundleError
from relselect.events import EpochDone, StageFinished, silent
from relselect.families.protocol import Family
from relselect.problem import Problem
from relselect.tasks import Task
from tests.dfs import worlds
from tests.rows import shared_rows


def fitted(problem: Problem, **config: object):
    family = DFS()
    return family, family.fit(
        problem,
        shared_rows(problem),
        {**family.default(problem), "rounds": 30, "min_child_samples": 5, **config},
        seed=1,
        number=0,
        budget=Budget(60),
        emit=silent,
    )


@pytest.mark.parametrize("kind", ["binary", "regression", "multiclass"])
@pytest.mark.parametrize("regime", ["rolling", "frozen"])
def test_saved_and_loaded_predicts_the_same_bits(tmp_path, kind, regime):
    problem = worlds.problem(1, kind=kind, regime=regime)
    family, candidate = fitted(problem)
    rows = problem.rows("test")
    before = family.predict(candidate, problem, rows)
    assert before.shape == ((len(rows), 3) if kind == "multiclass" else (len(rows),))
    family.save(candidate, tmp_path)
    again = family.load(tmp_path, replace(candidate, model=None))
    assert family.predict(again, problem, rows).tobytes() == before.tobytes()
    assert family.predict(again, problem.rebind(problem.user_database), rows).tobytes() == before.tobytes()
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".txt"}


def test_equal_seeds_give_equal_models():
    first, second = (fitted(worlds.problem(2))[1] for _ in range(2))
    assert first.model.learned.texts == second.model.learned.texts
    assert first.predictions.tobytes() == second.predictions.tobytes()


def test_the_candidate_tells_what_it_did():
    problem = worlds.problem(3)
    _, candidate = fitted(problem)
    json.dumps(candidate.to_json())
    assert candidate.facts["n_features"] == len(candidate.model.plan)
    assert candidate.importances is not None
    assert all(item.description for item in candidate.importances.features)
    assert candidate.curve is not None
    assert candidate.curve.unit == "round"
    assert len(candidate.checkpoints) == 1
    assert isinstance(DFS(), Family)


def test_a_spent_budget_raises_and_a_short_one_keeps_the_best():
    problem = worlds.problem(4)
    family = DFS()
    spent = Budget(1e-6)
    with pytest.raises(BudgetExhausted):
        family.fit(problem, shared_rows(problem), family.default(problem), seed=0, number=0, budget=spent, emit=silent)
    prepare(problem, shared_rows(problem))
    events = []
    config = {**family.default(problem), "rounds": 10_000_000, "patience": 10_000_000, "min_child_samples": 2}
    candidate = family.fit(
        problem, shared_rows(problem), config, seed=0, number=0, budget=Budget(1.0), emit=events.append
    )
    assert candidate.ended == "budget"
    assert candidate.seconds < 3
    assert any(isinstance(event, EpochDone) for event in events)
    assert not any(isinstance(event, StageFinished) for event in events)


def test_trials_share_one_matrix_and_narrow_it():
    problem = worlds.problem(5)
    whole = prepare(problem, shared_rows(problem))
    near = whole.narrowed(FeatureFilter(depth=1, windows=False))
    assert whole.narrowed(FeatureFilter()) is whole
    assert prepare(problem, shared_rows(problem)) is whole
    assert all(feature.depth <= 1 and feature.window is None for feature in near.plan)
    assert near.train.features.values.shape == (len(whole.train.label), len(near.plan))
    family, candidate = fitted(problem, depth=1, windows=False)
    assert np.isfinite(family.predict(candidate, problem, problem.rows("test"))).all()


@pytest.mark.parametrize("change", [{"depth": 3}, {"conditions": True}, {"rich": True}], ids=str)
def test_what_a_configuration_asks_for_is_offered(change):
    problem = worlds.problem(5)
    family, usual = fitted(problem, rounds=3)
    _, more = fitted(problem, rounds=3, **change)
    added = [feature for feature in more.model.plan if feature not in set(usual.model.plan)]
    reads = {
        "depth": lambda feature: feature.depth == 3,
        "conditions": lambda feature: feature.where is not None,
        "rich": lambda feature: feature.aggregate in RICH - DEFAULT,
    }
    assert any(reads[next(iter(change))](feature) for feature in added)
    assert np.isfinite(family.predict(more, problem, problem.rows("test"))).all()


def test_every_suggested_configuration_fits():
    problem = worlds.problem(6)
    family = DFS()
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    learners = set()
    for number in range(6):
        config = family.space(study.ask(), problem)
        config["steps" if "steps" in config else "rounds"] = 5
        json.dumps(config)
        learners.add(config["learner"])
        features = set(family.default(problem)) - set(learner_of("lightgbm").default(problem))
        assert set(config) == features | set(learner_of(config["learner"]).default(problem))
        family.fit(problem, shared_rows(problem), config, seed=0, number=number, budget=Budget(60), emit=silent)
    assert {"lightgbm", "tabm"} <= learners


def test_one_label_or_no_feature_predicts_a_constant(tmp_path):
    problem = worlds.problem(7, kind="regression")
    problem.rows("train").label[:] = 2.5
    family, candidate = fitted(problem)
    rows = problem.rows("test")
    assert (family.predict(candidate, problem, rows) == 2.5).all()
    family.save(candidate, tmp_path)
    assert (family.predict(family.load(tmp_path, candidate), problem, rows) == 2.5).all()
    assert candidate.notes


def test_a_damaged_folder_is_refused(tmp_path):
    problem = worlds.problem(8)
    family, candidate = fitted(problem)
    family.save(candidate, tmp_path)
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(BundleError, match=r"plan|readable"):
        family.load(tmp_path, candidate)


def test_delay_is_a_feature_when_evaluation_is_delayed():
    problem = worlds.problem(9, regime="frozen")
    prepared = prepare(problem, shared_rows(problem))
    assert len(prepared.train.label) == 4 * len(problem.rows("train"))
    assert "DELAY" in prepared.plan.names
    assert "DELAY" not in prepare(worlds.problem(9), shared_rows(worlds.problem(9))).plan.names


def test_task_row_features_and_static_tasks():
    tables = worlds.frames(10)
    base = worlds.database(tables)
    frame = worlds.labels(10).assign(
        place=lambda f: np.where(f.shop % 2, "in", "out"), size=lambda f: f.index * 1.0, when=lambda f: f.date
    )
    task = Task.from_labels(
        base,
        frame,
        name="t",
        entity="shops",
        kind="binary",
        time="date",
        horizon="4d",
        features=["place", "size", "when"],
    )
    family, candidate = fitted(Problem(base, task))
    assert "ROW(place)" in candidate.model.plan.names
    names = candidate.model.plan.names
    assert any(name.startswith("LAST(") for name in names)
    one = worlds.labels(10).drop_duplicates("shop", keep="first")
    static = Task.from_labels(
        base, pd.concat([one] * 4).assign(label=[0, 1] * (2 * len(one))), name="s", entity="shops", kind="binary"
    )
    problem = Problem(base, static)
    family, candidate = fitted(problem)
    assert all(not name.startswith(("CALENDAR", "TIME_SINCE", "LAST")) for name in candidate.model.plan.names)
    assert np.isfinite(
        family.predict(candidate, problem, problem.bind(pa.table({"shop": [100, 101]}), np.zeros(2, dtype=np.int64)))
    ).all()

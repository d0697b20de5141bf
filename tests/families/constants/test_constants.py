"""The trivial family: what it predicts is what a loop over the labels known by then gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.events import silent
from relselect.families.constants import Constants
from relselect.families.protocol import Family
from relselect.problem import LABELS
from relselect.tasks.rows import Rows
from tests.rows import shared_rows
from tests.shop import shop_problem

FAMILY = Constants()


def fit(problem, config=None):
    config = config or FAMILY.default(problem)
    return FAMILY.fit(problem, shared_rows(problem), config, seed=0, number=0, budget=Budget(), emit=silent)


def configs(problem):
    return [FAMILY.default(problem), *FAMILY.alternatives(problem)]


def one_hot(problem, label):
    return np.eye(len(problem.task.classes))[label.astype(int)] if problem.task.kind == "multiclass" else label


def by_hand(problem, rows, prior):
    """Every row's constant, by loops over all labelled rows."""
    frames = problem.task.splits.values()
    known = np.concatenate([np.maximum(frame.known_at, frame.cutoff + 1) for frame in frames])
    entity = np.concatenate([problem.database.rows_of("users", frame.keys) for frame in frames])
    label = np.concatenate([one_hot(problem, frame.label) for frame in frames])
    train = one_hot(problem, problem.task.splits["train"].label)
    middle = np.median if problem.task.kind == "regression" else np.mean
    constant = middle(train, axis=0)
    found = []
    for row, asof in zip(rows.entity, rows.asof, strict=True):
        mine = label[(entity == row) & (known <= asof)] if row >= 0 else label[:0]
        weight = len(mine) / (len(mine) + prior)
        found.append(weight * middle(mine, axis=0) + (1 - weight) * constant if len(mine) else constant)
    return np.array(found)


def test_it_is_a_family():
    assert isinstance(FAMILY, Family)


@pytest.mark.parametrize("kind", ["binary", "regression", "multiclass"])
@pytest.mark.parametrize("regime", ["rolling", "frozen"])
def test_the_entity_constant_is_what_loops_find(kind, regime):
    problem = shop_problem(kind, regime=regime, val_start="1970-05-31", test_start="1970-08-29")
    candidate = fit(problem, {"scope": "entity", "prior": 2.0})
    for split in ("train", "val", "test"):
        rows = problem.rows(split)
        stranger = replace(rows, entity=np.where(np.arange(len(rows)) % 7 == 0, -1, rows.entity))
        assert np.allclose(FAMILY.predict(candidate, problem, stranger), by_hand(problem, stranger, 2.0))
    assert candidate.score > -10


@pytest.mark.parametrize(("kind", "constant"), [("binary", np.mean), ("regression", np.median)])
def test_the_global_constant(kind, constant):
    problem = shop_problem(kind)
    candidate = fit(problem)
    assert (candidate.predictions == constant(problem.task.splits["train"].label)).all()
    assert candidate.family == "constants"
    mean = shop_problem("regression")
    squared = type(mean)(mean.user_database, mean.task.scored_by("neg_root_mean_squared_error"))
    assert fit(squared).predictions[0] == squared.task.splits["train"].label.mean()


def test_class_frequencies():
    problem = shop_problem("multiclass")
    predictions = fit(problem).predictions
    assert predictions.shape == (60, 3)
    assert np.allclose(predictions.sum(1), 1)


def test_without_history_there_is_one_constant():
    problem = shop_problem(known_after=None)
    assert [config["scope"] for config in configs(problem)] == ["global"]
    assert len(configs(shop_problem())) == 2
    assert LABELS not in problem.database.tables
    assert np.array_equal(fit(problem, {"scope": "entity", "prior": 1.0}).predictions, fit(problem).predictions)


def test_no_rows_no_predictions(problem):
    for config in configs(problem):
        empty = Rows(*(np.empty(0, dtype=np.int64) for _ in range(3)))
        assert FAMILY.predict(fit(problem, config), problem, empty).shape == (0,)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_saved_and_loaded_it_is_the_same(kind, tmp_path):
    problem = shop_problem(kind)
    candidate = fit(problem, {"scope": "entity", "prior": 1.0})
    FAMILY.save(candidate, tmp_path)
    loaded = FAMILY.load(tmp_path, replace(candidate, model=None))
    assert np.array_equal(
        FAMILY.predict(loaded, problem, problem.rows("test")), FAMILY.predict(candidate, problem, problem.rows("test"))
    )
    assert [path.name for path in tmp_path.iterdir()] == ["constant.json"]
    assert FAMILY.probe(candidate, problem, shared_rows(problem)) is None
    assert FAMILY.choose(candidate, 0) is candidate

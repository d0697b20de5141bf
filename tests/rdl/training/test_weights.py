"""Weights of rows in the training of a network: what they change, and what they leave as it is."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from relselect.budget import Budget
from relselect.events import silent
from relselect.problem import Problem
from relselect.rdl import RDL
from tests.rows import shared_rows
from tests.shop import labels, shop, shop_tables, shop_task


def problem_of(weight=None, **options) -> Problem:
    tables = shop_tables()
    database, frame = shop(tables), labels(tables)
    if weight is not None:
        frame = frame.append_column("w", pa.array(weight))
        options["weight"] = "w"
    return Problem(database, shop_task(database, tables, labels=frame, **options))


def fitted(problem: Problem, config):
    return RDL("cpu").fit(problem, shared_rows(problem), config, seed=0, number=0, budget=Budget(None), emit=silent)


def test_weights_of_1_train_the_same_network_and_heavy_positives_raise_predictions(small):
    count = labels(shop_tables()).num_rows
    plain, ones = fitted(problem_of(), small), fitted(problem_of(np.ones(count)), small)
    assert np.array_equal(plain.predictions, ones.predictions)
    heavy = fitted(problem_of(class_weight={"true": 20}), small)
    assert heavy.predictions.mean() > plain.predictions.mean() + 0.1
    # scores count every row once
    problem = problem_of(class_weight={"true": 20})
    assert heavy.score == problem.task.metric.score(shared_rows(problem).select.label, heavy.predictions)


def test_a_common_factor_of_all_weights_changes_nothing(small):
    draw = np.random.default_rng(0).uniform(0.5, 2.0, labels(shop_tables()).num_rows)
    one, other = fitted(problem_of(draw), small), fitted(problem_of(draw * 1024), small)
    assert np.allclose(one.predictions, other.predictions, atol=1e-6)

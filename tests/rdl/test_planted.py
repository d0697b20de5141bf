"""A planted signal whose sign flips is found by the graph network and not by aggregates."""

from __future__ import annotations

import numpy as np

from relselect.budget import Budget
from relselect.dfs import DFS
from relselect.events import silent
from relselect.examples.synthetic import planted
from relselect.problem import Problem
from relselect.rdl import RDL
from tests.rows import shared_rows


def test_a_sign_that_flips_is_found_by_the_network_and_not_by_aggregates():
    made = planted("sign-flip", customers=1200, cutoffs=8, strength=5.0, seed=1)
    problem = Problem(made.example.database, made.example.task("planted"))
    rows = problem.rows("test")
    changes = {
        "rdl": {"layers": 2, "batch_size": 256, "refit": "none"},
        "dfs": {"bags": 1, "refit": False, "rounds": 200},
    }
    found = {}
    for family in (RDL("cpu"), DFS()):
        config = {**family.default(problem), **changes[family.name]}
        candidate = family.fit(
            problem, shared_rows(problem), config, seed=0, number=0, budget=Budget(None), emit=silent
        )
        predicted = family.predict(candidate, problem, rows.unlabelled())
        found[family.name] = problem.task.metric.score(np.asarray(rows.label), predicted)
    assert made.best("test") > 0.9
    assert found["rdl"] > found["dfs"] + 0.08
    assert found["rdl"] <= made.best("test") + 0.03

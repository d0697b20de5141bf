"""The last training: on which rows, and that what it gives predicts while what was validated is kept."""

from __future__ import annotations

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.events import silent
from relselect.examples import synthetic
from relselect.problem import Problem
from relselect.rdl import RDL
from relselect.rdl.training.refit import all_labelled
from tests.rows import shared_rows


@pytest.mark.parametrize("regime", ["rolling", "frozen"])
def test_rows_of_the_last_training(regime):
    example = synthetic(customers=20, cutoffs=20)
    problem = Problem(example.database, example.task("planted").in_regime(regime))
    train, val = problem.training_rows(0, 2), problem.rows("val")
    assert len(np.unique(val.cutoff)) > 1
    rows = all_labelled(problem, 0, 2)
    times = 3 if regime == "frozen" else 1
    assert len(rows) == len(train) + times * len(val)
    later = rows.take(slice(len(train), None))
    assert np.array_equal(later.label, np.tile(val.label, times))
    assert (later.asof[: len(val)] == later.cutoff[: len(val)]).all()
    delays = problem.evaluation_delays()
    assert set(later.delay[len(val) :]) <= set(delays[delays > 0])


@pytest.mark.parametrize("refit", ["continue", "anew"])
def test_what_predicts_was_trained_on_validation_rows_too(make_problem, small, refit):
    problem = make_problem()
    family, rows = RDL("cpu"), problem.rows("val")
    once, again = (
        family.fit(
            problem, shared_rows(problem), {**small, "refit": how}, seed=0, number=0, budget=Budget(None), emit=silent
        )
        for how in ("none", refit)
    )
    assert np.array_equal(once.predictions, again.predictions)
    assert again.details["fitted_again"]
    assert not once.details["fitted_again"]
    now = family.predict(again, problem, rows)
    assert not np.allclose(now, again.predictions)
    assert problem.task.metric.score(rows.label, now) > 0.85
    # a checkpoint that is asked for is the one that was validated
    assert np.array_equal(family.predict(family.choose(again, 0), problem, rows), once.predictions)


def test_no_time_for_the_last_training_is_said(make_problem, small, monkeypatch):
    import relselect.rdl.training.refit as refit

    problem = make_problem()
    monkeypatch.setattr(refit, "_MORE", 1e9)
    config = {**small, "epochs": 1, "refit": "continue"}
    candidate = RDL("cpu").fit(problem, shared_rows(problem), config, seed=0, number=0, budget=Budget(30), emit=silent)
    assert not candidate.details["fitted_again"]
    assert "no time" in candidate.notes[0]

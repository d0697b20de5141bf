"""The refit: what it trains on, and that the validated network stays as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.events import silent
from relselect.rdl import RDL
from tests.rows import shared_rows


@pytest.mark.parametrize("refit", ["continue", "anew"])
def test_a_refit_is_trained_on_validation_rows_too(make_problem, small, refit):
    problem = make_problem()
    family, rows = RDL("cpu"), shared_rows(problem)
    candidate = family.fit(problem, rows, {**small, "refit": refit}, seed=0, number=0, budget=Budget(None), emit=silent)
    again = family.refit(candidate, problem, rows, budget=Budget(None), emit=silent)
    before, now = (family.predict(each, problem, rows.select) for each in (candidate, again))
    assert np.array_equal(before, candidate.predictions), "the candidate predicts as it was validated"
    assert not np.allclose(now, before)
    assert problem.task.metric.score(rows.select.label, now) > 0.85
    assert (again.score, again.config, again.checkpoints) == (candidate.score, candidate.config, candidate.checkpoints)
    # a checkpoint that is asked for is the one that was validated
    assert np.array_equal(family.predict(family.choose(again, 0), problem, rows.select), before)


def test_a_refit_goes_on_from_the_chosen_checkpoint(make_problem, small):
    problem = make_problem()
    family, rows = RDL("cpu"), shared_rows(problem)
    config = {**small, "refit": "continue", "learning_rate": 1e-12, "epochs": 3}
    candidate = family.fit(problem, rows, config, seed=0, number=0, budget=Budget(None), emit=silent)
    states = [each.state for each in candidate.checkpoints]
    moved = {name: tensor + 0.1 for name, tensor in states[1].items()}
    points = (candidate.checkpoints[0], replace(candidate.checkpoints[1], state=moved))
    chosen = family.choose(replace(candidate, checkpoints=points), 1)
    again = family.refit(chosen, problem, rows, budget=Budget(None), emit=silent)
    name = next(iter(dict(again.model.network.named_parameters())))
    assert np.allclose(again.model.network.state_dict()[name].numpy(), moved[name].numpy(), atol=1e-6)


def test_no_time_for_a_refit_gives_none(make_problem, small, monkeypatch):
    import relselect.rdl.training.refit as refit

    problem = make_problem()
    rows = shared_rows(problem)
    monkeypatch.setattr(refit, "_MORE", 1e9)
    config = {**small, "epochs": 1, "refit": "continue"}
    candidate = RDL("cpu").fit(problem, rows, config, seed=0, number=0, budget=Budget(30), emit=silent)
    assert RDL("cpu").refit(candidate, problem, rows, budget=Budget(30), emit=silent) is None
    without = RDL("cpu").fit(
        problem, rows, {**config, "refit": "none"}, seed=0, number=0, budget=Budget(30), emit=silent
    )
    assert RDL("cpu").refit(without, problem, rows, budget=Budget(None), emit=silent) is None

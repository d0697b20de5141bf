"""The refit trains on training and validation rows; the validated network is kept beside the refitted one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import relselect.rdl.training.refit as refitting
from relselect.budget import Budget
from relselect.events import silent
from relselect.examples import synthetic
from relselect.problem import Problem
from relselect.rdl import RDL
from relselect.tasks import Rows
from tests.rows import shared_rows


@pytest.mark.parametrize("regime", ["rolling", "frozen"])
def test_rows_of_the_refit(regime):
    example = synthetic(customers=20, cutoffs=20)
    problem = Problem(example.database, example.task("planted").in_regime(regime))
    source, val = shared_rows(problem), problem.rows("val")
    train = source.train(seed=0, copies=2)
    assert len(np.unique(val.cutoff)) > 1
    rows = Rows.concat([train, source.added(seed=0, copies=2)])
    times = 3 if regime == "frozen" else 1
    assert len(rows) == len(train) + times * len(val)
    later = rows.take(slice(len(train), None))
    assert np.array_equal(later.label, np.tile(val.label, times))
    assert (later.asof[: len(val)] == later.cutoff[: len(val)]).all()
    delays = problem.evaluation_delays()
    assert set(later.delay[len(val) :]) <= set(delays[delays > 0])


class Frozen(Budget):
    """A budget of which the same time is left however long it is used."""

    def __init__(self, seconds):
        super().__init__(1e9)
        self.kept = seconds

    def left(self):
        return self.kept


def fitted(problem, config, budget=None):
    return RDL("cpu").fit(problem, shared_rows(problem), config, seed=0, number=0, budget=Budget(budget), emit=silent)


@pytest.mark.parametrize("refit", ["continue", "anew"])
def test_the_refitted_network_was_trained_on_validation_rows_too(make_problem, small, refit):
    problem = make_problem()
    family, rows, source = RDL("cpu"), problem.rows("val"), shared_rows(problem)
    once, candidate = (fitted(problem, {**small, "refit": how}) for how in ("none", refit))
    assert np.array_equal(once.predictions, candidate.predictions)
    assert family.refit(once, problem, source, budget=Budget(None), emit=silent) is None
    again = family.refit(candidate, problem, source, budget=Budget(None), emit=silent)
    now = family.predict(again, problem, rows)
    assert not np.allclose(now, again.predictions)
    assert problem.task.metric.score(rows.label, now) > 0.85
    # the validated network is kept, and a checkpoint that is chosen is the validated one
    assert np.array_equal(family.predict(candidate, problem, rows), once.predictions)
    assert np.array_equal(family.predict(family.choose(again, 0), problem, rows), once.predictions)


def test_equal_candidates_are_refitted_equally(make_problem, small):
    problem = make_problem()
    candidate = fitted(problem, {**small, "refit": "continue"})
    one, other = (
        RDL("cpu").refit(candidate, problem, shared_rows(problem), budget=Budget(None), emit=silent) for _ in range(2)
    )
    rows = problem.rows("val")
    assert np.array_equal(RDL("cpu").predict(one, problem, rows), RDL("cpu").predict(other, problem, rows))


def test_without_time_there_is_no_refit(make_problem, small, monkeypatch):
    problem = make_problem()
    monkeypatch.setattr(refitting, "_MORE", 1e9)
    candidate = fitted(problem, {**small, "epochs": 1, "refit": "continue"}, budget=30)
    assert RDL("cpu").refit(candidate, problem, shared_rows(problem), budget=Budget(30), emit=silent) is None


def test_a_refit_begins_anew_where_there_is_time_and_goes_on_elsewhere(make_problem, small):
    problem, rows = make_problem(), make_problem().rows("val")
    candidate = fitted(problem, {**small, "refit": "auto"})
    seconds, steps = candidate.facts["seconds_per_step"], candidate.checkpoints[candidate.checkpoint or 0].step

    def predictions(how, budget):
        blueprint = candidate.model.blueprint
        blueprint = replace(blueprint, settings=replace(blueprint.settings, refit=how))
        asked = replace(candidate, model=replace(candidate.model, blueprint=blueprint))
        again = RDL("cpu").refit(asked, problem, shared_rows(problem), budget=budget, emit=silent)
        return None if again is None else RDL("cpu").predict(again, problem, rows)

    anew, further = predictions("anew", Budget(None)), predictions("continue", Budget(None))
    assert not np.allclose(anew, further)
    assert np.array_equal(predictions("auto", Budget(None)), anew)
    short = Frozen(0.8 * seconds * steps)
    assert predictions("anew", short) is None
    assert np.array_equal(predictions("auto", short), further)
    assert predictions("auto", Frozen(0.1 * seconds * steps)) is None

"""Training does not end, and its rate does not fall, before the network has begun to learn."""

from __future__ import annotations

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.events import silent
from relselect.rdl import RDL
from relselect.rdl.training import trainer as training
from tests.rows import shared_rows


@pytest.fixture(scope="module")
def noise(make_problem):
    """The shop's problem with labels drawn by lot."""
    problem = make_problem()
    draw = np.random.default_rng(0)
    for split in ("train", "val"):
        label = problem.rows(split).label
        label[:] = draw.permutation(label)
    return problem


def test_labels_that_tell_nothing_are_given_up_after_the_longest_plateau(noise, small, monkeypatch):
    assert training._LONGEST_PLATEAU == 300
    monkeypatch.setattr(training, "_LONGEST_PLATEAU", 100)  # as in so many steps, in a third of the time
    config = {**small, "epochs": 40, "learning_rate": 1e-5, "fewest_steps": 20, "steps_per_epoch": 20}
    candidate = RDL("cpu").fit(noise, shared_rows(noise), config, seed=0, number=0, budget=Budget(None), emit=silent)
    points = candidate.curve.points
    assert candidate.ended == "converged"
    assert points[-1].step >= 100
    assert all(point.rate == 1.0 for point in points if point.step < 100)


def test_a_network_that_has_begun_ends_as_soon_as_its_score_is_stale(make_problem, small):
    problem = make_problem()
    config = {**small, "epochs": 40, "fewest_steps": 20, "steps_per_epoch": 20, "patience": 1}
    candidate = RDL("cpu").fit(
        problem, shared_rows(problem), config, seed=0, number=0, budget=Budget(None), emit=silent
    )
    assert candidate.ended == "converged"
    assert candidate.curve.points[-1].step < 300

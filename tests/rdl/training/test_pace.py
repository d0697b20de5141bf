"""The time of a step is told apart from what only the first one pays, so that a short budget is not given away."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from relselect.budget import Budget
from relselect.families.registry import family_of
from relselect.problem.rows import fit_rows
from relselect.rdl.training import trainer
from relselect.rdl.training.fitted import outputs_of
from relselect.rdl.training.pace import Pace
from tests.shop import shop_problem


def test_the_first_piece_holds_only_until_there_is_a_second():
    pace = Pace()
    assert (pace.seconds, pace.once) == (0.0, 0.0)
    pace.add(4.0)
    assert (pace.seconds, pace.once) == (4.0, 0.0)
    pace.add(1.0)
    pace.add(2.0)
    assert (pace.seconds, pace.once) == (1.5, 2.5)
    expected = Pace(0.5)
    expected.add(4.0)
    assert (expected.seconds, expected.once) == (0.5, 0.0)
    expected.add(1.0)
    assert (expected.seconds, expected.once) == (1.0, 3.0)


@pytest.fixture
def trained(monkeypatch):
    """A small network with its trainer, which validates in batches of 16."""
    kept = []
    usual = trainer.Trainer.run

    def run(self):
        kept.append(self)
        usual(self)

    monkeypatch.setattr(trainer.Trainer, "run", run)
    problem, rdl = shop_problem(), family_of("rdl")
    rows = fit_rows(problem, "auto", score_test=True)
    config = {**rdl.default(problem), "epochs": 2, "fewest_steps": 3, "batch_size": 16}
    rdl.fit(problem, rows, config, seed=0, number=0, budget=Budget(60), emit=lambda event: None)
    return kept[0]


def test_every_batch_of_a_pass_is_timed_and_changes_no_output(trained):
    pace, rows = Pace(), trained._stop_tensors
    told = [outputs_of(trained.network, trained._stop_batcher, rows, 16, None, each).numpy() for each in (None, pace)]
    assert np.array_equal(*told)
    assert pace._count == -(-len(rows) // 16) > 1


def test_what_is_kept_for_later_does_not_multiply_what_the_first_batch_paid(trained):
    """A first batch of 5 s and others of 10 ms: the passes to come cost two first batches and many short ones."""
    batches = Pace()
    for seconds in (5.0, *[0.01] * 9):
        batches.add(seconds)
    trained._batches, trained._steps = batches, Pace(0.02)
    rows = len(trained._stop) + len(trained.rows.select) + trained.rows.awaiting
    assert trained._reserve() == pytest.approx(0.02 + 1.2 * (0.01 * rows / 16 + 2 * 4.99))
    assert torch.is_grad_enabled()

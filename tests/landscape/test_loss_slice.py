"""The loss along shared lines through a checkpoint."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from relselect.budget import Budget
from relselect.errors import BudgetExhausted
from relselect.landscape.loss_slice import SLICE_EVALUATIONS, LossSlice, loss_lines


class Bowl:
    """Checkpoint c is a bowl with curvature c + 1 around its weights."""

    architecture = "bowl"

    def __init__(self) -> None:
        self.calls = 0

    def parameters(self, checkpoint: int) -> dict[str, torch.Tensor]:
        return {"w": torch.ones(3, 4), "c": torch.tensor([checkpoint + 1.0])}

    def loss(self, parameters: Mapping[str, torch.Tensor]) -> torch.Tensor:
        self.calls += 1
        return parameters["c"][0] * (parameters["w"] - 1.0).square().sum()


def test_a_bowl_has_a_parabola_in_every_direction():
    probe: Any = Bowl()
    lines = loss_lines(probe, 1, seed=0)
    assert probe.calls == SLICE_EVALUATIONS
    assert len(lines) == 2
    for steps, losses in lines:
        # directions are as long as the weights: |w| squared is 12
        assert losses == pytest.approx([2 * 12 * step**2 for step in steps], rel=1e-4)
        assert steps[len(steps) // 2] == 0
    steeper = loss_lines(probe, 3, seed=0)
    assert np.array(steeper[0][1]) == pytest.approx(2 * np.array(lines[0][1]))


def test_a_slice_survives_json():
    found = LossSlice("net", 1, 2, 0, (-0.1, 0.0, 0.1), (1.0, 0.5, float("nan")), True)
    again = LossSlice.from_json(json.loads(json.dumps(found.to_json())))
    assert again.steps == found.steps
    assert again.losses[:2] == found.losses[:2]
    assert np.isnan(again.losses[2])


def test_a_spent_budget_ends_it():
    probe: Any = Bowl()
    with pytest.raises(BudgetExhausted):
        loss_lines(probe, 0, seed=0, budget=Budget(10.0, begun=time.monotonic() - 20.0))
    assert probe.calls == 0

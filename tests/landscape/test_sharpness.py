"""Sharpness and rise of known functions, and criteria that are one number."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
import torch

from relselect.budget import Budget
from relselect.errors import BudgetExhausted
from relselect.landscape import CRITERIA, Measurement
from relselect.landscape.measurement import clearly_flatter
from relselect.landscape.sharpness import RISE_STEPS, rise, sharpness
from tests.landscape.small import SmallProbe


class Bowl:
    """L = c / 2 sum of (w / scale)² - g . w: at every point the rises are known."""

    architecture = "bowl"

    def __init__(self, curvature: float, slope: float = 0.0, scale: float = 1.0) -> None:
        self.curvature, self.slope, self.scale = curvature, slope, scale
        self.weight = torch.randn(8, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * scale

    def parameters(self, checkpoint: int) -> dict[str, torch.Tensor]:
        return {"weight": self.weight}

    def loss(self, parameters: Mapping[str, torch.Tensor]) -> torch.Tensor:
        unit = parameters["weight"] / self.scale
        return self.curvature / 2 * (unit - self.weight / self.scale).square().sum() + self.slope * unit.sum()


def test_sharpness_is_half_the_curvature_times_the_weights() -> None:
    # E[c/2 sum (rho w z)²] = c/2 rho² |w|²; the slope cancels between e and -e
    for slope in (0.0, 5.0):
        probe = Bowl(3.0, slope)
        found = sharpness(probe, 0, seed=0, pairs=400, radius=0.1)
        assert found.value == pytest.approx(3.0 / 2 * 0.01 * float(probe.weight.square().sum()), abs=4 * found.stderr)
        assert len(found.parts) == 400


def test_the_rise_is_that_of_the_longest_step() -> None:
    probe = Bowl(2.0)
    found = rise(probe, 0, seed=0)
    assert found.value == pytest.approx(2.0 / 2 * max(RISE_STEPS) ** 2 * float(probe.weight.square().sum()), rel=1e-6)


@pytest.mark.parametrize("measure", [sharpness, rise])
def test_a_rescaling_changes_nothing(measure) -> None:
    assert measure(Bowl(1.0, scale=9.0), 0, seed=0).value == pytest.approx(measure(Bowl(1.0), 0, seed=0).value)


@pytest.mark.parametrize("name", list(CRITERIA))
def test_every_criterion_is_higher_where_the_loss_is_steeper(name: str) -> None:
    class Steeper(SmallProbe):
        def loss(self, parameters):
            return 4 * super().loss(parameters)

    flat, steep = (CRITERIA[name]().measure(each, 0, seed=0, budget=Budget(None)) for each in (SmallProbe(), Steeper()))
    assert steep.value == pytest.approx(4 * flat.value, rel=1e-2)
    assert clearly_flatter(flat, steep)
    assert not clearly_flatter(steep, flat)
    assert not clearly_flatter(flat, flat)
    assert CRITERIA[name]().evaluations() > 0


@pytest.mark.parametrize("name", list(CRITERIA))
def test_a_spent_budget_raises(name: str) -> None:
    with pytest.raises(BudgetExhausted):
        CRITERIA[name]().measure(SmallProbe(), 0, seed=0, budget=Budget(1).until(0.0))


def test_one_number_wins_beyond_its_error() -> None:
    def one(value: float, error: float) -> Measurement:
        return Measurement(value, error, (), 0.0)

    assert clearly_flatter(one(1.0, 0.1), one(2.0, 0.1))
    assert not clearly_flatter(one(1.0, 0.5), one(2.0, 0.5))
    assert not clearly_flatter(one(1.0, math.nan), one(2.0, 0.1))
    assert not clearly_flatter(one(math.nan, 0.1), one(2.0, 0.1))

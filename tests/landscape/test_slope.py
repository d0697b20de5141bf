"""The slope of known functions, and the directions it is measured along."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

from relselect.budget import Budget
from relselect.errors import BudgetExhausted
from relselect.landscape.directions import direction_pair, rays
from relselect.landscape.slope import slope


class Quadratic:
    """L = c/2 |W - target|^2 at W = start; the bias and an integer buffer must not move."""

    architecture = "quadratic"

    def __init__(self, curvature: float, offset: float = 0.0, scale: float = 1.0) -> None:
        self.curvature, self.scale = curvature, scale
        self.weight = torch.randn(6, 10, generator=torch.Generator().manual_seed(1)) * scale
        self.target = self.weight + offset
        self.bias = torch.ones(6)

    def parameters(self, checkpoint: int) -> dict[str, torch.Tensor]:
        return {"weight": self.weight, "bias": self.bias, "steps": torch.tensor([[3, 4]])}

    def loss(self, parameters: Mapping[str, torch.Tensor]) -> torch.Tensor:
        assert torch.equal(parameters["bias"], self.bias)
        assert torch.equal(parameters["steps"], torch.tensor([[3, 4]]))
        return self.curvature / 2 * (parameters["weight"] - self.target).square().sum() / self.scale**2


def test_directions_are_filter_normalised_and_orthogonal() -> None:
    theta = Quadratic(1.0).parameters(0)
    first, second = direction_pair(theta, seed=0, pair=0)
    assert set(first) == {"weight"}
    torch.testing.assert_close(first["weight"].norm(dim=1), theta["weight"].norm(dim=1))
    torch.testing.assert_close(second["weight"].norm(dim=1), theta["weight"].norm(dim=1))
    torch.testing.assert_close((first["weight"] * second["weight"]).sum(dim=1), torch.zeros(6), atol=1e-5, rtol=0)
    for ray in rays(first, second):
        torch.testing.assert_close(ray["weight"].norm(dim=1), theta["weight"].norm(dim=1))
    again, _ = direction_pair(theta, seed=0, pair=0)
    other, _ = direction_pair(theta, seed=0, pair=1)
    assert torch.equal(first["weight"], again["weight"])
    assert not torch.equal(first["weight"], other["weight"])


def test_at_the_minimum_of_a_quadratic_the_slope_is_known() -> None:
    # Every ray is as long as the weights, so L rises by c/2 r^2 |W|^2 along each and the slope is c/2 r |W|^2.
    probe = Quadratic(3.0)
    found = slope(probe, 0, seed=0, radius=0.05)
    expected = 3.0 / 2 * 0.05 * float(probe.weight.square().sum())
    assert found.value == pytest.approx(expected, rel=1e-4)
    assert found.stderr < 1e-3 * expected
    assert len(found.pairs) == 5
    assert found.loss == 0


def test_away_from_the_minimum_the_slope_is_the_worst_ray() -> None:
    probe = Quadratic(2.0, offset=0.3)
    found = slope(probe, 0, seed=4, pairs=2, radius=0.1)
    for pair, worst in enumerate(found.pairs):
        first, second = direction_pair(probe.parameters(0), seed=4, pair=pair)
        gradient = 2.0 * (probe.weight - probe.target)
        rises = [
            0.1 * float((gradient * ray["weight"]).sum()) + 0.01 * float(ray["weight"].square().sum())
            for ray in rays(first, second)
        ]
        assert worst == pytest.approx(max(abs(rise) for rise in rises) / 0.1, rel=1e-3)


def test_rescaled_filters_have_the_same_slope() -> None:
    assert slope(Quadratic(1.0, scale=7.0), 0, seed=0).value == pytest.approx(
        slope(Quadratic(1.0), 0, seed=0).value, rel=1e-4
    )


def test_a_spent_budget_raises() -> None:
    with pytest.raises(BudgetExhausted):
        slope(Quadratic(1.0), 0, seed=0, budget=Budget(1).until(0.0))

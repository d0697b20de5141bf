"""Hessian-vector products and the ends of the spectrum against a dense Hessian, against curvlinops, and on real networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from relselect.budget import Budget
from relselect.errors import BudgetExhausted
from relselect.events import silent
from relselect.landscape import CurvatureCriterion
from relselect.landscape.curvature import hessian_product, spectrum
from relselect.rdl import RDL
from relselect.rdl.network.convolutions import CONVOLUTIONS
from tests.landscape.small import SmallProbe
from tests.rows import shared_rows
from tests.shop import shop_problem


@pytest.mark.parametrize("checkpoint", [0, 1])
@pytest.mark.parametrize("relative", [False, True])
def test_products_are_those_of_the_dense_hessian(checkpoint: int, relative: bool) -> None:
    probe = SmallProbe()
    product, size = hessian_product(probe, checkpoint, relative=relative)
    dense = probe.hessian(checkpoint, relative)
    assert size == len(dense)
    for seed in range(3):
        vector = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        torch.testing.assert_close(product(vector), dense @ vector, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("relative", [False, True])
def test_the_ends_are_eigenvalues_of_the_dense_hessian(relative: bool) -> None:
    probe = SmallProbe(seed=1)
    values = np.linalg.eigvalsh(probe.hessian(0, relative).numpy())
    found = spectrum(probe, 0, seed=0, iterations=30, relative=relative, tolerance=0.0)
    assert found.largest == pytest.approx(values[-1], rel=1e-3)
    assert found.smallest == pytest.approx(values[0], abs=1e-3 * abs(values[-1]))


def test_the_bound_on_the_error_holds() -> None:
    probe = SmallProbe(seed=2)
    values = np.linalg.eigvalsh(probe.hessian(0).numpy())
    for iterations in (1, 2, 4, 8):
        found = spectrum(probe, 0, seed=3, iterations=iterations, tolerance=0.0)
        assert found.iterations <= iterations
        for value, error in ((found.largest, found.largest_error), (found.smallest, found.smallest_error)):
            assert np.abs(values - value).min() <= error + 1e-5


def test_products_are_those_of_curvlinops() -> None:
    curvlinops = pytest.importorskip("curvlinops")
    probe = SmallProbe()
    names = sorted(name for name, _ in probe.model.named_parameters())
    weights = dict(probe.model.named_parameters())
    operator = curvlinops.HessianLinearOperator(
        probe.model, torch.nn.MSELoss(), [weights[name] for name in names], [(probe.x, probe.y)]
    )
    product, size = hessian_product(probe, 0)
    vector = torch.randn(size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theirs = torch.as_tensor(operator @ vector.float()).double().reshape(-1)
    torch.testing.assert_close(product(vector), theirs, atol=1e-4, rtol=1e-4)


def test_rescaled_filters_have_the_same_relative_curvature() -> None:
    probe = SmallProbe()

    class Rescaled(SmallProbe):
        """The same function of weights that are three times as long in the first layer."""

        def parameters(self, checkpoint: int) -> dict[str, torch.Tensor]:
            theta = super().parameters(checkpoint)
            return theta | {"0.weight": 3 * theta["0.weight"]}

        def loss(self, parameters):
            return super().loss({**parameters, "0.weight": parameters["0.weight"] / 3})

    one, other = (spectrum(each, 0, seed=0, relative=True) for each in (probe, Rescaled()))
    assert other.largest == pytest.approx(one.largest, rel=1e-3)
    assert spectrum(Rescaled(), 0, seed=0).largest != pytest.approx(spectrum(probe, 0, seed=0).largest, rel=1e-2)


@pytest.mark.parametrize("convolution", list(CONVOLUTIONS))
def test_networks_have_a_curvature(convolution: str) -> None:
    problem = shop_problem()
    rows = shared_rows(problem)
    config = {"channels": 8, "layers": 2, "epochs": 2, "fewest_steps": 2, "convolution": convolution}
    family = RDL("cpu")
    candidate = family.fit(problem, rows, config, seed=0, number=0, budget=Budget(None), emit=silent)
    probe = family.probe(candidate, problem, rows)
    assert probe is not None
    product, size = hessian_product(probe, 0)
    one, other = (
        torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) for seed in (0, 1)
    )
    # the Hessian is symmetric: an autograd function with a wrong second derivative breaks that
    left, right = float(other @ product(one)), float(one @ product(other))
    assert left == pytest.approx(right, abs=1e-3 * float(one.norm() * product(other).norm()) / math.sqrt(size))
    found = CurvatureCriterion(iterations=4).measure(probe, 0, seed=0, budget=Budget(None))
    assert math.isfinite(found.value)
    assert found.stderr >= 0


def test_a_constant_loss_has_no_curvature() -> None:
    class Flat(SmallProbe):
        def loss(self, parameters):
            return (parameters["0.weight"] * 2.0).sum()

    found = spectrum(Flat(), 0, seed=0)
    assert (found.largest, found.smallest) == (0.0, 0.0)


def test_a_spent_budget_raises() -> None:
    with pytest.raises(BudgetExhausted):
        spectrum(SmallProbe(), 0, seed=0, budget=Budget(1).until(0.0))

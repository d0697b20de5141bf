"""Dropout drops the configured share, depends on its seed alone, and has both derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from relselect.rdl.network.dropout import Dropout


def dropped(share: float, x: torch.Tensor, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    out: torch.Tensor = Dropout(share)(x)
    return out


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
def test_each_number_is_dropped_with_the_share_and_sums_stay(share: float) -> None:
    x = torch.ones(200, 1003)
    out = dropped(share, x)
    exact = round(share * 256) / 256
    assert binomtest(int((out == 0).sum()), out.numel(), exact).pvalue > 1e-4
    kept = out[out != 0]
    assert torch.all(kept == kept[0])
    assert float(kept[0]) == pytest.approx(1 / (1 - exact))


def test_neither_neighbours_nor_calls_drop_together() -> None:
    torch.manual_seed(1)
    layer, x = Dropout(0.5), torch.ones(64, 4096)
    first, second = (layer(x).numpy() == 0 for _ in range(2))
    for a, b in (
        (first, second),
        (first[:, :-1], first[:, 1:]),
        (first[:-1], first[1:]),
        (first[:, :-8], first[:, 8:]),
    ):
        together = int((a & b).sum())
        assert binomtest(together, a.size, 0.25).pvalue > 1e-4
    columns = first.sum(0)
    assert np.abs(columns - 32).max() < 6 * 4  # six standard deviations of a binomial of 64 tosses


def test_equal_seeds_drop_the_same_and_evaluation_drops_nothing() -> None:
    x = torch.randn(37, 5)
    assert torch.equal(dropped(0.3, x, 5), dropped(0.3, x, 5))
    assert not torch.equal(dropped(0.3, x, 5), dropped(0.3, x, 6))
    assert torch.equal(Dropout(0.3).eval()(x), x)
    assert torch.equal(dropped(0.0, x), x)
    assert dropped(0.3, x[:0]).shape == (0, 5)


def test_both_derivatives_follow_the_mask() -> None:
    x = torch.randn(11, 3, dtype=torch.float64, requires_grad=True)

    def layer(values: torch.Tensor) -> torch.Tensor:
        return dropped(0.4, values, 9)

    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradgradcheck(layer, (x,))


def test_what_is_not_stored_in_order_is_dropped_alike() -> None:
    x = torch.randn(40, 24)
    turned = x.t().contiguous().t()
    assert torch.equal(dropped(0.5, x, 3), dropped(0.5, turned, 3))

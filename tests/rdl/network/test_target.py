"""The loss of a network weighs rows; without weights it is the plain mean."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from relselect.problem import Problem
from relselect.rdl.network.target import Target
from tests.shop import labels, shop, shop_tables, shop_task

CASES = {
    "binary": Target("binary", 1, 0.0, 1.0, False, (0.0,)),
    "multiclass": Target("multiclass", 3, 0.0, 1.0, False, (0.0, 0.0, 0.0)),
    "regression": Target("regression", 1, 2.0, 3.0, False, (0.0,)),
    "absolute": Target("regression", 1, 2.0, 3.0, True, (0.0,)),
}


@pytest.mark.parametrize("name", CASES)
def test_weighted_losses_are_means_of_weighted_rows(name):
    target, draw = CASES[name], torch.Generator().manual_seed(0)
    output = torch.randn(12, target.outputs, generator=draw)
    label = torch.arange(12, dtype=torch.float64) % (3 if name == "multiclass" else 2)
    weight = torch.rand(12, generator=draw)
    each = torch.stack([target.loss(output[row : row + 1], label[row : row + 1]) for row in range(12)])
    assert torch.allclose(target.loss(output, label), each.mean())
    assert torch.allclose(target.loss(output, label, weight), (each * weight).mean())
    assert torch.allclose(target.loss(output, label, torch.ones(12)), target.loss(output, label))


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_a_target_of_whole_weights_is_that_of_repeated_rows(kind):
    tables = shop_tables()
    database, frame = shop(tables), labels(tables, kind)
    weight = np.resize([1, 2, 3], frame.num_rows)
    repeated = frame.take(pa.array(np.repeat(np.arange(len(weight)), weight)))
    weighted = frame.append_column("w", pa.array(weight))
    one = Target.of(Problem(database, shop_task(database, tables, kind, labels=weighted, weight="w")))
    other = Target.of(Problem(database, shop_task(database, tables, kind, labels=repeated)))
    plain = Target.of(Problem(database, shop_task(database, tables, kind)))
    assert one.prior == pytest.approx(other.prior)
    assert (one.center, one.scale) == pytest.approx((other.center, other.scale))
    assert (one.prior, one.center) != (plain.prior, plain.center)

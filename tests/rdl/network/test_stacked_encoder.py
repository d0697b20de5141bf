"""The encoder of rows on batches without a row of its table, and its second derivatives."""

from __future__ import annotations

import pytest
import torch

from relselect.rdl.graph.features import TableTensors
from relselect.rdl.graph.table_encoding import CategoryColumn, NumericColumn, TableEncoding
from relselect.rdl.network.stacked_encoder import StackedEncoder


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_second_derivatives_exist_for_any_number_of_rows(rows):
    encoding = TableEncoding(
        (NumericColumn("n", 0.0, 1.0),), tuple(CategoryColumn(name, ("x", "y")) for name in ("a", "b", "c"))
    )
    torch.manual_seed(0)
    encoder = StackedEncoder(encoding, 4, 0, 0.0).eval()
    numbers, codes = torch.randn(6, 1), torch.randint(0, 4, (6, 3))
    nothing = torch.empty(6, 0, dtype=torch.int64)
    table = TableTensors(numbers, codes, nothing, nothing)
    out = encoder(table, torch.arange(rows), torch.empty(rows, 0, dtype=torch.bool))
    assert out.shape == (rows, 4)
    weights = [each for each in encoder.parameters()]
    first = torch.autograd.grad((out**3).sum(), weights, create_graph=True, allow_unused=True)
    total = sum((each**2).sum() for each in first if each is not None)
    second = torch.autograd.grad(total, weights, allow_unused=True)
    assert all(torch.isfinite(each).all() for each in second if each is not None)

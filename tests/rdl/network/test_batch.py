"""A batch reads masked values only where they are known, and finds its distinct rows."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relselect.database.clock import DAY
from relselect.rdl.family import blueprint_of
from relselect.rdl.network.batch import compact
from relselect.rdl.settings import NetworkSettings
from relselect.rdl.training.fitted import batcher_of, row_tensors


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9), max_size=40))
def test_compact_finds_the_distinct_keys(keys):
    key = torch.tensor(keys, dtype=torch.int64)
    for size in (10, 1 << 30):
        first, place = compact(key, size, {}, "t")
        assert len(first) == len(set(keys))
        assert key[first][place].tolist() == keys


def test_masked_values_are_encoded_only_where_they_are_known(make_problem):
    problem = make_problem()
    blueprint = blueprint_of(problem, NetworkSettings(fan_out=16))
    rows = row_tensors(blueprint, problem.rows("val"), torch.device("cpu"))
    batch = batcher_of(blueprint, problem, torch.device("cpu")).batch(rows, torch.arange(len(rows)))
    orders, spec = batch.nodes["orders"], blueprint.encodings["orders"]
    tree = batch.trees.tree["orders"]
    row_of, times = orders.row[orders.place], orders.elapsed[orders.place].numpy()
    closed = problem.database.value_times("orders", "state")[orders.rows[row_of].numpy()]
    known = orders.known[row_of][:, 0].numpy()
    assert (known == (closed <= rows.asof[tree].numpy())).all()
    assert 0 < known.mean() < 1
    clock = [moment.name for moment in spec.moments].index("closed")
    assert (np.isnan(times[:, clock]) == ~known).all()
    when = problem.database.times("orders")[orders.rows[row_of].numpy()]
    assert np.allclose(times[:, 0], (rows.cutoff[tree].numpy() - when) / DAY)

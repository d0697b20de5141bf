"""What is fitted of the columns, and what a batch may read of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from relselect.database import SemanticType, Table
from relselect.database.clock import DAY
from relselect.rdl.family import blueprint_of
from relselect.rdl.graph.features import MISSING, UNSEEN, read_columns
from relselect.rdl.graph.identity import row_identities
from relselect.rdl.graph.specification import TableSpec, fit_columns
from relselect.rdl.sampling.batch import compact
from relselect.rdl.settings import Settings
from relselect.rdl.training.fitted import batcher_of, row_tensors

TYPES = {
    "x": SemanticType.NUMERICAL,
    "kind": SemanticType.CATEGORICAL,
    "flat": SemanticType.NUMERICAL,
    "note": SemanticType.TEXT,
}


def table(rows):
    numbers, kinds = zip(*rows, strict=True)
    return pa.table({"x": numbers, "kind": kinds, "flat": [1.0] * len(rows), "note": ["n"] * len(rows)})


def test_only_visible_rows_are_fitted():
    rows = [(1.0, "a"), (2.0, "b"), (None, "b"), (3.0, None), (1e9, "z")]
    spec = fit_columns(table(rows), TYPES, np.array([True] * 4 + [False]))
    assert spec == fit_columns(table(rows[:4]), TYPES, np.ones(4, bool))
    assert [column.name for column in spec.numeric] == ["x"]
    assert spec.categories[0].values == ("b", "a")
    assert spec.texts == ()  # one text alone shares no term with another
    tensors = read_columns(table(rows), spec, [])
    assert tensors.codes[:, 0].tolist() == [3, 2, 2, MISSING, UNSEEN]
    assert torch.isnan(tensors.numeric[2, 0])
    assert TableSpec.from_json(spec.to_json()) == spec


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
    blueprint = blueprint_of(problem, Settings(fan_out=16))
    rows = row_tensors(blueprint, problem.rows("val"), torch.device("cpu"))
    batch = batcher_of(blueprint, problem, torch.device("cpu")).batch(rows, torch.arange(len(rows)))
    orders, spec = batch.nodes["orders"], blueprint.specs["orders"]
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


def test_identities_follow_content_and_skip_what_may_be_hidden():
    data = pa.table({"x": [1, 2, 2, None], "state": ["a", "b", "c", "d"], "closed": [1, 2, 3, 4]})
    free = Table("t", data, known_at={"closed": ("state",)})
    hashes = row_identities(free)
    assert hashes[1] == hashes[2]
    assert len(set(hashes.tolist())) == 3
    order = [3, 1, 0, 2]
    assert (row_identities(Table("t", data.take(order), known_at={"closed": ("state",)})) == hashes[order]).all()
    keyed = row_identities(Table("t", data, primary_key=("state",)))
    assert len(set(keyed.tolist())) == 4

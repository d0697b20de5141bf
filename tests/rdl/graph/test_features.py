"""Columns are fitted on visible rows alone; their tensors hold the values, codes and identities of the rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch

from relselect.database import SemanticType, Table
from relselect.rdl.graph.features import MISSING, UNSEEN, read_columns
from relselect.rdl.graph.identity import row_identities
from relselect.rdl.graph.table_encoding import TableEncoding, fit_columns

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
    assert TableEncoding.from_json(spec.to_json()) == spec


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

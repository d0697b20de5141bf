"""A part of the training rows: the other rows stay as they are, and equal parts are equal."""

from __future__ import annotations

import numpy as np

from relselect.tuning.thinned import ThinnedRows
from tests.rows import shared_rows
from tests.tuning.cheap import tiny_problem


def test_a_part_is_drawn_once_and_leaves_evaluation_alone() -> None:
    rows = shared_rows(tiny_problem())
    whole, part = rows.train(seed=0, copies=0), ThinnedRows(rows, 1 / 3, 5)
    drawn = part.train(seed=0, copies=0)
    assert len(drawn) == -(-len(whole) // 3)
    every = set(zip(whole.entity, whole.cutoff, strict=True))
    assert set(zip(drawn.entity, drawn.cutoff, strict=True)) < every
    np.testing.assert_array_equal(drawn.entity, ThinnedRows(rows, 1 / 3, 5).train(seed=0, copies=0).entity)
    assert part.select is rows.select
    assert part.stop is rows.stop
    assert len({rows.key, part.key, ThinnedRows(rows, 1 / 9, 5).key, ThinnedRows(rows, 1 / 3, 6).key}) == 4

"""Draws of task rows."""

from __future__ import annotations

import numpy as np

from relselect.tasks import Rows


def test_a_draw_keeps_the_order_and_repeats_no_row() -> None:
    number = np.arange(100)
    rows = Rows(entity=number, cutoff=number * 2, asof=number, label=number.astype(np.float64))
    drawn = rows.drawn(30, seed=4)
    expected = np.sort(np.random.default_rng(4).choice(100, 30, replace=False))
    assert np.array_equal(drawn.entity, expected)
    assert np.array_equal(drawn.cutoff, expected * 2)
    assert np.array_equal(drawn.label, expected)
    assert np.array_equal(drawn.entity, rows.drawn(30, seed=4).entity)
    assert not np.array_equal(drawn.entity, rows.drawn(30).entity)
    assert rows.drawn(100) is rows

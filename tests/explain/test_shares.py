"""Shapley values add up exactly, are exact for few parts, and give nothing to parts that do nothing."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from relselect.explain.shares import shapley_shares


def game(parts: int, seed: int):
    """A value for every set of parts."""
    draw = np.random.default_rng(seed)
    values = {frozenset(i for i in range(parts) if code >> i & 1): float(draw.normal()) for code in range(2**parts)}
    return values.__getitem__


@pytest.mark.parametrize("parts", range(9))
def test_shares_add_up(parts):
    for pairs in (1, 3):
        value = game(parts, parts)
        found = shapley_shares(parts, value, pairs=pairs)
        assert found.base == value(frozenset())
        assert found.whole == value(frozenset(range(parts)))
        assert found.values.sum() == pytest.approx(found.whole - found.base, abs=1e-12)
        assert found.exact == (parts <= 4)


def test_few_parts_are_exact_and_many_orders_come_close():
    value = game(4, 1)
    exact = shapley_shares(4, value).values
    wanted = np.zeros(4)
    for order in permutations(range(4)):
        for place, part in enumerate(order):
            wanted[part] += (value(frozenset(order[: place + 1])) - value(frozenset(order[:place]))) / 24
    assert exact == pytest.approx(wanted)

    def twice(chosen):  # the game of four parts beside two that do nothing
        return value(frozenset(part for part in chosen if part < 4))

    close = shapley_shares(6, twice, pairs=400).values
    assert close[:4] == pytest.approx(wanted, abs=0.15)
    assert close[4:].tolist() == [0.0, 0.0]


def test_every_set_is_asked_once_and_time_ends_it():
    asked = []

    def value(chosen):
        asked.append(chosen)
        return float(len(chosen))

    found = shapley_shares(6, value, pairs=5, more=lambda: False)
    assert found.orders == 2
    assert len(asked) == len(set(asked))
    assert found.values.tolist() == [1.0] * 6

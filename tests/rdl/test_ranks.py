"""Ranks look back only, depend on no order of rows, and equal their definition."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from relselect.database.clock import NEVER
from relselect.rdl.ranks import recent_ranks

ROWS = st.lists(
    st.tuples(st.one_of(st.integers(0, 5), st.just(NEVER)), st.one_of(st.integers(-3, 3), st.just(float("nan")))),
    max_size=30,
)


def by_definition(values, times, most):
    ranks = []
    for value, now in zip(values, times, strict=True):
        since = now
        for earlier in sorted({t for t in times if t < now}, reverse=True):
            if sum(earlier <= t <= now for t in times) > most:
                break
            since = earlier
        among = [v for v, t in zip(values, times, strict=True) if since <= t <= now and v == v]
        if now == NEVER or value != value:
            ranks.append(float("nan"))
        else:
            ranks.append((sum(v < value for v in among) + sum(v == value for v in among) / 2) / len(among))
    return np.array(ranks)


def arrays(rows):
    return np.array([v for _, v in rows], float), np.array([t for t, _ in rows], np.int64)


@settings(max_examples=200, deadline=None)
@given(ROWS, st.integers(1, 12), st.randoms())
def test_ranks_equal_their_definition_in_any_order(rows, most, random):
    values, times = arrays(rows)
    found = recent_ranks(values, times, most)
    np.testing.assert_allclose(found, by_definition(values, times, most), rtol=1e-15)
    order = np.array(random.sample(range(len(rows)), len(rows)), dtype=np.int64)
    np.testing.assert_array_equal(recent_ranks(values[order], times[order], most), found[order])


@settings(max_examples=200, deadline=None)
@given(ROWS, ROWS, st.integers(1, 12))
def test_nothing_later_is_looked_at(rows, more, most):
    later = [(6 if t < NEVER else t, v) for t, v in more]
    values, times = arrays(rows)
    together, when = arrays(rows + later)
    np.testing.assert_array_equal(recent_ranks(together, when, most)[: len(rows)], recent_ranks(values, times, most))


def test_inflation_leaves_ranks_alone():
    draw = np.random.default_rng(0)
    values = draw.gamma(2.0, size=5000)
    times = np.arange(5000)
    grown = values * 1.01 ** (times / 100)
    ranks = recent_ranks(grown, times)
    assert np.abs(ranks - recent_ranks(values, times)).max() < 0.03
    assert abs(ranks[-500:].mean() - ranks[300:800].mean()) < 0.05


def test_a_million_rows_take_a_second_whether_times_differ_or_not():
    values = np.random.default_rng(0).normal(size=1_000_000)
    recent_ranks(values[:9], np.arange(9))  # compiles
    for times in (np.arange(1_000_000), np.zeros(1_000_000, np.int64), np.arange(1_000_000) // 2000):
        begun = time.perf_counter()
        ranks = recent_ranks(values, times)
        assert time.perf_counter() - begun < 5
        assert 0 < ranks.min() < ranks.max() <= 1

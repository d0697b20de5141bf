"""Every primitive of the prefix engine against exact or plain arithmetic over the rows a span holds."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from relselect.database.clock import ALWAYS, NEVER
from relselect.dfs.prefix import index as prefix
from relselect.dfs.prefix.index import Index, Spans

NAN = math.nan
#: Values on very different scales: whole numbers, a large level with tiny steps, noise, extremes of the type.
SCALES = {
    "whole": st.integers(-5, 5).map(float),
    "level": st.integers(-3, 3).map(lambda step: 1e9 + step * 2.0**-20),
    "fraction": st.floats(-1, 1, allow_subnormal=False),
    "mixed": st.sampled_from([1e9, 1e9 + 2.0**-20, 1.0, 1.1, -3e-7, 12345.678, 0.0, -0.0]),
    "wide": st.sampled_from([1e150, -1e150, 3e-160, 1.0, 2e-160, 1e15]),
}


@dataclass(frozen=True)
class World:
    """Rows of a table and ranges asked for: keys, times, values, codes per row; keys, asof, after per task row."""

    keys: np.ndarray
    times: np.ndarray
    values: np.ndarray
    codes: np.ndarray
    owners: np.ndarray
    asof: np.ndarray
    after: np.ndarray

    def rows(self, i: int, *, whole: bool) -> np.ndarray:
        """The rows task row i sees, by time."""
        seen = (self.keys == self.owners[i]) & (self.keys >= 0) & (self.times <= self.asof[i]) & (self.times < NEVER)
        seen &= whole | (self.times > self.after[i])
        found = np.flatnonzero(seen)
        return found[np.argsort(self.times[found], kind="stable")]

    def take(self, rows: np.ndarray) -> World:
        """The same question over some rows of the table, in another order."""
        return replace(self, **{name: getattr(self, name)[rows] for name in ("keys", "times", "values", "codes")})


@st.composite
def worlds(draw: st.DrawFn, scales: tuple[str, ...] = tuple(SCALES)) -> World:
    value = st.one_of(SCALES[draw(st.sampled_from(scales))], st.just(NAN))
    # Few keys and moments bring many ties, many bring windows of all kinds.
    most = draw(st.sampled_from([0, 1, 3]))
    last = draw(st.sampled_from([0, 1, 3, 8]))
    time = st.integers(-last, last) if draw(st.booleans()) else st.sampled_from([ALWAYS, -(2**62), 0, 5, 2**62, NEVER])
    row = st.tuples(st.integers(-1, most), time, value, st.integers(-1, 3))
    rows = draw(st.lists(row, min_size=draw(st.sampled_from([0, 0, 12])), max_size=40))
    asked = draw(
        st.lists(st.tuples(st.integers(-1, most + 1), st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=12)
    )
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    owners, asof, after = (np.array(column, dtype=np.int64) for column in zip(*asked, strict=True))
    return World(
        np.array(columns[0], dtype=np.int64),
        np.array(columns[1], dtype=np.int64),
        np.array(columns[2], dtype=np.float64),
        np.array(columns[3], dtype=np.int64),
        owners,
        asof,
        after,
    )


def opened(world: World) -> tuple[Index, Spans, Spans]:
    index = Index(world.keys, world.times)
    return index, index.spans(world.owners, world.asof), index.spans(world.owners, world.asof, world.after)


def everything(world: World) -> dict[str, np.ndarray]:
    """All primitives over all history and over windows, with ties in whatever order the table has."""
    index, whole, window = opened(world)
    values, codes = world.values[index.rows], world.codes[index.rows]
    found: dict[str, np.ndarray] = {}
    for name, each in zip(("whole", "window"), prefix.moments(index, values, [whole, window], third=True), strict=True):
        found |= {f"{what} {name}": getattr(each, what) for what in ("count", "sum", "mean", "std", "skew")}
    for name, span in (("whole", whole), ("window", window)):
        full = name == "whole"
        found[f"max {name}"] = prefix.extreme(index, values, span, largest=True, whole=full)
        found[f"min {name}"] = prefix.extreme(index, values, span, largest=False, whole=full)
        found[f"distinct {name}"] = prefix.distinct(index, codes, span, whole=full)
        found[f"mode {name}"] = prefix.mode(index, codes, span, whole=full)
        found[f"share {name}"] = prefix.share(codes == 1, codes >= 0, span)
        found[f"entropy {name}"] = prefix.entropy(index, codes, span)
        found[f"trend {name}"] = prefix.trend(index, values, index.times, span, 3)
        for level, quantile in zip(
            (0.25, 0.5, 0.9), prefix.quantile(index, values, span, [0.25, 0.5, 0.9]), strict=True
        ):
            found[f"quantile {level} {name}"] = quantile
    return found


def seen_by(world: World, column: np.ndarray, *, whole: bool) -> list[np.ndarray]:
    return [column[world.rows(i, whole=whole)] for i in range(len(world.owners))]


def present(values: np.ndarray) -> list[float]:
    return [float(x) for x in values if not np.isnan(x)]


@given(worlds())
def test_spans_hold_the_rows_of_the_key_within_the_window(world: World) -> None:
    index, whole, window = opened(world)
    assert sorted(index.rows) == list(np.flatnonzero((world.keys >= 0) & (world.times < NEVER)))
    for span, full in ((whole, True), (window, False)):
        for i, (lo, hi) in enumerate(zip(span.lo, span.hi, strict=True)):
            assert sorted(index.rows[lo:hi]) == sorted(world.rows(i, whole=full))
    np.testing.assert_array_equal(index.times, world.times[index.rows])


@given(worlds(), st.booleans())
def test_sparse_and_sorted_keys_are_found_alike(world: World, ascending: bool) -> None:
    world = world.take(np.argsort(world.times, kind="stable")) if ascending else world
    far = replace(world, keys=np.where(world.keys >= 0, world.keys * 10**12, -1), owners=world.owners * 10**12)
    for one, other in zip(opened(world)[1:], opened(far)[1:], strict=True):
        np.testing.assert_array_equal(np.maximum(one.hi - one.lo, 0), np.maximum(other.hi - other.lo, 0))
        np.testing.assert_array_equal(one.hi[~one.empty], other.hi[~other.empty])


@given(worlds(("whole", "level", "fraction", "mixed")))
def test_moments_equal_fractions(world: World) -> None:
    found = everything(world)
    for name, whole in (("whole", True), ("window", False)):
        for i, values in enumerate(seen_by(world, world.values, whole=whole)):
            exact = [Fraction(x) for x in present(values)]
            n = len(exact)
            assert found[f"count {name}"][i] == n
            assert found[f"sum {name}"][i] == pytest.approx(float(sum(exact)), rel=1e-14, abs=0)
            if n == 0:
                assert np.isnan(found[f"mean {name}"][i])
                continue
            mean = sum(exact) / n
            assert found[f"mean {name}"][i] == pytest.approx(float(mean), rel=1e-14, abs=0)
            second = sum((x - mean) ** 2 for x in exact)
            check_spread(found[f"std {name}"][i], second, n)
            check_skew(found[f"skew {name}"][i], second, sum((x - mean) ** 3 for x in exact), n)


def check_spread(found: float, second: Fraction, n: int) -> None:
    if n < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(math.sqrt(second / (n - 1)), rel=1e-11, abs=0)


def check_skew(found: float, second: Fraction, third: Fraction, n: int) -> None:
    if n < 3:
        assert np.isnan(found)
    elif second == 0:
        assert found == 0
    else:
        # Both powers are exact until the last step, so a tiny spread is no trouble.
        ratio = third**2 / second**3 * n
        exact = math.copysign(math.sqrt(ratio), third) * math.sqrt(n * (n - 1)) / (n - 2)
        assert found == pytest.approx(exact, rel=1e-9, abs=1e-11)


@given(worlds())
def test_order_statistics_equal_numpy(world: World) -> None:
    found = everything(world)
    for name, whole in (("whole", True), ("window", False)):
        for i, values in enumerate(seen_by(world, world.values, whole=whole)):
            x = np.array(present(values))
            assert equal(found[f"max {name}"][i], x.max() if len(x) else NAN)
            assert equal(found[f"min {name}"][i], x.min() if len(x) else NAN)
            for level in (0.25, 0.5, 0.9):
                wanted = np.quantile(x, level) if len(x) else NAN
                size = np.abs(x).max(initial=0)
                assert found[f"quantile {level} {name}"][i] == pytest.approx(
                    wanted, rel=1e-12, abs=1e-15 * size, nan_ok=True
                )


@given(worlds())
def test_counts_of_codes_equal_a_counter(world: World) -> None:
    found = everything(world)
    for name, whole in (("whole", True), ("window", False)):
        for i, codes in enumerate(seen_by(world, world.codes, whole=whole)):
            counts = Counter(codes[codes >= 0].tolist())
            assert equal(found[f"distinct {name}"][i], len(counts) if len(codes) else NAN)
            assert equal(found[f"mode {name}"][i], min(counts, key=lambda c: (-counts[c], c)) if counts else NAN)
            assert equal(found[f"share {name}"][i], counts[1] / counts.total() if counts else NAN)
            shares = list(Counter(codes.tolist()).values())
            wanted = stats.entropy(shares) if shares else NAN
            assert found[f"entropy {name}"][i] == pytest.approx(wanted, rel=1e-12, abs=1e-15, nan_ok=True)


@given(worlds(("whole", "level", "fraction", "mixed")))
def test_trend_equals_fractions(world: World) -> None:
    found = everything(world)
    for name, whole in (("whole", True), ("window", False)):
        for i in range(len(world.owners)):
            rows = world.rows(i, whole=whole)
            rows = rows[~np.isnan(world.values[rows])]
            t = [Fraction(int(x), 3) for x in world.times[rows]]
            y = [Fraction(x) for x in world.values[rows]]
            got = found[f"trend {name}"][i]
            if len(rows) < 3:
                assert np.isnan(got)
                continue
            t, y = [x - sum(t) / len(t) for x in t], [x - sum(y) / len(y) for x in y]
            spread = sum(x * x for x in t)
            if spread == 0:
                assert got == 0
                continue
            slope = sum(a * b for a, b in zip(t, y, strict=True)) / spread
            size = math.sqrt(sum(x * x for x in y) / spread)
            assert got == pytest.approx(float(slope), rel=1e-10, abs=1e-11 * size)


def equal(a: float, b: float) -> bool:
    return a == b or (np.isnan(a) and np.isnan(b))


def bits(found: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: np.asarray(values).tobytes() for name, values in found.items()}


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_the_table_changes_no_bit(world: World, random) -> None:
    rows = list(range(len(world.keys)))
    random.shuffle(rows)
    assert bits(everything(world)) == bits(everything(world.take(np.array(rows, dtype=np.int64))))


def test_many_rows_of_one_moment_are_summed_alike_in_any_order() -> None:
    random = np.random.default_rng(3)
    huge = [1e45, -1e45, 1e45, -1e45, 1e-9]
    for values in (huge, [*random.normal(1e6, 1e-3, 300), *huge, NAN, NAN], [0.0, -0.0]):
        span = Spans(np.array([0]), np.array([len(values)]))
        index = Index(np.zeros(len(values), dtype=np.int64), np.full(len(values), ALWAYS))
        shuffled = [random.permutation(values) for _ in range(20)]
        assert len({bits_of(index, each, span) for each in shuffled}) == 1


def bits_of(index: Index, values: np.ndarray, span: Spans) -> bytes:
    (moments,) = prefix.moments(index, values, [span], third=True)
    extremes = [prefix.extreme(index, values, span, largest=largest) for largest in (False, True)]
    return b"".join(np.asarray(column).tobytes() for column in (*vars(moments).values(), *extremes))


@given(worlds(), worlds())
def test_rows_of_other_keys_and_later_ones_change_no_bit(world: World, other: World) -> None:
    asked = world.owners
    mine = np.isin(world.keys, asked) & (world.times <= world.asof.max())
    visible = world.take(np.flatnonzero(mine))
    late = np.where(np.isin(other.keys, asked), np.maximum(other.times, 10), other.times)
    joined = replace(
        visible,
        keys=np.concatenate([other.keys, visible.keys]),
        times=np.concatenate([late, visible.times]),
        values=np.concatenate([other.values, visible.values]),
        codes=np.concatenate([other.codes, visible.codes]),
    )
    assert bits(everything(visible)) == bits(everything(joined))


@given(worlds())
def test_ties_are_settled_by_what_rows_say(world: World) -> None:
    content = np.arange(len(world.keys))[::-1] // 2
    finer = np.arange(len(world.keys)) % 2
    wanted = [
        i
        for i in np.lexsort([finer, content, world.times, world.keys])
        if world.keys[i] >= 0 and world.times[i] < NEVER
    ]
    steps = [lambda rows: content[rows], lambda rows: finer[rows]]
    assert list(Index(world.keys, world.times, steps).order) == wanted


def test_a_later_sort_key_is_asked_only_about_rows_still_tied() -> None:
    asked: list[list[int]] = []

    def step(column: list[int]):
        def keys(rows: np.ndarray) -> np.ndarray:
            asked.append(sorted(rows.tolist()))
            return np.array(column)[rows]

        return keys

    steps = [step([1, 0, 1, 2, 5, 0, 2]), step([8, 9, 7, 3, 9, 9, 4]), step([0] * 7)]
    index = Index(np.array([0, 0, 0, 0, 0, 1, 0]), np.array([3, 3, 3, 3, 4, 3, 3]), steps)
    assert asked == []
    assert index.order.tolist() == [1, 2, 0, 3, 6, 4, 5]
    assert asked == [[0, 1, 2, 3, 6], [0, 2, 3, 6]]


@given(worlds())
def test_arrays_of_other_types_and_layouts_are_read_alike(world: World) -> None:
    names = ("keys", "times", "values", "codes", "owners", "asof", "after")
    other = replace(world, **{name: np.repeat(getattr(world, name), 2)[::2] for name in names})
    for name in names:
        getattr(other, name).setflags(write=False)
    assert bits(everything(world)) == bits(everything(other))


@given(st.lists(st.integers(0, 4), max_size=8), st.data())
def test_segments_are_keys(sizes: list[int], data: st.DataObject) -> None:
    keys = np.repeat(np.arange(len(sizes)), sizes)
    times = np.concatenate(
        [np.sort(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))) for n in sizes] or [[]]
    )
    times, counts = times.astype(np.int64), np.array(sizes, dtype=np.int64)
    segments, index = Index.of_segments(counts, times), Index(keys, times)
    for name in ("rows", "order", "times", "fresh", "tied"):
        np.testing.assert_array_equal(getattr(segments, name), getattr(index, name))
    span, wanted = segments.segments(counts), index.spans(np.arange(len(sizes)), np.full(len(sizes), 9))
    np.testing.assert_array_equal(span.hi - span.lo, sizes)
    assert [list(segments.rows[a:b]) for a, b in zip(span.lo, span.hi, strict=True)] == [
        list(index.rows[a:b]) for a, b in zip(wanted.lo, wanted.hi, strict=True)
    ]


@pytest.mark.parametrize(
    ("level", "start", "noise"), [(0, -7e8, 1e-6), (1e9, 3e8, 1e-6), (0, -1e4, 1e-3), (0, 0, 1e-6), (0, 1e30, 1)]
)
def test_a_tiny_spread_far_from_the_start_of_a_long_history(level: float, start: float, noise: float) -> None:
    """The key begins far off and ends in noise, which pairs still show or not; beside it lives a key near 1."""
    random = np.random.default_rng(0)
    n = 1500
    values = np.concatenate([np.full(5, start), level + noise * random.normal(size=n), 1 + random.normal(size=n)])
    keys, times = np.repeat([0, 1], [n + 5, n]), np.concatenate([np.arange(n + 5), np.arange(n)])
    index = Index(keys, times)
    lo = np.array([5, 900, n - 20, 0, n + 5 + 40])
    span = Spans(lo, np.array([n + 5, 1000, n + 5, n + 5, 2 * n]))
    (found,) = prefix.moments(index, values, [span], third=True)
    slope = prefix.trend(index, values, times, span, 1)
    for i, (a, b) in enumerate(zip(span.lo, span.hi, strict=True)):
        exact = [Fraction(x) for x in values[a:b]]
        mean = sum(exact) / len(exact)
        second, third = (sum((x - mean) ** power for x in exact) for power in (2, 3))
        assert found.sum[i] == pytest.approx(float(sum(exact)), rel=1e-13)
        check_spread(found.std[i], second, len(exact))
        check_skew(found.skew[i], second, third, len(exact))
        t = [int(x) - Fraction(sum(times[a:b].tolist()), int(b - a)) for x in times[a:b]]
        wanted = sum(x * (y - mean) for x, y in zip(t, exact, strict=True)) / sum(x * x for x in t)
        assert slope[i] == pytest.approx(float(wanted), rel=1e-9, abs=1e-12 * math.sqrt(second / sum(x * x for x in t)))


def test_equal_values_have_no_spread_wherever_they_lie() -> None:
    index = Index(np.zeros(9, dtype=np.int64), np.arange(9))
    values = np.array([NAN, 1e9, NAN, 0.1, 0.1, 0.1, 7.0, NAN, NAN])
    lo, hi = np.array([2, 1, 0, 6, 7]), np.array([6, 2, 1, 9, 9])
    (found,) = prefix.moments(index, values, [Spans(lo, hi)], third=True)
    np.testing.assert_array_equal(found.count, [3, 1, 0, 1, 0])
    np.testing.assert_array_equal(found.mean, [0.1, 1e9, NAN, 7, NAN])
    np.testing.assert_array_equal(found.std, [0, NAN, NAN, NAN, NAN])
    np.testing.assert_array_equal(found.skew, [0, NAN, NAN, NAN, NAN])
    np.testing.assert_array_equal(prefix.trend(index, values, index.times, Spans(lo, hi), 1), [0, NAN, NAN, NAN, NAN])


def test_moments_equal_pandas() -> None:
    values = np.random.default_rng(1).lognormal(size=500)
    index = Index(np.repeat(np.arange(5), 100), np.tile(np.arange(100), 5))
    span = Spans(np.arange(0, 500, 50), np.arange(50, 550, 50))
    (found,) = prefix.moments(index, values, [span], third=True)
    blocks = [pd.Series(values[a:b]) for a, b in zip(span.lo, span.hi, strict=True)]
    for name in ("sum", "mean", "std", "skew"):
        np.testing.assert_allclose(getattr(found, name), [getattr(block, name)() for block in blocks], rtol=1e-12)


def test_infinities_reach_only_the_spans_that_hold_them() -> None:
    inf = math.inf
    values = np.array([1.0, inf, 2.0, 3.0, -inf, 5.0, 7.0, 9.5])
    index = Index(np.zeros(8, dtype=np.int64), np.arange(8))
    span = Spans(np.array([0, 0, 0, 4, 5, 2]), np.array([1, 2, 8, 6, 8, 4]))
    (found,) = prefix.moments(index, values, [span], third=True)
    np.testing.assert_array_equal(found.count, [1, 2, 8, 2, 3, 2])
    np.testing.assert_array_equal(found.sum, [1, inf, NAN, -inf, 21.5, 5])
    np.testing.assert_array_equal(found.mean, [1, inf, NAN, -inf, 21.5 / 3, 2.5])
    np.testing.assert_allclose(
        found.std, [NAN, NAN, NAN, NAN, pd.Series([5, 7, 9.5]).std(), math.sqrt(0.5)], rtol=1e-14
    )
    np.testing.assert_allclose(found.skew, [NAN, NAN, NAN, NAN, pd.Series([5, 7, 9.5]).skew(), NAN], rtol=1e-12)
    np.testing.assert_array_equal(prefix.extreme(index, values, span, largest=True), [1, inf, inf, 5, 9.5, 3])
    np.testing.assert_array_equal(prefix.extreme(index, values, span, largest=False), [1, 1, -inf, -inf, 5, 2])
    (median,) = prefix.quantile(index, values, span, [0.5])
    np.testing.assert_array_equal(median, [1, inf, 4, -inf, 7, 2.5])
    slope = prefix.trend(index, values, index.times, span, 1)
    np.testing.assert_allclose(slope, [NAN, NAN, NAN, NAN, 2.25, NAN])


def test_nothing_at_all() -> None:
    none = np.empty(0, dtype=np.int64)
    index = Index(none, none)
    span = index.spans(np.array([0, -1, 3]), np.array([1, 1, 1]))
    (found,) = prefix.moments(index, np.empty(0), [span], third=True)
    np.testing.assert_array_equal(found.sum, [0, 0, 0])
    everywhere = [
        found.mean,
        found.skew,
        prefix.extreme(index, np.empty(0), span, largest=True, whole=True),
        prefix.extreme(index, np.empty(0), span, largest=True),
        prefix.edge(np.empty(0), span, last=True),
        prefix.distinct(index, none, span, whole=False),
        prefix.mode(index, none, span, whole=True),
        prefix.mode(index, none, span, whole=False),
        prefix.entropy(index, none, span),
        *prefix.quantile(index, np.empty(0), span, [0.5]),
        prefix.trend(index, np.empty(0), none, span, 1),
    ]
    for column in everywhere:
        np.testing.assert_array_equal(column, [NAN, NAN, NAN])


def test_long_windows_of_many_codes() -> None:
    """Windows that only Mo's order makes cheap, over enough codes to move the most frequent one about."""
    random = np.random.default_rng(2)
    n = 3000
    codes = np.minimum(random.geometric(0.05, n) - 1, 80)
    index = Index(np.zeros(n, dtype=np.int64), np.arange(n))
    lo, hi = np.sort(random.integers(0, n + 1, (2, 500)), axis=0)
    span = Spans(lo, hi)
    found, entropy = prefix.mode(index, codes, span, whole=False), prefix.entropy(index, codes, span)
    for i, (a, b) in enumerate(zip(lo, hi, strict=True)):
        counts = np.bincount(codes[a:b], minlength=1)
        assert equal(found[i], counts.argmax() if b > a else NAN)
        assert (
            equal(entropy[i], NAN)
            if b == a
            else entropy[i] == pytest.approx(stats.entropy(counts), rel=1e-12, abs=1e-15)
        )


def test_one_window_costs_its_rows_once_whatever_the_delay() -> None:
    """Task rows sorted by key and time: the rows added and removed stay near the number of rows."""
    keys, times = np.repeat(np.arange(50), 200), np.tile(np.arange(200), 50)
    index = Index(keys, times)
    owners, cutoff = np.repeat(np.arange(50), 100), np.tile(np.arange(100) * 2, 50)
    span = index.spans(owners, cutoff, cutoff - 60)
    from relselect.dfs.prefix import kernels_codes

    assert kernels_codes.travel(span.lo, span.hi, prefix._visits(span, len(index))) < 3 * len(index)
    assert all(a <= b for a, b in pairwise(span.hi[span.by_hi]))

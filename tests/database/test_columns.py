"""Columns as arrays: numbers, categories in value order, and keys that compare across storage types."""

from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relselect.database.columns import as_float, as_strings, combine_keys, is_nested


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (pa.array([1, None, 3], pa.int8()), [1, np.nan, 3]),
        (pa.array([True, False, None]), [1, 0, np.nan]),
        (pa.array([1.5, np.inf, -np.inf, np.nan, None]), [1.5, np.nan, np.nan, np.nan, np.nan]),
        (pa.array([decimal.Decimal("1.25"), None]), [1.25, np.nan]),
        (pa.array([dt.date(1970, 1, 2), None]), [86_400e6, np.nan]),
        (pa.array([1500, None], pa.timestamp("ns")), [2, np.nan]),
        (pa.array([2, None], pa.duration("s")), [2e6, np.nan]),
        (pa.array([2, None], pa.time32("s")), [2e6, np.nan]),
        (pa.array([7, None, 7]).dictionary_encode(), [7, np.nan, 7]),
        (pa.array([], pa.float64()), []),
    ],
)
def test_numbers(values, wanted):
    for form in (values, pa.chunked_array([values.slice(0, 1), values.slice(1)]) if len(values) else values):
        found = as_float(form)
        assert found.dtype == np.float64
        assert found.tolist() == pytest.approx(wanted, nan_ok=True)


def test_numbers_may_be_written_to():
    values = pa.array([1.0, 2.0])
    as_float(values)[0] = 9
    assert values[0].as_py() == 1.0


@given(st.lists(st.one_of(st.none(), st.text(max_size=4)), max_size=20), st.booleans())
def test_codes_order_as_the_values_do(values, encoded):
    array = pa.array(values, pa.string())
    codes, words = as_strings(array.dictionary_encode() if encoded else array)
    assert words == sorted({value for value in values if value is not None})
    assert [None if code < 0 else words[code] for code in codes] == values


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pa.array([2, 10, None]), ["10", "2"]),
        (pa.array([2.0, 2.5]), ["2", "2.5"]),
        (pa.array([True, False]), ["false", "true"]),
        (pa.array([dt.date(2024, 1, 2)]), ["2024-01-02"]),
        (pa.nulls(2), []),
        (pa.chunked_array([], pa.string()), []),
    ],
)
def test_any_type_has_categories(values, words):
    codes, found = as_strings(values)
    assert found == words
    assert len(codes) == len(values)


def test_nested_types_are_known():
    assert [is_nested(t) for t in (pa.list_(pa.int8()), pa.struct([]), pa.binary(), pa.string())] == [
        True,
        True,
        True,
        False,
    ]


def joined(*columns):
    return combine_keys([pa.chunked_array([column]) for column in columns]).to_pylist()


def test_integers_compare_with_whole_floats():
    assert joined(pa.array([1, 2], pa.int16())) == joined(pa.array([1.0, 2.0])) == [1, 2]
    assert joined(pa.array([1.0, None])) == [1, None]


def test_parts_of_a_key_never_run_together():
    assert len(set(joined(pa.array(["a|b", "a", "a\\"]), pa.array(["c", "b|c", "|b|c"])))) == 3
    assert joined(pa.array(["a", None]), pa.array([1, 2])) == ["a|1", None]


@given(st.lists(st.tuples(st.text("a|\\", max_size=3), st.text("a|\\", max_size=3)), unique=True, min_size=1))
def test_composite_keys_are_as_distinct_as_their_parts(pairs):
    assert len(set(joined(*(pa.array(part) for part in zip(*pairs, strict=True))))) == len(pairs)


def test_times_are_keys_whatever_their_unit_and_zone():
    moments = np.array(["2020-01-01T06", "2020-01-02T00"], dtype="datetime64[ns]")
    stored = [
        pa.array(moments),
        pa.array(moments.astype("datetime64[us]")),
        pa.array(moments).cast(pa.timestamp("ms", tz="Europe/Berlin")),
    ]
    keys = [combine_keys([pa.chunked_array([values])]) for values in stored]
    joined = [combine_keys([pa.chunked_array([["a", "b"]]), pa.chunked_array([values])]) for values in stored]
    assert all(key.equals(keys[0]) for key in keys)
    assert all(key.equals(joined[0]) for key in joined)


@pytest.mark.parametrize("odd", [np.inf, 1e20, 2.5])
def test_a_float_key_that_is_no_integer_finds_nobody(odd):
    assert combine_keys([pa.chunked_array([[1.0, odd]])]).to_pylist()[0] == "1"

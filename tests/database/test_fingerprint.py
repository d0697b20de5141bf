"""Equal content has equal fingerprints however it is stored, and any change of a value or a declaration shows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relselect.database import Database, ForeignKey, SemanticType, Table


def of(values: pa.Array | pa.ChunkedArray, **options) -> str:
    return Database([Table("t", pa.table({"x": values}), **options)]).fingerprint


SAME = {
    "chunks": (pa.array([1, 2, 3]), pa.chunked_array([pa.array([1]), pa.array([2, 3])])),
    "width": (pa.array([1, 2]), pa.array([1, 2], pa.int8())),
    "sign": (pa.array([1, 2]), pa.array([1, 2], pa.uint64())),
    "float width": (pa.array([1.5, None]), pa.array([1.5, None], pa.float32())),
    "dictionary": (pa.array(["a", "b", None]), pa.array(["a", "b", None]).dictionary_encode()),
    "large text": (pa.array(["a", "é"]), pa.array(["a", "é"], pa.large_string())),
    "slices": (pa.array(["b", "c"]), pa.array(["a", "b", "c", "d"]).slice(1, 2)),
    "unit": (pa.array([1_000_000], pa.timestamp("us")), pa.array([1], pa.timestamp("s"))),
    "fine unit": (pa.array([-3], pa.timestamp("us")), pa.array([-3000], pa.timestamp("ns"))),
    "whole floats": (pa.array([1, None, -3]), pa.array([1.0, None, -3.0])),
    "decimals": (pa.array([1.5, None]), pa.array([1.5, None]).cast(pa.decimal128(9, 4))),
    "whole decimals": (pa.array([1, None]), pa.array([1, None]).cast(pa.decimal128(25, 4))),
    "dates": (pa.array([86_400_000_000], pa.timestamp("us")), pa.array([1], pa.date32())),
    "nothing": (pa.array([None, None], pa.string()), pa.array([None, None], pa.int64())),
    "no rows": (pa.array([], pa.string()), pa.array([], pa.timestamp("ns"))),
    "empty chunks": (pa.array(["a"]), pa.chunked_array([pa.array([], pa.string()), pa.array(["a"])])),
    "zone": (pa.array([1], pa.timestamp("us")), pa.array([1], pa.timestamp("us", "Asia/Tokyo"))),
    "garbage below nulls": (
        pa.array([1, None]),
        pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([1, 99]))]),
    ),
}


@pytest.mark.parametrize("case", SAME)
def test_storage_does_not_show(case):
    one, other = SAME[case]
    assert of(one) == of(other)


DIFFERENT = {
    "value": (pa.array([1, 2]), pa.array([1, 3])),
    "order": (pa.array([1, 2]), pa.array([2, 1])),
    "null against zero": (pa.array([0, 1]), pa.array([None, 1])),
    "null against empty": (pa.array(["", "a"]), pa.array([None, "a"])),
    "cut of texts": (pa.array(["ab", "c"]), pa.array(["a", "bc"])),
    "text against number": (pa.array(["1"]), pa.array([1])),
    "last bit": (pa.array([0.1 + 0.2]), pa.array([0.3])),
    "nanosecond": (pa.array([1], pa.timestamp("ns")), pa.array([2], pa.timestamp("ns"))),
    "beyond 63 bits": (pa.array([2**64 - 1], pa.uint64()), pa.array([-1])),
    "zero of another sign": (pa.array([0.0]), pa.array([-0.0])),
    "fraction": (pa.array([1, 2]), pa.array([1.0, 2.5])),
    "beyond what floats tell apart": (pa.array([2**60]), pa.array([2**60 + 1])),
    "more nothing": (pa.array([None], pa.int64()), pa.array([None, None], pa.int64())),
    "digits of decimals": (
        pa.array(["0.1234567890123456789"]).cast(pa.decimal128(30, 19)),
        pa.array(["0.1234567890123456788"]).cast(pa.decimal128(30, 19)),
    ),
    "list": (pa.array([[1, 2]]), pa.array([[2, 1]])),
    "decimal": (pa.array([1]).cast(pa.decimal128(25, 1)), pa.array([2]).cast(pa.decimal128(25, 1))),
    "rows": (pa.array([1]), pa.array([1, 1])),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_content_shows(case):
    one, other = DIFFERENT[case]
    assert of(one) != of(other)


#: NaN and infinity are missing values, with the fingerprint of NULL.
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.one_of(st.none(), FINITE)), st.data())
def test_any_changed_value_shows(values, data):
    array = pa.array(values, pa.float64())
    cut = data.draw(st.integers(0, len(values)))
    assert of(array) == of(pa.chunked_array([array.slice(0, cut), array.slice(cut)]))
    if values:
        place = data.draw(st.integers(0, len(values) - 1))
        other = data.draw(st.one_of(st.none(), FINITE).filter(lambda v: repr(v) != repr(values[place])))
        assert of(array) != of(pa.array([*values[:place], other, *values[place + 1 :]], pa.float64()))


def test_declarations_show():
    base = {"a": pa.array([1, 2]), "b": pa.array([1, 2])}

    def declared(**options):
        return Database([Table("t", pa.table(base), **options)]).fingerprint

    prints = [
        declared(),
        declared(primary_key=("a",)),
        declared(time="a"),
        declared(primary_key=("a",), foreign_keys=(ForeignKey(("b",), "t", ("a",)),)),
        declared(types={"a": SemanticType.CATEGORICAL}),
        declared(known_at={"a": ("b",)}),
        Database([Table("t", pa.table({"a": base["a"], "c": base["b"]}))]).fingerprint,
        Database([Table("u", pa.table(base))]).fingerprint,
    ]
    assert len(set(prints)) == len(prints)
    assert declared(description="words do not count") == prints[0]


def test_columns_declared_as_words_are_hashed_as_words():
    words = {"types": {"x": SemanticType.CATEGORICAL}}
    same = [
        pa.array(["1", "2", None]),
        pa.array([1, 2, None]),
        pa.array([1.0, 2.0, None]),
        pa.array([1, 2, None], pa.int8()),
    ]
    assert len({of(values, **words) for values in same}) == 1
    assert of(pa.array(["1.5"]), **words) == of(pa.array([1.5]), **words)
    assert of(pa.array(["01", "2", None]), **words) != of(same[0], **words)


def test_the_order_of_references_and_masks_does_not_show():
    columns = {name: pa.array([1, 2]) for name in "abcd"}
    keys = (ForeignKey(("b",), "t", ("a",)), ForeignKey(("c",), "t", ("a",)))

    def declared(**options):
        return Database([Table("t", pa.table(columns), primary_key=("a",), **options)]).fingerprint

    assert declared(foreign_keys=keys) == declared(foreign_keys=keys[::-1])
    assert declared(known_at={"d": ("b", "c")}) == declared(known_at={"d": ("c", "b")})

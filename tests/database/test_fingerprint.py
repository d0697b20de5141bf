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
    "list": (pa.array([[1, 2]]), pa.array([[2, 1]])),
    "decimal": (pa.array([1]).cast(pa.decimal128(25, 1)), pa.array([2]).cast(pa.decimal128(25, 1))),
    "rows": (pa.array([1]), pa.array([1, 1])),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_content_shows(case):
    one, other = DIFFERENT[case]
    assert of(one) != of(other)


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False))), st.data())
def test_any_changed_value_shows(values, data):
    array = pa.array(values, pa.float64())
    cut = data.draw(st.integers(0, len(values)))
    assert of(array) == of(pa.chunked_array([array.slice(0, cut), array.slice(cut)]))
    if values:
        place = data.draw(st.integers(0, len(values) - 1))
        other = data.draw(
            st.one_of(st.none(), st.floats(allow_nan=False)).filter(lambda v: repr(v) != repr(values[place]))
        )
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

"""Values as JSON: cleaned, unchanged, canonical."""

from __future__ import annotations

import json
from collections import OrderedDict
from enum import StrEnum
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relselect.serialization import canonical_json, dump_document, dump_jsonable, jsonable, number_of, plain


class Colour(StrEnum):
    RED = "red"


VALUES = [
    (float("nan"), None),
    (float("-inf"), None),
    (np.float32("inf"), None),
    (np.float64(0.5), 0.5),
    (np.float32(0.5), 0.5),
    (np.int64(3), 3),
    (np.bool_(True), True),
    (True, True),
    (Colour.RED, "red"),
    (np.str_("a"), "a"),
    ((1, (2,)), [1, [2]]),
    ({3, 1, 2}, [1, 2, 3]),
    (np.array([[1.0, np.nan]]), [[1.0, None]]),
    (OrderedDict([(1, 2), (None, (3,))]), {"1": 2, "None": [3]}),
    (pd.NaT, None),
    (pd.NA, None),
    (np.datetime64("NaT"), None),
    (10**30, 10**30),
]


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=lambda each: repr(each)[:30])
@pytest.mark.parametrize("convert", [plain, jsonable])
def test_both_conversions_agree_on_values_that_json_has(convert, value, expected) -> None:
    found = convert(value)
    assert found == expected
    assert type(found) in (type(None), bool, int, float, str, list, dict)


def test_documents_carry_no_forbidden_characters_and_know_every_object() -> None:
    assert plain({"a\x00\n": "\u202eb\ud800"}) == {"a\ufffd\n": "\ufffdb\ufffd"}
    assert plain(Path("a\x01")) == "a\ufffd"
    assert plain(b"x") == "b'x'"


def test_data_keep_every_character_and_refuse_unknown_objects() -> None:
    text = "a\x00\u202e\ud800é"
    assert jsonable({text: text}) == {text: text}
    assert json.loads(dump_jsonable(text)) == text
    assert dump_jsonable(text).encode()
    for unknown in (Path("a"), b"x", object()):
        with pytest.raises(TypeError, match="has no JSON type"):
            jsonable([unknown])


def test_equal_values_dump_equal_text() -> None:
    one, other = {"b": (1, {2, 3}), "a": "é"}, {"a": "é", "b": [1, {3, 2}]}
    assert dump_document(one) == dump_document(other)
    assert dump_jsonable(one, sort_keys=True) == dump_jsonable(other, sort_keys=True)
    assert dump_jsonable(one) != dump_jsonable(other)
    assert list(json.loads(dump_jsonable(one))) == ["b", "a"]
    assert "é" in dump_jsonable(one)
    assert dump_document(one).endswith("}\n")


def test_canonical_text_never_changes() -> None:
    value = {"b": (1, 2.5, None), "a": {"é": True, "at": pd.Timestamp("2020-01-01")}}
    assert canonical_json(value) == '{"a": {"at": "2020-01-01 00:00:00", "\\u00e9": true}, "b": [1, 2.5, null]}'


def test_null_is_a_number_that_is_missing() -> None:
    assert np.isnan(number_of(None))
    assert number_of(2) == 2.0

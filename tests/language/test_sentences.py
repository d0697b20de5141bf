"""Sentences hold their own row and nothing else, in a stable form."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relselect.language.sentences import MOST_CHARACTERS, row_sentences, spoken, value_spans


def test_values_are_written_in_a_stable_form():
    data = pa.table(
        {
            "raceName": pa.array(["Monza", None]),
            "laps": pa.array([53, 44]),
            "lap_time": pa.array([81.046, float("nan")]),
            "wet": pa.array([True, None]),
            "day": pa.array([dt.datetime(2009, 3, 29), dt.datetime(2009, 4, 5, 16, 30)]),
            "kind": pa.array(["gp", "gp"]).dictionary_encode(),
        }
    )
    assert row_sentences("f1_races", data, data.column_names) == [
        "f1 races: race name Monza; laps 53; lap time 81.046; wet yes; day 2009-03-29; kind gp",
        "f1 races: laps 44; day 2009-04-05 16:30; kind gp",
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [("raceName", "race name"), ("race_name", "race name"), ("ID", "id"), ("crm.tickets", "crm tickets")],
)
def test_names_are_spoken(name, words):
    assert spoken(name) == words


def test_a_row_without_values_is_its_table():
    data = pa.table({"a": pa.array([None, "x"], pa.string())})
    assert row_sentences("t", data, ["a"]) == ["t", "t: a x"]
    assert row_sentences("t", data, []) == ["t", "t"]


def test_long_rows_are_cut():
    (sentence,) = row_sentences("t", pa.table({"a": ["x" * 5000]}), ["a"])
    assert len(sentence) == MOST_CHARACTERS


CELLS = st.tuples(
    st.one_of(st.none(), st.text(max_size=8)),
    st.one_of(st.none(), st.integers(-(2**40), 2**40)),
    st.one_of(st.none(), st.floats(allow_infinity=False)),
)


@given(st.lists(CELLS, min_size=1, max_size=8), st.lists(CELLS, max_size=4))
def test_a_sentence_depends_on_its_own_row_alone(rows, later):
    def said(chosen):
        columns = zip(*chosen, strict=True)
        data = dict(zip("abc", (pa.array(list(c), t) for c, t in zip(columns, TYPES, strict=True)), strict=True))
        return row_sentences("t", pa.table(data), ["a", "b", "c"])

    together = said([*rows, *later])
    assert [said([row])[0] for row in rows] == together[: len(rows)]


TYPES = (pa.string(), pa.int64(), pa.float64())


@given(st.lists(CELLS, min_size=1, max_size=8))
def test_spans_hold_the_values_and_leave_the_names(rows):
    columns = zip(*rows, strict=True)
    data = pa.table(dict(zip(("aB", "b_c", "_"), map(pa.array, columns, TYPES), strict=True)))
    texts, spans = (write("tTable", data, data.column_names) for write in (row_sentences, value_spans))
    for row, text, found in zip(rows, texts, spans, strict=True):
        present = [value is not None and value == value for value in row]
        numbers = ["" if row[1] is None else str(row[1]), f"{row[2]:.6g}" if present[2] else ""]
        wanted = [value for value in (row[0] or "", *numbers) if value]
        assert [text[begin:end] for begin, end in found] == wanted
        left = "".join(
            text[end:begin] for (_, end), (begin, _) in zip([(0, 0), *found], [*found, (None, 0)], strict=True)
        )
        parts = [f"{name} " for name, there in zip(("a b", "b c", ""), present, strict=True) if there]
        assert left == (f"t table: {'; '.join(parts)}" if parts else "t table")
    assert value_spans("t", pa.table({"a": ["x" * 5000, None]}), ["a"]) == [[(5, MOST_CHARACTERS)], []]

"""Databases from data frames."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from relselect.database import Database
from relselect.database.sources.frames import to_arrow
from relselect.errors import SchemaError


def problems_of(frame: Any) -> list[Any]:
    found = to_arrow("t", frame)
    assert isinstance(found, list)
    return found


def test_pandas_frame() -> None:
    frame = pd.DataFrame(
        {
            "id": [1, 2],
            "name": ["a", None],
            "score": [1.5, np.nan],
            "when": pd.to_datetime(["2020-01-01", None]),
            "kind": pd.Categorical(["x", "y"]),
            "day": [dt.date(2020, 1, 1), None],
            "count": pd.array([1, None], "Int64"),
        }
    )
    table = to_arrow("t", frame)
    assert isinstance(table, pa.Table)
    assert table["name"].to_pylist() == ["a", None]
    assert table["score"].to_pylist() == [1.5, None]
    assert table["day"].type == pa.date32()
    assert table["count"].to_pylist() == [1, None]


def test_named_index_becomes_columns_and_an_unnamed_one_does_not() -> None:
    frame = pd.DataFrame({"id": [7, 8], "v": [1, 2]}, index=[5, 6])
    assert to_arrow("t", frame).column_names == ["id", "v"]
    assert to_arrow("t", frame.set_index("id")).column_names == ["id", "v"]
    assert to_arrow("t", frame.set_index("id", drop=False)).column_names == ["id", "v"]


def test_mixed_object_columns_show_their_values() -> None:
    frame = pd.DataFrame({"good": [1, 2, 3], "bad": [1, "one", None], "worse": [object(), object(), None]})
    bad, worse = problems_of(frame)
    assert (bad.table, bad.column) == ("t", "bad")
    assert "int: 1" in bad.value
    assert "str: 'one'" in bad.value
    assert worse.column == "worse"


def test_odd_column_names_are_problems() -> None:
    frame = pd.DataFrame([[1, 2, 3]], columns=["a", "a", 5])
    assert {problem.column for problem in problems_of(frame)} == {"a", "5"}


def test_types_arrow_lacks_are_problems() -> None:
    frame = pd.DataFrame({"z": np.array([1 + 2j])})
    assert problems_of(frame)[0].value == "complex128"


def test_arrow_tables_pass_and_lose_view_types() -> None:
    table = pa.table({"a": pa.array(["x"], pa.string_view()), "b": [1]})
    converted = to_arrow("t", table)
    assert converted.schema.types == [pa.large_string(), pa.int64()]
    assert to_arrow("t", table.to_batches()[0]).num_rows == 1


def test_anything_with_the_arrow_stream_interface() -> None:
    class Stream:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return pa.table({"a": [1, 2]}).__arrow_c_stream__(requested_schema)

    assert to_arrow("t", Stream()).to_pydict() == {"a": [1, 2]}


def test_polars_frame() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(
        {"id": [1, 2], "name": ["a", None], "kind": polars.Series(["x", "y"], dtype=polars.Categorical)}
    )
    table = to_arrow("t", frame)
    assert isinstance(table, pa.Table)
    assert table["name"].to_pylist() == ["a", None]
    assert table["kind"].to_pylist() == ["x", "y"]
    assert "collect" in problems_of(frame.lazy())[0].fix
    database = Database.from_dataframes({"t": frame}, keys={"t": "name"} | {"t": "id"})
    assert database.rows_of("t", [2, 9]).tolist() == [1, -1]


@pytest.mark.parametrize("thing", [[1, 2], {"a": [1]}, None, "t.csv"])
def test_other_things_are_no_frames(thing: object) -> None:
    assert "no data frame" in problems_of(thing)[0].rule


def test_declarations_that_name_nothing_come_at_once() -> None:
    frames = {"users": pd.DataFrame({"id": [1]}), "orders": pd.DataFrame({"user": [1], "x": [[1, "a"]]})}
    with pytest.raises(SchemaError) as caught:
        Database.from_dataframes(
            frames,
            keys={"clients": "id"},
            types={"users": {"id": "number"}},
            drop={"users": ["nam"]},
            known_at={"users": {"id": "id"}},
        )
    assert {(problem.table, problem.value) for problem in caught.value.problems} >= {
        ("clients", "keys"),
        ("users", "number"),
        ("users", "drop"),
        ("users", "known_at"),
    }
    assert len(caught.value.problems) == 5


def test_composite_keys_and_references() -> None:
    frames = {
        "seasons": pd.DataFrame({"team": ["a", "a", "b"], "year": [1, 2, 1]}),
        "games": pd.DataFrame({"y": [2, 1], "t": ["a", "b"], "secret": [0, 1]}),
    }
    database = Database.from_dataframes(
        frames,
        keys={"seasons": ("team", "year")},
        foreign_keys={"games": {("t", "y"): "seasons"}},
        drop={"games": ["secret"]},
    )
    assert database.parents("games")[0].tolist() == [1, 2]
    assert database["games"].columns == ["y", "t"]


def test_types_that_kernels_do_not_take_are_stored_plainly():
    frame = pd.DataFrame(
        {
            "who": [uuid.UUID(int=1), None],
            "half": np.array([0.5, 1.0], dtype=np.float16),
            "span": pd.arrays.IntervalArray.from_breaks([0, 1, 2]),
        }
    )
    table = to_arrow("t", frame)
    assert table["who"].to_pylist() == [str(uuid.UUID(int=1)), None]
    assert table["half"].type == pa.float32()
    assert pa.types.is_struct(table["span"].type)


def test_a_period_is_no_moment():
    (problem,) = to_arrow("t", pd.DataFrame({"month": pd.period_range("2020-01", periods=2, freq="M")}))
    assert "to_timestamp" in problem.fix

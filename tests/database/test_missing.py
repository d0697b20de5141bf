"""Missing is one thing: the same data from every frame, file and database have equal content, features and labels."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import relselect as rs
from relselect.database import Database, Table
from relselect.database.inference import infer_types
from relselect.database.missing import batches_without_missing, null_if_missing, without_missing
from relselect.errors import SchemaError, TaskError

NAN, INF = float("nan"), float("inf")
HUGE = 1.7e308
USERS = 12
#: Ratings of the users' orders: NaN is missing, so there are two distinct values of each user but for the last.
ROWS = [(user, day, value) for user in range(USERS) for day, value in enumerate([4.0, NAN, 2.5, NAN, 4.0])]
ROWS[-5:] = [(USERS - 1, day, NAN) for day in range(5)]


def pandas_frame(infinite: bool = False) -> pd.DataFrame:
    frame = pd.DataFrame(ROWS, columns=["user", "day", "rating"])
    frame["day"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(frame["day"], "D")
    frame["class"] = frame["rating"]
    if infinite:
        frame["rating"] = frame["rating"].fillna(INF)
        frame["class"] = frame["class"].fillna(-INF)
    return frame


def nullable(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of pandas' Float64 that hold NaN as a value."""
    columns = {
        name: pd.arrays.FloatingArray(frame[name].to_numpy(), np.zeros(len(frame), bool))
        for name in ("rating", "class")
    }
    return frame.assign(**columns)


def arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.table({name: pa.array(frame[name].to_numpy(), from_pandas=False) for name in frame.columns})


def arrow_backed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        **{n: pd.arrays.ArrowExtensionArray(pa.array(frame[n].to_numpy())) for n in ("rating", "class")}
    )


def polars(frame: pd.DataFrame) -> object:
    pl = pytest.importorskip("polars")
    return pl.from_arrow(arrow(frame))


FORMS = {
    "pandas": lambda frame: frame,
    "pandas Float64": nullable,
    "pandas of Arrow": arrow_backed,
    "Arrow": arrow,
    "Arrow in chunks": lambda frame: pa.concat_tables([arrow(frame).slice(0, 7), arrow(frame).slice(7)]),
    "Arrow dictionaries": lambda frame: arrow(frame).set_column(3, "class", arrow(frame)["class"].dictionary_encode()),
    "Polars": polars,
}


def database(orders: object, **more: object) -> Database:
    return Database.from_dataframes(
        {"users": pd.DataFrame({"user": range(USERS)}), "orders": orders},
        keys={"users": "user"},
        times={"orders": "day"},
        foreign_keys={"orders": {"user": "users"}},
        types={"orders": {"class": "categorical"}},
        **more,
    )


def from_parquet(folder: Path, frame: pd.DataFrame) -> Database:
    pq.write_table(arrow(frame), folder / "orders.parquet")
    pq.write_table(pa.table({"user": range(USERS)}), folder / "users.parquet")
    return from_uri(folder)


def from_duckdb(folder: Path, frame: pd.DataFrame) -> Database:
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.register("given", arrow(frame))
        connection.execute('CREATE TABLE orders AS SELECT * FROM given ORDER BY "user", day')
        connection.execute(f'CREATE TABLE users AS SELECT range::BIGINT AS "user" FROM range({USERS})')
    return from_uri(f"duckdb:///{folder / 'shop.duckdb'}")


def from_uri(uri: object) -> Database:
    return Database.from_uri(
        uri,
        keys={"users": "user", "orders": ()},
        times={"orders": "day"},
        foreign_keys={"orders": {"user": "users"}},
        types={"orders": {"class": "categorical"}},
    )


def check(found: Database) -> None:
    wanted = database(pandas_frame())
    orders = found["orders"]
    for column in ("rating", "class"):
        assert orders.data[column].null_count == sum(np.isnan(row[2]) for row in ROWS)
    assert orders.data["rating"].to_pylist() == wanted["orders"].data["rating"].to_pylist()
    assert infer_types(orders) == infer_types(wanted["orders"])
    assert found.table_fingerprint("orders") == wanted.table_fingerprint("orders")


@pytest.mark.parametrize("infinite", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_frames_of_every_kind_hold_the_same(form: str, infinite: bool) -> None:
    check(database(FORMS[form](pandas_frame(infinite))))


@pytest.mark.parametrize("read", [from_parquet, from_duckdb])
@pytest.mark.parametrize("infinite", [False, True])
def test_files_hold_the_same(read, infinite: bool, tmp_path: Path) -> None:
    check(read(tmp_path, pandas_frame(infinite)))


def test_a_table_beyond_the_memory_limit_holds_the_same(tmp_path: Path) -> None:
    pq.write_table(arrow(pandas_frame(True)), tmp_path / "orders.parquet")
    found = Database.from_uri(tmp_path, tables=["orders"], times={"orders": "day"}, memory_limit=0)
    assert found.spooled["orders"] > 0
    assert found["orders"].data["rating"].null_count == sum(np.isnan(row[2]) for row in ROWS)


def task(found: Database, **options: object) -> rs.Task:
    users = np.tile(np.arange(USERS), 4)
    cutoffs = np.repeat(pd.to_datetime(["2024-01-03", "2024-01-04", "2024-01-05", "2024-01-06"]), USERS)
    frame = pd.DataFrame({"user": users, "cutoff": cutoffs, "label": [(i * 7 + i // 5) % 3 for i in range(4 * USERS)]})
    chosen = {"labels": frame, "kind": "multiclass", "known_after": None, **options}
    return rs.Task.from_labels(found, name="t", entity="users", time="cutoff", **chosen)


@pytest.mark.parametrize("form", ["pandas Float64", "Arrow", "Arrow dictionaries", "Polars"])
def test_features_count_no_category_of_nan(form: str) -> None:
    plain, other = database(pandas_frame()), database(FORMS[form](pandas_frame(infinite=form == "Arrow")))
    wanted, found = (rs.features(each, task(each), split="test").to_pandas() for each in (plain, other))
    pd.testing.assert_frame_equal(found, wanted)
    distinct = found["NUM_UNIQUE(orders[user].class)"].to_numpy()
    assert set(distinct[:-1]) == {2}
    assert distinct[-1] in (0,) or np.isnan(distinct[-1])
    assert not [name for name in found.columns if "nan" in name or "inf" in name]


@pytest.mark.parametrize("form", FORMS)
def test_labels_of_several_classes_have_no_class_nan(form: str) -> None:
    found = database(pandas_frame())
    users = np.tile(np.arange(USERS), 4)
    days = np.repeat(pd.date_range("2024-01-03", periods=4), USERS).to_numpy()
    value = np.array([1.0, 2.0, NAN, 3.0, 1.0, 2.0, 3.0] * USERS)[: 4 * USERS]
    frame = pd.DataFrame({"user": users, "day": days, "rating": value, "class": value})
    made = task(found, labels=_relabelled(FORMS[form](frame)))
    assert made.classes == ("1", "2", "3")
    assert sum(len(part) for part in made.splits.values()) == int((~np.isnan(value)).sum())
    assert any("no label or no cutoff" in note for note in made.notes)


def _relabelled(frame: object) -> object:
    """The frame with its columns under the names of a label frame, in Arrow where it was Arrow."""
    names = {"user": "user", "day": "cutoff", "class": "label", "rating": "rating"}
    if isinstance(frame, pa.Table):
        return frame.rename_columns([names[name] for name in frame.column_names])
    return frame.rename(columns=names) if isinstance(frame, pd.DataFrame) else frame.rename(names)


@pytest.mark.parametrize(
    "ids", [pa.array([1.0, NAN]), pa.array([1.0, INF]), pa.array([1, 2]).cast(pa.float32()).take(pa.array([0, None]))]
)
def test_a_primary_key_of_nan_or_infinity_is_null(ids: pa.Array) -> None:
    with pytest.raises(SchemaError, match="a primary key has no nulls"):
        Database([Table("t", pa.table({"id": ids}), ("id",))])


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_an_infinite_label_is_refused(kind: str) -> None:
    found = database(pandas_frame())
    users = np.tile(np.arange(USERS), 4)
    days = np.repeat(pd.date_range("2024-01-03", periods=4), USERS)
    value = np.tile([1.0, 2.0, INF, 3.0], USERS)
    with pytest.raises(TaskError, match="infinite"):
        task(found, labels=pd.DataFrame({"user": users, "cutoff": days, "label": value}), kind=kind)


def test_columns_without_missing_values_are_shared() -> None:
    table = pa.table({"a": [1.0, None], "b": ["nan", ""], "c": pa.array(["x", None]).dictionary_encode()})
    assert without_missing(table) is table


@pytest.mark.parametrize("dtype", [pa.float64(), pa.float32(), pa.float16()])
@pytest.mark.parametrize(
    ("values", "nulls"), [([1.0, None], 1), ([INF, -INF], 2), ([NAN, None, 1.0], 2), ([], 0), ([None], 1), ([-INF], 1)]
)
def test_every_width_of_float(dtype: pa.DataType, values: list[float | None], nulls: int) -> None:
    column = pa.chunked_array([pa.array(values, pa.float64(), from_pandas=False).cast(dtype)])
    found = without_missing(pa.table({"x": column, "y": column}))
    assert [found[name].null_count for name in "xy"] == [nulls, nulls]
    batches = list(batches_without_missing(pa.table({"x": column}).to_batches()))
    assert sum(batch.column(0).null_count for batch in batches) == nulls


def test_finite_values_whose_sum_is_infinite_stay() -> None:
    table = pa.table({"x": [HUGE, HUGE, -3.0]})
    assert without_missing(table) is table
    assert null_if_missing(table["x"]).to_pylist() == [HUGE, HUGE, -3.0]


def test_a_null_in_a_dictionary_is_null() -> None:
    values = pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array([None, "b"]))])
    assert values.null_count == 0
    assert null_if_missing(values).to_pylist() == [None, "b", None]
    assert null_if_missing(values).null_count == 2

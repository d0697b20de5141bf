"""What featuretools means differently: both values, side by side. What is evened out comes last."""

from __future__ import annotations

import warnings

import featuretools as ft
import numpy as np
import pandas as pd
import pytest

from relselect.database import Database
from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.featuretools import Difference, difference, entityset, to_featuretools
from relselect.dfs.plan.feature import Aggregate, Condition, Feature, Hop
from relselect.dfs.plan.schema import Schema
from tests.dfs.featuretools.support import LINES, ORDERS, PRODUCT, day, of, planned, row, shop, told, value

A, T = Aggregate, SemanticType


@pytest.fixture(scope="module")
def problem():
    return shop()


@pytest.fixture(scope="module")
def empty(problem):
    return entityset(problem, 3)


def nearest(problem, empty, feature):
    """The definition that looks like a feature."""
    (found,) = to_featuretools(planned(problem, feature), empty, nearest=True)
    assert found is not None
    return found


def kind(problem, feature):
    return difference(feature, problem.entity, Schema.of(problem))


# Differences of principle


HIDDEN = [
    # user 0 on day 6: order 11 (day 3) is of a product that is listed on day 7
    (A.ENTROPY, (ORDERS, PRODUCT), "colour", T.CATEGORICAL, row(0, 6), 0.0, 0.562335145),
    (A.NUM_UNIQUE, (ORDERS, PRODUCT), "colour", T.CATEGORICAL, row(1, 6), np.nan, 0.0),
    # of four orders one is closed by then
    (A.NUM_UNIQUE, (ORDERS,), "verdict", T.CATEGORICAL, row(0, 1), np.nan, 0.0),
    (A.ENTROPY, (ORDERS,), "verdict", T.CATEGORICAL, row(0, 5), 0.0, 0.562335145),
]


@pytest.mark.parametrize(("aggregate", "path", "column", "type_", "rows", "here", "there"), HIDDEN)
def test_a_row_whose_value_is_not_there(problem, empty, aggregate, path, column, type_, rows, here, there):
    feature = Feature(aggregate, path, column, type_)
    assert kind(problem, feature) == Difference.HIDDEN
    assert value(problem, feature, rows) == pytest.approx(here, nan_ok=True)
    assert told(problem, nearest(problem, empty, feature), rows) == pytest.approx(there, nan_ok=True)
    # featuretools' value is that of the nested column, ours that under the condition that the value is there
    nested = Feature(aggregate, path[:1], type=type_, base=Feature(A.DIRECT, path[1:], column, type_))
    assert kind(problem, nested) is None
    assert value(problem, nested, rows) == pytest.approx(there, nan_ok=True)
    (exact,) = to_featuretools(planned(problem, feature), empty)
    assert told(problem, exact, rows) == pytest.approx(here, nan_ok=True)


def test_the_number_of_rows_with_a_visible_parent(problem, empty):
    feature = Feature(A.COUNT, (ORDERS, PRODUCT))
    assert value(problem, feature, row(0, 6)) == 3
    assert told(problem, nearest(problem, empty, feature), row(0, 6)) == 4
    (exact,) = to_featuretools(planned(problem, feature), empty)
    assert told(problem, exact, row(0, 6)) == 3


def test_the_number_of_different_parents(problem, empty):
    feature = Feature(A.NUM_UNIQUE, (ORDERS, PRODUCT), type=T.KEY)
    (exact,) = to_featuretools(planned(problem, feature), empty)
    for rows, here, there in ((row(0, 6), 2, 2), (row(1, 6), np.nan, 0)):
        assert value(problem, feature, rows) == pytest.approx(here, nan_ok=True)
        assert told(problem, exact, rows) == pytest.approx(here, nan_ok=True)
        assert told(problem, nearest(problem, empty, feature), rows) == there


CLOCK = [
    # the last order by its own time on day 9 is 14, whose product is nobody's; by the time at which its value is there, 11
    (Feature(A.LAST, (ORDERS, PRODUCT), "price"), row(0, 9), 2.5, np.nan),
    # known by day 9: the outcomes of orders 10, 11, 14 and, at last, 9; by their own time order 14 is the last
    (Feature(A.LAST, (ORDERS,), "outcome"), row(0, 9), 4.0, 5.0),
    # order 11 is of day 3, its product of day 7: it enters a window of three days before day 9 with its product
    (Feature(A.SUM, (ORDERS, PRODUCT), "price", window=3 * DAY), row(0, 9), 2.5, 0.0),
    # line 3 is of day 2, its order of day 5; line 1 is of day 4
    (Feature(A.LAST, (ORDERS, LINES), "units"), row(0, 7), 4.0, 2.0),
    (Feature(A.SINCE_LAST, (ORDERS,), where=Condition("verdict", "bad")), row(0, 9), 0.0, 1.0),
    (Feature(A.SINCE_FIRST, (ORDERS, LINES)), row(0, 3), 2.0, 2.0),
    (Feature(A.TIME_BETWEEN, (ORDERS, LINES)), row(0, 7), 4 / 3, 1.0),
    (Feature(A.COUNT, (ORDERS,), where=Condition("verdict", "bad"), window=2 * DAY), row(0, 9.5), 2.0, 1.0),
    # known on days 2, 6, 8, 9; their rows are of days 1, 3, 8, 5
    (Feature(A.TREND, (ORDERS,), "outcome"), row(0, 9), 15 / 28.75, 16 / 26.75),
]


@pytest.mark.parametrize(("feature", "rows", "here", "there"), CLOCK, ids=[case[0].name for case in CLOCK])
def test_the_moment_from_which_a_row_counts(problem, empty, feature, rows, here, there):
    assert kind(problem, feature) == Difference.CLOCK
    assert to_featuretools(planned(problem, feature), empty) == [None]
    found = value(problem, feature, rows), told(problem, nearest(problem, empty, feature), rows)
    assert found == pytest.approx((here, there), nan_ok=True)


# Differences of featuretools' own arguments, which are not used here


def raw(*, masked: bool = False) -> ft.EntitySet:
    """The shop as people write it for featuretools."""
    frames = {name: table.data.to_pandas() for name, table in shop().user_database.tables.items()}
    found = ft.EntitySet("raw")
    kinds = {
        "users": {"city": "Categorical"},
        "orders": {
            "status": "Categorical",
            "verdict": "Categorical",
            "gift": "BooleanNullable",
            "note": "NaturalLanguage",
        },
        "products": {"colour": "Categorical"},
        "lines": {},
    }
    times = {"orders": "at", "products": "listed", "lines": "seen"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, frame in frames.items():
            found.add_dataframe(
                dataframe=frame,
                dataframe_name=name,
                index=name[:-1],
                time_index=times.get(name),
                logical_types=kinds[name],
                secondary_time_index={"closed": ["outcome", "verdict"]} if masked and name == "orders" else None,
            )
        found.add_relationship("users", "user", "orders", "user")
        found.add_relationship("products", "product", "orders", "product")
        found.add_relationship("orders", "order", "lines", "order")
    return found


def rawly(found: ft.EntitySet, feature, entity: int, cutoff: float, **options):
    """One value by `calculate_feature_matrix` itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asked = pd.DataFrame({"instance_id": [entity], "time": day(cutoff)})
        return ft.calculate_feature_matrix([feature], found, cutoff_time=asked, **options).iloc[0, 0]


def counted(found: ft.EntitySet, **options):
    return ft.Feature(
        found["orders"].ww["order"], parent_dataframe_name="users", primitive=ft.primitives.Count, **options
    )


def test_the_first_moment_of_a_window(problem):
    feature = Feature(A.COUNT, (ORDERS,), window=4 * DAY)
    found = raw()
    theirs = counted(found, use_previous="4d")
    assert rawly(found, theirs, 0, 5.0) == 4  # [1, 5]
    assert value(problem, feature, row(0, 5)) == 3  # (1, 5]
    assert told(problem, theirs, row(0, 5)) == 3


def test_windows_that_nobody_has_a_row_in(problem):
    found = raw()
    theirs = ft.Feature(
        found["orders"].ww["at"],
        parent_dataframe_name="users",
        primitive=ft.primitives.TimeSinceLast(unit="days"),
        use_previous="1h",
    )
    with pytest.raises(KeyError):
        rawly(found, theirs, 0, 7.0)
    assert np.isnan(told(problem, theirs, row(0, 7)))
    assert np.isnan(value(problem, Feature(A.SINCE_LAST, (ORDERS,), window=DAY // 24), row(0, 7)))


def test_a_training_window_keeps_rows_whose_children_are_newer(problem):
    found = raw()
    found.add_last_time_indexes()
    # four days before 7.5: orders 12 and 9 of day 5, and not order 10 of day 1, though it has a line of day 4
    assert rawly(found, counted(found), 0, 7.5, training_window="4d") == 3
    assert rawly(found, counted(found, use_previous="4d"), 0, 7.5) == 2
    assert value(problem, Feature(A.COUNT, (ORDERS,), window=4 * DAY), row(0, 7.5)) == 2


def test_a_mask_at_its_own_moment_and_one_without_a_moment(problem, empty):
    found = raw(masked=True)
    theirs = ft.Feature(found["orders"].ww["outcome"], parent_dataframe_name="users", primitive=ft.primitives.Sum)
    feature = Feature(A.SUM, (ORDERS,), "outcome")
    # on day 6: order 10 is known, 11 just now, 12 never, 9 not yet
    assert rawly(found, theirs, 0, 6.0) == 1.0 + 3.0
    assert value(problem, feature, row(0, 6)) == 1.0 + 2.0
    assert told(problem, theirs, row(0, 6)) == 1.0 + 2.0
    (ours,) = to_featuretools(planned(problem, feature), empty)
    assert told(problem, ours, row(0, 6)) == 1.0 + 2.0


# Units and conventions, evened out


def test_times_are_days(problem):
    found = raw()
    for primitive, aggregate, days in (
        (ft.primitives.TimeSinceLast, A.SINCE_LAST, 1.5),
        (ft.primitives.TimeSinceFirst, A.SINCE_FIRST, 5.5),
        (ft.primitives.AvgTimeBetween, A.TIME_BETWEEN, 4 / 3),
    ):
        theirs = ft.Feature(found["orders"].ww["at"], parent_dataframe_name="users", primitive=primitive)
        assert rawly(found, theirs, 0, 6.5) == pytest.approx(days * 86_400)
        assert told(problem, theirs, row(0, 6.5)) == pytest.approx(days)
        assert value(problem, Feature(aggregate, (ORDERS,)), row(0, 6.5)) == pytest.approx(days)


def test_times_count_from_the_cutoff_when_data_are_older(problem):
    found = raw()
    theirs = ft.Feature(found["orders"].ww["at"], parent_dataframe_name="users", primitive=ft.primitives.TimeSinceLast)
    rows = row(0, 8.5, asof=7)
    assert rawly(found, theirs, 0, 7.0) == 2 * 86_400
    assert told(problem, theirs, rows) == 3.5
    assert value(problem, Feature(A.SINCE_LAST, (ORDERS,)), rows) == 3.5


def test_windows_end_where_older_data_end(problem):
    found = raw()
    rows = row(0, 8.5, asof=7)
    windowed = counted(found, use_previous="5d")
    assert rawly(found, windowed, 0, 7.0) == 3
    assert told(problem, windowed, rows) == 3
    assert value(problem, Feature(A.COUNT, (ORDERS,), window=5 * DAY), rows) == 3


def test_trends_are_per_day():
    base = day(0.5)[0]
    frame = pd.DataFrame(
        {
            "row": range(4),
            "user": [0] * 4,
            "at": [base + pd.Timedelta(h, "h") for h in (0, 1, 3, 4)],
            "x": [1.0, 2, 4, 5],
        }
    )
    users = pd.DataFrame({"user": range(12)})
    database = Database.from_dataframes(
        {"users": users, "rows": frame},
        keys={"users": "user", "rows": "row"},
        times={"rows": "at"},
        foreign_keys={"rows": {"user": "users"}},
    )
    problem = of(database, "users", "user", (1, 2, 3))
    found = ft.EntitySet("raw")
    found.add_dataframe(dataframe=users.copy(), dataframe_name="users", index="user")
    found.add_dataframe(
        dataframe=frame.copy(), dataframe_name="rows", index="row", time_index="at", logical_types={"x": "Double"}
    )
    found.add_relationship("users", "user", "rows", "user")
    theirs = ft.Feature(
        [found["rows"].ww["x"], found["rows"].ww["at"]], parent_dataframe_name="users", primitive=ft.primitives.Trend
    )
    assert rawly(found, theirs, 0, 1.0) == pytest.approx(1.0)  # the first time is a whole hour: per hour
    assert told(problem, theirs, row(0, 1)) == pytest.approx(24.0)
    assert value(problem, Feature(A.TREND, (Hop("rows", "user", True),), "x"), row(0, 1)) == pytest.approx(24.0)


def test_dates_are_ages(problem):
    found = raw()
    theirs = ft.Feature(found["orders"].ww["at"], parent_dataframe_name="users", primitive=ft.primitives.Last)
    assert rawly(found, theirs, 0, 9.0) == day(8)[0]
    assert told(problem, theirs, row(0, 9)) == 1.0
    assert value(problem, Feature(A.LAST, (ORDERS,), "at", T.TIMESTAMP), row(0, 9)) == 1.0


def test_the_smallest_of_equally_frequent_codes():
    users = pd.DataFrame({"user": range(12)})
    frame = pd.DataFrame({"row": range(4), "user": [0] * 4, "at": day(1, 2, 3, 4), "code": [10, 9, 10, 9]})
    database = Database.from_dataframes(
        {"users": users, "rows": frame},
        keys={"users": "user", "rows": "row"},
        times={"rows": "at"},
        foreign_keys={"rows": {"user": "users"}},
        types={"rows": {"code": "categorical"}},
    )
    problem = of(database, "users", "user", (5, 6, 7))
    found = ft.EntitySet("raw")
    found.add_dataframe(dataframe=users.copy(), dataframe_name="users", index="user")
    found.add_dataframe(
        dataframe=frame.copy(),
        dataframe_name="rows",
        index="row",
        time_index="at",
        logical_types={"code": "Categorical"},
    )
    found.add_relationship("users", "user", "rows", "user")
    theirs = ft.Feature(found["rows"].ww["code"], parent_dataframe_name="users", primitive=ft.primitives.Mode)
    assert rawly(found, theirs, 0, 5.0) == 9  # the smaller number
    assert told(problem, theirs, row(0, 5)) == "10"  # the first text
    assert value(problem, Feature(A.MODE, (Hop("rows", "user", True),), "code", T.CATEGORICAL), row(0, 5)) == "10"


SAME = [
    (Feature(A.STD, (ORDERS,), "total"), row(1, 6), np.nan),  # of one value
    (Feature(A.SKEW, (ORDERS,), "total"), row(1, 6), np.nan),
    (Feature(A.TREND, (ORDERS,), "total"), row(1, 6), np.nan),
    (Feature(A.TIME_BETWEEN, (ORDERS,)), row(1, 6), np.nan),
    (Feature(A.ENTROPY, (ORDERS,), "status", T.CATEGORICAL), row(0, 5), 1.0397207708),  # a missing value is a value
    (Feature(A.PERCENT_TRUE, (ORDERS,), "gift", T.BOOLEAN), row(0, 3), 0.5),  # a missing value is not true
    (Feature(A.NUM_UNIQUE, (ORDERS,), "status", T.CATEGORICAL), row(2, 9), np.nan),  # of nothing
    (Feature(A.MODE, (ORDERS,), "status", T.CATEGORICAL), row(2, 9), np.nan),
    (Feature(A.ENTROPY, (ORDERS,), "status", T.CATEGORICAL), row(2, 9), np.nan),
    (Feature(A.SUM, (ORDERS,), "total"), row(2, 9), 0.0),
    (Feature(A.COUNT, (ORDERS,)), row(2, 9), 0.0),
    (Feature(A.LAST, (ORDERS,), "total"), row(0, 6), np.nan),  # the last of day 5 is order 12, whose total is missing
    (Feature(A.FIRST, (ORDERS,), "status", T.CATEGORICAL), row(0, 6), "paid"),
]


@pytest.mark.parametrize(
    ("feature", "rows", "both"), SAME, ids=[f"{case[0].name} {case[1].entity[0]}" for case in SAME]
)
def test_conventions_that_are_the_same(problem, empty, feature, rows, both):
    (definition,) = to_featuretools(planned(problem, feature), empty)
    found = value(problem, feature, rows), told(problem, definition, rows)
    assert found == (both, both) if isinstance(both, str) else found == pytest.approx((both, both), nan_ok=True)

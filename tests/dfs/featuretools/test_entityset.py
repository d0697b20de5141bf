"""EntitySets for problems: unrolled where they must be, typed, masked, and seeing what this package sees."""

from __future__ import annotations

import warnings

import featuretools as ft
import numpy as np
import pandas as pd
import pytest

from relselect.database import Database
from relselect.dfs.featuretools import PRIMITIVES, entityset, enumerate_featuretools
from relselect.dfs.featuretools.layout import INDEX, Edge, layout_of
from relselect.errors import ConfigError
from relselect.problem import Problem
from tests.dfs import worlds
from tests.dfs.featuretools.support import day, of, shop


def visible(es: ft.EntitySet, name: str, at: float) -> pd.DataFrame:
    """What featuretools sees of a dataframe on a day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return es.query_by_values(name, None, time_last=day(at)[0])


def test_tables_keep_their_names_where_no_keys_run_in_a_circle():
    problem = shop()
    es = entityset(problem, 2)
    assert {frame.ww.name for frame in es.dataframes} == {"users", "orders", "products", "lines"}
    assert {(r._child_dataframe_name, r._child_column_name) for r in es.relationships} == {
        ("orders", "user"),
        ("orders", "product"),
        ("lines", "order"),
    }
    assert {frame.ww.name for frame in entityset(problem, 1).dataframes} == {"users", "orders"}
    assert all(len(frame) == 0 for frame in es.dataframes)


def test_with_and_without_rows_the_types_are_the_same():
    problem = shop()
    full, empty = entityset(problem, 2, data=True), entityset(problem, 2)
    for frame in full.dataframes:
        assert {c: str(t) for c, t in frame.ww.logical_types.items()} == {
            c: str(t) for c, t in empty[frame.ww.name].ww.logical_types.items()
        }
        assert frame.ww.time_index == empty[frame.ww.name].ww.time_index
    assert str(full["orders"].ww.logical_types["note"]) == "NaturalLanguage"
    assert len(full["orders"]) == 6


def test_self_references_are_unrolled_as_far_as_asked():
    problem = worlds.problem(3)
    layout = layout_of(problem, 2)
    assert Edge("shops", "shops/shops[boss]", "boss", "boss") in layout.edges
    assert Edge("shops/shops(boss)", "shops", "boss", "boss") in layout.edges
    assert layout.tables["shops/shops[boss]/shops[boss]"] == "shops"
    assert max(node.name.count("/") for node in layout.nodes) == 2
    # a step straight back leads to where one came from, not to a copy
    assert "shops/shops[boss]/shops(boss)" not in layout.tables
    names = {edge.child for edge in layout.edges} | {edge.parent for edge in layout.edges}
    assert names == set(layout.tables)
    definitions = enumerate_featuretools(problem, 2, ["count"])
    assert "COUNT(shops/shops[boss])" in {definition.get_name() for definition in definitions}


def test_any_database_can_be_unrolled():
    layout = layout_of(shop(), 2, unrolled=True)
    assert set(layout.tables) == {
        "users",
        "users/orders[user]",
        "users/orders[user]/products(product)",
        "users/orders[user]/lines[order]",
    }


def test_a_depth_that_unrolls_too_far_is_refused():
    n, several = 12, [f"to{k}" for k in range(12)]
    frame = pd.DataFrame({"id": range(n), "at": day(*range(n)), **{key: range(n) for key in several}})
    database = Database.from_dataframes(
        {"nodes": frame},
        keys={"nodes": "id"},
        times={"nodes": "at"},
        foreign_keys={"nodes": dict.fromkeys(several, "nodes")},
    )
    with pytest.raises(ConfigError, match="more than 400 dataframes"):
        entityset(of(database, "nodes", "id", (5, 8, 11)), 3)


def test_masks_strike_at_their_moment_and_never_without_one():
    es = entityset(shop(), 2, data=True)
    place = {10: 1, 11: 2, 12: 3, 9: 0, 14: 4, 15: 5}  # by primary key
    for at, known in ((5.9, {10, 15}), (6, {10, 11, 15}), (8, {10, 11, 14, 15}), (30, {9, 10, 11, 14, 15})):
        seen = visible(es, "orders", at)
        assert set(seen[INDEX][seen["outcome"].notna()]) == {place[order] for order in known}
        assert seen["verdict"].notna().equals(seen["outcome"].notna())
        assert seen["closed"].notna().equals(seen["outcome"].notna())


def test_rows_lie_in_the_order_of_time_and_content():
    es = entityset(shop(), 2, data=True)
    assert es["orders"][INDEX].tolist() == [1, 5, 2, 0, 3, 4]  # orders 10, 15, 11, then 9 before 12, 14
    assert es["orders"]["product"].isna().sum() == 1  # product 99 is not there


def awkward() -> Problem:
    """Composite keys, a table without a key, NULL times, masks in a table without times, times beyond pandas."""
    users = pd.DataFrame(
        {"a": [0, 0, 1, 1], "b": ["x", "y", "x", "y"], "seen": day(3, 4, None, 5), "rank": [1.0, 2, 3, 4]}
    )
    visits = pd.DataFrame(
        {
            "a": [1, 0, 0, 5],
            "b": ["x", "y", "y", "x"],
            "at": day(2, 1, None, 1),
            "n": [3.0, 1.0, 2.0, 5.0],
            "until": [None] * 4,
        }
    )
    visits["until"] = np.array(["2020-01-03", "9999-12-31", "0001-01-01", "NaT"], "datetime64[us]")
    database = Database.from_dataframes(
        {"users": users, "visits": visits},
        keys={"users": ["a", "b"]},
        times={"visits": "at"},
        foreign_keys={"visits": {("a", "b"): "users"}},
        known_at={"users": {"seen": ["rank"]}},
    )
    labels = pd.DataFrame(
        [(a, b, d, (a + i) % 2) for i, d in enumerate(day(3, 6, 9)) for a in (0, 1) for b in ("x", "y")]
    )
    labels.columns = ["a", "b", "date", "label"]
    from relselect.tasks import Task

    task = Task.from_labels(
        database, labels, name="t", entity="users", kind="binary", time="date", horizon="1d", known_after=None,
        entity_columns=("a", "b"),
    )  # fmt: skip
    return Problem(database, task)


def test_awkward_tables():
    es = entityset(awkward(), 1, data=True)
    visits, users = es["visits"], es["users"]
    assert len(visits) == 3  # a row without a time never comes
    assert visits["a+b"].isna().tolist() == [False, True, False]
    assert str(visits.ww.logical_types["until"]) == "Datetime"
    assert visits["until"].dt.year.max() == 2262
    assert users[INDEX].tolist() == [0, 1, 2, 3]
    seen = visible(es, "users", 4)
    assert seen.set_index(INDEX)["rank"].isna().tolist() == [False, False, True, True]


def test_integer_times():
    frame = pd.DataFrame({"row": range(6), "user": [0, 0, 0, 1, 1, 1], "at": [1, 2, 3, 2, 3, 4], "x": range(6)})
    database = Database.from_dataframes(
        {"users": pd.DataFrame({"user": range(12)}), "rows": frame},
        keys={"users": "user", "rows": "row"},
        times={"rows": "at"},
        foreign_keys={"rows": {"user": "users"}},
    )
    labels = pd.DataFrame(
        [(user, at, (user + at) % 2) for user in range(12) for at in (2, 3, 4)], columns=["user", "at", "label"]
    )
    from relselect.tasks import Task

    task = Task.from_labels(database, labels, name="t", entity="users", kind="binary", time="at", horizon=1)
    es = entityset(Problem(database, task), 1, data=True)
    assert es.time_type == "numeric"
    assert len(es.query_by_values("rows", None, time_last=3)) == 5


def test_enumeration_takes_names_classes_and_instances():
    problem = shop()
    names = {
        definition.get_name()
        for definition in enumerate_featuretools(problem, 1, ["count", ft.primitives.Max, ft.primitives.Hour()])
    }
    assert {"COUNT(orders)", "MAX(orders.total)", "HOUR(born)"} <= names
    assert not [name for name in names if INDEX in name or "__closed__" in name]
    with pytest.raises(ConfigError, match=r"\['biggest'\].*list_primitives"):
        enumerate_featuretools(problem, 1, ["count", "biggest"])
    with pytest.raises(ConfigError, match="depth"):
        enumerate_featuretools(problem, 5, ["count"])


def test_conditions_are_enumerated_on_request():
    problem = shop()
    plain = enumerate_featuretools(problem, 1, ["count", "mean"])
    found = enumerate_featuretools(problem, 1, ["count", "mean"], where=["count"])
    more = {definition.get_name() for definition in found} - {definition.get_name() for definition in plain}
    assert "COUNT(orders WHERE status = paid)" in more
    assert all(name.startswith("COUNT") for name in more)
    assert len(enumerate_featuretools(problem, 1, PRIMITIVES, max_features=7)) <= 7

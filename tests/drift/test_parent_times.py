"""A predictor over tables that take their time from a parent reads the parent, too, where the data are."""

from __future__ import annotations

import duckdb
import pandas as pd

import relselect as rs
from relselect.database import Database
from tests.dfs.sql.test_parent_times import with_lines
from tests.shop import shop_tables, shop_task

AT = "1970-10-20"


def test_predictions_are_those_of_the_whole_database(tmp_path):
    tables = shop_tables()
    database = with_lines(tables)
    place = tmp_path / "shop.duckdb"
    with duckdb.connect(str(place)) as connection:
        for name, table in database.tables.items():
            connection.register("data", table.data.drop_columns([c for c in table.columns if "." in c]))
            connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM data')
    task = shop_task(database, tables)
    fit = rs.select_and_train(
        database, task, "2min", families="dfs", max_trials=1, final="one", options={"dfs": {"rounds": 60}}
    )
    loaded = rs.load(fit.save(tmp_path / "bundle"))
    needs = loaded.needs
    assert "when" in needs["orders"].columns
    assert {"lines", "orders"} <= set(needs)
    reading = loaded.read(f"duckdb:///{place}")
    assert not reading.drift.errors
    assert reading.database["lines"].time == "order.when"
    pd.testing.assert_frame_equal(loaded.predict(reading.database, at=AT), fit.predict(at=AT))
    assert isinstance(reading.database, Database)

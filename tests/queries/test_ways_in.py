"""Tasks from queries: what they are, where they may be written, and a run from the question to a prediction."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import relselect as rs
from relselect.database.clock import DAY
from relselect.database.manifest import parse_manifest
from relselect.errors import ConfigError, QueryError, SchemaError, TaskError
from relselect.leaks import find_leaks, spec_of
from relselect.problem import Problem
from relselect.queries import explain_query
from tests.conftest import few_steps
from tests.queries.test_labels import answers, findings
from tests.shop import shop, shop_tables

AGAIN = "PREDICT COUNT(orders.*, 0, 30, days) > 0 FOR EACH users.id WHERE COUNT(orders.*, -90, 0, days) > 0"


def test_a_query_and_the_sql_that_it_stands_for_are_one_task(database) -> None:
    asked, plan = rs.Task.from_query(database, AGAIN), rs.explain_query(database, AGAIN)
    written = rs.Task.from_sql(
        database, name="users-count-orders-30-days", entity="users", kind="binary", population=plan.population or "",
        label=plan.label, horizon="30d", every="30d",
    )  # fmt: skip
    assert asked.fingerprint == written.fingerprint
    assert (asked.horizon, asked.known_after, asked.every) == (30 * DAY, 30 * DAY, 30 * DAY)
    assert asked.query == asked.description == AGAIN
    assert written.query is None
    json.dumps(plan.to_json())
    assert plan.population is not None
    assert plan.population in str(plan)
    assert plan.label in str(plan)


def test_options_are_those_of_sql(database) -> None:
    task = rs.Task.from_query(
        database, AGAIN, name="again", metric="average_precision", regime="frozen", known_after="40d", description="Who?",
        cutoffs=["1970-03-15", "1970-05-01", "1970-06-15", "1970-08-01"], val_start="1970-06-15", test_start="1970-08-01",
    )  # fmt: skip
    assert (task.name, task.metric.name, task.regime, task.description) == (
        "again",
        "average_precision",
        "frozen",
        "Who?",
    )
    assert task.known_after == 40 * DAY
    assert {split: len(np.unique(frame.cutoff)) for split, frame in task.splits.items()} == {
        "train": 2,
        "val": 1,
        "test": 1,
    }


def test_short_horizons_leave_forty_cutoffs(database) -> None:
    task = rs.Task.from_query(database, "PREDICT COUNT(orders.*, 0, 1, days) FOR EACH users.id")
    assert task.every is not None
    cutoffs = np.unique(np.concatenate([frame.cutoff for frame in task.splits.values()]))
    assert task.every % DAY == 0
    assert 36 <= len(cutoffs) <= 40


def test_who_has_no_label_is_left_out_and_counted(database) -> None:
    task = rs.Task.from_query(database, "PREDICT AVG(orders.total, 0, 30, days) FOR EACH users.id")
    assert any("had no label and were left out" in note for note in task.notes)


def test_what_nobody_can_see_in_the_data_is_a_note(database) -> None:
    task = rs.Task.from_query(database, f"{AGAIN} AND users.age > 20")
    assert task.notes[0].startswith("The population reads users.age as stored today")
    late = rs.Task.from_query(database, "PREDICT COUNT(orders.* WHERE orders.state = 'kept', 0, 30) FOR EACH users.id")
    assert late.notes[0].startswith(
        "The label reads orders.state as far as it is known at the end of the window (orders.closed)"
    )
    assert not any("reads" in note for note in rs.Task.from_query(database, AGAIN).notes)


def test_a_column_to_fill_in_is_completed(database) -> None:
    for column, entity, key, kind in (
        ("age", "users", "id", "regression"), ("city", "users", "id", "multiclass"), ("state", "orders", "oid", "binary"),
        ("total", "orders", "oid", "regression"),
    ):  # fmt: skip
        asked = rs.Task.from_query(database, f"PREDICT {entity}.{column} FOR EACH {entity}.{key}")
        done = rs.Task.completing(database, column, entity=entity, kind=kind, name=f"{entity}-{column}")  # type: ignore[arg-type]
        assert asked.fingerprint == done.fingerprint
        assert asked.hidden_columns == (column,)


@pytest.mark.parametrize("where", ["", " WHERE orders.total > 20 AND orders.sku IS NOT NULL"])
def test_a_condition_on_a_column_is_binary(database, tables, where) -> None:
    task = rs.Task.from_query(database, f"PREDICT orders.state != 'kept' FOR EACH orders.oid{where}")
    orders = tables["orders"].to_pandas()
    if where:
        orders = orders[(orders["total"] > 20) & orders["sku"].notna()]
    found = pd.concat([
        frame.keys.to_pandas().assign(cutoff=frame.cutoff, known=frame.known_at, label=frame.label)
        for frame in task.splits.values()
    ]).sort_values("oid")  # fmt: skip
    kept = orders[orders["oid"].isin(found["oid"])]
    assert len(found) > 0.7 * len(orders)  # the others' labels are known too late for their split
    assert (found["label"].to_numpy() == (kept["state"] == "returned").to_numpy()).all()
    assert (found["cutoff"].to_numpy() == kept["when"].astype("datetime64[us]").astype(np.int64).to_numpy()).all()
    assert task.hidden_columns == ("state",)
    assert "state" not in Problem(database, task).database["orders"].columns


def test_a_column_has_no_cutoffs(database) -> None:
    with pytest.raises(TaskError, match=r"every=30d: is for windows, and the query fills in users\.city"):
        rs.Task.from_query(database, "PREDICT users.city FOR EACH users.id", every="30d")


def test_keys_of_several_columns_and_odd_names() -> None:
    draw = np.random.default_rng(0)
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(draw.integers(0, 200, 400), "D")
    lines = pd.DataFrame({"order": np.repeat(range(20), 2), "cutoff": [1, 2] * 20, "label": 0.0})
    notes = pd.DataFrame(
        {"line": draw.integers(1, 3, 400), "order": draw.integers(0, 20, 400), 'w"hen': at, "n": range(400)}
    )
    seen = pd.DataFrame({"note": draw.integers(0, 420, 300), "at": at[:300]})
    database = rs.Database.from_dataframes(
        {"lines": lines, 'no"tes': notes, "seen": seen},
        keys={"lines": ["order", "cutoff"], 'no"tes': "n"}, times={'no"tes': 'w"hen', "seen": "at"},
        foreign_keys={'no"tes': {("order", "line"): "lines"}, "seen": {"note": 'no"tes'}},
    )  # fmt: skip
    cutoff = pd.Timestamp("2024-04-01")
    ask = 'PREDICT {} FOR EACH lines.cutoff, lines."order"'
    plan = explain_query(database, ask.format('COUNT("no""tes".*, 0, 60, days)'))
    assert plan.keys == ("order", "key_cutoff")
    assert findings(database, plan) == []
    found = answers(database, plan, [cutoff])
    late = notes[(notes['w"hen'] > cutoff) & (notes['w"hen'] <= cutoff + pd.Timedelta("60D"))]
    counted = late.groupby(["order", "line"]).size()
    assert {(order, line): label for (order, line, _), label in found.items()} == {
        (order, line): counted.get((order, line), 0)
        for order, line in zip(lines["order"], lines["cutoff"], strict=True)
    }
    chain = answers(database, explain_query(database, ask.format("COUNT(seen.*, 0, 60, days)")), [cutoff])
    joined = seen[(seen["at"] > cutoff) & (seen["at"] <= cutoff + pd.Timedelta("60D"))]
    joined = joined.merge(notes, left_on="note", right_on="n")
    assert sum(chain.values()) == (joined['w"hen'] <= cutoff + pd.Timedelta("60D")).sum() > 0
    with pytest.raises(QueryError, match=r"Write FOR EACH lines\.order, lines\.cutoff"):
        explain_query(database, 'PREDICT COUNT(seen.*, 0, 60, days) FOR EACH lines."order"')


def test_a_database_without_times_has_no_windows() -> None:
    database = rs.Database.from_dataframes({"users": pd.DataFrame({"id": [1]})}, keys={"users": "id"})
    with pytest.raises(QueryError, match="no time column, so there is no window"):
        explain_query(database, "PREDICT COUNT(users.*, 0, 1, days) FOR EACH users.id")


def test_free_text_is_no_label() -> None:
    users = pd.DataFrame({"id": range(300), "said": [f"something that nobody says again, {n}" for n in range(300)]})
    database = rs.Database.from_dataframes({"users": users}, keys={"users": "id"})
    with pytest.raises(QueryError, match="free text"):
        explain_query(database, "PREDICT users.said FOR EACH users.id")
    assert explain_query(database, "PREDICT users.said LIKE '%7' FOR EACH users.id").kind == "binary"


MANIFEST = {
    "name": "shop",
    "tables": {
        "users": {"primary_key": "id"},
        "orders": {"primary_key": "oid", "time": "when", "foreign_keys": [{"columns": "user_id", "table": "users"}]},
    },
}


def declared(**task: object):
    return parse_manifest({**MANIFEST, "tasks": {"again": task}}).tasks["again"]


def test_a_manifest_declares_a_query_and_nothing_that_it_says(database) -> None:
    spec = declared(query=AGAIN, every="60d", metric="average_precision", description="Who?", hide=["age"])
    assert (spec.entity, spec.kind, spec.known_after) == (None, None, "horizon")
    task = rs.Task.from_spec(database, spec, "again")
    assert (task.name, task.every, task.metric.name) == ("again", 60 * DAY, "average_precision")
    assert (task.query, task.description, task.hidden_columns) == (AGAIN, "Who?", ("age",))
    for more in ({"entity": "users"}, {"horizon": "30d"}, {"population": "SELECT 1"}, {"features": ["x"]}):
        with pytest.raises(SchemaError, match="the query itself says"):
            declared(query=AGAIN, **more)
    with pytest.raises(SchemaError, match="exactly one of query, files"):
        declared(query=AGAIN, completes="age")
    with pytest.raises(SchemaError, match="entity and kind must be declared"):
        declared(entity=None, kind=None, target="age", completes="age")


def test_findings_that_a_manifest_accepts_are_those_of_its_query(database) -> None:
    spec = declared(query=AGAIN.replace("COUNT(", "count("), accept={"later_than_row": "closed is declared"})
    task = rs.Task.from_spec(database, spec, "again")
    of_manifest = rs.Database(database.tables.values(), "shop", tasks={"again": spec})
    assert spec_of(Problem(of_manifest, task)) is spec
    other = rs.Task.from_query(database, AGAIN.replace("30", "31"), name="again")
    assert spec_of(Problem(of_manifest, other)) is None


def test_from_the_question_to_a_prediction(tmp_path) -> None:
    database = shop(shop_tables(users=40, orders=500))
    task = rs.Task.from_query(database, AGAIN)
    problem = Problem(database, task)
    assert not [
        each for each in find_leaks(problem).findings if each.check.startswith(("query", "population", "label"))
    ]
    with few_steps():
        fit = rs.select_and_train(database, task, "60s", families="dfs", max_trials=1)
    fit.save(tmp_path / "again")
    again = rs.load(tmp_path / "again")
    assert again.task.query == AGAIN
    later = fit.predict(at="1970-10-20")
    assert 0 < len(later) <= 40
    assert later["prediction"].notna().all()


def test_what_a_task_may_be_is_said(database) -> None:
    with pytest.raises(ConfigError, match=r"Task\.from_query"):
        rs.recommend(database, 3)  # type: ignore[arg-type]

"""Features as a table: columns, types, fresh data, engines, files and events."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import relselect as rs
from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.plan.feature import Aggregate, Feature, Hop
from relselect.dfs.plan.plan import Plan
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import compute
from relselect.dfs.search.pool import PoolOptions
from relselect.dfs.synthesis import features, make_plan
from relselect.errors import ConfigError, PlanError, TaskError
from relselect.events import Event, FeatureProgress, Notice, StageFinished, StageStarted
from relselect.problem import Problem
from tests.shop import days, labels, shop, shop_problem, shop_tables, shop_task

A, T = Aggregate, SemanticType
ORDERS = Hop("orders", "user_id", True)


@pytest.fixture(scope="module")
def task(database, tables):
    return shop_task(database, tables)


@pytest.fixture(scope="module")
def found(database, task):
    """The default features of all labelled rows."""
    return rs.features(database, task)


def test_all_labelled_rows_come_with_key_cutoff_label_and_split(found, task):
    names = found.table.column_names
    assert names[:4] == ["id", "cutoff", "label", "split"]
    assert tuple(names[4:]) == found.plan.names
    sizes = {split: len(frame) for split, frame in task.splits.items()}
    assert found.to_pandas()["split"].value_counts().to_dict() == sizes
    assert found.table.schema.field("cutoff").type == pa.timestamp("us")
    assert found.table.schema.field("label").type == pa.bool_()
    assert (found.table["label"].to_numpy() == np.concatenate([f.label == 1 for f in task.splits.values()])).all()


def test_values_are_those_of_the_engine_and_categories_are_text(found, database, task):
    problem = Problem(database, task)
    table = rs.features(database, task, split="val", plan=found.plan).table
    matrix = compute(problem, found.plan, problem.rows("val"), Vocabulary.fit(problem, found.plan))
    for place, feature in enumerate(found.plan):
        column = table[feature.name]
        if feature.categorical:
            assert column.type == pa.string()
        else:
            assert column.type == pa.float64()
            np.testing.assert_array_equal(column.to_numpy(), matrix.values[:, place])
    cities = dict(
        zip(database["users"].data["id"].to_pylist(), database["users"].data["city"].to_pylist(), strict=True)
    )
    assert table["city"].to_pylist() == [cities[key] for key in table["id"].to_pylist()]
    ages = table["age"]
    assert 0 < ages.null_count < len(ages)


@pytest.mark.parametrize("kind", ["regression", "multiclass"])
def test_labels_look_as_they_were_given(database, tables, kind):
    table = rs.features(database, shop_task(database, tables, kind), split="test", max_features=3).table
    given = labels(tables, kind).slice(labels(tables, kind).num_rows - len(table))
    assert table["label"].to_pylist() == given["label"].to_pylist()


def fresh_tables() -> dict[str, pa.Table]:
    """The shop later on: more orders, a new city, new products."""
    tables = shop_tables(seed=0, orders=900)
    later = shop_tables(seed=5, orders=200)["orders"]
    later = later.set_column(0, "oid", pa.array(np.arange(900, 1100)))
    when = later["when"].cast(pa.int64()).to_numpy() / DAY + 301
    later = later.set_column(4, "when", days(when)).set_column(5, "closed", days(when + 2))
    users = tables["users"].to_pydict()
    users = {"id": [*users["id"], 9_000], "city": [*users["city"], "city new"], "age": [*users["age"], 33]}
    return {**tables, "orders": pa.concat_tables([tables["orders"], later]), "users": pa.table(users)}


def test_a_plan_gives_the_same_columns_on_fresh_data(found, database, task, tmp_path):
    found.plan.save(tmp_path / "plan.json")
    newer = shop(fresh_tables())
    later = rs.features(newer, task, plan=tmp_path / "plan.json", at="1971-02-01")
    assert later.plan == found.plan
    own = [name for name in found.table.column_names if name not in ("label", "split")]
    assert later.table.column_names == own
    assert later.table.schema.types == found.table.select(own).schema.types
    asked = pd.DataFrame({"id": [9_000, 3, 123], "cutoff": pd.Timestamp("1971-02-01"), "label": [True, None, False]})
    rows = rs.features(newer, task, plan=found.plan, rows=asked).table
    assert rows["city"].to_pylist() == ["city new", "city 0", None]
    assert rows["label"].to_pylist() == [True, None, False]
    assert rows["COUNT(orders[user_id])"].to_pylist()[::2] == [0, 0]
    of_three = later.table.filter(pa.array([key == 3 for key in later.table["id"].to_pylist()]))
    assert rows.select(own).slice(1, 1).equals(of_three.select(own).cast(rows.select(own).schema))


def test_rows_of_the_past_say_the_same_on_fresh_data(found, task):
    again = rs.features(shop(fresh_tables()), task, plan=found.plan).table
    assert again.equals(found.table)


def test_a_plan_that_the_data_cannot_serve_is_refused_with_everything_that_lacks(found, tables, task):
    poor = {name: table for name, table in tables.items() if name != "products"}
    poor["orders"] = tables["orders"].drop_columns(["total"])
    database = rs.Database.from_dataframes(
        poor, keys={"users": "id", "orders": "oid"}, times={"orders": "when"}, foreign_keys={"orders": {"user_id": "users"}},
    )  # fmt: skip
    with pytest.raises(PlanError) as caught:
        rs.features(database, task, plan=found.plan)
    told = "\n".join(caught.value.problems)
    assert "table products" in told
    assert "orders.total" in told
    assert "orders.state: was known at closed" in told


def test_frozen_rows_see_what_they_may(database, tables):
    task = shop_task(database, tables, regime="frozen", val_start="1970-06-20", test_start="1970-08-25")
    table = rs.features(database, task, split="test").table
    delay = table["DELAY"].to_numpy()
    assert delay.min() >= 0
    assert delay.max() > 20
    last = table["TIME_SINCE_LAST(orders[user_id])"].to_numpy()
    assert (last >= delay)[~np.isnan(last)].all()


def test_static_tasks_have_no_cutoff(database, tables):
    every = labels(tables).filter(pa.array(np.arange(labels(tables).num_rows) < 60)).drop_columns(["cutoff"])
    task = shop_task(database, tables, labels=every, time=None)
    table = rs.features(database, task, split="train").table
    assert table.column_names[:2] == ["id", "label"]
    assert "COUNT(orders[user_id])" in table.column_names
    with pytest.raises(TaskError, match="no population query"):
        rs.features(database, task, at="1970-05-01")


def test_integer_times(database):
    draw = np.random.default_rng(0)
    events = pd.DataFrame(
        {"user": draw.integers(0, 5, 80), "step": draw.integers(0, 30, 80), "kind": draw.choice(["a", "b"], 80)}
    )
    base = rs.Database.from_dataframes(
        {"users": pd.DataFrame({"user": range(5)}), "events": events},
        keys={"users": "user"}, times={"events": "step"}, foreign_keys={"events": {"user": "users"}},
    )  # fmt: skip
    asked = pd.DataFrame([(u, s) for s in range(4, 30, 2) for u in range(5)], columns=["user", "step"])
    task = rs.Task.from_labels(
        base, asked.assign(label=asked.index % 2), name="t", entity="users", kind="binary", time="step", horizon=2
    )
    table = rs.features(base, task).table
    assert table.schema.field("cutoff").type == pa.int64()
    assert set(table["LAST(events[user].kind)"].to_pylist()) == {"a", "b", None}


def test_columns_of_one_name_are_told_apart(tables):
    users = (
        tables["users"]
        .append_column("cutoff", pa.array(np.arange(60) % 7))
        .append_column("split", pa.array([f"half {i % 2}" for i in range(60)]))
    )
    database = shop({**tables, "users": users})
    names = rs.features(database, shop_task(database, tables)).table.column_names
    assert len(set(names)) == len(names)
    assert {"cutoff", "users.cutoff", "split", "users.split"} <= set(names)


def test_the_sql_engine_says_the_same(found, database, task):
    plan = found.plan.capped(60)
    one, other = (rs.features(database, task, plan=plan, split="val", engine=e).table for e in ("prefix", "sql"))
    assert one.schema == other.schema
    for name in one.column_names:
        if one[name].type == pa.float64():
            np.testing.assert_allclose(one[name].to_numpy(), other[name].to_numpy(), rtol=1e-9, atol=1e-9, err_msg=name)
        else:
            assert one[name].equals(other[name]), name


def test_featuretools_says_the_same_and_the_rest_is_told(database, task):
    plan = make_plan(database, task, max_features=40, windows=[])
    events: list[Event] = []
    one = rs.features(database, task, plan=plan, split="val").table
    other = rs.features(database, task, plan=plan, split="val", engine="featuretools", on_event=events.append).table
    assert one.schema == other.schema
    for name in one.column_names:
        if one[name].type == pa.float64():
            np.testing.assert_allclose(one[name].to_numpy(), other[name].to_numpy(), rtol=1e-9, atol=1e-9, err_msg=name)
        else:
            assert one[name].equals(other[name]), name
    assert any(isinstance(event, Notice) and "cannot be expressed in featuretools" in event.message for event in events)


def test_primitives_of_your_own_are_computed_by_featuretools(database, task):
    from featuretools.primitives import AggregationPrimitive
    from woodwork.column_schema import ColumnSchema

    class Spread(AggregationPrimitive):
        name = "spread"
        input_types = [ColumnSchema(semantic_tags={"numeric"})]  # noqa: RUF012
        return_type = ColumnSchema(semantic_tags={"numeric"})

        def get_function(self):
            return lambda values: values.max() - values.min()

    path = (ORDERS,)
    plan = Plan("users", (Feature(A.MAX, path, "total"), Feature(A.MIN, path, "total")))
    events: list[Event] = []
    found = rs.features(
        database, task, plan=plan, split="val", primitives=[Spread], depth=1, on_event=events.append
    ).to_pandas()
    own = [name for name in found.columns if "SPREAD" in name]
    assert own == ["SPREAD(orders.total)"]
    expected = found["MAX(orders[user_id].total)"] - found["MIN(orders[user_id].total)"]
    np.testing.assert_allclose(found[own[0]], expected)
    assert any(isinstance(event, Notice) and "computed by featuretools" in event.message for event in events)
    with pytest.raises(ConfigError, match="no featuretools primitives"):
        rs.features(database, task, plan=plan, split="val", primitives=["magic"])


def test_a_file_is_written_in_blocks_and_holds_the_same(found, database, task, tmp_path, monkeypatch):
    path = tmp_path / "deep" / "features.parquet"
    limit = 3 * 8 * len(found.plan) * 50
    to_file = rs.features(database, task, plan=found.plan, out=path, memory_limit=limit)
    assert to_file.table is None
    assert to_file.path == path
    assert pq.ParquetFile(path).num_row_groups == -(-len(found.table) // 50)
    assert pq.read_table(path).equals(found.table)
    pd.testing.assert_frame_equal(to_file.to_pandas(), found.to_pandas())
    assert [each.name for each in path.parent.iterdir()] == ["features.parquet"]


def test_a_file_that_is_cut_short_never_appears(found, database, task, tmp_path):
    path = tmp_path / "features.parquet"
    path.write_bytes(b"earlier")

    def stop(event: Event) -> None:
        if isinstance(event, FeatureProgress):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rs.features(database, task, plan=found.plan, out=path, memory_limit="500kB", on_event=stop)
    assert path.read_bytes() == b"earlier"
    assert [each.name for each in tmp_path.iterdir()] == ["features.parquet"]


def test_everything_is_told_by_events(found, database, task):
    events: list[Event] = []
    rs.features(database, task, plan=found.plan, on_event=events.append)
    assert isinstance(events[0], StageStarted)
    assert isinstance(events[-1], StageFinished)
    progress = [event for event in events if isinstance(event, FeatureProgress)]
    assert [event.done for event in progress] == sorted(event.done for event in progress)
    assert progress[-1].done == progress[-1].cells == len(found.table) * len(found.plan)
    assert progress[-1].left == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"engine": "magic"}, "Use one of: prefix, sql, featuretools"),
        ({"split": "exam"}, "Use one of: train, val, test"),
        ({"split": "val", "at": "1970-05-01"}, "at most one of"),
        ({"out": "features.csv"}, r"must end in \.parquet"),
        ({"memory_limit": "10kB"}, "Write to a file with out="),
        ({"memory_limit": "much"}, "positive size"),
        ({"rows": pd.DataFrame({"id": [3]})}, "Add cutoff"),
        ({"depth": 7}, "1 to 4"),
        ({"max_features": 0}, "one or more"),
    ],
)
def test_what_is_not_understood_is_refused(database, task, options, told):
    with pytest.raises((ConfigError, TaskError), match=told):
        rs.features(database, task, **options)


def test_a_plan_is_made_and_printed_without_computing(database, task, found):
    plan = make_plan(database, task, max_features=25, windows=["15d"], depth=1)
    assert len(plan) == 25
    assert {feature.window for feature in plan} <= {None, 15 * DAY}
    assert "SELECT" in plan.to_sql()
    assert make_plan(database, task) == found.plan
    own = Plan("users", (Feature(A.COUNT, (ORDERS,)), Feature(A.MODE, (ORDERS,), "state", T.CATEGORICAL)))
    table = rs.features(database, task, plan=own, split="val").table
    assert set(table["MODE(orders[user_id].state)"].to_pylist()) <= {"kept", "returned", None}


def test_a_search_finds_a_plan_and_says_why():
    problem = shop_problem()
    options = PoolOptions(depth=2, conditions=False, rich=False, most=250)
    found = features(problem.user_database, problem.task, search=options, max_features=30, split="train")
    assert found.search is not None
    assert found.plan == found.search.plan
    assert len(found.plan) <= 30
    assert found.table.column_names[-len(found.plan) :] == list(found.plan.names)
    again = make_plan(problem.user_database, problem.task, search=options, max_features=30)
    assert again == found.plan
    with pytest.raises(ConfigError, match="one or more"):
        make_plan(problem.user_database, problem.task, search=True, max_features=0)


def test_features_never_import_torch():
    code = (
        "import sys\n"
        "import relselect as rs\n"
        "from tests.shop import shop, shop_tables, shop_task\n"
        "tables = shop_tables()\n"
        "database = shop(tables)\n"
        "task = shop_task(database, tables)\n"
        "for engine in ('prefix', 'sql', 'featuretools'):\n"
        "    found = rs.features(database, task, split='test', max_features=12, engine=engine)\n"
        "found.plan.to_sql('postgres')\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'torch'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"

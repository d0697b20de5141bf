"""Plans: what they are told, saved and checked; nothing is computed here."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.plan.checks import definition_problems
from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.plan.feature import Aggregate, Condition, Feature, Hop, split_path
from relselect.dfs.plan.plan import Plan
from relselect.dfs.plan.schema import Schema
from relselect.errors import ConfigError, DataNotFound, PlanError
from relselect.problem import Problem
from tests.dfs import worlds

A, T = Aggregate, SemanticType
ORDERS, LINES = Hop("orders", "shop", True), Hop("lines", "order", True)
PRODUCT, BOSS = Hop("products", "product", False), Hop("shops", "boss", False)
PER_ORDER = Feature(A.COUNT, (LINES,), where=Condition("units", "1"))
EVERY_KIND = (
    Feature(A.DELAY),
    Feature(A.CALENDAR, column="month"),
    Feature(A.DIRECT, (BOSS, BOSS), "kind", T.CATEGORICAL),
    Feature(A.DIRECT, (), "opened", T.TIMESTAMP),
    Feature(A.COUNT, (ORDERS, LINES)),
    Feature(A.TIME_BETWEEN, (ORDERS,), where=Condition("status", "x")),
    Feature(A.QUANTILE, (ORDERS,), "amount", level=0.9, window=60 * DAY),
    Feature(A.SHARE, (ORDERS,), "status", T.CATEGORICAL, "x"),
    Feature(A.MODE, (ORDERS, PRODUCT), "colour", T.CATEGORICAL),
    Feature(A.NUM_UNIQUE, (ORDERS, PRODUCT), None, T.KEY),
    Feature(A.MAX, (ORDERS,), "due", T.TIMESTAMP),
    Feature(A.MEAN, (BOSS, ORDERS), base=PER_ORDER),
    Feature(
        A.STD, (ORDERS,), base=Feature(A.MEAN, (PRODUCT, Hop("orders", "product", True)), "amount", window=DAY // 2)
    ),
    Feature(A.LAST, (ORDERS,), type=T.CATEGORICAL, base=Feature(A.DIRECT, (PRODUCT,), "colour", T.CATEGORICAL)),
    Feature(A.RATIO, base=Feature(A.COUNT, (ORDERS,), window=30 * DAY), other=Feature(A.COUNT, (ORDERS,))),
    Feature(A.DIFFERENCE, base=Feature(A.DIRECT, (), "area"), other=Feature(A.MEAN, (BOSS, ORDERS), base=PER_ORDER)),
)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return worlds.problem(1)


@pytest.fixture(scope="module")
def plan(problem) -> Plan:
    return Plan("shops", EVERY_KIND).bound(problem)


def test_a_plan_survives_its_file(plan, tmp_path):
    plan.save(tmp_path / "plan.json")
    loaded = Plan.load(tmp_path / "plan.json")
    assert loaded == plan
    assert loaded.schema == plan.schema
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_a_plan_of_before_formats_were_written_down_is_read(plan):
    data = plan.to_json()
    del data["format"]
    assert Plan.from_json(data) == plan


def test_a_save_that_fails_leaves_the_old_plan(plan, tmp_path, monkeypatch):
    path = tmp_path / "plan.json"
    plan.save(path)
    monkeypatch.setattr("json.dumps", lambda *_, **__: "{" + "\ud800")  # cannot be encoded: the write fails half-way
    with pytest.raises(UnicodeEncodeError):
        plan.capped(1).save(path)
    monkeypatch.undo()
    assert Plan.load(path) == plan
    assert [found.name for found in tmp_path.iterdir()] == ["plan.json"]


def damage(text: str, how: str) -> str:
    data = json.loads(text)
    if how == "cut":
        return text[: len(text) // 2]
    if how == "list":
        return "[]"
    if how == "format":
        return json.dumps(data | {"format": 9})
    if how == "schema":
        return json.dumps(data | {"schema": {"tables": 1}})
    broken = {
        "aggregate": {"aggregate": "average"},
        "field": {"aggregate": "count", "windows": 3},
        "type": {"aggregate": "mean", "column": 7},
        "object": 5,
        "hop": {"aggregate": "count", "path": [{"table": "orders"}]},
    }
    return json.dumps(data | {"features": [*data["features"], broken[how]]})


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("cut", "the file is damaged"),
        ("list", "no feature plan"),
        ("format", "format is 9"),
        ("schema", "schema is damaged"),
        ("aggregate", "feature 17: 'average' is not a valid Aggregate"),
        ("field", "feature 17: has unknown fields windows"),
        ("type", "feature 17: has column 7 of the wrong type"),
        ("object", "feature 17: must be an object"),
        ("hop", "feature 17: lacks key, down"),
    ],
)
def test_a_damaged_file_is_named_with_what_is_wrong(plan, tmp_path, how, told):
    path = tmp_path / "plan.json"
    plan.save(path)
    path.write_text(damage(path.read_text(), how))
    with pytest.raises(PlanError, match=told) as caught:
        Plan.load(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_no_damaged_one(tmp_path):
    with pytest.raises(DataNotFound, match=r"nothing\.json"):
        Plan.load(tmp_path / "nothing.json")


@pytest.mark.parametrize(
    ("feature", "told"),
    [
        (Feature(A.QUANTILE, (ORDERS,), "amount"), "needs a level"),
        (Feature(A.QUANTILE, (ORDERS,), "amount", level=1.5), "has level 1.5"),
        (Feature(A.MEAN, (ORDERS,), "amount", level=0.5), "only QUANTILE has"),
        (Feature(A.MEAN, (ORDERS,), "amount", base=PER_ORDER), "both a column and a nested feature"),
        (Feature(A.MEAN, (ORDERS,)), "needs something to read"),
        (Feature(A.COUNT, (ORDERS,), "amount"), "reads no value"),
        (Feature(A.MEAN, (ORDERS, LINES), base=PER_ORDER), "its only step down"),
        (Feature(A.MEAN, (ORDERS, PRODUCT), base=PER_ORDER), "its only step down"),
        (Feature(A.MEAN, (ORDERS,), base=Feature(A.DELAY)), "no other row has"),
        (Feature(A.MEAN, (ORDERS,), type=T.CATEGORICAL, base=PER_ORDER), "Set type to numerical"),
        (Feature(A.MODE, (ORDERS,), base=PER_ORDER), "cannot read numerical"),
        (Feature(A.NUM_UNIQUE, (ORDERS,), base=PER_ORDER), "counts categories"),
        (Feature(A.MEAN, (ORDERS,), base=Feature(A.QUANTILE, (LINES,), "units")), "needs a level"),
        (Feature(A.DIRECT, (BOSS,), "area", where=Condition("kind", "a")), "no rows to choose from"),
        (Feature(A.DIRECT, (ORDERS,), "amount"), "reads many rows"),
        (Feature(A.SUM, (BOSS,), "area"), "no rows to aggregate"),
        (Feature(A.SUM, (ORDERS,), "status", T.CATEGORICAL), "cannot read categorical"),
        (Feature(A.SHARE, (ORDERS,), "status", T.CATEGORICAL), "needs a category"),
        (Feature(A.MEAN, (ORDERS,), "amount", category="x"), "use where"),
        (Feature(A.COUNT, (ORDERS,), window=0), "positive length"),
        (Feature(A.COUNT, (ORDERS, PRODUCT), None, T.KEY), "reads keys"),
        (Feature(A.NUM_UNIQUE, (ORDERS,), None, T.KEY), "ends with a step up"),
        (Feature(A.CALENDAR, column="century"), "Use one of: month"),
        (Feature(A.CALENDAR, (BOSS,), "month"), "reads the task row"),
        (Feature(A.ROW), "Name a declared feature"),
        (Feature(A.COUNT, (ORDERS, PRODUCT, Hop("orders", "product", True))), "goes down again"),
        (Feature(A.RATIO, base=PER_ORDER), "needs two operands"),
        (Feature(A.RATIO, (ORDERS,), base=PER_ORDER, other=PER_ORDER), "Leave out path"),
        (Feature(A.RATIO, base=PER_ORDER, other=Feature(A.DELAY)), "combines DELAY"),
        (Feature(A.DIFFERENCE, base=EVERY_KIND[-1], other=PER_ORDER), "Combine numbers"),
        (
            Feature(A.DIFFERENCE, base=Feature(A.MODE, (ORDERS,), "status", T.CATEGORICAL), other=PER_ORDER),
            "combines MODE",
        ),
        (Feature(A.MEAN, (ORDERS,), "amount", other=PER_ORDER), "Leave out other"),
        (Feature(A.MEAN, (ORDERS,), base=EVERY_KIND[-2]), "nests a ratio"),
    ],
    ids=lambda value: value.aggregate if isinstance(value, Feature) else None,
)
def test_a_wrong_definition_is_told_with_its_way_out(feature, told):
    problems = definition_problems(feature)
    assert any(told in problem for problem in problems)
    assert all(": " in problem and problem.endswith(".") for problem in problems)


def test_every_problem_is_told_at_once(problem):
    wrong = (
        Feature(A.QUANTILE, (ORDERS,), "amount"),
        Feature(A.SUM, (Hop("returns", "order", True),), "amount"),
        Feature(A.MEAN, (Hop("orders", "seller", True),), "amount"),
        Feature(A.MEAN, (ORDERS,), "weight"),
        Feature(A.COUNT, (ORDERS,), where=Condition("state", "x")),
        Feature(A.MEAN, (ORDERS,), base=Feature(A.SUM, (LINES,), "prize")),
        Feature(A.MEAN, (ORDERS,), "status"),
        Feature(A.ROW, column="weather"),
        Feature(A.RATIO, base=Feature(A.COUNT, (ORDERS,)), other=Feature(A.SUM, (LINES,), "units")),
    )
    with pytest.raises(PlanError) as caught:
        Plan("shops", (*EVERY_KIND, *wrong)).bound(problem)
    told = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == len(wrong)
    for part in ("level", "table returns", "foreign key seller", "orders.weight", "orders.state", "lines.prize",
                 "orders.status: holds text", "weather", "lines: has no foreign key order to shops"):  # fmt: skip
        assert part in told


def test_two_features_of_one_name_are_refused():
    same = (Feature(A.LAST, (ORDERS,), "level"), Feature(A.LAST, (ORDERS,), "level", T.CATEGORICAL))
    with pytest.raises(PlanError, match="two different features"):
        Plan("shops", same).check()


def test_a_plan_of_another_entity_or_without_label_history_is_refused(problem):
    with pytest.raises(PlanError, match="asks about shops"):
        Plan("orders", ()).bound(problem)
    labels = Feature(A.COUNT, (Hop("__labels__", "entity_0", True),))
    Plan("shops", (labels,)).check(Schema.of(problem))
    tables = {name: table for name, table in Schema.of(problem).tables.items() if name != "__labels__"}
    with pytest.raises(PlanError, match="when labels become known"):
        Plan("shops", (labels,)).check(Schema(tables, "timestamp"))


def test_times_that_are_declared_no_longer_are_refused(plan):
    tables = dict(plan.schema.tables)
    tables["orders"] = replace(tables["orders"], time=None, known_at={})
    untimed = Schema(tables, plan.schema.time_kind)
    with pytest.raises(PlanError, match="its time was at and is not declared"):
        plan.check(untimed)
    replace(plan, schema=None).check(untimed)
    with pytest.raises(PlanError, match="cutoffs are no dates"):
        plan.check(Schema(plan.schema.tables, "integer"))


def test_filters_keep_what_meets_everything(plan):
    assert plan.filter(tables=["lines"]).features == (EVERY_KIND[4], EVERY_KIND[11], EVERY_KIND[15])
    assert plan.filter(columns="amount", aggregates=["quantile"]).features == (EVERY_KIND[6],)
    assert plan.filter(lambda f: f.window is None, columns="amount").features == (EVERY_KIND[12],)
    assert plan.filter(tables="products").schema is plan.schema
    for argument in ("aggregates", "tables", "columns"):
        with pytest.raises(ConfigError, match="nowhere") as caught:
            plan.filter(**{argument: "nowhere"})
        assert caught.value.argument == argument


def test_caps_keep_the_first(plan):
    assert plan.capped(3).features == EVERY_KIND[:3]
    assert plan.capped(100) == plan
    assert plan.capped(memory="80kB", rows=2000).features == EVERY_KIND[:5]
    assert plan.capped(4, memory=80_000, rows=2000).features == EVERY_KIND[:4]
    for options in ({"memory": "2 lumps", "rows": 1}, {"memory": "1GB"}, {"memory": 7, "rows": 1}, {"features": 0}):
        with pytest.raises(ConfigError):
            plan.capped(**options)


def test_english_is_exact(plan):
    told = dict(line.split(": ", 1) for line in plan.describe().splitlines())
    assert told == {
        "DELAY": "age of the newest visible data at the cutoff",
        "CALENDAR(month)": "month of the cutoff",
        "shops(boss).shops(boss).kind": "kind of the shops row (by boss) of the shops row (by boss) of the shops row",
        "opened": "time since opened of the shops row",
        "COUNT(orders[shop].lines[order])": "number of lines (by order) of the orders (by shop) of the shops row",
        "AVG_TIME_BETWEEN(orders[shop] WHERE status = x)":
            "mean time from one to the next of the orders (by shop) with status = x of the shops row",
        "QUANTILE(orders[shop].amount, q=0.9, 60d)":
            "0.9 quantile of amount over the orders (by shop) of the shops row in the 60 days before the cutoff",
        "SHARE(orders[shop].status=x)": "share of status = x over the orders (by shop) of the shops row",
        "MODE(orders[shop].products(product).colour)":
            "most frequent value of colour of their products row (by product) over the orders (by shop) of the shops row",
        "NUM_UNIQUE(orders[shop].products(product))":
            "number of different products rows (by product) over the orders (by shop) of the shops row",
        "MAX(orders[shop].due)": "time since the largest value of due over the orders (by shop) of the shops row",
        "MEAN(shops(boss).orders[shop].COUNT(lines[order] WHERE units = 1))":
            "mean, over the orders (by shop) of the shops row (by boss) of the shops row, "
            "of the number of lines (by order) with units = 1 of each",
        "STD(orders[shop].MEAN(products(product).orders[product].amount, 12h))":
            "standard deviation, over the orders (by shop) of the shops row, of the mean of amount over the orders "
            "(by product) of the products row (by product) of each in the 12 hours before the cutoff",
        "LAST(orders[shop].(products(product).colour))":
            "last value, over the orders (by shop) of the shops row, of the colour of the products row (by product) of each",
        "RATIO(COUNT(orders[shop], 30d), COUNT(orders[shop]))":
            "number of orders (by shop) of the shops row in the 30 days before the cutoff, "
            "divided by number of orders (by shop) of the shops row",
        "DIFFERENCE(area, MEAN(shops(boss).orders[shop].COUNT(lines[order] WHERE units = 1)))":
            "area of the shops row, minus mean, over the orders (by shop) of the shops row (by boss) of the shops row, "
            "of the number of lines (by order) with units = 1 of each",
    }  # fmt: skip


def test_past_labels_are_called_that():
    label = Feature(A.MEAN, (BOSS, Hop("__labels__", "entity_0", True)), "label", window=DAY)
    told = (
        "mean of label over the past labels of the shops row (by boss) of the shops row in the 1 day before the cutoff"
    )
    assert label.describe("shops") == told


def test_the_summary_counts_groups(plan):
    assert plan.summary() == {
        "task row": 2, "columns of parents": 1, "own columns": 1, "descendants": 1, "children under a condition": 1,
        "children": 3, "parents of children": 2, "nested": 3, "ratios and differences": 2,
    }  # fmt: skip


def test_a_plan_prints_as_sql(plan):
    text = plan.to_sql("postgres", targets="asked")
    assert "asked" in text
    assert "lines" in text
    with pytest.raises(PlanError, match="carries no schema"):
        replace(plan, schema=None).to_sql()


def test_every_feature_of_the_default_plan_is_right_and_described():
    for seed in range(4):
        problem = worlds.problem(seed, keyed=seed != 2)
        plan = default_plan(problem, depth=3, cap=5_000, where=True, nested=True, rich=True)
        plan.bound(problem)
        assert len(set(plan.names)) == len(plan)
        assert "None" not in plan.describe()
        assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_route_that_goes_down_twice_is_refused():
    with pytest.raises(ValueError, match="down twice"):
        split_path((Hop("a", "x", True), Hop("b", "y", False), Hop("c", "z", True)))


def test_plans_saved_before_tables_without_rows_were_shared_are_read():
    """The format of saved plans lists masks by column, the clock's own included, and names foreign keys."""
    text = {
        "entity": "shops",
        "features": [
            {"aggregate": "count", "path": [{"table": "orders", "key": "shop", "down": True}], "type": "numerical"}
        ],
        "schema": {
            "time_kind": "timestamp",
            "tables": {
                "shops": {
                    "columns": {"shop": "int64", "kind": "dictionary<values=string, indices=int32, ordered=0>"},
                    "primary_key": ["shop"],
                    "time": None,
                    "foreign_keys": [],
                    "clocks": {},
                },
                "orders": {
                    "columns": {"shop": "int64", "at": "timestamp[us]", "closed": "timestamp[us]", "outcome": "double"},
                    "primary_key": [],
                    "time": "at",
                    "foreign_keys": [{"name": "shop", "columns": ["shop"], "table": "shops", "referred": ["shop"]}],
                    "clocks": {"closed": "closed", "outcome": "closed"},
                },
            },
        },
    }
    plan = Plan.from_json(text)
    orders = plan.schema.tables["orders"]
    assert (orders.clock_of("outcome"), orders.clock_of("closed"), orders.clock_of("at")) == ("closed", "closed", None)
    assert orders.foreign_keys[0].ref_columns == ("shop",)
    assert json.loads(json.dumps(plan.to_json())) == {"format": 1, **text}

"""featuretools' definitions as features of a plan, and back."""

from __future__ import annotations

import featuretools as ft
import pytest
from featuretools import primitives as p
from featuretools.feature_base import AggregationFeature, DirectFeature
from woodwork.column_schema import ColumnSchema

from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.dfs.featuretools import PRIMITIVES, entityset, enumerate_featuretools, from_featuretools, to_featuretools
from relselect.dfs.plan.feature import Aggregate, Condition, Feature, Hop
from relselect.dfs.plan.plan import Plan
from relselect.errors import PlanError
from tests.dfs import worlds
from tests.dfs.featuretools.support import LINES, ORDERS, PRODUCT, planned, shop

A, T = Aggregate, SemanticType


@pytest.fixture(scope="module")
def problem():
    return shop()


@pytest.fixture(scope="module")
def es(problem):
    return entityset(problem, 3)


def of(base, primitive, parent="users", **options):
    """An aggregate of a column or a definition."""
    return ft.Feature(base, parent_dataframe_name=parent, primitive=primitive, **options)


def said(definition, problem) -> str | None:
    """The name of the feature that a definition means."""
    plan, others = from_featuretools([definition], problem)
    assert len(plan) + len(others) == 1
    return plan.names[0] if len(plan) else None


def test_columns_and_columns_of_parents(problem, es):
    user = ft.Feature(es["users"].ww["city"])
    price = DirectFeature(ft.Feature(es["products"].ww["price"]), "orders")
    assert said(user, problem) == "city"
    assert said(of(price, p.Mean), problem) == "MEAN(orders[user].products(product).price)"
    assert said(of(price, p.Last), problem) == "LAST(orders[user].(products(product).price))"
    assert said(ft.Feature(es["users"].ww["born"]), problem) == "born"
    assert said(ft.Feature(ft.Feature(es["users"].ww["born"]), primitive=p.TimeSince(unit="hours")), problem) == "born"


@pytest.mark.parametrize(
    ("column", "primitive", "name"),
    [
        ("total", p.Sum, "SUM(orders[user].total)"),
        ("total", p.Std, "STD(orders[user].total)"),
        ("total", p.Skew, "SKEW(orders[user].total)"),
        ("total", p.Median, "MEDIAN(orders[user].total)"),
        ("total", p.Max, "MAX(orders[user].total)"),
        ("status", p.Mode, "MODE(orders[user].status)"),
        ("status", p.Entropy, "ENTROPY(orders[user].status)"),
        ("status", p.NumUnique, "NUM_UNIQUE(orders[user].status)"),
        ("status", p.First, "FIRST(orders[user].status)"),
        ("gift", p.PercentTrue, "PERCENT_TRUE(orders[user].gift)"),
        ("gift", p.NumTrue, "SUM(orders[user].gift)"),
        ("__row__", p.Count, "COUNT(orders[user])"),
        ("at", p.TimeSinceLast, "TIME_SINCE_LAST(orders[user])"),
        ("at", p.TimeSinceFirst(unit="hours"), "TIME_SINCE_FIRST(orders[user])"),
        ("at", p.AvgTimeBetween, "AVG_TIME_BETWEEN(orders[user])"),
        ("at", p.Last, "LAST(orders[user].at)"),
        # what a mask hides counts for featuretools, and for a nested column
        ("outcome", p.Sum, "SUM(orders[user].outcome)"),
        ("outcome", p.Last, "LAST(orders[user].(outcome))"),
        ("verdict", p.Entropy, "ENTROPY(orders[user].(verdict))"),
        # no words for these
        ("total", p.Mean(skipna=False), None),
        ("status", p.Entropy(dropna=True), None),
        ("status", p.Entropy(base=2), None),
        ("status", p.NMostCommon, None),
        ("note", p.Last, None),
        ("__row__", p.Last, None),
        ("user", p.Last, None),
    ],
)
def test_aggregates(problem, es, column, primitive, name):
    assert said(of(es["orders"].ww[column], primitive), problem) == name


def test_trends_windows_and_conditions(problem, es):
    orders, total = es["orders"], ft.Feature(es["orders"].ww["total"])
    paid = ft.Feature(orders.ww["status"]) == "paid"
    assert said(of([total, ft.Feature(orders.ww["at"])], p.Trend), problem) == "TREND(orders[user].total)"
    assert said(of(total, p.Sum, use_previous="60d"), problem) == "SUM(orders[user].total, 60d)"
    assert said(of(total, p.Sum, use_previous="3 hours"), problem) == "SUM(orders[user].total, 3h)"
    assert (
        said(of(total, p.Mean, where=paid, use_previous="2w"), problem)
        == "MEAN(orders[user].total WHERE status = paid, 14d)"
    )
    gift, four = ft.Feature(orders.ww["gift"]) == True, total == 4.0  # noqa: E712
    assert said(of(orders.ww["__row__"], p.Count, where=gift), problem) == "COUNT(orders[user] WHERE gift = true)"
    assert said(of(orders.ww["__row__"], p.Count, where=four), problem) == "COUNT(orders[user] WHERE total = 4)"
    for length in ("1 month", "3 observations"):
        assert said(of(total, p.Sum, use_previous=length), problem) is None
    colour = DirectFeature(ft.Feature(es["products"].ww["colour"]), "orders")
    for where in (total > 3.0, colour == "red", ft.Feature(orders.ww["user"]) == 1, ft.Feature(orders.ww["at"]) == 3):
        assert said(of(total, p.Sum, where=where), problem) is None


def test_nested_features_and_features_of_parents(problem, es):
    lines = of(es["lines"].ww["units"], p.Sum, parent="orders")
    assert said(of(lines, p.Mean), problem) == "MEAN(orders[user].SUM(lines[order].units))"
    assert said(of(lines, p.Max), problem) == "MAX(orders[user].SUM(lines[order].units))"
    popular = DirectFeature(of(es["orders"].ww["__row__"], p.Count, parent="products"), "orders")
    assert said(of(popular, p.Mean), problem) == "MEAN(orders[user].COUNT(products(product).orders[product]))"
    assert said(of(es["lines"].ww["units"], p.Mean), problem) == "MEAN(orders[user].lines[order].units)"
    ages = ft.Feature(ft.Feature(es["orders"].ww["closed"]), primitive=p.TimeSince)
    assert said(of(ages, p.Mean), problem) == "MEAN(orders[user].(closed))"
    assert said(of(ages, p.Min), problem) == "MAX(orders[user].closed)"
    lengths = ft.Feature(ft.Feature(es["orders"].ww["note"]), primitive=p.NumCharacters)
    assert said(of(lengths, p.Mean), problem) == "MEAN(orders[user].note)"
    # over two steps down, rows are ordered by the later of two times
    assert said(of(es["lines"].ww["units"], p.Last), problem) is None
    assert said(of(es["lines"].ww["units"], p.Sum, use_previous="3d"), problem) is None
    modes = of(DirectFeature(ft.Feature(es["products"].ww["colour"]), "orders"), p.Mode)
    assert said(modes, problem) == "MODE(orders[user].products(product).colour)"


def test_what_a_plan_has_no_words_for(problem, es):
    class Product(p.AggregationPrimitive):
        name = "product"
        input_types = [ColumnSchema(semantic_tags={"numeric"})]  # noqa: RUF012
        return_type = ColumnSchema(semantic_tags={"numeric"})

        def get_function(self):
            return lambda values: values.prod()

    class Larger(p.Sum):
        """A subclass may compute anything."""

    total = ft.Feature(es["orders"].ww["total"])
    own = [of(total, Product), of(total, Larger), of(-total, p.Sum), ft.Feature(es["users"].ww["city"]) == "x"]
    plan, others = from_featuretools([own[0], of(total, p.Sum), *own[1:]], problem)
    assert plan.names == ("SUM(orders[user].total)",)
    assert [id(each) for each in others] == [id(each) for each in own]


def test_definitions_of_other_dataframes_are_left(problem, es):
    of_orders = of(es["lines"].ww["units"], p.Sum, parent="orders")
    plan, others = from_featuretools([of_orders], problem)
    assert not len(plan)
    assert others[0] is of_orders


def test_definitions_of_another_entityset_are_read_by_their_names(problem):
    tables = problem.user_database.tables
    own = ft.EntitySet("own")
    for name in ("users", "orders"):
        frame = tables[name].data.to_pandas()
        own.add_dataframe(
            dataframe=frame, dataframe_name=name, index=name[:-1], time_index="at" if name == "orders" else None
        )
    own.add_dataframe(dataframe=tables["lines"].data.to_pandas(), dataframe_name="strangers", index="line")
    own.add_relationship("users", "user", "orders", "user").add_relationship("orders", "order", "strangers", "order")
    assert said(of(own["orders"].ww["total"], p.Max), problem) == "MAX(orders[user].total)"
    assert said(of(own["strangers"].ww["units"], p.Max), problem) is None


def test_what_is_written_is_read_as_it_was():
    problem = worlds.problem(1)
    target = entityset(problem, 2)
    definitions = enumerate_featuretools(problem, 2, PRIMITIVES[::2], where=["sum"])
    plan, others = from_featuretools(definitions, problem)
    assert len(plan) > 100
    assert len(others) < len(definitions) / 2
    back = to_featuretools(plan, target)
    assert all(definition is not None for definition in back)
    again, none = from_featuretools(back, problem)
    assert again == plan
    assert none == []


@pytest.mark.parametrize(
    "feature",
    [
        Feature(A.QUANTILE, (ORDERS,), "total", level=0.9),
        Feature(A.CALENDAR, column="month"),
        Feature(A.DELAY),
        Feature(A.NUM_UNIQUE, (ORDERS,), "total"),
        Feature(A.COUNT, (ORDERS,), window=1),
        Feature(A.LAST, (ORDERS, LINES), "units"),
        Feature(A.COUNT, (ORDERS,), where=Condition("total", "many")),
        Feature(A.MEAN, (ORDERS,), base=Feature(A.QUANTILE, (LINES,), "units", level=0.5)),
    ],
    ids=lambda feature: feature.name,
)
def test_what_featuretools_has_no_words_for(problem, es, feature):
    assert to_featuretools(planned(problem, feature), es) == [None]


@pytest.mark.parametrize(
    ("feature", "name"),
    [
        (
            Feature(A.SHARE, (ORDERS,), "status", T.CATEGORICAL, category="paid"),
            "PERCENT_TRUE(orders.status = paid WHERE NOT",
        ),
        (Feature(A.MIN, (ORDERS,), "closed", T.TIMESTAMP), "MAX(orders.TIME_SINCE(closed, unit=days))"),
        (Feature(A.SUM, (ORDERS,), "gift", T.BOOLEAN), "NUM_TRUE(orders.gift)"),
        (Feature(A.MAX, (ORDERS,), "note", T.TEXT), "MAX(orders.NUM_CHARACTERS(note))"),
        (Feature(A.SUM, (ORDERS,), "total", window=36 * DAY // 24), "SUM(orders.total, Last 36 Hours)"),
        (Feature(A.MEAN, (ORDERS, PRODUCT), "price"), "MEAN(orders.products.price)"),
        (Feature(A.COUNT, (ORDERS, LINES)), "COUNT(lines)"),
    ],
    ids=lambda each: each.name if isinstance(each, Feature) else "",
)
def test_features_are_written(problem, es, feature, name):
    (definition,) = to_featuretools(planned(problem, feature), es)
    assert type(definition) is AggregationFeature
    assert definition.get_name().startswith(name)


def test_a_plan_that_reads_what_is_not_there_is_refused(problem, es):
    strange = (Feature(A.MEAN, (ORDERS,), "nowhere"), Feature(A.MEAN, (Hop("strangers", "user", True),), "total"))
    with pytest.raises(PlanError, match=r"(?s)nowhere.*strangers"):
        to_featuretools(planned(problem, *strange), es)


def test_a_plan_without_a_schema_is_not_written(problem, es):
    with pytest.raises(PlanError, match=r"plan\.bound\(problem\)"):
        to_featuretools(Plan("users", (Feature(A.COUNT, (ORDERS,)),)), es)

"""What featuretools computes, row by row: custom primitives, kinds of outputs, who is asked."""

from __future__ import annotations

import featuretools as ft
import numpy as np
import pyarrow as pa
import pytest
from featuretools import primitives as p
from woodwork.column_schema import ColumnSchema

from relselect.dfs.featuretools import (
    compute_featuretools,
    compute_plan,
    entityset,
    enumerate_featuretools,
    to_featuretools,
)
from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.plan.feature import Aggregate, Feature
from relselect.dfs.prefix.matrix import compute
from relselect.errors import ConfigError
from relselect.tasks import Rows
from tests.dfs.featuretools.support import ORDERS, planned, row, shop, told
from tests.dfs.sql.plans import words_of

NUMERIC = ColumnSchema(semantic_tags={"numeric"})


class Product(p.AggregationPrimitive):
    name = "product"
    input_types = [NUMERIC]  # noqa: RUF012
    return_type = NUMERIC
    default_value = 1.0

    def get_function(self):
        return lambda values: values.prod()


class HoursSinceLargest(p.AggregationPrimitive):
    name = "hours_since_largest"
    input_types = [NUMERIC, ColumnSchema(semantic_tags={"time_index"})]  # noqa: RUF012
    return_type = NUMERIC
    uses_calc_time = True

    def get_function(self):
        def since(values, times, time):
            return (time - times[values.idxmax()]).total_seconds() / 3600

        return since


@pytest.fixture(scope="module")
def problem():
    return shop()


@pytest.fixture(scope="module")
def es(problem):
    return entityset(problem, 2)


def of(base, primitive, **options):
    return ft.Feature(base, parent_dataframe_name="users", primitive=primitive, **options)


def test_custom_primitives(problem, es):
    total, at = ft.Feature(es["orders"].ww["total"]), ft.Feature(es["orders"].ww["at"])
    assert told(problem, of(total, Product), row(0, 6)) == 4.0 * 8.0 * 1.0
    assert told(problem, of(total, Product), row(2, 6)) == 1.0
    since = of([total, at], HoursSinceLargest)
    assert told(problem, since, row(0, 6)) == 72.0
    assert told(problem, since, row(0, 8, asof=6)) == 120.0
    assert told(problem, of(total, Product, use_previous="2d"), row(0, 5)) == 1.0
    assert told(problem, of(total, Product, use_previous="3d"), row(0, 5)) == 8.0
    assert told(problem, of(total, Product, use_previous="3d"), row(0, 5.5, asof=5)) == 8.0


def test_units_of_other_definitions_are_their_own(problem, es):
    seconds = of(es["orders"].ww["at"], p.TimeSinceLast)
    doubled = ft.Feature(seconds, primitive=p.MultiplyNumericScalar(2))
    assert told(problem, seconds, row(0, 6)) == 1.0
    assert told(problem, doubled, row(0, 6)) == 2 * 86_400.0
    both = compute_featuretools(problem, [seconds, doubled], row(0, 6))
    assert [column[0].as_py() for column in both.columns] == [1.0, 2 * 86_400.0]


def test_outputs_of_every_kind(problem, es):
    common = of(es["orders"].ww["status"], p.NMostCommon(n=2))
    city = ft.Feature(es["users"].ww["city"])
    late = of(es["orders"].ww["total"], p.Max) > 5
    born = ft.Feature(es["users"].ww["born"])
    found = compute_featuretools(problem, [common, city, late, born], row(0, 6))
    assert found.num_columns == 5
    assert found.schema.types == [pa.string(), pa.string(), pa.string(), pa.float64(), pa.float64()]
    assert [column[0].as_py() for column in found.columns] == ["paid", "open", "x", 1.0, 906.0]


def test_rows_that_repeat_and_rows_of_nobody(problem, es):
    plan = planned(problem, Feature(Aggregate.COUNT, (ORDERS,)), Feature(Aggregate.MEAN, (ORDERS,), "total"))
    one = row(0, 6)
    rows = Rows.concat([one, row(-1, 6), row(2, 6), one, row(0, 3), row(0, 9, asof=3), row(1, 1)])
    found = compute_featuretools(problem, to_featuretools(plan, es), rows)
    assert found.column(0).to_pylist() == [4, 0, 0, 4, 2, 2, 0]
    expected = compute(problem, plan, rows, words_of(problem, plan)).values
    np.testing.assert_allclose(found.column(1).to_numpy(), expected[:, 1])
    none = compute_featuretools(problem, to_featuretools(plan, es), rows.take(slice(0, 0)))
    assert none.num_rows == 0


def test_a_check_stops_it(problem, es):
    calls = []

    class Stopped(Exception):
        pass

    def check():
        calls.append(1)
        if len(calls) == 2:
            raise Stopped

    (definition,) = to_featuretools(planned(problem, Feature(Aggregate.COUNT, (ORDERS,))), es)
    with pytest.raises(Stopped):
        compute_featuretools(problem, [definition], Rows.concat([row(0, 6), row(0, 7)]), check)


def test_definitions_of_other_databases_are_refused(problem):
    other = ft.demo.load_mock_customer(return_entityset=True)
    definition = ft.Feature(other["sessions"].ww["session_id"], parent_dataframe_name="customers", primitive=p.Count)
    with pytest.raises(ConfigError, match=r"customers.*sessions"):
        compute_featuretools(problem, [definition], row(0, 6))


def test_featuretools_holds_on_to_no_rows(problem, es):
    from featuretools.feature_base.feature_base import _ES_REF

    (definition,) = to_featuretools(planned(problem, Feature(Aggregate.COUNT, (ORDERS,))), es)
    before = set(_ES_REF)
    compute_featuretools(problem, [definition], row(0, 4))
    assert set(_ES_REF) == before


def test_a_whole_plan(problem):
    plan = default_plan(problem, rich=True, where=True, nested=True)
    rows = problem.rows("train").unlabelled()
    vocabulary = words_of(problem, plan)
    found, places = compute_plan(problem, plan, rows, vocabulary)
    expected = compute(problem, plan, rows, vocabulary)
    assert found.names == expected.names
    assert len(places) > len(plan) // 2
    assert {plan.features[p].aggregate for p in range(len(plan)) if p not in places} >= {Aggregate.CALENDAR}
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-9, atol=1e-12)


def test_definitions_of_the_enumeration_can_be_saved(problem, tmp_path):
    definitions = enumerate_featuretools(problem, 1, ["count", "mean"])
    ft.save_features(definitions, str(tmp_path / "features.json"))
    loaded = ft.load_features(str(tmp_path / "features.json"))
    first = compute_featuretools(problem, definitions, row(0, 6))
    again = compute_featuretools(problem, loaded, row(0, 6))
    assert first.equals(again)

"""Reading and writing queries: every query is written as text that is read as the same query."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relselect.queries import parse_query, task_name
from relselect.queries.syntax import (
    AGGREGATES,
    UNITS,
    AggregateCall,
    ColumnReference,
    Constant,
    Junction,
    Membership,
    Negation,
    NullTest,
    OperandComparison,
    Pattern,
    PredictiveQuery,
    QueryWindow,
)

NAMES = st.one_of(
    st.sampled_from(["orders", "order", "each", "a.b", 'qu"ote', "größe", "2nd", "COUNT", "days"]), st.text(min_size=1)
)
COLUMNS = st.builds(ColumnReference, NAMES, NAMES)
WHOLE = st.integers(-(10**9), 10**9)
WINDOWS = st.builds(QueryWindow, st.none() | WHOLE, st.none() | WHOLE, st.none() | st.sampled_from(UNITS))
NUMBERS = st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False)
CONSTANTS = st.builds(Constant, NUMBERS | st.text() | st.booleans())


def conditions(operands):
    simple = st.one_of(
        st.builds(OperandComparison, operands, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), operands),
        st.builds(Membership, operands, st.lists(CONSTANTS, min_size=1, max_size=3).map(tuple)),
        st.builds(Pattern, operands, st.builds(Constant, st.text())),
        st.builds(NullTest, operands),
    )
    return st.recursive(
        simple,
        lambda inner: (
            st.builds(Negation, inner)
            | st.builds(Junction, st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=2, max_size=3).map(tuple))
        ),
        max_leaves=5,
    )


AGGREGATED = st.builds(
    AggregateCall, st.sampled_from(AGGREGATES), st.builds(ColumnReference, NAMES, st.none() | NAMES), WINDOWS,
    st.none() | conditions(COLUMNS | CONSTANTS),
)  # fmt: skip
OPERANDS = COLUMNS | CONSTANTS | AGGREGATED
QUERIES = st.builds(
    PredictiveQuery, OPERANDS | conditions(OPERANDS), st.lists(COLUMNS, min_size=1, max_size=2).map(tuple),
    st.none() | conditions(OPERANDS),
)  # fmt: skip


@settings(max_examples=60)
@given(QUERIES)
def test_what_is_written_is_read_as_the_same(query) -> None:
    assert parse_query(str(query)) == query


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("predict  count( Orders . * , +0 , 30 , DAY )\nfor each Customers.ID ;", "COUNT(Orders.*, 0, 30, days)"),
        ("PREDICT a.b <> 'x''y' FOR EACH a.id", "a.b != 'x''y'"),
        ("PREDICT NOT a.b IS NULL FOR EACH a.id", "a.b IS NOT NULL"),
        ("PREDICT a.b NOT IN (1, -2.50, true) FOR EACH a.id", "NOT a.b IN (1, -2.5, TRUE)"),
        (
            "PREDICT (a.b = 1 AND (a.c = 2)) OR a.d NOT LIKE '%' FOR EACH a.id",
            "(a.b = 1 AND a.c = 2) OR NOT a.d LIKE '%'",
        ),
        ('PREDICT "order"."each" FOR EACH "order".id', 'order."each"'),
        ("PREDICT s.t.c FOR EACH s.t.id", "s.t.c"),
        ('PREDICT "s.t".c FOR EACH "s.t".id', "s.t.c"),
        ('PREDICT "a b.t".c FOR EACH "a b.t".id', '"a b".t.c'),
        ("PREDICT first.where FOR EACH first.id", 'first."where"'),
        ("PREDICT SUM(a.b WHERE a.c = 1, -infinity, 2) FOR EACH a.id", "SUM(a.b WHERE a.c = 1, -INF, 2)"),
    ],
)
def test_how_a_target_is_written(text: str, written: str) -> None:
    query = parse_query(text)
    assert str(query.target) == written
    assert parse_query(str(query)) == query


def test_and_binds_closer_than_or_and_not_closer_than_and() -> None:
    where = parse_query("PREDICT a.b FOR EACH a.i WHERE NOT a.x = 1 AND a.y = 2 OR a.z = 3").where
    assert isinstance(where, Junction)
    assert where.operator == "OR"
    assert isinstance(where.parts[0], Junction)
    assert isinstance(where.parts[0].parts[0], Negation)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("COUNT(orders.*, 0, 60, days) = 0", "customers-count-orders-60-days"),
        ('NOT (3 < SUM("Order Items".unit_price, 0, 2, months))', "customers-sum-order-items-unit-price-2-months"),
        ("customers.country IN ('DE')", "customers-country"),
        ("5", "customers"),
    ],
)
def test_names_of_tasks(target: str, name: str) -> None:
    assert task_name(parse_query(f"PREDICT {target} FOR EACH customers.id")) == name

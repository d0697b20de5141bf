"""Tables that take their time from a parent: every engine agrees, and statements join the parent themselves."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from relselect.database import Database, ForeignKey, Table
from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import compute
from relselect.dfs.sql.compute import compute_sql
from relselect.problem import Problem
from tests.dfs.sql.warehouse import answers, targets_of
from tests.shop import shop, shop_tables, shop_task


def with_lines(tables) -> Database:
    """The shop with lines of orders, and remarks on lines; neither has a time of its own."""
    orders = tables["orders"].num_rows
    draw = np.random.default_rng(2)
    count = 2 * orders
    lines = pa.table({
        "line": pa.array([f"l{n}" for n in range(count)]),
        "order": pa.array([None if n % 31 == 0 else int(n) // 2 for n in range(count)], pa.int64()),
        "user": pa.array(draw.permutation(np.repeat(np.arange(60) * 7 + 3, -(-count // 60)))[:count]),
        "price": pa.array(draw.normal(size=count).round(3)),
    })  # fmt: skip
    places = draw.choice(count, 300, replace=False)
    remarks = pa.table({
        "of": pa.array([f"l{n}" for n in places]), "user": pa.array(draw.choice(np.arange(60) * 7 + 3, 300)),
        "stars": pa.array(draw.integers(1, 6, 300)),
    })  # fmt: skip
    user = ForeignKey(("user",), "users", ("id",))
    return Database([
        *shop(tables).tables.values(),
        Table("lines", lines, ("line",), "order.when", (ForeignKey(("order",), "orders", ("oid",)), user)),
        Table("remarks", remarks, (), "of.order.when", (ForeignKey(("of",), "lines", ("line",)), user)),
    ])  # fmt: skip


def test_engines_agree_and_the_statement_reads_the_tables_as_they_are():
    tables = shop_tables()
    database = with_lines(tables)
    problem = Problem(database, shop_task(database, tables))
    plan = default_plan(problem)
    assert any("lines" in name for name in plan.names)
    assert any("remarks" in name for name in plan.names)
    rows = problem.rows("val")
    vocabulary = Vocabulary.fit(problem, plan)
    expected = compute(problem, plan, rows, vocabulary).values
    assert np.allclose(compute_sql(problem, plan, rows, vocabulary).values, expected, rtol=1e-9, equal_nan=True)
    statement = plan.to_sql(asof="asof")
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        for name, table in problem.database.tables.items():
            data = table.data if table.time is None or "." not in table.time else table.data.drop_columns([table.time])
            connection.register(name, data)
        connection.register("targets", targets_of(problem, rows))
        found = answers(plan, vocabulary, connection.sql(statement).to_arrow_table())
    assert np.allclose(found, expected, rtol=1e-9, equal_nan=True)

"""The text of statements: what it is called, what it refuses, and that no name or value gets out of its quotes."""

from __future__ import annotations

import time
from dataclasses import replace

import duckdb
import numpy as np
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from relselect.database.clock import DAY
from relselect.database.schema import TableSchema
from relselect.database.table import ForeignKey, SemanticType
from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.plan.feature import Aggregate, Condition, Feature, Hop
from relselect.dfs.plan.plan import Plan
from relselect.dfs.plan.schema import Schema
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import compute
from relselect.errors import ConfigError, PlanError
from relselect.problem import LABELS
from tests.dfs import worlds
from tests.dfs.sql.warehouse import answers, copy_table, in_duckdb, in_postgres

A, T = Aggregate, SemanticType

#: Names and values that end quotes, statements and comments in one dialect or another.
EVIL = ['a"b', "a'b", "a`b", "a]b", "a;b", "a--b", "a*/b", "/*a", "a\\", "a\\'b", "ü\n-- x", "select", "t", "%s {x}"]


def evil_schema(word: str) -> tuple[Plan, dict[str, pa.Table]]:
    """A plan whose names and values all hold a word, and tables for it."""
    users, orders, key, value, kind = (f"{stem}{word}" for stem in ("users", "orders", "key", "value", "kind"))
    tables = {
        users: TableSchema(users, {key: "string", value: "double"}, (key,)),
        orders: TableSchema(
            orders,
            {key: "string", value: "double", kind: "string", f"at{word}": "timestamp[us]"},
            (),
            f"at{word}",
            (ForeignKey((key,), users, (key,)),),
        ),
    }
    down = (Hop(orders, key, True),)
    features = (
        Feature(A.DIRECT, (), value),
        Feature(A.COUNT, down, where=Condition(kind, f"good{word}")),
        Feature(A.SHARE, down, kind, T.CATEGORICAL, f"good{word}"),
        Feature(A.LAST, down, kind, T.CATEGORICAL),
        Feature(A.MODE, down, kind, T.CATEGORICAL),
        Feature(A.MAX, down, value),
    )
    moments = pa.array([1, 2, 3]).cast(pa.timestamp("us"))
    data = {
        users: pa.table({key: [f"u{word}", "v"], value: [1.5, 2.5]}),
        orders: pa.table(
            {
                key: [f"u{word}", f"u{word}", "v"],
                value: [7.0, 8.0, 9.0],
                kind: [f"bad{word}", f"good{word}", "x"],
                f"at{word}": moments,
            }
        ),
        f"asked{word}": pa.table(
            {f"row{word}": [0, 1], key: [f"u{word}", "nobody"], f"cut{word}": pa.array([9, 9]).cast(pa.timestamp("us"))}
        ),
    }
    return Plan(users, features, Schema(tables, "timestamp")), data


def evil_statement(plan: Plan, word: str, dialect: str) -> str:
    return plan.to_sql(dialect, targets=f"asked{word}", row=f"row{word}", cutoff=f"cut{word}")


WANTED = {0: (1.5, 1, 0.5, "good", "bad", 8.0), 1: (None, 0, None, None, None, None)}


def told(rows: list[tuple], word: str) -> None:
    for row in rows:
        wanted = tuple(f"{v}{word}" if isinstance(v, str) else v for v in WANTED[row[0]])
        assert row[1:] == wanted


@pytest.mark.parametrize("word", EVIL)
def test_names_and_values_stay_in_their_quotes_in_duckdb(word):
    plan, data = evil_schema(word)
    with duckdb.connect() as connection:
        for name, table in data.items():
            connection.register(name, table)
        told(connection.sql(evil_statement(plan, word, "duckdb")).fetchall(), word)


def test_the_tables_of_another_schema():
    plan, data = evil_schema("")
    with duckdb.connect() as connection:
        connection.execute('CREATE SCHEMA "my ""house"')
        for name, table in data.items():
            connection.register("table_now", table)
            place = name if name == "asked" else f'"my ""house".{name}'
            connection.execute(f"CREATE TABLE {place} AS SELECT * FROM table_now")
        text = plan.to_sql(targets="asked", row="row", cutoff="cut", namespace='my "house')
        told(connection.sql(text).fetchall(), "")


def test_schema_and_table_are_quoted_apart():
    """Where several schemas were read, tables are called `schema.table`; the task rows may lie in a schema too."""
    plan, data = evil_schema("")
    named = {name: f"my house.{name}" for name in data}
    tables = {
        named[name]: replace(
            table, foreign_keys=tuple(replace(key, table=named[key.table]) for key in table.foreign_keys)
        )
        for name, table in plan.schema.tables.items()
    }
    features = [replace(each, path=tuple(replace(hop, table=named[hop.table]) for hop in each.path)) for each in plan]
    moved = Plan(named[plan.entity], tuple(features), Schema(tables, "timestamp"))
    with duckdb.connect() as connection:
        connection.execute('CREATE SCHEMA "my house"')
        for name, table in data.items():
            connection.register("table_now", table)
            connection.execute(f'CREATE TABLE "my house"."{name}" AS SELECT * FROM table_now')
        for dialect in ("duckdb", "postgres"):
            text = moved.to_sql(dialect, targets=named["asked"], row="row", cutoff="cut")
            assert '"my house"."orders"' in text
            read = {(table.db, table.name) for table in sqlglot.parse_one(text, read=dialect).find_all(exp.Table)}
            assert {("my house", "users"), ("my house", "orders"), ("my house", "asked")} <= read
        told(connection.sql(moved.to_sql(targets=named["asked"], row="row", cutoff="cut")).fetchall(), "")


def test_names_and_values_stay_in_their_quotes_in_postgres(postgres):
    uri = postgres.create("features")
    for word in EVIL:
        plan, data = evil_schema(word)
        import psycopg

        with psycopg.connect(uri) as connection:
            for name, table in data.items():
                copy_table(connection, name, table)
            told(connection.execute(evil_statement(plan, word, "postgres")).fetchall(), word)
            connection.rollback()


DIALECTS = (
    *("bigquery", "clickhouse", "databricks", "mysql", "oracle", "redshift"),
    *("snowflake", "spark", "sqlite", "trino", "tsql"),
)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_other_dialects_are_parsed_and_say_that_nobody_ran_them(dialect):
    plan, _ = evil_schema("'\\ \";`]--*/")
    text = evil_statement(plan, "'\\ \";`]--*/", dialect)
    assert text.startswith(f"-- unverified: this {dialect} text was parsed, never executed\n")
    trees = sqlglot.parse(text, read=dialect)
    assert len(trees) == 1
    names = {table.name for table in trees[0].find_all(exp.Table)}
    assert set(plan.schema.tables) <= names
    literals = {literal.this for literal in trees[0].find_all(exp.Literal) if literal.is_string}
    assert "good'\\ \";`]--*/" in literals


def test_a_verified_statement_does_not_say_unverified():
    plan, _ = evil_schema("")
    assert "unverified" not in plan.to_sql() + plan.to_sql("postgres")


@pytest.mark.parametrize("dialect", ["dax", "klingon", ""])
def test_what_is_no_dialect_is_refused(dialect):
    with pytest.raises(ConfigError, match=f"dialect={dialect}"):
        evil_schema("")[0].to_sql(dialect)


def test_a_plan_without_a_schema_is_refused():
    with pytest.raises(PlanError, match="no schema"):
        Plan("users", (Feature(A.DIRECT, column="x"),)).to_sql()


def test_columns_of_the_task_rows_that_collide_are_refused():
    with pytest.raises(ConfigError, match="must differ"):
        evil_schema("")[0].to_sql(row="KEY")


def test_names_that_differ_by_case_alone_are_refused_where_duckdb_would_mix_them_up():
    plan, _ = evil_schema("")
    tables = dict(plan.schema.tables)
    tables["USERS"] = tables["users"]
    twice = Plan(plan.entity, plan.features, Schema(tables, "timestamp"))
    with pytest.raises(ConfigError, match="differs from users by case alone"):
        twice.to_sql()
    assert twice.to_sql("postgres")


def test_features_carry_their_names_in_duckdb_and_numbers_elsewhere():
    plan, _ = evil_schema("")
    assert '"COUNT(orders[key] WHERE kind = good)"' in plan.to_sql()
    text = plan.to_sql("postgres")
    assert '-- f2: "COUNT(orders[key] WHERE kind = good)"' in text
    assert all(
        len(name.name.encode()) <= 63 for name in sqlglot.parse_one(text, read="postgres").find_all(exp.Identifier)
    )


def test_more_columns_than_postgres_returns_are_refused():
    plan, _ = evil_schema("")
    many = tuple(Feature(A.QUANTILE, (Hop("orders", "key", True),), "value", level=n / 2000) for n in range(1, 1999))
    with pytest.raises(ConfigError, match="at most 1600 columns"):
        Plan("users", many, plan.schema).to_sql("postgres")


def test_a_default_plan_of_a_real_problem_in_one_statement(postgres):
    """Label history under another name, the delay, calendar parts; as of the cutoff unless told otherwise."""
    problem = worlds.problem(1)
    plan = default_plan(problem, cap=150).bound(problem)
    vocabulary = Vocabulary.fit(problem, plan)
    rows = problem.rows("train").take(slice(0, 60))
    wanted = compute(problem, plan, rows, vocabulary).values
    assert {"delay", "calendar"} <= {feature.aggregate for feature in plan}
    assert any(feature.path and feature.path[0].table == LABELS for feature in plan)
    text = plan.to_sql(targets="who", labels="past labels")
    found = answers(plan, vocabulary, in_duckdb(problem, rows, text, targets="who", **{LABELS: "past labels"}))
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)
    found = in_postgres(postgres.create("features"), problem, rows, plan.to_sql("postgres"))
    np.testing.assert_allclose(answers(plan, vocabulary, found), wanted, rtol=1e-9, atol=1e-9)


def test_each_path_is_scanned_once():
    """Windows and conditions are filters; only deviations in windows look at their rows again, and only at those."""
    plan, _ = evil_schema("")
    down = (Hop("orders", "key", True),)
    windows = (None, 3 * DAY, 9 * DAY)
    where = (None, Condition("kind", "good"))
    kinds = (A.SUM, A.MEAN, A.MIN, A.MAX, A.MEDIAN, A.FIRST, A.LAST, A.STD, A.TREND, A.SKEW)
    features = [Feature(kind, down, "value", window=w, where=c) for kind in kinds for w in windows[:1] for c in where]
    features += [Feature(kind, down, "value", window=w, where=c) for kind in kinds[:7] for w in windows for c in where]
    text = Plan("users", tuple(dict.fromkeys(features)), plan.schema).to_sql("postgres")
    tree = sqlglot.parse_one(text, read="postgres")
    tables = [table.name for table in tree.find_all(exp.Table)]
    assert tables.count("orders") == 1
    joined = [table for select in tree.find_all(exp.Select) for table in select.args.get("joins") or ()]
    assert sum(join.this.name.startswith("rows_orders") for join in joined) == 1


def test_a_large_plan_is_written_fast():
    problem = worlds.problem(1)
    plan = default_plan(problem, cap=600).bound(problem)
    begun = time.process_time()
    plan.to_sql("postgres")
    assert time.process_time() - begun < 5

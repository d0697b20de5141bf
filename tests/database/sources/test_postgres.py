"""PostgreSQL: its catalog, its types, one moment for all tables, and what goes wrong."""

from __future__ import annotations

import datetime as dt
import threading

import pyarrow as pa
import pytest

from relselect.database import Database, ForeignKey
from relselect.database.sources.open import open_source
from relselect.errors import ConfigError, DataNotFound, SchemaError, SourceError


@pytest.fixture(scope="module")
def shop(shop_uri):
    return Database.from_uri(shop_uri, times={"orders": "placed", "visits": "day"})


@pytest.fixture(scope="module")
def catalog(shop_uri):
    with open_source(shop_uri) as source:
        return source.catalog()


def test_catalog_tells_keys_kinds_and_comments(catalog):
    tables = catalog.tables
    assert {name: table.kind for name, table in tables.items()} == {
        "customers": "table", "orders": "table", "lines": "table", "notes": "table", "visits": "partition",
        "dear": "view", "days": "view",
    }  # fmt: skip
    assert tables["lines"].primary_key == ("order", "number")
    assert tables["notes"].foreign_keys == (ForeignKey(("order", "line"), "lines", ("order", "number")),)
    assert tables["orders"].foreign_keys == (ForeignKey(("select",), "customers", ("id",)),)
    assert tables["customers"].unique_keys == (("email",),)
    assert tables["customers"].comment == "People"
    assert tables["customers"].comments == {"mood": "how they feel"}
    assert "email" not in tables["customers"].nullable
    assert tables["customers"].columns["tags"] == (pa.list_(pa.string()), "text[]")
    assert tables["orders"].columns["total"].declared == "amount"
    assert tables["customers"].left_out == {"pic": "holds bytes"}


def test_types_are_those_the_house_takes(shop):
    first, second = shop["orders"].data.to_pylist()
    assert first == {
        "id": 1,
        "select": 1,
        "placed": dt.datetime(2020, 1, 1, 8, tzinfo=first["placed"].tzinfo),
        "valid": None,
        "total": 120.5,
        "pieces": 12,
        "pause": 93600.0,
        "huge": 1e20,
        "paid": True,
        "day": dt.date(2020, 1, 1),
        "at": dt.time(10),
        "price": 12.5,
        "code": "ab",
        "small": 1,
        "ratio": 0.5,
        "share": 0.25,
        "span": "[1,3)",
        "host": "10.0.0.1/32",
        'it\'s "odd" here': "x",
    }
    assert second["day"] is None  # -infinity
    assert second["share"] is None  # NaN
    customers = shop["customers"].data.to_pylist()
    assert customers[0] == {
        "id": 1, "User": "Zoë", "mood": "ok", "tags": ["a", "b"], "doc": '{"x": 1}',
        "u": "00000000-0000-0000-0000-000000000001", "email": "z@x",
    }  # fmt: skip
    assert shop["lines"].data["part"].to_pylist() == [1.0, 2.5, None]
    assert str(shop["orders"].data["placed"].type) == "timestamp[us, tz=UTC]"


def test_keys_become_declarations(shop):
    assert shop.parents("notes")[0].tolist() == [0, 1, -1]
    assert shop.parents("orders")[0].tolist() == [0, 1]
    assert shop["visits"].num_rows == 2
    assert set(shop.tables) == {"customers", "orders", "lines", "notes", "visits"}
    assert shop.notes == ("customers.pic holds bytes and is not read",)
    assert shop["customers"].description == "People"


def test_selection_is_part_of_the_query(shop_uri, postgres):
    database = Database.from_uri(
        shop_uri,
        tables=["orders", "dear", "customers"],
        columns={"orders": ["total"], "customers": ["pic"]},
        where={"orders": "total > 100 -- dear ones"},
        limit={"customers": 1},
        times={"dear": "placed"},
    )
    assert database["orders"].columns == ["id", "select", "total"]
    assert database["orders"].num_rows == database["dear"].num_rows == database["customers"].num_rows == 1
    assert database["customers"].data["pic"].to_pylist() == [b"\0"]
    with open_source(shop_uri) as source:
        assert source.read("lines", columns=["number", "order"], where="part IS NULL").to_pylist() == [
            {"number": 1, "order": 2}
        ]


def test_numbers_without_a_limit_are_exact_as_keys(postgres):
    uri = postgres.create(
        "numbers",
        """CREATE TABLE a (id numeric PRIMARY KEY); CREATE TABLE b (a numeric(40, 0) REFERENCES a, x numeric);
        INSERT INTO a VALUES (12345678901234567890123), (2.50), (7.0);
        INSERT INTO b VALUES (7, 1.5), (12345678901234567890123, 2)""",
    )
    database = Database.from_uri(uri)
    assert database["a"].data["id"].to_pylist() == ["12345678901234567890123", "2.5", "7"]
    assert database["b"].data.to_pylist() == [{"a": "7", "x": 1.5}, {"a": "12345678901234567890123", "x": 2.0}]
    assert database.parents("b")[0].tolist() == [2, 0]


def test_references_to_other_keys_and_tables(postgres):
    uri = postgres.create(
        "references",
        """CREATE TABLE a (id int PRIMARY KEY, code text NOT NULL UNIQUE); CREATE TABLE b (code text REFERENCES a (code));
        CREATE TABLE c (id int PRIMARY KEY, code text NOT NULL UNIQUE);
        CREATE TABLE d (one text REFERENCES c (code), two int REFERENCES c);
        CREATE TABLE e (two int REFERENCES c, also int, FOREIGN KEY (two) REFERENCES c, FOREIGN KEY (also) REFERENCES c)""",
    )
    database = Database.from_uri(uri)
    assert database["a"].primary_key == ("code",)
    assert [key.name for key in database["d"].foreign_keys] == ["two"]
    assert [key.name for key in database["e"].foreign_keys] == ["two", "also"]
    assert "d.one refers to c by code, not by its primary key" in database.notes
    alone = Database.from_uri(uri, tables=["d"])
    assert alone["d"].foreign_keys == ()
    assert "d.two refers to c, which is not read" in alone.notes


def test_several_schemas(postgres):
    uri = postgres.create(
        "schemas",
        """CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.t (id int PRIMARY KEY);
        CREATE TABLE two.t (id int REFERENCES one.t); INSERT INTO one.t VALUES (5); INSERT INTO two.t VALUES (5)""",
    )
    both = Database.from_uri(uri, schema=["one", "two"])
    assert set(both.tables) == {"one.t", "two.t"}
    assert both.parents("two.t")[0].tolist() == [0]
    assert set(Database.from_uri(uri, schema="one").tables) == {"t"}
    with pytest.raises(DataNotFound, match="one of: one, two"):
        Database.from_uri(uri)
    with pytest.raises(DataNotFound, match="no schema of the database"):
        Database.from_uri(uri, schema="three")


def test_a_schema_of_views_is_read(postgres):
    uri = postgres.create("views", "CREATE SCHEMA v; CREATE VIEW v.only AS SELECT 1 AS a")
    assert Database.from_uri(uri, schema="v")["only"].data.to_pylist() == [{"a": 1}]


def test_all_tables_are_of_one_moment_and_nothing_is_written(postgres):
    uri = postgres.create("moment", "CREATE TABLE a (x int); INSERT INTO a VALUES (1)")
    with open_source(uri) as source:
        source.catalog()
        postgres.run(uri, "INSERT INTO a VALUES (2)")
        assert source.read("a").num_rows == 1
        with pytest.raises(SourceError, match="read-only"):
            source._ask("INSERT INTO a VALUES (3) RETURNING x")
    assert Database.from_uri(uri)["a"].num_rows == 2


def test_names_inject_nothing(postgres):
    evil = 'x"; DROP TABLE victim; --'
    quoted = evil.replace('"', '""')
    uri = postgres.create("evil", f'CREATE TABLE victim (a int); CREATE TABLE "{quoted}" ("{quoted}" int, "{{0}}" int)')
    database = Database.from_uri(uri)
    assert database[evil].columns == [evil, "{0}"]
    with pytest.raises(SchemaError, match="is no table"):
        Database.from_uri(uri, tables=[evil + "'"])
    with pytest.raises(DataNotFound):
        Database.from_uri(uri, schema="public'; DROP TABLE victim; --")
    assert "victim" in Database.from_uri(uri).tables


def test_a_wrong_predicate_is_named(shop_uri):
    for wrong in ("nope > 1", "total >", "1 = 1; DROP TABLE notes"):
        with pytest.raises(ConfigError, match=r"where\['orders'\]"):
            Database.from_uri(shop_uri, where={"orders": wrong})
    assert Database.from_uri(shop_uri, tables=["notes"]).num_rows == 3


def test_all_options_are_checked_at_once(shop_uri):
    with pytest.raises(SchemaError) as caught:
        Database.from_uri(
            shop_uri,
            times={"order": "placed"},
            columns={"orders": ["totals"]},
            drop={"lines": ["parts"]},
            types={"orders": {"code": "word"}},
            where={"dear": "true"},
        )
    assert sorted(problem.value for problem in caught.value.problems) == ["columns", "drop", "times", "where", "word"]


def test_a_dropped_key_is_no_key(shop_uri):
    database = Database.from_uri(shop_uri, drop={"orders": ["select"], "notes": ["line"]}, keys={"customers": "email"})
    assert database["orders"].foreign_keys == database["notes"].foreign_keys == ()
    assert database["customers"].primary_key == ("email",)


def test_tables_and_columns_without_permission_are_reported(postgres):
    uri = postgres.create(
        "rights",
        """CREATE TABLE a (x int, y int); CREATE TABLE b (x int); INSERT INTO a VALUES (1, 2);
        DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN; GRANT SELECT (x) ON a TO guest""",
    )
    guest = postgres.address("rights", "guest")
    database = Database.from_uri(guest)
    assert database["a"].data.to_pylist() == [{"x": 1}]
    assert database.notes == ("public.b may not be read by this user", "a.y may not be read by this user")
    with pytest.raises(SchemaError, match="b \\(tables\\)"):
        Database.from_uri(guest, tables=["b"])
    postgres.run(uri, "REVOKE SELECT (x) ON a FROM guest")
    with pytest.raises(DataNotFound, match="no tables that this user may read"):
        Database.from_uri(guest)


def test_a_slow_query_is_cut_off(postgres):
    uri = postgres.create("slow", "CREATE VIEW v AS SELECT pg_sleep(5)::text AS x")
    with pytest.raises(SourceError, match="longer than the time allowed"):
        Database.from_uri(uri, tables=["v"], statement_timeout=0.3)
    with pytest.raises(ConfigError, match="statement_timeout"):
        Database.from_uri(uri, statement_timeout="soon")


def test_a_locked_table_does_not_hold_for_ever(postgres, monkeypatch):
    from relselect.database.sources import postgres as module

    monkeypatch.setitem(module._SETTINGS, "lock_timeout", "300ms")
    uri = postgres.create("locked", "CREATE TABLE a (x int)")
    with postgres.session(uri) as other:
        other.execute("BEGIN; LOCK TABLE a IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(SourceError, match="locked by another session"):
            Database.from_uri(uri)


def test_a_lost_connection_ends_clearly(postgres, tmp_path):
    uri = postgres.create("lost", "CREATE TABLE a AS SELECT repeat('x', 1000) AS t FROM generate_series(1, 50000)")
    with open_source(uri) as source:
        stream = source.stream(source.scan("a"))
        next(stream.batches)
        query = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'lost' AND pid <> pg_backend_pid()"
        )
        postgres.run(uri, query)
        with pytest.raises(SourceError, match="connection"):
            list(stream.batches)
        with pytest.raises(SourceError):
            source.read("a")

    over = threading.Event()

    def cut():
        while not over.wait(0.2):  # on a busy machine the connection may not be there at first
            postgres.run(postgres.uri, query)

    postgres.run(uri, "CREATE VIEW v AS SELECT t, pg_sleep(0.001)::text FROM a")
    killer = threading.Thread(target=cut)
    killer.start()
    with pytest.raises(SourceError, match="the connection was"):
        Database.from_uri(uri, tables=["v"], cache=tmp_path, memory_limit=1000)
    over.set()
    killer.join()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "error", "rule"),
    [
        ("postgresql://u:hunter2@127.0.0.1:1/db", SourceError, "nothing listens"),
        ("postgresql://u:hunter2@no-such-host.invalid/db", SourceError, "no such host"),
        ("postgresql://u:hunter2@/db?host=/nowhere", SourceError, "nothing listens"),
        ("postgresql://u:hunter2@localhost/db?colour=red", ConfigError, "not understood"),
        ("postgresql://u:hunter2@localhost:port/db", ConfigError, "no PostgreSQL address"),
        ("postgresql://u:hun/ter2@localhost/db", ConfigError, "no PostgreSQL address"),
        ("postgresql://u:hunt@er2@localhost/db", ConfigError, "no PostgreSQL address"),
    ],
)
def test_no_connection_is_reported_without_the_password(postgres, uri, error, rule):
    with pytest.raises(error, match=rule) as caught:
        Database.from_uri(uri)
    assert not any(part in str(caught.value) for part in ("hunter2", "ter2", "hunt@", "er2@"))


def test_passwords_come_from_the_address_or_the_environment(postgres, monkeypatch):
    postgres.create(
        "guarded",
        """CREATE TABLE a (x int); DROP ROLE IF EXISTS ann;
        CREATE ROLE ann LOGIN PASSWORD 'p@ss/w:rd'; GRANT SELECT ON a TO ann""",
    )
    postgres.ask_passwords("guarded")
    bare = postgres.address("guarded", "ann")
    with pytest.raises(SourceError, match="password") as caught:
        Database.from_uri(postgres.address("guarded", "ann", "wrong-secret"))
    assert "wrong-secret" not in str(caught.value)
    with pytest.raises(SourceError, match="none was given"):
        Database.from_uri(bare)
    given = Database.from_uri(postgres.address("guarded", "ann", "p%40ss%2Fw%3Ard"))
    assert given.source == postgres.address("guarded", "ann", "***")
    monkeypatch.setenv("SHOP_PASSWORD", "p@ss/w:rd")
    placed = Database.from_uri(postgres.address("guarded", "ann", "${SHOP_PASSWORD}"))
    assert placed.source == postgres.address("guarded", "ann", "${SHOP_PASSWORD}")
    monkeypatch.setenv("PGPASSWORD", "p@ss/w:rd")
    assert Database.from_uri(given.source).fingerprint == Database.from_uri(bare).fingerprint
    monkeypatch.setenv("SHOP", bare)
    assert Database.from_uri("${SHOP}").source == "${SHOP}"
    for each in (given, placed):
        assert "p@ss" not in repr(vars(each))


def test_a_missing_database_or_user(postgres):
    with pytest.raises(DataNotFound, match="no such database"):
        Database.from_uri(postgres.address("nowhere"))
    with pytest.raises(SourceError, match="does not know the user"):
        Database.from_uri(postgres.address("postgres", "nobody"))
    with pytest.raises(DataNotFound, match="NO_SUCH_VARIABLE is not set"):
        Database.from_uri("postgresql://${NO_SUCH_VARIABLE}@localhost/db")


def test_every_built_in_type_is_read(postgres):
    uri = postgres.create("types")
    query = "SELECT format_type(oid, NULL) FROM pg_type WHERE typtype IN ('b', 'r', 'm') AND typcategory <> 'A' " \
        "AND typnamespace = 'pg_catalog'::regnamespace AND typname NOT IN ('pg_node_tree', 'pg_ndistinct', " \
        "'pg_dependencies', 'pg_mcv_list', 'pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary', 'xml', 'char', " \
        "'aclitem', 'gtsvector', 'regrole')"  # fmt: skip
    types = [row[0] for row in postgres.run(uri, query)]
    assert len(types) > 50
    columns = ", ".join(f'"{name}" {name}, "{name}[]" {name}[]' for name in types)
    postgres.run(uri, f"CREATE TYPE pair AS (a int, b text); CREATE TABLE t ({columns}, p pair, q pair[]);"
                      "INSERT INTO t DEFAULT VALUES; INSERT INTO t (p, q, point, \"uuid[]\") VALUES "
                      "(row(1, 'x'), array[row(1, 'x')::pair], '(1,2)', array[gen_random_uuid()])")  # fmt: skip
    data = Database.from_uri(uri)["t"].data
    assert data.num_columns == 2 * len(types) + 1  # without bytea
    assert data.to_pylist()[1]["point"] == "(1,2)"
    assert not any(isinstance(field.type, pa.BaseExtensionType) for field in data.schema)


def test_numbers_that_no_float_holds_are_reported(postgres):
    uri = postgres.create("beyond", "CREATE TABLE t (x numeric); INSERT INTO t VALUES (1e400)")
    with pytest.raises(SourceError, match=r"table=t: a value is beyond .* out of range"):
        Database.from_uri(uri)


def test_other_encodings(postgres):
    for name, encoding in (("latin", "LATIN1"), ("ascii", "SQL_ASCII")):
        postgres.run(postgres.uri, f"DROP DATABASE IF EXISTS {name}")
        template = f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        postgres.run(postgres.uri, template)
    postgres.run(postgres.address("latin"), "CREATE TABLE t AS SELECT convert_from('\\xe9', 'LATIN1') AS w")
    assert Database.from_uri(postgres.address("latin"))["t"].data["w"].to_pylist() == ["é"]
    postgres.run(postgres.address("ascii"), "CREATE TABLE t AS SELECT convert_from('\\xe9', 'SQL_ASCII') AS w, 1 AS a")
    with pytest.raises(SourceError, match="table=t: it holds text that is not UTF-8"):
        Database.from_uri(postgres.address("ascii"))
    assert Database.from_uri(postgres.address("ascii"), drop={"t": ["w"]}).num_rows == 1

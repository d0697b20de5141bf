"""Addresses: what they name, and that their passwords never show."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relselect.configs import open_database
from relselect.database import Database
from relselect.database.sources.uri import check_variables, is_uri, literal_password, parse_uri, redact, redact_all
from relselect.errors import ConfigError, DataNotFound, UserError

#: Whole and malformed addresses; the secret is never more than this word.
SECRET = "hunter2"
SHOWN = {
    "postgresql://ann:hunter2@db/shop": "postgresql://ann:***@db/shop",
    "postgres://ann:hunter2@db:5432,other:5433/shop?sslmode=require": "postgres://ann:***@db:5432,other:5433/shop?sslmode=require",
    "postgresql://ann@db/shop": "postgresql://ann@db/shop",
    "postgresql://ann:${PGPASSWORD}@db/shop": "postgresql://ann:${PGPASSWORD}@db/shop",
    "postgresql://ann:hunter2@[::1]:5432/shop": "postgresql://ann:***@[::1]:5432/shop",
    "postgresql://db/shop?user=ann&password=hunter2": "postgresql://db/shop?user=ann&password=***",
    "postgresql://db/shop?sslpassword=hunter2&x=1": "postgresql://db/shop?sslpassword=***&x=1",
    "postgresql://ann:hun/ter2hunter2@db/shop": "postgresql://ann:***@db/shop",
    "postgresql://ann:12/hunter2@db": "postgresql://ann:***@db",
    "postgresql://ann:a@hunter2@db/shop": "postgresql://ann:***@db/shop",
    "postgresql://ann:a?hunter2#@db/shop": "postgresql://ann:***@db/shop",
    "postgresql://ann:a hunter2@db/shop": "postgresql://ann:***@db/shop",
    "postgres:/ann:hunter2@db/shop": "postgres:/***@db/shop",
    "ann:hunter2@db/shop": "ann:***@db/shop",
    "mysql+pymysql://ann:hunter2@db/shop": "mysql+pymysql://ann:***@db/shop",
    "host=db password=hunter2 user=ann": "host=db password=*** user=ann",
    "host=db password='my hunter2' user=ann": "host=db password=*** user=ann",
    "postgresql://ann@db/shop?pass%77ord=hunter2": "postgresql://ann@db/shop?pass%77ord=***",
    "postgresql://ann@db/shop?p%2561ssword=hunter2&sslmode=require": "postgresql://ann@db/shop?p%2561ssword=***&sslmode=require",
    "postgresql://ann@db/shop?options=-c%20app.token=hunter2": "postgresql://ann@db/shop?options=***",
    "postgresql://ann@db/shop?options=-csearch_path%3Dshop": "postgresql://ann@db/shop?options=-csearch_path%3Dshop",
    "postgresql://ann@db/shop?oauth_client_secret=hunter2": "postgresql://ann@db/shop?oauth_client_secret=***",
    "postgresql://ann@db/shop?sslkey=/home/ann/key": "postgresql://ann@db/shop?sslkey=/home/ann/key",
    "sqlite:///x.db?key=hunter2": "sqlite:///x.db?key=***",
    "duckdb:///x.db?motherduck_token=hunter2": "duckdb:///x.db?motherduck_token=***",
    "sqlite:///data/a:b@c.sqlite": "sqlite:///data/a:b@c.sqlite",
    "/data/a@b/shop": "/data/a@b/shop",
}


@pytest.mark.parametrize("uri", SHOWN)
def test_passwords_are_hidden(uri):
    assert redact(uri) == SHOWN[uri]
    assert redact(redact(uri)) == redact(uri)
    assert literal_password(uri) == (SECRET in uri)


@given(password=st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=4, max_size=20))
def test_any_password_is_hidden(password):
    # what stays visible must not hold the password by chance
    secret = f"Q{password}Q"
    assert secret not in redact(f"postgresql://ann:{secret}@db.example.org/shop?sslmode=require")


@pytest.mark.parametrize("uri", [uri for uri in SHOWN if SECRET in uri])
def test_no_error_holds_a_password(uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")
    for open_it in (Database.from_uri, open_database):
        with pytest.raises(UserError) as caught:
            open_it(uri.replace("@db", "@127.0.0.1:1").replace("//db", "//127.0.0.1:1"))
        assert SECRET not in str(caught.value)
        assert SECRET not in repr(caught.value)


def test_texts_with_addresses_are_redacted():
    assert redact_all("see postgresql://a:b@c/d and x") == "see postgresql://a:***@c/d and x"


def test_paths_and_addresses_of_files(tmp_path, monkeypatch):
    file = tmp_path / "shop.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE t (a int)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_DIR", str(tmp_path))
    for uri in (
        "shop.db",
        file,
        f"sqlite:///{file}",
        "sqlite:///shop.db",
        f"file://{file}",
        "sqlite:///${SHOP_DIR}/shop.db",
    ):
        address = parse_uri(uri)
        assert (address.kind, address.name) == ("sqlite", "shop")
        assert address.path.resolve() == file
    assert parse_uri("sqlite:///shop.db", tmp_path).path == file
    assert Database.from_uri(f"sqlite:///{file}").source == str(file)
    assert open_database(f"sqlite:///{file}").fingerprint == open_database(str(file)).fingerprint


@pytest.mark.parametrize(
    ("uri", "error", "rule"),
    [
        (
            "mysql://db/shop",
            ConfigError,
            "mysql databases are not read.*postgresql://.*sqlite:///.*duckdb:///.*TYPE mysql",
        ),
        ("snowflake://db/shop", ConfigError, "snowflake databases are not read.*TABLE.parquet"),
        ("sqlite://shop.db", ConfigError, "Write sqlite:///shop.sqlite"),
        ("file://server/share", ConfigError, "Write file:///data/shop"),
        ("sqlite:///no-such.db", DataNotFound, "no such file"),
        ("duckdb:///.", DataNotFound, "no duckdb file"),
        ("host=db dbname=shop", ConfigError, "keywords"),
        ("${RELSELECT_NO_SUCH}", DataNotFound, "is not set"),
    ],
)
def test_what_is_no_address_is_refused(uri, error, rule):
    with pytest.raises(error, match=rule):
        Database.from_uri(uri)


def test_what_is_an_address():
    assert is_uri("postgresql://db")
    assert is_uri("${DATABASE_URL}")
    assert not is_uri("data/shop")
    assert not is_uri("C:\\data")


@pytest.mark.parametrize(
    "wish",
    [{"where": "total > 1"}, {"columns": ["a"]}, {"tables": "t"}, {"limit": 0}, {"limit": {"t": "x"}}, {"drop": ["a"]}],
)
def test_arguments_of_another_shape_are_refused(wish):
    with pytest.raises(ConfigError, match=next(iter(wish))):
        Database.from_uri("sqlite:///x", **wish)


@pytest.mark.parametrize("name", ["HOME", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "pgpassword", "XRELSELECT_A"])
def test_an_address_in_a_file_reads_no_other_variable(name, monkeypatch):
    monkeypatch.setenv(name, "hunter2")
    with pytest.raises(ConfigError, match=f"names the variable {name}.*RELSELECT_VARIABLES={name}"):
        check_variables(f"postgresql://db.example.org/${{{name}}}")
    monkeypatch.setenv("RELSELECT_VARIABLES", f"OTHER, {name}")
    check_variables(f"postgresql://db.example.org/${{{name}}}")


@pytest.mark.parametrize("name", ["PGUSER", "PGPASSWORD", "DATABASE_URL", "RELSELECT_SHOP"])
def test_an_address_in_a_file_reads_the_documented_variables(name):
    check_variables(f"postgresql://${{{name}}}@db/shop")


def test_hidden_parameters_are_left_out_when_an_address_is_opened_again():
    assert (
        parse_uri("postgresql://db/shop?sslpassword=***&sslmode=require").secret_uri
        == "postgresql://db/shop?sslmode=require"
    )

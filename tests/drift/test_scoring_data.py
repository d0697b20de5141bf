"""Scoring where the data are: only what is needed is read, and the predictions are those of the whole database."""

from __future__ import annotations

import datetime as dt

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

import relselect as rs
from relselect.database.clock import moment_of
from relselect.database.contents import SourceFacts
from relselect.drift import TrainingSnapshot, needs_of, read_scoring_data
from relselect.drift.needs import _mentioned
from relselect.errors import BundleError, SchemaError, TaskError
from relselect.fitted import Fitted
from tests.drift.places import in_duckdb, in_files, in_postgres, in_sqlite, tables

AT = "1970-10-20"


@pytest.fixture(scope="module", params=["dfs", "rdl"])
def fit(request, trained):
    return trained(request.param)[0]


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory):
    return rs.load(trained("dfs")[0].save(tmp_path_factory.mktemp("bundle") / "dfs"))


@pytest.fixture(scope="module")
def places(postgres, tmp_path_factory):
    folder, data = tmp_path_factory.mktemp("places"), tables()
    return {
        "sqlite": in_sqlite(folder / "shop.sqlite", data),
        "duckdb": in_duckdb(folder / "shop.duckdb", data),
        "postgresql": in_postgres(postgres, "scored", data),
        "files": in_files(folder / "files", data),
    }


@pytest.mark.parametrize("place", ["sqlite", "duckdb", "postgresql", "files"])
def test_predictions_are_those_of_the_whole_database(fit, places, place):
    reading = fit.read(places[place])
    assert {name: reading.database[name].columns for name in reading.database.tables} == {
        name: list(shape.columns) for name, shape in fit.needs.items()
    }
    assert "remark" not in reading.database["users"].columns
    pd.testing.assert_frame_equal(fit.predict(reading.database, at=AT), fit.predict(at=AT))
    assert not reading.drift.errors
    told = {(each.table, each.column, each.what) for each in reading.drift.findings}
    assert ("users", "remark", "column") in told


def test_what_no_feature_reads_is_not_needed(database, trained):
    fit = trained("dfs")[0]
    few = fit.candidate.model.plan.filter(tables="orders", columns="total")
    candidate = type(fit.candidate)(
        **{**vars(fit.candidate), "model": type(fit.candidate.model)(few, fit.candidate.model.vocabulary, None)}
    )
    found = fit.family.reads(candidate)
    assert len(few) > 3
    assert found == {"orders": {"total"}}
    needs = needs_of(fit.task, fit.family, candidate, fit.snapshot.tables)
    assert set(needs) == {"users", "orders"}
    assert set(needs["orders"].columns) == {"oid", "user_id", "when", "closed", "total"}
    assert [key.table for key in needs["orders"].foreign_keys] == ["users"]
    assert needs["orders"].known_at == {"closed": ()}


@pytest.mark.parametrize(
    ("query", "needed"),
    [
        ("SELECT c.cutoff, u.id FROM cutoffs c, users u", {"users": {"id"}}),
        ("SELECT cutoff, id FROM cutoffs, users WHERE Age > 3 AND count(*) > 2", {"users": {"id", "age"}}),
        ("SELECT cutoff, users.* FROM cutoffs, users", "all"),
        ("SELECT cutoff, u FROM cutoffs, users u", "all"),
        ("SELECT cutoff, COLUMNS('i.*') FROM cutoffs, users", "all"),
        ("SELECT cutoff, id FROM cutoffs NATURAL JOIN users", "all"),
        ("SELECT FROM WHERE (", "all"),
    ],
)
def test_what_a_query_mentions(fit, query, needed):
    shapes = fit.snapshot.tables
    everything = {name: set(shape.columns) for name, shape in shapes.items()}
    assert _mentioned(query, shapes) == (everything if needed == "all" else needed)


def test_now_is_the_present_moment(saved, database):
    frame = saved.predict(database, at="now")
    moment = pd.Timestamp(dt.datetime.now(dt.UTC)).tz_localize(None)
    assert ((moment - frame["cutoff"]) < pd.Timedelta("5min")).all()
    assert len(frame) == len(saved.predict(database, at=moment))


def test_now_means_nothing_among_integers():
    for word in ("now", "Today"):
        with pytest.raises(TaskError, match=f"at={word}: means nothing where times are integers"):
            moment_of(word, "integer")


def test_everything_that_is_missing_is_told_at_once(saved, tmp_path):
    data = tables()
    data["orders"] = data["orders"].drop_columns(["total"])
    data["users"] = data["users"].set_column(2, "age", pa.array(["old"] * data["users"].num_rows))
    del data["products"]
    with pytest.raises(SchemaError) as caught:
        saved.read(in_sqlite(tmp_path / "shop.sqlite", data))
    told = {(problem.table, problem.column) for problem in caught.value.problems}
    assert told == {("orders", "total"), ("users", "age"), ("products", None)}


def test_rows_are_chosen_where_they_are(saved, places):
    reading = saved.read(places["postgresql"], where={"orders": "total > 10"})
    full = saved.read(places["postgresql"])
    assert 0 < reading.database["orders"].num_rows < full.database["orders"].num_rows
    with pytest.raises(SchemaError, match="not read by the predictor"):
        saved.read(places["postgresql"], where={"nothing": "true"})


def test_a_manifest_says_where_to_read(saved, places, tmp_path):
    manifest = tmp_path / "shop.yaml"
    manifest.write_text(f"name: shop\nuri: {places['postgresql']}\ntables: {{orders: {{where: total > 10}}}}\n")
    few = saved.read(manifest).database["orders"].num_rows
    assert few == saved.read(places["postgresql"], where={"orders": "total > 10"}).database["orders"].num_rows


def test_what_a_manifest_drops_is_no_news(saved, places, tmp_path, monkeypatch):
    monkeypatch.setenv("RELSELECT_ALLOW_PATHS", "1")  # the file lies outside the folder of the manifest
    manifest = tmp_path / "shop.yaml"
    manifest.write_text(
        f"name: shop\nuri: {places['sqlite']}\ntables: {{users: {{drop: [remark]}}, orders: {{drop: [total]}}}}\n"
    )
    reading = saved.read(manifest)
    assert "remark" not in str(reading.drift.findings)
    assert "total" in reading.database["orders"].columns  # the predictor needs it


def test_an_old_predictor_is_told(saved, database):
    old = Fitted(**{**arguments(saved), "snapshot": None})
    with pytest.raises(BundleError, match="without a note"):
        old.drift(database)
    pd.testing.assert_frame_equal(old.predict(database, at=AT), saved.predict(database, at=AT))


def arguments(fit):
    names = ("task", "types", "schema", "family", "result", "source", "declared")
    return {name: getattr(fit, name) for name in names}


@pytest.fixture
def two_schemas(tmp_path):
    place = tmp_path / "two.duckdb"
    with duckdb.connect(str(place)) as connection:
        connection.execute("CREATE SCHEMA crm; CREATE SCHEMA sales")
        connection.execute("CREATE TABLE crm.users (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO crm.users SELECT range FROM range(9)")
        connection.execute("CREATE TABLE sales.orders AS SELECT range % 9 AS user_id, range AS day FROM range(40)")
        connection.execute("CREATE TABLE sales.returns AS SELECT 1 AS x")
        connection.execute("CREATE VIEW sales.late AS SELECT * FROM sales.orders WHERE day > 20")
    return place


def test_the_schemas_of_training_are_read_again_and_what_was_there_before_is_no_drift(two_schemas):
    trained = rs.Database.from_uri(
        two_schemas, schema=["crm", "sales"], tables=["crm.users", "sales.orders"], times={"sales.orders": "day"},
        foreign_keys={"sales.orders": {"user_id": "crm.users"}},
    )  # fmt: skip
    assert trained.facts == SourceFacts(("crm", "sales"), ("sales.late", "sales.returns"))
    snapshot = TrainingSnapshot.of(trained, {})
    found = read_scoring_data(snapshot, snapshot.tables, {}, two_schemas, facts=trained.facts)
    assert list(found.database.tables) == ["crm.users", "sales.orders"]
    assert found.drift.findings == ()
    with duckdb.connect(str(two_schemas)) as connection:
        connection.execute("CREATE VIEW sales.early AS SELECT 1 AS x")
        connection.execute("CREATE TABLE sales.more AS SELECT 1 AS x")
    later = read_scoring_data(snapshot, snapshot.tables, {}, two_schemas, facts=trained.facts).drift
    assert [(each.table, each.what, each.severity) for each in later.findings] == [("sales.more", "table", "note")]


def test_one_schema_that_is_not_the_default_is_read_again(two_schemas):
    trained = rs.Database.from_uri(two_schemas, schema="crm")
    snapshot = TrainingSnapshot.of(trained, {})
    found = read_scoring_data(snapshot, snapshot.tables, {}, f"duckdb:///{two_schemas}", facts=trained.facts)
    assert list(found.database.tables) == ["users"]
    with pytest.raises(SchemaError, match="users"):
        read_scoring_data(snapshot, snapshot.tables, {}, two_schemas, facts=trained.facts, schema="sales")


def test_label_files_in_the_folder_of_the_data_are_no_tables(tmp_path):
    pd.DataFrame({"id": range(9)}).to_parquet(tmp_path / "users.parquet")
    for name in ("train", "val"):
        pd.DataFrame({"id": range(9), "cutoff": 3, "y": 1}).to_parquet(tmp_path / f"{name}.parquet")
    task = "{entity: users, kind: binary, target: y, time: cutoff, files: {train: ./train.parquet, val: val.parquet}}"
    (tmp_path / "database.yaml").write_text(f"name: shop\nuri: .\ntables: {{}}\ntasks:\n  churn: {task}\n")
    trained = rs.Database.from_uri(tmp_path)
    assert list(trained.tables) == ["users"]
    snapshot = TrainingSnapshot.of(trained, {})
    found = read_scoring_data(snapshot, snapshot.tables, {}, tmp_path, facts=trained.facts)
    assert found.drift.findings == ()


def test_a_saved_predictor_keeps_what_training_read_of_the_source(trained, tmp_path):
    fit = trained("dfs")[0]
    fit.facts = SourceFacts(("crm", "sales"), ("sales.late",))
    try:
        assert rs.load(fit.save(tmp_path / "saved")).facts == fit.facts
    finally:
        fit.facts = SourceFacts()


@pytest.mark.parametrize("place", [in_sqlite, in_files])
def test_formats_of_the_training_read_later_data(tmp_path, place):
    declared = {"keys": {"orders": "oid"}, "times": {"orders": "day"}}
    formats = {"orders": {"day": "DD/MM/YYYY", "total": "1.234,56"}}

    def orders(days: list[str], totals: list[str]) -> str:
        data = pa.table({"oid": list(range(len(days))), "day": days, "total": totals})
        name = f"of_{len(days)}"
        return place(tmp_path / (name if place is in_files else f"{name}.sqlite"), {"orders": data})

    trained = rs.Database.from_uri(orders(["31/01/2024", "01/02/2024"], ["1.234,50", "7"]), formats=formats, **declared)
    snapshot = TrainingSnapshot.from_json(TrainingSnapshot.of(trained, {}).to_json())
    # by themselves these days could be months, and the totals fractions
    later = orders(["01/03/2024", "02/03/2024", "03/03/2024"], ["1.500", "2.500", "3.500"])
    reading = read_scoring_data(snapshot, snapshot.tables, {}, later, facts=trained.facts)
    assert not [each for each in reading.drift.findings if each.severity != "note"]
    assert reading.database["orders"].data["total"].to_pylist() == [1500.0, 2500.0, 3500.0]
    assert [day.month for day in reading.database["orders"].data["day"].to_pylist()] == [3, 3, 3]

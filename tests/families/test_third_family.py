"""A family that the package does not know, registered by one line, takes part in everything."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typer.testing import CliRunner

import relselect as rs
from relselect.api import recommend
from relselect.cli.main import app
from relselect.display.terminal import leaderboard_table, verdict_lines
from relselect.errors import BundleError
from relselect.families import FamilyInfo, family_infos, registered
from relselect.report import render_html, render_markdown
from tests.conftest import few_steps
from tests.families.contract import FamilyContract
from tests.families.ridge import RIDGE
from tests.shop import labels, shop_tables, shop_task


class TestRidge(FamilyContract):
    @pytest.fixture
    def info(self) -> FamilyInfo:
        return RIDGE


@pytest.fixture(scope="module", autouse=True)
def known():
    """Ridge regression is a registered family while this module's tests run."""
    with registered(RIDGE):
        yield
    assert RIDGE not in family_infos()


@pytest.fixture(scope="module")
def alone(database, tables, known):
    return rs.select_and_train(database, shop_task(database, tables), "60s", families="ridge", max_trials=3)


@pytest.fixture(scope="module")
def together(database, tables, known):
    with few_steps():
        return rs.select_and_train(
            database, shop_task(database, tables), "120s", families=("dfs", "rdl", "ridge"), max_trials=1
        )


@pytest.fixture(params=["alone", "together"])
def fit(request: pytest.FixtureRequest) -> rs.Fitted:
    return request.getfixturevalue(request.param)


def test_it_stands_in_the_leaderboard(alone, together):
    board = alone.leaderboard()
    assert (board["family"] == "ridge").sum() == 3
    assert set(board["family"]) == {"constants", "ridge"}
    assert set(together.leaderboard()["family"]) - {"blended"} == {"constants", "dfs", "rdl", "ridge"}
    assert together.leaderboard().query("family == 'ridge'")["test_score"].notna().all()
    assert "ridge" in together.result.families


def test_it_stands_in_every_form_of_the_report(fit, tmp_path):
    page = fit.report(tmp_path / "report.html").read_text(encoding="utf-8")
    record = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    described = next(each for each in record["families"] if each["name"] == "ridge")
    assert (described["title"], described["colour_light"], described["baseline"]) == (RIDGE.title, "#8a5a00", False)
    assert any(row["family"] == "ridge" for row in record["leaderboard"])
    assert "Ridge" in page
    assert RIDGE.description in page
    assert "#8a5a00" in page
    assert "Ridge" in render_markdown(record)
    assert render_html(record) == page


def test_it_stands_in_the_tables_of_a_terminal(fit):
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(leaderboard_table(fit.record), *verdict_lines(fit.record))
    assert "Ridge" in console.export_text()


def test_it_is_saved_and_loaded_with_both_of_its_states(alone, database, tmp_path):
    loaded = rs.load(alone.save(tmp_path / "bundle"))
    # ridge regression may lose to the constants on these labels: what was decided is saved
    assert loaded.candidate.family == alone.candidate.family
    assert loaded.leaderboard().equals(alone.leaderboard())
    for asked in ({"split": "val"}, {"split": "test"}, {"at": "1970-10-20"}):
        assert loaded.predict(**asked, database=database).equals(alone.predict(**asked))


def test_a_deployed_third_family_predicts(database, tables, tmp_path):
    """The label depends on the users' age, which ridge regression reads: it is deployed, refitted, saved and loaded."""
    task = shop_task(database, tables, "regression", labels=by_age(tables))
    fitted = rs.select_and_train(database, task, "60s", families="ridge", max_trials=2)
    assert fitted.candidate.family == "ridge"
    assert fitted.decision.refitted
    assert fitted.deployed.importances.features[0].feature == "age"
    found = fitted.predict(split="test")["prediction"]
    assert np.corrcoef(found, task.splits["test"].label)[0, 1] > 0.9
    folder = fitted.save(tmp_path / "bundle")
    for split in ("val", "test"):
        again = rs.load(folder).predict(split=split, database=database)
        assert again.equals(fitted.predict(split=split))
    assert not np.allclose(
        fitted.family.predict(fitted.candidate, fitted.problem(), fitted.problem().rows("val")),
        fitted.family.predict(fitted.deployed, fitted.problem(), fitted.problem().rows("val")),
        atol=1e-12,
    )


def by_age(tables):
    frame = labels(tables, "regression")
    age = dict(zip(tables["users"]["id"].to_pylist(), tables["users"]["age"].to_pylist(), strict=True))
    noise = np.random.default_rng(0).normal(size=len(frame))
    label = np.array([age[key] or 0 for key in frame["id"].to_pylist()]) + noise
    return frame.set_column(frame.column_names.index("label"), "label", pa.array(label))


def test_the_recommendation_trains_it_while_nothing_is_known_of_it(database, tables):
    advice = recommend(database, shop_task(database, tables))
    assert "ridge" in advice.families
    assert "ridge" not in advice.margins
    assert RIDGE.short in render_html(advice.record)


def test_the_commands_take_its_name(tmp_path):
    folder = shop_folder(tmp_path)
    run = CliRunner()
    train = ["train", str(folder), "--task", "reorder", "--families", "ridge", "--max-trials", "2", "--out"]
    shown = run.invoke(app, [*train, str(tmp_path / "one")])
    assert shown.exit_code == 0, shown.stderr
    assert "Ridge" in shown.stdout
    told = run.invoke(app, [*train, str(tmp_path / "two"), "--json"])
    assert {row["family"] for row in json.loads(told.stdout)["leaderboard"]} == {"constants", "ridge"}
    predicted = run.invoke(app, ["predict", str(tmp_path / "one"), "--split", "val", "--out", str(tmp_path / "p.csv")])
    assert predicted.exit_code == 0, predicted.stderr
    assert len(pd.read_csv(tmp_path / "p.csv"))
    again = run.invoke(app, ["report", str(tmp_path / "one"), "--out", str(tmp_path / "report.md")])
    assert again.exit_code == 0, again.stderr
    assert "Ridge" in (tmp_path / "report.md").read_text(encoding="utf-8")


def shop_folder(place):
    folder = place / "shop"
    folder.mkdir()
    tables = shop_tables()
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet")
    frame = labels(tables)
    cutoffs = frame["cutoff"].to_numpy()
    parts = np.digitize(cutoffs.astype("datetime64[D]").astype(int), [180, 230])
    for number, split in enumerate(("train", "val", "test")):
        pq.write_table(frame.filter(parts == number), folder / f"{split}.parquet")
    (folder / "database.yaml").write_text("""
name: shop
tables:
  users: {primary_key: id}
  products: {primary_key: sku}
  orders:
    primary_key: oid
    time: when
    drop: [closed, state]
    foreign_keys: [{columns: user_id, table: users}, {columns: sku, table: products}]
tasks:
  reorder:
    entity: users
    kind: binary
    target: label
    time: cutoff
    horizon: 30d
    files: {train: train.parquet, val: val.parquet, test: test.parquet}
""")
    return folder


def test_a_bundle_of_a_family_that_is_not_there_says_so(database, tables, tmp_path):
    task = shop_task(database, tables, "regression", labels=by_age(tables))
    other = FamilyInfo(**{**vars(RIDGE), "name": "gone", "make": make_gone})
    with registered(other):
        folder = rs.select_and_train(database, task, "60s", families="gone", max_trials=1).save(tmp_path / "bundle")
    with pytest.raises(BundleError, match="family=gone: is not registered"):
        rs.load(folder)


def make_gone():
    family = RIDGE.make()
    family.name = "gone"
    return family

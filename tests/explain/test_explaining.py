"""Explanations of single predictions: parts add up, words hold real numbers, later rows change nothing, every kind of task."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import relselect as rs
from relselect.budget import Budget
from relselect.database.clock import DAY
from relselect.errors import ConfigError, TaskError, UnknownEntityWarning
from relselect.explain.explaining import explain_rows
from relselect.explain.past import OTHERS, parts_of, window_ticks
from relselect.explain.withholding import without_rows
from relselect.families import family_of
from relselect.problem import Problem, bind_frame
from relselect.problem.rows import fit_rows
from tests.explain.planted import FAMILIES, changed, fit_of, shop_fit, tables
from tests.families.contract import trained as small_fit
from tests.shop import days


def explained(fit, rows, problem=None, **how):
    problem = problem or fit.problem
    keys = pa.table({"id": problem.database["users"].data["id"].take(pa.array(np.maximum(rows.entity, 0)))})
    how = {"budget": Budget(None), "pairs": 1, **how}
    return explain_rows(problem, fit.family, fit.candidate, rows, keys, **how)


def some(fit, count: int = 1):
    return fit.rows.select.take(slice(0, count))


@pytest.mark.parametrize("name", FAMILIES)
def test_parts_add_up_to_the_prediction_less_that_without_history(name):
    fit = fit_of(name)
    rows = some(fit)
    for row, found in zip(fit.predict(rows=rows), explained(fit, rows), strict=True):
        assert found.prediction == pytest.approx(row, abs=1e-5)  # batches of one row
        assert sum(part.share for part in found.parts) == pytest.approx(found.prediction - found.base, abs=1e-12)
        assert sum(table.share for table in found.tables) == pytest.approx(found.prediction - found.base, abs=1e-12)
        assert found.target == "probability of true"


@pytest.mark.parametrize("name", FAMILIES)
def test_the_base_is_the_prediction_with_everything_else_hidden(name):
    fit = fit_of(name)
    rows, database = some(fit, 1), fit.problem.database
    hidden = {table: np.ones(database[table].num_rows, dtype=bool) for table in database.tables}
    hidden["users"][rows.entity[0]] = False
    alone = fit.predict(without_rows(fit.problem, hidden), rows)[0]
    assert explained(fit, rows)[0].base == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_recent_payments_push_most(name):
    fit = fit_of(name)
    rows = fit.rows.select
    predicted = fit.predict()
    top = np.argsort(predicted)[[0, -1]]
    low, high = explained(fit, rows.take(top))
    recent = [
        sum(p.share for p in found.parts if p.table == "payments" and p.window == "the last 30 days")
        for found in (low, high)
    ]
    assert high.tables[0].table == "payments"
    assert recent[1] > 0.05
    assert recent[0] < recent[1]


@pytest.mark.parametrize("name", FAMILIES)
def test_later_rows_change_nothing(name):
    fit, data = fit_of(name), tables()
    rows = some(fit)
    late = 40.0 + np.arange(200) + float(rows.cutoff.max()) / DAY
    payments = data["payments"].slice(0, 200).to_pydict()
    payments |= {"number": np.arange(200) + 10**6, "when": days(late), "amount": np.full(200, 1e6)}
    more = pa.concat_tables([data["payments"], pa.table(payments).cast(data["payments"].schema)])
    other = changed(fit.problem, {**data, "payments": more})
    for one, two in zip(explained(fit, rows), explained(fit, rows, other), strict=True):
        assert [(p.name, p.rows) for p in one.parts] == [(p.name, p.rows) for p in two.parts]
        assert [p.share for p in one.parts] == pytest.approx([p.share for p in two.parts], abs=1e-5)
        assert one.words == two.words
        assert one.rows("payments").equals(two.rows("payments"))


def test_parts_are_disjoint_and_cover_what_is_visible(problem):
    database, row = problem.database, problem.rows("val").take(slice(5, 6))
    entity, cutoff, asof = int(row.entity[0]), int(row.cutoff[0]), int(row.asof[0])
    parts = parts_of(problem, entity, cutoff, asof, window_ticks(problem), list(database.tables))
    for name in database.tables:
        rows = np.concatenate([part.rows[name] for part in parts if name in part.rows])
        visible = np.flatnonzero(database.times(name) <= asof)
        wanted = np.setdiff1d(visible, [entity]) if name == problem.entity else visible
        assert sorted(rows) == wanted.tolist()
    orders = database["orders"].data["user_id"].to_numpy()
    mine = int(database["users"].data["id"][entity].as_py())
    for part in parts:
        if part.table == "orders":
            assert (orders[part.rows["orders"]] == mine).all()
            ages = (cutoff - database.times("orders")[part.rows["orders"]]) / DAY
            low, high = {"the last 30 days": (0, 30), "30 days to 90 days before": (30, 90)}.get(part.window, (90, 1e9))
            assert ((ages >= low) & (ages < high)).all()
    bought = {sku for sku, by in zip(database["orders"].data["sku"].to_pylist(), orders, strict=True) if by == mine}
    referred = next(part for part in parts if part.relation == "referred")
    names = np.array(database["products"].data["sku"].to_pylist())
    assert set(names[referred.rows["products"]]) <= bought
    assert parts[-1].table == OTHERS


def test_words_hold_the_real_numbers():
    frame = pd.DataFrame(
        {"user": [7] * 5, "when": pd.to_datetime("2024-01-01") + pd.to_timedelta([0, 12, 24, 36, 48], "D")}
    )
    frame["amount"] = [1.0, 2.0, 3.0, 4.0, 5.0]
    others = pd.DataFrame(
        {"user": np.arange(40) % 20 + 10, "when": pd.date_range("2024-01-01", periods=40), "amount": 1.0}
    )
    made = rs.Database.from_dataframes(
        {"users": pd.DataFrame({"id": [7, *range(10, 30)]}), "orders": pd.concat([frame, others])},
        keys={"users": "id"}, times={"orders": "when"}, foreign_keys={"orders": {"user": "users"}},
    )  # fmt: skip
    dates = pd.to_datetime(["2024-02-01", "2024-03-01", "2024-04-01"])
    asked = pd.DataFrame([(user, date) for date in dates for user in range(10, 30)], columns=["id", "cutoff"])
    asked["label"] = asked["id"] % 2 == 0
    task = rs.Task.from_labels(
        made, asked, name="t", entity="users", kind="binary", time="cutoff", horizon="10d", known_after=None
    )
    problem = Problem(made, task)
    family = family_of("dfs")
    candidate = small_fit(family, problem, fit_rows(problem))
    when = pd.Timestamp("2024-02-18") + pd.Timedelta("94D")
    rows, keys, _ = bind_frame(problem, pd.DataFrame({"id": [7], "cutoff": [when]}))
    found = explain_rows(problem, family, candidate, rows, keys, budget=Budget(None))[0]
    assert found.words["orders own"] == "none for 94 days; usually one every 12 days"
    assert "orders (5 rows): none for 94 days; usually one every 12 days" in str(found)
    assert found.rows("orders")["amount"].tolist() == [5.0, 4.0, 3.0, 2.0, 1.0]
    assert found.headline.startswith("t, id=7 at 2024-05-22: probability of true")
    with pytest.raises(ConfigError, match="orders"):
        found.rows("users")


@pytest.mark.parametrize("name", ["dfs", "rdl", "constants"])
@pytest.mark.parametrize("kind", ["regression", "multiclass", "static"])
def test_other_kinds_of_tasks(name, kind):
    fit = shop_fit(name, kind)
    found, predicted = explained(fit, some(fit))[0], fit.predict(rows=some(fit))[0]
    assert found.prediction == pytest.approx(float(np.max(predicted)), abs=1e-6)
    assert sum(part.share for part in found.parts) == pytest.approx(found.prediction - found.base, abs=1e-12)
    assert (found.cutoff is None) == (kind == "static")
    assert kind != "static" or not any(part.window for part in found.parts)
    json.dumps(found.to_json(), allow_nan=False)


def test_integer_times_have_windows_in_units():
    fit = fit_of("dfs", integer=True)
    found = explained(fit, some(fit, 1))[0]
    assert {p.window for p in found.parts if p.table == "payments"} >= {"the last 300 units"}
    assert found.cutoff == str(fit.rows.select.cutoff[0])


def test_windows_of_ones_own(problem):
    assert window_ticks(problem, ("7d", "1d")) == (DAY, 7 * DAY)
    with pytest.raises(TaskError, match="longer than zero"):
        window_ticks(problem, ("0d",))


def test_a_predictor_explains_by_rows_by_entity_and_by_split(trained):
    fit, _ = trained("dfs,rdl")
    table = fit.predict(split="test").head(2)[["id", "cutoff"]]
    by_rows = fit.explain(table)
    assert len(by_rows) == 2
    key, cutoff = int(table["id"][0]), table["cutoff"][0]
    assert fit.explain(entity=key, at=cutoff)[0] == by_rows[0]
    assert fit.explain(entity=key, at=str(cutoff))[0] == by_rows[0]
    assert fit.explain(entity=key)[0].cutoff == "1970-09-28"  # the last cutoff of the task
    frame = by_rows.to_frame()
    assert set(frame["row"]) == {0, 1}
    assert len(by_rows.to_json()) == 2
    assert "without any history" in str(by_rows)
    assert "<p>" in by_rows._repr_html_()
    with pytest.raises(TaskError, match="too many"):
        fit.explain(split="train")
    with pytest.raises(TaskError, match="excludes"):
        fit.explain(table, entity=key)
    with pytest.raises(TaskError, match="one part for each of id"):
        fit.explain(entity=(key, 2))


def test_an_unknown_entity_rests_on_nothing(trained):
    fit, _ = trained("dfs,rdl")
    known = int(fit.predict(split="test")["id"].iloc[0])
    rows = pd.DataFrame({"id": [-1, known], "cutoff": pd.to_datetime(["1970-10-01"] * 2)})
    with pytest.warns(UnknownEntityWarning):
        stranger, other = fit.explain(rows)
    assert stranger.parts == ()
    assert stranger.prediction == stranger.base
    assert "No row of the database" in str(stranger)
    assert other.parts


def test_a_loaded_predictor_explains_alike(trained, database, tmp_path):
    fit, _ = trained("dfs")
    loaded = rs.load(fit.save(tmp_path / "saved"))
    rows = fit.predict(split="test").head(2)[["id", "cutoff"]]
    assert loaded.explain(rows, database=database) == fit.explain(rows)
    assert loaded.importance(database) == fit.importance()
    assert loaded.staleness(database=database) == fit.staleness()
    assert loaded.result.explanation == fit.result.explanation

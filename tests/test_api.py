"""One call, end to end on a small shop: what comes back, what is kept after a kill or Ctrl-C, and how long it takes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

import relselect as rs
from relselect.api import profile as measure_task
from relselect.budget import Budget
from relselect.errors import BudgetError, ConfigError, RelSelectError, TaskError, UnknownEntityWarning
from relselect.events import EpochDone, Notice, StageFinished, StageStarted, TrialFinished, TrialStarted
from relselect.presets import PRESETS
from tests.shop import shop, shop_task

pytestmark = pytest.mark.usefixtures("brief_networks")


def test_the_leaderboard_holds_all_families(trained):
    fit, _ = trained("dfs,rdl")
    board = fit.leaderboard()
    assert {"constants", "dfs", "rdl"} <= set(board["family"]) <= {"constants", "dfs", "rdl", "blended"}
    assert board["score"].is_monotonic_decreasing
    assert board["rank"].tolist() == list(range(1, len(board) + 1))
    assert board["chosen"].sum() == 1
    assert board.loc[board["chosen"], "candidate"].item() == fit.candidate.id
    assert ((board["low"] <= board["score"]) & (board["score"] <= board["high"])).all()
    assert board["test_score"].notna().all()
    assert board.groupby("family")["default"].any()[["dfs", "rdl"]].all()
    constant = board[board["family"] == "constants"]["score"]
    assert constant.max() > constant.min() == 0.5
    assert "AUROC 0." in repr(fit)


def test_errors_are_negative_so_that_higher_is_better(database, tables):
    task = shop_task(database, tables, "regression")
    fit = rs.select_and_train(database, task, "60s", families="dfs", max_trials=1)
    board = fit.leaderboard()
    assert (board["score"] < 0).all()
    assert board["score"].is_monotonic_decreasing
    assert set(board["family"]) == {"dfs", "constants"}


def test_predictions_by_split_by_rows_and_by_date_are_one(trained, database, tables):
    fit, _ = trained("dfs,rdl")
    split = fit.predict(split="test")
    assert list(split.columns) == ["id", "cutoff", "prediction", "probability"]
    assert split["prediction"].dtype == bool
    assert ((split["probability"] >= 0.5) == split["prediction"]).all()
    rows = fit.predict(rows=split[["id", "cutoff"]])
    assert np.allclose(rows["probability"], split["probability"], atol=1e-5)
    assert np.allclose(fit.predict_proba(split="test")[:, 1], split["probability"])
    at = fit.predict(at=split["cutoff"][0])
    joined = split.merge(at, on="id", suffixes=("", "_at"))
    assert len(joined) > 40
    assert np.allclose(joined["probability"], joined["probability_at"], atol=1e-5)
    stale = fit.predict(at="1970-10-20", asof="1970-06-01")
    assert not np.allclose(stale["probability"], fit.predict(rows=stale[["id", "cutoff"]])["probability"])
    known = int(split["id"].iloc[0])
    ids = pd.DataFrame({"id": [-1, None, known], "cutoff": pd.to_datetime(["1970-10-01"] * 3)})
    with pytest.warns(UnknownEntityWarning, match=r"2 of 3 rows \(66.7%\) ask about a users") as caught:
        strangers = fit.predict(rows=ids)
    assert caught[0].filename == __file__
    assert np.isfinite(strangers["probability"]).all()
    with pytest.raises(TaskError, match=r"none of the 2 rows names a row of users, where users\.id \(int64\) holds"):
        fit.predict(rows=pd.DataFrame({"id": ["0001", "0002"], "cutoff": pd.to_datetime(["1970-10-01"] * 2)}))
    assert len(fit.predict(rows=split[["id", "cutoff"]].iloc[:0])) == 0


def test_scores_are_what_the_predictions_give(trained):
    fit, _ = trained("dfs,rdl")
    chosen = fit.leaderboard().query("chosen").iloc[0]
    splits = fit.task.splits
    found = fit.predict(split="test")["probability"].to_numpy()
    deployed = fit.result.score_of("test", fit.result.DEPLOYED)
    assert fit.task.metric.score(splits["test"].label, found) == pytest.approx(deployed.value)
    # a model that was fitted again on the validation rows was scored on them before
    assert fit.task.metric.score(splits["val"].label, fit.candidate.predictions) == pytest.approx(chosen["score"])


def test_the_future_moves_no_prediction(trained, tables):
    fit, _ = trained("dfs,rdl")
    val = fit.task.splits["val"]
    orders = tables["orders"].to_pandas()
    late = orders["when"] > pd.Timestamp(int(val.cutoff.max()), unit="us")
    assert late.any()
    orders.loc[late, "total"] *= 1e6
    orders = orders[~late | (np.arange(len(orders)) % 2 == 0)].sample(frac=1, random_state=0)
    import pyarrow as pa

    other = shop(
        {**tables, "orders": pa.Table.from_pandas(orders, schema=tables["orders"].schema, preserve_index=False)}
    )
    before, after = fit.predict(split="val"), fit.predict(split="val", database=other)
    assert np.abs(before["probability"] - after["probability"]).max() <= 1e-5


def test_events_tell_the_story(trained):
    _, events = trained("dfs,rdl")
    started = [event.stage for event in events if isinstance(event, StageStarted)]
    finished = [event.stage for event in events if isinstance(event, StageFinished)]
    assert sorted(started) == sorted(finished)
    assert {"baselines", "profile", "tuning dfs", "tuning rdl", "test scores"} <= set(started)
    trials = [
        (type(event).__name__, event.family) for event in events if isinstance(event, TrialStarted | TrialFinished)
    ]
    assert trials == [(name, family) for family in ("dfs", "rdl") for name in ("TrialStarted", "TrialFinished")]
    assert {event.family for event in events if isinstance(event, EpochDone)} == {"dfs", "rdl"}
    for event in events:
        told = json.loads(json.dumps(event.to_json()))
        assert told["event"] == type(event).__name__


def test_the_report_renders_from_its_record(trained, tmp_path):
    fit, _ = trained("dfs,rdl")
    json.dumps(fit.record, allow_nan=False)
    page = fit.report(tmp_path / "report.html")
    text = page.read_text(encoding="utf-8")
    assert fit.candidate.id in text
    assert "reorder" in text
    assert page.with_suffix(".json").exists()
    again = fit.report(tmp_path / "again.html").read_text(encoding="utf-8")
    assert again == text


def test_recommend_needs_no_training(database, tables):
    events = []
    begun = time.monotonic()
    recommendation = rs.recommend(database, shop_task(database, tables), on_event=events.append)
    assert time.monotonic() - begun < 10
    assert recommendation.family in ("dfs", "rdl", "both")
    assert recommendation.evidence
    assert not [event for event in events if isinstance(event, TrialStarted)]
    assert recommendation.record["task"]["name"] == "reorder"
    again = rs.recommend(database, shop_task(database, tables))
    assert again == recommendation


def test_a_task_can_be_measured_alone(database, tables):
    profile = measure_task(database, shop_task(database, tables))
    assert profile.measures
    assert len({measure.name for measure in profile.measures}) == len(profile.measures)


def test_equal_seeds_give_equal_runs(database, tables, trained):
    fit, _ = trained("dfs")
    again = rs.select_and_train(database, shop_task(database, tables), "90s", families="dfs", max_trials=1)
    assert np.array_equal(again.predict_proba(split="test"), fit.predict_proba(split="test"))
    columns = ["candidate", "score", "low", "high", "test_score", "chosen"]
    assert again.leaderboard()[columns].equals(fit.leaderboard()[columns])


@pytest.mark.parametrize("options", [{"regime": "frozen"}, {"time": None}])
def test_frozen_and_static_tasks(database, tables, options):
    task = shop_task(database, tables, **options)
    fit = rs.select_and_train(database, task, "60s", families="dfs,rdl", max_trials=1)
    assert fit.leaderboard()["score"].notna().all()
    assert fit.record["task"]["regime"] == ("static" if task.static else task.regime)
    assert len(fit.predict(split="test")) == len(task.splits["test"])


def test_completing_a_column(database):
    task = rs.Task.completing(database, "state", entity="orders", kind="binary")
    fit = rs.select_and_train(database, task, "60s", families="dfs", max_trials=1)
    assert set(fit.predict(split="val")["prediction"]) <= {"kept", "returned"}
    assert fit.candidate.score < 0.9


class Stop:
    """Presses Ctrl-C after some events of a kind."""

    def __init__(self, kind, after: int = 1) -> None:
        self.kind, self.left, self.events = kind, after, []

    def __call__(self, event) -> None:
        self.events.append(event)
        if isinstance(event, self.kind):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def test_ctrl_c_keeps_what_is_finished(database, tables):
    stop = Stop(TrialFinished)
    fit = rs.select_and_train(
        database, shop_task(database, tables), "90s", families="dfs,rdl", max_trials=3, on_event=stop
    )
    board = fit.leaderboard()
    assert set(board["family"]) == {"constants", "dfs"}
    assert any(isinstance(event, Notice) and event.topic == "interrupt" for event in stop.events)
    assert len(fit.predict(split="test")) == 60
    assert "rdl" in json.dumps(fit.record)


def test_ctrl_c_before_anything_is_finished_stops(database, tables, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        rs.select_and_train(
            database,
            shop_task(database, tables),
            "90s",
            families="dfs",
            workdir=tmp_path,
            on_event=Stop(StageStarted, 3),
        )


def test_a_run_goes_on_where_a_killed_one_stopped(database, tables, tmp_path):
    """A process is killed without warning after its first trial; the same call then trains only what is missing."""
    code = """
import os, signal, sys
import relselect as rs
from relselect.events import TrialFinished
from tests.shop import shop, shop_tables, shop_task

def killer(event):
    if isinstance(event, TrialFinished) and event.family == "dfs":
        os.kill(os.getpid(), signal.SIGKILL)

tables = shop_tables()
database = shop(tables)
task = shop_task(database, tables)
rs.select_and_train(database, task, "90s", families="dfs", max_trials=2, workdir=sys.argv[1], on_event=killer)
"""
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    events = []
    task = shop_task(database, tables)
    fit = rs.select_and_train(
        database, task, "90s", families="dfs", max_trials=2, workdir=tmp_path, on_event=events.append
    )
    assert len(fit.leaderboard().query("family == 'dfs'")) == 2
    assert len([event for event in events if isinstance(event, TrialStarted)]) <= 2
    again = []
    resumed = rs.select_and_train(
        database, task, "90s", families="dfs", max_trials=2, workdir=tmp_path, on_event=again.append
    )
    assert not [event for event in again if isinstance(event, TrialStarted)]
    assert np.array_equal(resumed.predict_proba(split="test"), fit.predict_proba(split="test"))


@pytest.mark.parametrize("seconds", [4, 8])
def test_the_budget_holds_for_everything(database, tables, seconds):
    begun = time.monotonic()
    try:
        fit = rs.select_and_train(database, shop_task(database, tables), seconds, families="dfs,rdl")
    except BudgetError as error:
        told = str(error)
    else:
        told = ""
        assert fit.leaderboard()["score"].notna().all()
    assert not told or (seconds == 4 and "Give a longer time_budget" in told)
    assert time.monotonic() - begun < seconds + 5


def test_no_test_split_and_no_test_scores(database, tables, trained):
    task = shop_task(database, tables, val_start="1970-08-29")
    assert (
        rs.select_and_train(database, task, "60s", families="dfs", max_trials=1)
        .leaderboard()["test_score"]
        .isna()
        .all()
    )
    fit = rs.select_and_train(
        database, shop_task(database, tables), "60s", families="dfs", max_trials=1, evaluate_test=False
    )
    assert fit.leaderboard()["test_score"].isna().all()


def test_hostile_names_and_composite_keys_end_to_end(tmp_path):
    from tests.strategies import Shape, TableShape, build

    tables = (TableShape("pair", 40, (3,), False, True), TableShape("integer", 200, (0, 1), True, True),
              TableShape("text", 8, (), False, False), TableShape("text", 90, (1, 2), True, False),
              TableShape("integer", 30, (3,), False, False))  # fmt: skip
    world = build(Shape(tables, "multiclass", "frozen"), 5)
    database = world.database()
    fit = rs.select_and_train(database, world.task(database), "60s", families="dfs,rdl", max_trials=1)
    fit.save(tmp_path / "b")
    loaded = rs.load(tmp_path / "b")
    assert loaded.predict(split="val", database=database).equals(fit.predict(split="val"))
    assert list(fit.predict(split="val").columns)[:3] == ["id", "part", "cutoff"]
    fit.report(tmp_path / "r.html")


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({}, TaskError, "exactly one of at, rows and split"),
        ({"at": "1970-10-20", "split": "val"}, TaskError, "exactly one"),
        ({"split": "holdout"}, TaskError, "split=holdout"),
        ({"at": "tomorrow"}, TaskError, "at=tomorrow"),
        ({"at": "1960-01-01"}, TaskError, "finds nobody"),
        ({"rows": pd.DataFrame({"id": [3]})}, TaskError, "Add cutoff"),
        ({"rows": pd.DataFrame({"id": [3], "cutoff": [5]})}, TaskError, "rows.cutoff=int64.*timestamp or date"),
        ({"rows": pd.DataFrame({"id": [3], "cutoff": ["1970-10-20"]})}, TaskError, "Parse the column first"),
        ({"rows": pd.DataFrame({"id": [3], "cutoff": [pd.NaT]})}, TaskError, "1 nulls"),
        ({"rows": [3]}, ValueError, "is no data frame"),
    ],
)
def test_wrong_requests_are_told(trained, arguments, error, text):
    fit, _ = trained("dfs")
    with pytest.raises(error, match=text):
        fit.predict(**arguments)


def test_wrong_options_are_told_before_anything_runs(database, tables):
    task = shop_task(database, tables)
    with pytest.raises(ConfigError, match="families="):
        rs.select_and_train(database, task, families="gnn")
    with pytest.raises(ConfigError, match="families="):
        rs.select_and_train(database, task, families=())
    with pytest.raises(BudgetError, match="time_budget=soon"):
        rs.select_and_train(database, task, "soon")
    regression = rs.select_and_train(
        database, shop_task(database, tables, "regression"), "60s", families="dfs", max_trials=1
    )
    with pytest.raises(TaskError, match="no classes"):
        regression.predict_proba(split="val")


def test_a_population_may_be_asked_of_a_newer_database(trained, tables):
    fit, _ = trained("dfs")
    newer = shop({**tables, "users": tables["users"].slice(0, 30)})
    found = fit.predict(at="1970-10-20", database=newer)
    assert len(found) > 30
    assert np.isfinite(found["probability"]).all()


def test_a_task_may_be_named_and_a_wrong_one_says_what_there_is(database):
    with pytest.raises(ConfigError, match=r"task=churn60: is no task of shop"):
        rs.recommend(database, "churn60")
    with pytest.raises(ConfigError, match=r"task=.*is no task.*from_labels"):
        rs.recommend(database, {"entity": "users"})


def test_a_preset_is_what_it_stands_for_and_what_is_given_beside_it_goes_first(database, tables):
    heard = []
    fit = rs.select_and_train(
        database,
        shop_task(database, tables),
        "60s",
        preset="quick",
        families="dfs",
        metric="average_precision",
        options={"dfs": {"depth": 1, "bags": 1}},
        explain=True,
        device="cpu",
        threads=1,
        evaluate_test=False,
        on_event=heard.append,
    )
    settings = fit.record["settings"]
    assert settings["max_trials"] == 1
    assert settings["final"] == "one"
    assert settings["explain"]
    assert settings["options"] == {"dfs": {"depth": 1, "bags": 1}}
    assert (settings["preset"], settings["device"], settings["time_budget"]) == ("quick", "cpu", 60.0)
    (begun,) = [event for event in heard if isinstance(event, TrialStarted) and event.family == "dfs"]
    assert begun.config["depth"] == 1
    assert fit.task.metric.name == "average_precision"


def test_presets_have_a_time_of_their_own(database, tables):
    with pytest.raises(ConfigError, match=r"preset=fast.*'quick': A first answer in a minute"):
        rs.select_and_train(database, shop_task(database, tables), preset="fast")
    assert [Budget(preset.time_budget).seconds for preset in PRESETS.values()] == [60, 300, 3600]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"options": {"rdl": {"wide": 3}}}, "wide=3: is no option of the graph network"),
        ({"options": {"rdl": {"layers": 2}}, "families": "dfs"}, "'rdl', which is not trained here"),
        (
            {"spaces": {"rdl": {"parameters": {"layers": {"type": "integer", "low": 0, "high": 2}}}}},
            "layers=0: must be",
        ),
        ({"spaces": {"rdl": {"parameters": {}}}, "families": "dfs"}, "'rdl', which is not trained here"),
        ({"metric": "sharpness"}, "sharpness"),
        ({"threads": 0}, "threads=0"),
        ({"device": "cuda:77", "options": {"rdl": {"layers": 2}}}, "device=cuda:77: is not available"),
    ],
)
def test_options_are_refused_before_anything_is_measured(database, tables, options, match):
    heard = []
    with pytest.raises(RelSelectError, match=match):
        rs.select_and_train(database, shop_task(database, tables), "60s", on_event=heard.append, **options)
    assert not any(isinstance(event, StageStarted) for event in heard)

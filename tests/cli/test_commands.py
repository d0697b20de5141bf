"""The commands: what they print where, exit codes, and one JSON object. Training itself is replaced by a stand-in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from relselect import api
from relselect.cli.clock import CommandClock
from relselect.cli.main import app
from relselect.cli.train import predictor_folder
from relselect.errors import BudgetError, ConfigError, UnknownEntityWarning
from relselect.events import Notice
from relselect.report import write_report
from tests.report.records import advice_record, run_record

MANIFEST = """
name: shop
tables:
  customers: {primary_key: id}
  orders: {time: date, foreign_keys: [{columns: customer, table: customers}]}
tasks:
  churn: {entity: customers, kind: binary, target: y, time: cutoff, horizon: 30d, files: {train: train.parquet, val: val.parquet}}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with a database and a task."""
    folder = tmp_path / "shop"
    folder.mkdir()
    days = pd.date_range("2024-01-01", periods=200)
    pd.DataFrame({"id": range(20)}).to_parquet(folder / "customers.parquet")
    orders = {"customer": [day % 20 for day in range(200)], "date": days, "total": [float(day) for day in range(200)]}
    pd.DataFrame(orders).to_parquet(folder / "orders.parquet")
    for name, start in (("train", "2024-02-01"), ("val", "2024-05-01")):
        labels = {"id": range(20), "cutoff": pd.Timestamp(start), "y": [row % 2 for row in range(20)]}
        pd.DataFrame(labels).to_parquet(folder / f"{name}.parquet")
    (folder / "database.yaml").write_text(MANIFEST)
    return folder


class StandIn:
    """Looks like a fitted predictor."""

    record = run_record()
    source = snapshot = None
    task = SimpleNamespace(has_test=False)
    result = SimpleNamespace(database=SimpleNamespace(name="shop"))
    decision = SimpleNamespace(refitted=True)
    candidate, deployed = object(), object()

    def state_for(self, split: str | None) -> object:
        return self.candidate if split == "val" else self.deployed

    def save(self, folder: Path) -> Path:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name in ("manifest.json", "fitted.json"):
            (Path(folder) / name).write_text("{}")
        return Path(folder)

    def report(self, path: Path) -> Path:
        return write_report(self.record, path)

    def predict(self, **asked: Any) -> pd.DataFrame:
        return pd.DataFrame({"id": [1, 2], "cutoff": pd.to_datetime(["2024-05-01"] * 2), "prediction": [True, False]})


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replaces training; says what was asked for."""
    asked: dict[str, Any] = {}

    def stand_in(database: Any, task: Any, time_budget: float, **options: Any) -> StandIn:
        asked.update(options, task=task, time_budget=time_budget)
        print("a library that prints")
        os.write(1, b"a library that prints from C\n")
        options["on_event"](Notice("device", "no GPU"))
        Path(options["workdir"]).mkdir(parents=True)
        return StandIn()

    monkeypatch.setattr(api, "select_and_train", stand_in)
    return asked


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def only_json(result: Result) -> dict[str, Any]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_train_saves_and_tells(shop: Path, trained: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run(
        "train",
        shop,
        "--task",
        "churn",
        "--out",
        out,
        "--time-budget",
        "90s",
        "--seed",
        3,
        "--families",
        "dfs",
        "--no-test",
    )
    assert result.exit_code == 0, result.output
    assert "Use feature synthesis (clear difference)" in result.stdout
    assert "dfs-2" in result.stdout
    assert str(out / "report.html") in result.stdout.replace("\n", "")
    assert "library" not in result.stdout
    assert "no GPU" in result.stderr
    assert (trained["time_budget"].seconds, trained["seed"], trained["families"], trained["evaluate_test"]) == (
        90.0,
        3,
        ("dfs",),
        False,
    )
    assert sorted(path.name for path in out.iterdir()) == ["fitted.json", "manifest.json", "report.html", "report.json"]


def test_the_budget_counts_from_the_start_of_the_command(shop: Path, trained: dict[str, Any], tmp_path: Path) -> None:
    words = ("train", shop, "--task", "churn", "--force", "--out", tmp_path / "out")
    for _ in range(2):
        began = time.monotonic()
        assert run(*words).exit_code == 0
        assert trained["time_budget"].elapsed() <= time.monotonic() - began
    past = time.monotonic() - 5.0  # what the entry point hands over: when the process started
    assert CliRunner().invoke(app, [str(word) for word in words], obj=CommandClock(past)).exit_code == 0
    assert trained["time_budget"].elapsed() >= 5.0


def test_a_process_knows_when_it_started() -> None:
    code = (
        "import time; time.sleep(0.3)\n"
        "from relselect.cli.clock import process_start\n"
        "print(time.monotonic() - process_start())\n"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    age = float(done.stdout)
    assert age <= time.monotonic() - began + 0.05
    assert age >= (0.29 if Path("/proc/self/stat").exists() else 0.0)


def test_the_number_of_trials_can_be_limited(shop: Path, trained: dict[str, Any], tmp_path: Path) -> None:
    assert run("train", shop, "--task", "churn", "--max-trials", 2, "--out", tmp_path / "out").exit_code == 0
    assert trained["max_trials"] == 2
    assert run("train", shop, "--task", "churn", "--max-trials", 0, "--out", tmp_path / "other").exit_code == 2


def test_train_in_json_is_one_object(shop: Path, trained: dict[str, Any], tmp_path: Path) -> None:
    result = run("train", shop, "--task", "churn", "--out", tmp_path / "out", "--regime", "frozen", "--json")
    found = only_json(result)
    assert result.exit_code == 0
    assert found["choice"]["candidate"] == "dfs-2"
    assert found["interrupted"] is False
    assert trained["task"].regime == "frozen"


def test_c_level_output_stays_off_standard_output(shop: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from relselect.display.console import CommandSession\n"
        "session = CommandSession(as_json=True)\n"
        "with session.work():\n"
        "    print('python'); os.write(1, b'c\\n')\n"
        "    session.result({'rows': 1})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"rows": 1}
    assert "python" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--task", "nope"), "Use one of: churn"),
        (("--task", "churn", "--time-budget", "soon"), "positive duration"),
        (("--task", "churn", "--families", "trees"), "dfs, rdl"),
        (("--task", "churn", "--regime", "melted"), "regime"),
    ],
)
def test_bad_input_exits_with_2_before_any_work(
    shop: Path, trained: dict[str, Any], words: tuple[str, ...], message: str
) -> None:
    result = run("train", shop, *words, "--out", shop.parent / "out")
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not result.stdout
    assert not trained


def test_an_unknown_database_exits_with_2_and_says_so_in_json() -> None:
    result = run("recommend", "no/such/place", "--task", "churn", "--json")
    assert result.exit_code == 2
    found = only_json(result)
    assert found["exit_code"] == 2
    assert found["error"]["kind"] == "DataNotFound"


def test_schema_problems_are_listed_as_a_table(shop: Path) -> None:
    (shop / "database.yaml").write_text(
        MANIFEST.replace("primary_key: id", "primary_key: nothing").replace("time: date", "time: never")
    )
    result = run("profile", shop, "--task", "churn")
    assert result.exit_code == 2
    assert "Way out" in result.stderr
    assert "nothing" in result.stderr
    assert "never" in result.stderr
    found = only_json(run("profile", shop, "--task", "churn", "--json"))
    assert len(found["error"]["problems"]) >= 2


def test_a_predictor_is_not_overwritten_unasked(shop: Path, trained: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("train", shop, "--task", "churn", "--out", out)
    assert run(*words).exit_code == 0
    again = run(*words)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert run(*words, "--force").exit_code == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    assert "holds other files" in run("train", shop, "--task", "churn", "--out", tmp_path / "mine", "--force").stderr


@pytest.mark.parametrize(
    "words",
    [
        ("train", "SHOP", "--task", "churn", "--out", "FILE/out"),
        ("recommend", "SHOP", "--task", "churn", "--out", "FILE/r.html"),
        ("recommend", "SHOP", "--task", "churn", "--out", "r.pdf"),
        ("report", "SHOP", "--out", "r.pdf"),
        ("report", "SHOP", "--out", "FILE/r.html"),
        ("features", "SHOP", "--task", "churn", "--out", "FILE/f.parquet"),
        ("features", "SHOP", "--task", "churn", "--save-plan", "FILE/p.json"),
        ("predict", "SHOP", "--out", "FILE/p.csv"),
    ],
)
def test_places_are_refused_before_the_work_and_nothing_is_made(
    shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "file").touch()

    def work(*_: Any, **__: Any) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr("relselect.configs.open_database", work)
    before = sorted(tmp_path.rglob("*"))
    result = run(*(word.replace("SHOP", str(shop)).replace("FILE", str(tmp_path / "file")) for word in words))
    assert result.exit_code == 2
    assert "folder should be" in result.stderr or "is no format of reports" in result.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_kill_while_saving_does_not_keep_training_from_going_on(tmp_path: Path) -> None:
    for part in ("work", ".partial", "model"):
        (tmp_path / "out" / part).mkdir(parents=True)
    assert predictor_folder(tmp_path / "out", force=False) == tmp_path / "out"
    (tmp_path / "out" / "thesis.txt").write_text("all of it")
    with pytest.raises(ConfigError, match="other files"):
        predictor_folder(tmp_path / "out", force=True)


def test_a_small_budget_exits_with_3(shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def too_small(*_: Any, **__: Any) -> None:
        raise BudgetError("time_budget", "1 s", "no model was finished", "Give more")

    monkeypatch.setattr(api, "select_and_train", too_small)
    result = run("train", shop, "--task", "churn", "--out", tmp_path / "out")
    assert result.exit_code == 3
    assert result.stderr.strip().endswith("error: time_budget=1 s: no model was finished. Give more.")


@pytest.mark.parametrize("kept", [True, False])
def test_ctrl_c_exits_with_130(shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: bool) -> None:
    def interrupted(*_: Any, **__: Any) -> StandIn:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("not reached")
        except KeyboardInterrupt:
            if not kept:
                raise
        return StandIn()

    monkeypatch.setattr(api, "select_and_train", interrupted)
    result = run("train", shop, "--task", "churn", "--out", tmp_path / "out", "--json")
    assert result.exit_code == 130
    assert (tmp_path / "out" / "report.html").exists() == kept
    if kept:
        assert only_json(result)["interrupted"] is True
    else:
        assert "go on with what is kept" in result.stderr


def test_a_bug_is_named_and_its_trace_is_shown_on_request(
    shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("of nothing")

    monkeypatch.setattr(api, "select_and_train", broken)
    words = ("train", shop, "--task", "churn", "--out", tmp_path / "out")
    short, long = run(*words), run(*words, "--verbose")
    assert short.exit_code == long.exit_code == 1
    assert "ZeroDivisionError: of nothing" in short.stderr
    assert "Traceback" not in short.stderr
    assert "Traceback" in long.stderr


def test_options_of_training_go_on(shop: Path, trained: dict[str, Any], tmp_path: Path) -> None:
    words = ("train", shop, "--task", "churn", "--out", tmp_path / "out", "--preset", "quick", "--metric", "accuracy")
    fixed = ("rdl.rows=both", "rdl.layers=2", "dfs.search=true", "dfs.learner=tabm", "rdl.without=[reviews, notes]")
    more = ("--device", "cpu", "--threads", 1, *(word for text in fixed for word in ("--option", text)))
    result = run(*words, *more)
    assert result.exit_code == 0, result.stderr
    assert trained["preset"] == "quick"
    assert trained["metric"] == "accuracy"
    assert (trained["device"], trained["threads"]) == ("cpu", 1)
    assert trained["options"] == {
        "rdl": {"rows": "both", "layers": 2, "without": ["reviews", "notes"]},
        "dfs": {"search": True, "learner": "tabm"},
    }
    assert trained["time_budget"].seconds == 60.0
    for text in ("rows=both", "rdl.rows", "rdl.rows=[", "rdl rows=both"):
        refused = run("train", shop, "--task", "churn", "--out", tmp_path / "other", "--option", text)
        assert refused.exit_code == 2
        assert "is not of the form FAMILY.NAME=VALUE" in refused.stderr


def test_search_spaces_of_files_go_on(shop: Path, trained: dict[str, Any], tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.yaml"
    narrow.write_text("family: rdl\nparameters:\n  layers: {type: integer, low: 1, high: 2}\n")
    words = ("train", shop, "--task", "churn", "--out", tmp_path / "out", "--space", narrow)
    assert run(*words).exit_code == 0
    assert trained["spaces"] == {
        "rdl": {"family": "rdl", "parameters": {"layers": {"type": "integer", "low": 1, "high": 2}}}
    }
    again = ("train", shop, "--task", "churn", "--out", tmp_path / "other")
    twice = run(*again, "--space", narrow, "--space", narrow)
    assert twice.exit_code == 2
    assert "is a second space of rdl" in twice.stderr
    narrow.write_text("family: rdl\nwidth: 3\nparameters:\n  layers: {type: integer, low: 3, high: x}\n")
    refused = run(*again, "--space", narrow)
    assert refused.exit_code == 2
    assert "2 problems in narrow.yaml" in refused.stderr


def test_profile_and_recommend_tell(shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = advice_record()
    measures = [SimpleNamespace(**measure) for measure in record["profile"]["measures"]]
    measured = SimpleNamespace(
        to_json=lambda: record["profile"], measures=measures, seconds=6.4, findings=(), unrun_checks=()
    )
    advice = SimpleNamespace(record=record, to_json=lambda: record["recommendation"])
    monkeypatch.setattr(api, "profile", lambda *_, **__: measured)
    monkeypatch.setattr(api, "recommend", lambda *_, **__: advice)
    assert "label autocorrelation, lag 1" in run("profile", shop, "--task", "churn").stdout
    assert only_json(run("profile", shop, "--task", "churn", "--json"))["profile"]["seconds"] == 6.4
    told = run("recommend", shop, "--task", "churn", "--out", tmp_path / "advice.html")
    assert "Start with feature synthesis" in told.stdout
    assert (tmp_path / "advice.json").exists()
    found = only_json(run("recommend", shop, "--task", "churn", "--json"))
    assert found["recommendation"]["families"] == ["dfs"]
    assert (found["findings"], found["unrun_checks"]) == ([], [])


def test_findings_and_unrun_checks_stand_in_the_json(
    shop: Path, trained: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    finding = {
        "check": "overwritten_column", "severity": "warning", "subject": "customers.spend", "evidence": "equals a sum",
        "fix": "Drop it", "accepted": None,
    }  # fmt: skip
    unrun = {"check": "query_unbounded", "why": "The task has no query."}
    record = run_record()
    record["profile"] |= {"findings": [finding], "unrun_checks": [unrun]}
    monkeypatch.setattr(StandIn, "record", record)
    told = only_json(run("train", shop, "--task", "churn", "--out", tmp_path / "out", "--json"))
    assert (told["findings"], told["unrun_checks"]) == ([finding], [unrun])
    monkeypatch.setattr(StandIn, "record", {**record, "profile": None})
    told = only_json(run("train", shop, "--task", "churn", "--out", tmp_path / "out", "--json", "--force"))
    assert told["findings"] == []
    assert {each["why"] for each in told["unrun_checks"]} == {"The leak checks did not run."}


def test_recommend_in_json_says_what_the_leak_checks_found(shop: Path) -> None:
    found = only_json(run("recommend", shop, "--task", "churn", "--json"))
    assert {each["check"] for each in found["unrun_checks"]} >= {"query_unbounded"}
    assert isinstance(found["findings"], list)


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(api, "load", lambda _: StandIn())
    return StandIn().save(tmp_path / "bundle")


def test_predict_tells_of_unknown_entities(bundle: Path, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def predict(self: StandIn, **asked: Any) -> pd.DataFrame:
        warnings.warn(
            "1 of 2 rows (50.0%) ask about a users that is not in the table", UnknownEntityWarning, stacklevel=1
        )
        return pd.DataFrame({"id": [1, 2], "prediction": [1.0, 2.0]})

    monkeypatch.setattr(StandIn, "predict", predict)
    result = run("predict", bundle, "--database", shop)
    assert "warning: 1 of 2 rows (50.0%)" in result.stderr
    assert result.stdout.splitlines()[0] == "id,prediction"


def test_predict_gives_csv_files_and_json(bundle: Path, shop: Path, tmp_path: Path) -> None:
    words = ("predict", bundle, "--split", "val", "--database", shop)
    plain = run(*words)
    assert plain.exit_code == 0, plain.output
    assert plain.stdout.splitlines()[0] == "id,cutoff,prediction"
    assert only_json(run(*words, "--json"))["predictions"][0] == {"id": 1, "cutoff": "2024-05-01", "prediction": True}
    for name in ("p.csv", "p.parquet"):
        assert "2 predictions" in run(*words, "--out", tmp_path / name).stdout
    assert len(pd.read_parquet(tmp_path / "p.parquet")) == len(pd.read_csv(tmp_path / "p.csv")) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--split", "val", "--at", "2024-01-01"), "exclude each other"),
        (("--split", "val", "--out", "p.xlsx"), ".parquet or .csv"),
        (("--split", "val"), "--database"),
    ],
)
def test_predict_says_what_it_needs(bundle: Path, words: tuple[str, ...], message: str) -> None:
    result = run("predict", bundle, *words)
    assert result.exit_code == 2
    assert message in result.stderr


def test_predict_says_which_state_answered(
    bundle: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("predict", bundle, "--database", shop, "--out", tmp_path / "p.csv")
    validated = "predicted by the validated model: it has not seen the validation rows"
    final = "predicted by the final model, trained on training and validation rows"
    assert validated in run(*words).stderr.splitlines()  # the task has no test rows
    assert validated in run(*words, "--split", "val").stderr.splitlines()
    assert final in run(*words, "--at", "2024-05-01").stderr.splitlines()
    assert only_json(run(*words, "--json"))["model"] in validated
    monkeypatch.setattr(StandIn, "task", SimpleNamespace(has_test=True))
    assert final in run(*words).stderr.splitlines()
    monkeypatch.setattr(StandIn, "decision", SimpleNamespace(refitted=False))
    assert "it has not seen the validation rows" in run(*words).stderr


def test_report_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(run_record()))
    assert run("report", tmp_path / "report.json").exit_code == 0
    assert (tmp_path / "report.html").exists()
    assert only_json(run("report", tmp_path / "report.json", "--out", tmp_path / "r.md", "--json"))["report"] == str(
        tmp_path / "r.md"
    )
    assert (tmp_path / "r.md").read_text().startswith("# player")
    assert run("report", tmp_path / "nothing").exit_code == 2
    assert run("report", tmp_path).exit_code == 2


def test_help_and_version_import_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from relselect.cli.main import app\n"
        "from typer.testing import CliRunner\n"
        "result = CliRunner().invoke(app, ['--help'])\n"
        "assert result.exit_code == 0 and 'recommend' in result.stdout\n"
        "assert CliRunner().invoke(app, ['--version']).stdout.startswith('relselect ')\n"
        "print([name for name in ('torch', 'pandas', 'numpy', 'pyarrow', 'optuna', 'jinja2') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_features_are_written_told_and_applied_again(shop: Path, tmp_path: Path) -> None:
    out, plan = tmp_path / "features.parquet", tmp_path / "plan.json"
    first = run(
        "features", shop, "--task", "churn", "--split", "train", "--out", out, "--save-plan", plan, "--depth", 1
    )
    assert first.exit_code == 0, first.output
    assert f"features: {out}" in first.stdout.replace("\n", "")
    assert "cells" not in first.stdout
    frame = pd.read_parquet(out)
    assert len(frame) == 20
    assert frame["COUNT(orders[customer])"].tolist() == [2.0] * 12 + [1.0] * 8
    again = run("features", shop, "--task", "churn", "--split", "train", "--plan", plan)
    assert again.stdout.splitlines()[0] == ",".join(f'"{name}"' if "," in name else name for name in frame.columns)
    told = only_json(run("features", shop, "--task", "churn", "--plan", plan, "--json"))
    assert told["rows"] == 40
    assert [feature["name"] for feature in told["features"]] == list(frame.columns[3:])


def test_a_search_that_has_too_few_rows_says_so(shop: Path) -> None:
    words = ("features", shop, "--task", "churn", "--search", "--without", "ratios", "--describe")
    assert "The fixed plan of" in run(*words).stdout
    assert "too few training rows" in only_json(run(*words, "--json"))["search"]["fallback"]


def test_a_plan_is_told_in_english_and_sql_without_computing(shop: Path, tmp_path: Path) -> None:
    words = ("features", shop, "--task", "churn", "--window", "60d")
    english = run(*words, "--describe").stdout
    assert (
        "mean of total over the orders (by customer) of the customers row in the 60 days before the cutoff" in english
    )
    assert "children" in english.splitlines()[0]
    assert "SELECT" in run(*words, "--sql", "duckdb").stdout
    told = only_json(run(*words, "--save-plan", tmp_path / "plan.json", "--json"))
    assert told["plan"] == str(tmp_path / "plan.json")
    assert sum(told["groups"].values()) == len(told["features"])
    assert (tmp_path / "plan.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--split", "val", "--at", "2024-01-01"), "exclude each other"),
        (("--out", "features.csv"), "must end in .parquet"),
        (("--plan", "no/plan.json"), "cannot be read"),
        (("--depth", "9"), "1 to 4"),
        (("--without", "ratios"), "Add --search"),
        (("--search", "--without", "ranks"), "Use some of: conditions, ratios"),
        (("--sql", "klingon"), "dialect"),
        (("--save-plan", "/dev/null/plan.json"), "cannot be written"),
    ],
)
def test_features_say_what_they_need(shop: Path, words: tuple[str, ...], message: str) -> None:
    result = run("features", shop, "--task", "churn", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not result.stdout

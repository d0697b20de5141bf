"""The tutorials run as they stand, with smaller budgets in the place of their own."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import yaml
from typer.testing import CliRunner

import relselect as rs
from relselect.cli.main import app
from relselect.database import Database
from relselect.examples.example import Example
from tests.conftest import few_steps
from tests.docs.conftest import DOCS
from tests.test_readme import blocks


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def some_players() -> Example:
    """The baseball database with every twentieth player since 2000."""
    whole = rs.examples.lahman().database
    since = pa.scalar(pd.Timestamp("2000-01-01"), pa.timestamp("us"))
    played = whole["Appearances"].data.filter(pc.greater(whole["Appearances"].data["time"], since))
    players = pc.unique(played["playerID"]).sort()[::20]
    tables = [
        replace(table, data=table.data.filter(pc.is_in(table.data["playerID"], players)))
        if "playerID" in table.columns
        else table
        for table in whole.tables.values()
    ]
    return Example(Database(tables, whole.name), {})


@pytest.mark.slow
def test_ten_minutes_on_baseball(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    few = some_players()
    monkeypatch.setattr(rs.examples, "lahman", lambda: few)
    code = replaced(
        "".join(blocks("python", text_of("tutorial.md"))),
        ('start="1990-01-01"', 'start="2005-01-01"'),
        ('time_budget="3min", seed=0', 'time_budget="5min", seed=0, max_trials=1, explain=False, families="dfs"'),
        ("fit.importance()", 'fit.importance(time_budget="1s")'),
        ('at="2014-06-30")', 'at="2014-06-30", pairs=1)'),
    )
    with few_steps():
        exec(code, {})
    shown = capsys.readouterr().out
    assert "without any history" in shown
    assert {"plays-again", "plays-again.html"} <= {path.name for path in tmp_path.iterdir()}


@pytest.mark.slow
def test_from_a_postgresql_address(library, manifest, tmp_path, monkeypatch) -> None:
    """`init` is the fixture: the same command, run once for all tests."""
    monkeypatch.chdir(tmp_path)
    page = text_of("tutorial_postgres.md")
    (declared,) = (yaml.safe_load(text)["tasks"] for text in blocks("yaml", page))
    written = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    Path("database.yaml").write_text(yaml.safe_dump({**written, "tasks": declared}), encoding="utf-8")
    commands = [line[2:] for text in blocks("console", page) for line in text.splitlines() if "$ relselect" in line]
    assert len(commands) == 8
    for command in commands:
        words = shlex.split(command.replace("$LIBRARY", library))[1:]
        if words[0] == "init":
            continue
        if words[0] == "train":  # bounded by its trials, so that a busy machine changes nothing
            words[words.index("60s")] = "5min"
            words += ["--max-trials", "1", "--families", "dfs", "--no-explain"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, (command, done.stderr)
    risk = Path("risk.csv").read_text(encoding="utf-8").splitlines()
    assert risk[0] == "card_no,cutoff,prediction,probability"
    assert len(risk) == 146
    assert Path("lapse.md").read_text(encoding="utf-8").startswith("# lapse")

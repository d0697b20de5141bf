"""The tutorials run as they stand, with smaller budgets in the place of their own."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from relselect.cli.main import app
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


@pytest.mark.slow
def test_ten_minutes_on_baseball(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    code = replaced(
        "".join(blocks("python", text_of("tutorial.md"))),
        ('start="1990-01-01"', 'start="2005-01-01"'),
        ('time_budget="3min", seed=0', 'time_budget="60s", seed=0, max_trials=1, explain=False, families="dfs"'),
        ("fit.importance()", 'fit.importance(time_budget="3s")'),
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
        if words[0] == "train":
            words += ["--max-trials", "1", "--families", "dfs", "--no-explain"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, (command, done.stderr)
    risk = Path("risk.csv").read_text(encoding="utf-8").splitlines()
    assert risk[0] == "card_no,cutoff,prediction,probability"
    assert len(risk) == 146
    assert Path("lapse.md").read_text(encoding="utf-8").startswith("# lapse")

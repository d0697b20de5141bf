"""`relselect train` under torchrun: which process leads, and what is refused."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from relselect.cli.main import app
from relselect.cli.together import leading, number_of_process
from relselect.errors import ConfigError


def test_a_process_alone_is_number_0(monkeypatch):
    for size, rank, number in (("1", "0", 0), ("2", "1", 1), ("2", "x", 0), ("", "3", 0)):
        monkeypatch.setenv("WORLD_SIZE", size)
        monkeypatch.setenv("RANK", rank)
        assert number_of_process() == number
    monkeypatch.delenv("WORLD_SIZE")
    assert number_of_process() == 0
    with leading(4):
        pass


def test_jobs_and_torchrun_exclude_each_other(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ConfigError, match="--jobs"), leading(2):
        pass


def test_a_follower_refuses_a_wrong_database_like_the_leader(monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("MASTER_PORT", "no port")
    result = CliRunner().invoke(app, ["train", str(tmp_path / "nothing"), "--task", "reorder"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "cannot meet" in result.stderr

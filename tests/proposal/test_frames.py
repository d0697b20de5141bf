"""Data frames that declare nothing become a database with tasks in one call."""

from __future__ import annotations

import pandas as pd
import pytest

import relselect as rs
from relselect.errors import SchemaError


def test_frames_become_a_database_with_tasks(lahman_tables):
    frames = {name: table.to_pandas() for name, table in lahman_tables.items()}
    proposal = rs.infer(frames, name="baseball")
    database = proposal.to_database()
    assert database.name == "baseball"
    assert database["People"].primary_key == ("playerID",)
    assert database["Teams"].time == "time"
    keys = {(table, key.columns, key.table) for table in database.tables for key in database[table].foreign_keys}
    assert keys == {
        ("Appearances", ("playerID",), "People"),
        ("Appearances", ("team_season_id",), "Teams"),
        ("Salaries", ("playerID",), "People"),
        ("Salaries", ("team_season_id",), "Teams"),
    }
    binary, amount = proposal.tasks
    assert rs.api.open_task(database, binary).kind == "binary"
    assert rs.api.open_task(database, amount).kind == "regression"


def test_a_proposal_shows_itself_with_its_reasons():
    frames = {"users": pd.DataFrame({"id": [1, 2, 3]}), "orders": pd.DataFrame({"<user>_id": [1, 1, 3, 2]})}
    proposal = rs.infer(frames, "orders.<user>_id -> users")
    assert "  users.id: primary key (" in repr(proposal)
    assert "orders.<user>_id: foreign key users (given): was given" in repr(proposal)
    html = proposal._repr_html_()
    assert "&lt;user&gt;_id" in html
    assert "<user>" not in html


def test_every_frame_that_does_not_convert_is_named():
    frames = {"a": [1, 2], "b": pd.DataFrame({"x": [1]}), "c": 3}
    with pytest.raises(SchemaError) as caught:
        rs.infer(frames)
    assert {problem.table for problem in caught.value.problems} == {"a", "c"}

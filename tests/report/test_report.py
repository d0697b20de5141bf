"""The report as an object: every form of one record, and where it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relselect.errors import ConfigError
from relselect.report import Report, read_record, render_html, render_markdown
from relselect.report.schema import check_record

from .records import run_record


def test_every_form_is_that_of_the_record(tmp_path: Path) -> None:
    report = Report(run_record())
    assert report.html() == render_html(run_record())
    assert report.markdown() == render_markdown(run_record())
    assert check_record(json.loads(report.json())) == check_record(run_record())
    assert repr(report) == "Report('player-active' on 'lahman-baseball')"


def test_the_ending_says_what_is_written(tmp_path: Path) -> None:
    report = Report(run_record())
    assert report.save(tmp_path / "a.md").read_text(encoding="utf-8") == report.markdown()
    assert read_record(report.save(tmp_path / "b.json")) == check_record(run_record())
    assert report.save(tmp_path / "c") == tmp_path / "c.html"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.md", "b.json", "c.html", "c.json"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        report.save(tmp_path / "file" / "a.md")


def test_a_notebook_shows_the_page_in_a_frame_of_its_own() -> None:
    shown = Report(run_record())._repr_html_()
    assert shown.startswith("<iframe")
    assert 'sandbox=""' in shown
    assert shown.count("<") == 2  # the page within is escaped
    assert "&lt;!DOCTYPE html&gt;" in shown


def test_open_shows_the_page_that_it_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    place = Report(run_record()).open()
    assert shown == [place.as_uri()]
    assert place.read_text(encoding="utf-8") == render_html(run_record())


def test_strong_tables_are_explained_where_it_was_measured_what_tables_are_worth() -> None:
    measured = run_record()
    assert "how much of the score is lost" in render_html(measured)
    measured["rests_on"]["importance"] = None
    page = render_html(measured)
    assert "The tables by how they are reached." in page
    assert "how much of the score is lost" not in page

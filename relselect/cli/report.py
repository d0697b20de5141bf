"""`relselect report`: write the report of a saved predictor again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relselect.cli.options import AsJson, Verbose, exit_with
from relselect.display.console import CommandSession
from relselect.errors import ConfigError
from relselect.files import check_writable, unwritable, write_text

if TYPE_CHECKING:
    from relselect.report import RunRecord

__all__ = ["check_report_place", "leak_facts", "report", "write_report_file"]

_PAGES = {".html", ".htm"}
_MARKDOWN = {".md", ".markdown"}


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A predictor's folder, or a record in JSON.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="A .html or .md file; DIR/report.html by default.")
    ] = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Write the report of a saved predictor again, as a page or as Markdown."""
    session = CommandSession(as_json, verbose)
    with session.work():
        from relselect.display.terminal import verdict_lines

        home = folder if folder.is_dir() else folder.parent
        place = home / "report.html" if out is None else out
        check_report_place(place)
        record = _record(folder)
        path = write_report_file(record, place)
        session.result({"command": "report", "report": path}, *verdict_lines(record), f"Report: {path}")
    exit_with(session)


def _record(place: Path) -> RunRecord:
    """The record of a predictor's folder, or of a JSON file."""
    from relselect.bundle import read_result
    from relselect.report import read_record, record_of

    return record_of(read_result(place)) if place.is_dir() else read_record(place)


def write_report_file(record: Mapping[str, Any], out: Path) -> str:
    """Writes the record as a page, or as Markdown when the name ends in .md, and returns the path."""
    from relselect.report import render_markdown, write_report

    with unwritable("--out", out):
        if out.suffix.lower() in _MARKDOWN:
            return str(write_text(out, render_markdown(record)))
        return str(write_report(record, out))


def check_report_place(out: Path) -> None:
    """Refuses a report of another format, and a place that cannot be written, before the work.

    Raises:
        ConfigError: The name ends in something else than .html, .htm, .md or .markdown.
        UnwritableError: Nothing can be written there.
    """
    if out.suffix.lower() not in {*_PAGES, *_MARKDOWN}:
        rule = "is no format of reports: a name ends in .html or .md"
        raise ConfigError("--out", str(out), rule, f"Write e.g. --out {out.with_suffix('.html')}")
    check_writable("--out", out)


def leak_facts(record: RunRecord) -> dict[str, Any]:
    """Returns what the leak checks found, and the checks that did not run with their reasons, for the JSON of a command."""
    from relselect.leaks import LEAK_CHECKS

    profile = record["profile"]
    if profile is not None:
        return {"findings": profile["findings"], "unrun_checks": profile["unrun_checks"]}
    why = "The leak checks did not run."
    names = [name for check in LEAK_CHECKS for name in check.names]
    return {"findings": [], "unrun_checks": [{"check": name, "why": why} for name in names]}

"""`relselect report`: write the report of a saved predictor again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relselect.cli.options import AsJson, Verbose, exit_with
from relselect.display.console import CommandSession

if TYPE_CHECKING:
    from relselect.report import RunRecord

__all__ = ["report", "write_report_file"]


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

        record = _record(folder)
        home = folder if folder.is_dir() else folder.parent
        path = write_report_file(record, home / "report.html" if out is None else out)
        session.result({"command": "report", "report": path}, *verdict_lines(record), f"Report: {path}")
    exit_with(session)


def _record(place: Path) -> RunRecord:
    """The record of a predictor's folder, or of a JSON file."""
    from relselect.bundle import read_result
    from relselect.report import read_record, record_of

    return record_of(read_result(place)) if place.is_dir() else read_record(place)


def write_report_file(record: Mapping[str, Any], out: Path) -> str:
    """Writes the record as a page, or as Markdown when the name ends in .md, and returns the path."""
    from relselect.files import write_text
    from relselect.report import render_markdown, write_report

    if out.suffix.lower() in {".md", ".markdown"}:
        return str(write_text(out, render_markdown(record)))
    return str(write_report(record, out))

"""The report: one self-contained HTML page, the same facts as JSON and as Markdown.

A run record (`RunRecord`), from which `Report` renders, or a performance bank is the only input, so equal ones give equal bytes.
Jinja2 and pydantic are imported at first use.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relselect.report.record import RunRecord
from relselect.report.report import Report

if TYPE_CHECKING:
    from relselect.bank import PerformanceBank
    from relselect.run.result import RunResult

__all__ = [
    "Report",
    "RunRecord",
    "bank_page",
    "read_record",
    "record_of",
    "render_html",
    "render_markdown",
    "write_report",
]


def bank_page(bank: PerformanceBank, *, minutes: float = 3.0) -> str:
    """Renders a performance bank as one self-contained HTML page; see `relselect.report.bank_html.bank_page`."""
    from relselect.report.bank_html import bank_page as render

    return render(bank, minutes=minutes)


def record_of(result: RunResult) -> RunRecord:
    """Returns what a report says about a run; see `relselect.report.assemble.record_of`."""
    from relselect.report.assemble import record_of as assemble

    return assemble(result)


def read_record(path: str | Path) -> RunRecord:
    """Reads and checks a record; see `relselect.report.schema.read_record`."""
    from relselect.report.schema import read_record as read

    return read(path)


def render_html(record: Mapping[str, Any]) -> str:
    """Renders a record as one self-contained HTML page; see `relselect.report.html.render_html`."""
    from relselect.report.html import render_html as render

    return render(record)


def render_markdown(record: Mapping[str, Any]) -> str:
    """Renders a record as Markdown; see `relselect.report.markdown.render_markdown`."""
    from relselect.report.markdown import render_markdown as render

    return render(record)


def write_report(record: Mapping[str, Any], path: str | Path) -> Path:
    """Writes `path` and the record beside it as JSON; see `relselect.report.write.write_report`."""
    from relselect.report.write import write_report as write

    return write(record, path)

"""Writes the report atomically: a reader sees the old files or the new ones, never half of one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from relselect.files import unwritable, write_text
from relselect.report.html import render_html
from relselect.serialization import dump_document

__all__ = ["write_report"]


def write_report(record: Mapping[str, Any], path: str | Path) -> Path:
    """Writes the page to `path` and the record beside it, with the suffix .json.

    Args:
        record: A run record.
        path: The page; ".html" is added to a name without a suffix.

    Returns:
        The path of the page.

    Raises:
        ConfigError: The path cannot be written to, the record is of another version, or it differs from its schema.
    """
    page = Path(path)
    if page.is_dir():
        page = page / "report.html"
    if page.suffix.lower() not in {".html", ".htm"}:
        page = page.with_name(f"{page.name}.html")
    text = render_html(record)
    with unwritable("path", page):
        write_text(page.with_suffix(".json"), dump_document(record))
        return write_text(page, text)

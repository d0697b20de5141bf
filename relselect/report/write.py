"""Writes the report atomically: a reader sees the old files or the new ones, never half of one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from relselect.errors import ConfigError
from relselect.report.html import render_html
from relselect.report.record import dump_json

__all__ = ["write_atomic", "write_report", "write_text"]


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
    write_text(page.with_suffix(".json"), dump_json(record))
    return write_text(page, text)


def write_text(path: Path, text: str) -> Path:
    """Writes a text file atomically, making its folder where there is none.

    Raises:
        ConfigError: The path cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text)
    except OSError as error:
        fix = "Give a path in a folder that you may write to."
        raise ConfigError("path", str(path), f"cannot be written ({error.strerror})", fix) from error
    return path


def write_atomic(path: Path, text: str) -> None:
    """Replaces a text file in one step, through a temporary file in the same folder."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(text, encoding="utf-8", newline="\n")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)

"""The report as Markdown: the same facts in the same order as the page, without the figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from relselect.report.schema import check_record
from relselect.report.sections import Section, sections
from relselect.report.tables import ReportTable

__all__ = ["render_markdown"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!&~$])")


def render_markdown(record: Mapping[str, Any]) -> str:
    """Renders the report as Markdown; markup in names is escaped.

    Raises:
        ConfigError: The record is of another version or differs from its schema.
    """
    whole = check_record(record)
    title = f"{whole['task']['name']} on {whole['database']['name']}"
    parts = [f"# {_escape(title)}"]
    for place, section in enumerate(sections(whole)):
        parts += _section(section, first=place == 0)
    return "\n\n".join(parts) + "\n"


def _section(section: Section, *, first: bool) -> list[str]:
    parts = [] if first else [f"## {_escape(section.title)}"]
    badge = f" ({_escape(section.badge)})" if section.badge else ""
    if section.headline:
        parts.append(f"**{_escape(section.headline)}**{badge}")
    elif badge:
        parts.append(f"**{_escape(section.badge)}**")
    parts += [f"**Note:** {_escape(alert)}" for alert in section.alerts]
    parts += map(_escape, section.paragraphs)
    if section.keys:
        keys = [
            f"- {_escape(key.label)}: **{_escape(key.value)}** {_escape(key.note)}".rstrip() for key in section.keys
        ]
        parts.append("\n".join(keys))
    if section.bullets:
        parts.append("\n".join(f"- {_escape(text)}" for text in section.bullets))
    if section.facts:
        parts.append("\n".join(f"- {_escape(label)}: {_escape(value)}" for label, value in section.facts))
    for table in section.tables:
        parts += _table(table)
    if section.code:
        parts.append(f"    {' '.join(section.code.split())}")
    return parts


def _table(table: ReportTable) -> list[str]:
    if not table.rows or not table.columns:
        return []
    rule = ["---:" if column.kind == "number" else "---" for column in table.columns]
    rows = [[column.name for column in table.columns], *(row.cells for row in table.rows)]
    lines = [f"| {' | '.join(map(_escape, cells))} |" for cells in rows]
    return [f"**{_escape(table.caption)}**", "\n".join([lines[0], f"| {' | '.join(rule)} |", *lines[1:]])]


def _escape(text: str) -> str:
    """The text on one line with Markdown and HTML characters escaped, links made inert."""
    line = " ".join(text.split())
    return _SPECIAL.sub(r"\\\1", line).replace("://", ":\u200b//")

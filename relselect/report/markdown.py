"""The report as Markdown: the same facts in the same order as the page, without the figures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from relselect.report.record import complete
from relselect.report.sections import Section, sections
from relselect.report.sheets import Sheet
from relselect.report.verdict import Verdict, verdict

__all__ = ["render_markdown"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|!&~$])")


def render_markdown(record: Mapping[str, Any]) -> str:
    """Renders the report as Markdown; markup in names is escaped.

    Raises:
        ConfigError: When the record was written by a newer version of relselect.
    """
    whole = complete(record)
    title = f"{whole['task']['name'] or 'task'} on {whole['database']['name'] or 'database'}"
    parts = [f"# {_escape(title)}", *_verdict(verdict(whole))]
    for section in sections(whole):
        parts += _section(section)
    return "\n\n".join(parts) + "\n"


def _verdict(said: Verdict) -> list[str]:
    figures = [
        f"- {_escape(item.label)}: **{_escape(item.value)}** {_escape(item.note)}".rstrip() for item in said.figures
    ]
    return [
        f"**{_escape(said.headline)}** ({_escape(said.badge)})",
        " ".join(map(_escape, said.sentences)),
        "\n".join(figures),
    ]


def _section(section: Section) -> list[str]:
    parts = [f"## {_escape(section.title)}", *map(_escape, section.paragraphs)]
    if section.bullets:
        parts.append("\n".join(f"- {_escape(text)}" for text in section.bullets))
    if section.facts:
        parts.append("\n".join(f"- {_escape(label)}: {_escape(value)}" for label, value in section.facts))
    for sheet in section.tables:
        parts += _table(sheet)
    if section.code:
        parts.append(f"    {' '.join(section.code.split())}")
    return parts


def _table(sheet: Sheet) -> list[str]:
    if not sheet.rows or not sheet.columns:
        return []
    rule = ["---:" if column.kind == "number" else "---" for column in sheet.columns]
    rows = [[column.name for column in sheet.columns], *(row.cells for row in sheet.rows)]
    lines = [f"| {' | '.join(map(_escape, cells))} |" for cells in rows]
    return [f"**{_escape(sheet.caption)}**", "\n".join([lines[0], f"| {' | '.join(rule)} |", *lines[1:]])]


def _escape(text: str) -> str:
    """The text on one line with Markdown and HTML characters escaped, links made inert."""
    line = " ".join(text.split())
    return _SPECIAL.sub(r"\\\1", line).replace("://", ":\u200b//")

"""Draws what a notebook shows of an object: a heading, sentences and tables in HTML, without scripts, light or dark.

Colours are those of the notebook (text and background are inherited), and every text is escaped. What is shown of an object is
decided in its own room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from relselect.escaping import escape_controls

__all__ = ["NotebookTable", "notebook_html"]

_LINE = "1px solid rgba(128,128,128,.35)"
_CELL = "padding:.2em .8em .2em 0;border:0;background:transparent;color:inherit;vertical-align:top"
#: Rows of a table that are shown.
_MOST = 40


@dataclass(frozen=True)
class NotebookTable:
    """A table of texts.

    Attributes:
        columns: The headings.
        rows: As many cells per row.
        numbers: Places of the columns that are aligned to the right.
        bold: Places of the rows that stand out.
        caption: What stands above it.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[int] = ()
    bold: Sequence[int] = ()
    caption: str = ""


def notebook_html(title: str, sentences: Sequence[str] = (), tables: Sequence[NotebookTable] = ()) -> str:
    """Return one block of HTML.

    Args:
        title: The heading.
        sentences: One paragraph each, below it.
        tables: Below the sentences; of long ones the first rows.

    >>> notebook_html("<b>", ["a & b"])
    '<div style="color:inherit"><p><strong>&lt;b&gt;</strong></p><p>a &amp; b</p></div>'
    """
    told = "".join(f"<p>{_text(sentence)}</p>" for sentence in sentences)
    drawn = "".join(_table(table) for table in tables if table.rows)
    return f'<div style="color:inherit"><p><strong>{_text(title)}</strong></p>{told}{drawn}</div>'


def _table(table: NotebookTable) -> str:
    head = "".join(_cell("th", name, place in table.numbers) for place, name in enumerate(table.columns))
    body = "".join(_row(row, table, number in table.bold) for number, row in enumerate(table.rows[:_MOST]))
    more = len(table.rows) - _MOST
    rest = f"<p>{more:,} more rows</p>" if more > 0 else ""
    caption = f"<p>{_text(table.caption)}</p>" if table.caption else ""
    style = f"border-collapse:collapse;border-top:{_LINE};border-bottom:{_LINE};color:inherit"
    return f'{caption}<table style="{style}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}'


def _row(row: Sequence[str], table: NotebookTable, bold: bool) -> str:
    cells = "".join(_cell("td", cell, place in table.numbers, bold) for place, cell in enumerate(row))
    return f'<tr style="background:transparent">{cells}</tr>'


def _cell(tag: str, text: str, number: bool, bold: bool = False) -> str:
    weight = ";font-weight:bold" if bold else ""
    return f'<{tag} style="{_CELL};text-align:{"right" if number else "left"}{weight}">{_text(text)}</{tag}>'


def _text(text: str) -> str:
    return escape(escape_controls(text))

"""The report of one run as an object: HTML, Markdown and JSON of one record, shown in a browser or a notebook, saved."""

from __future__ import annotations

import tempfile
import webbrowser
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relselect.files import unwritable, write_text
from relselect.serialization import dump_document

if TYPE_CHECKING:
    from relselect.report.record import RunRecord

__all__ = ["Report"]

#: Endings that `save` knows; others get a page.
_MARKDOWN, _JSON = {".md", ".markdown"}, {".json"}


class Report:
    """What a run found, for people and for programs. Equal records give equal bytes in every form.

    Args:
        record: A run record (`relselect.report.record.RunRecord`). It is checked when it is rendered.

    Attributes:
        record: The record.
    """

    def __init__(self, record: Mapping[str, Any] | RunRecord) -> None:
        self.record = record

    def __repr__(self) -> str:
        return f"Report({self.record['task']['name']!r} on {self.record['database']['name']!r})"

    def _repr_html_(self) -> str:
        page = escape(self.html(), quote=True)
        return f'<iframe title="report" sandbox="" style="width:100%;height:720px;border:0" srcdoc="{page}"></iframe>'

    def html(self) -> str:
        """Return the report as one self-contained HTML page.

        Raises:
            ConfigError: The record is of a version that cannot be read, or differs from its schema.
        """
        from relselect.report.html import render_html

        return render_html(self.record)

    def markdown(self) -> str:
        """Return the report as Markdown, without the figures.

        Raises:
            ConfigError: As for `html`.
        """
        from relselect.report.markdown import render_markdown

        return render_markdown(self.record)

    def json(self) -> str:
        """Return the record as JSON text; `relselect.report.read_record` reads it from a file."""
        return dump_document(self.record)

    def save(self, path: str | Path) -> Path:
        """Write the report.

        Args:
            path: A name that ends in .md writes Markdown, one in .json the record; any other writes the page, and beside it the
                record as JSON.

        Returns:
            The path of what was written.

        Raises:
            ConfigError: The path cannot be written to, or as for `html`.
        """
        from relselect.report.write import write_report

        place = Path(path)
        texts = {**dict.fromkeys(_MARKDOWN, self.markdown), **dict.fromkeys(_JSON, self.json)}
        if place.suffix.lower() not in texts:
            return write_report(self.record, place)
        text = texts[place.suffix.lower()]()
        with unwritable("path", place):
            return write_text(place, text)

    def open(self) -> Path:
        """Show the page in the default browser, and return the temporary file that holds it."""
        place = self.save(Path(tempfile.mkdtemp(prefix="relselect-report-")) / "report.html")
        webbrowser.open(place.as_uri())
        return place

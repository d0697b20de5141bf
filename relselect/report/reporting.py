"""What reports of itself: a predictor by the record of its run. `relselect.fitted.Fitted` is one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from relselect.report.record import RunRecord
    from relselect.report.report import Report

__all__ = ["ReportsItself"]


class ReportsItself(ABC):
    """Something with a run record, and so with a report."""

    @property
    @abstractmethod
    def record(self) -> RunRecord:
        """Everything the report says, JSON-able."""

    @overload
    def report(self) -> Report: ...

    @overload
    def report(self, path: str | Path) -> Path: ...

    def report(self, path: str | Path | None = None) -> Report | Path:
        """Return the report, or write it as one self-contained HTML page with the same facts as JSON beside it.

        Args:
            path: The HTML file; a name that ends in .md gives Markdown. None writes nothing.

        Returns:
            The report (`html()`, `markdown()`, `json()`, `open()`, `save(path)`), or the path of what was written.

        Raises:
            ConfigError: The path cannot be written to.
        """
        from relselect.report.report import Report

        found = Report(self.record)
        return found if path is None else found.save(path)

"""What a notebook shows of a trained predictor: the verdict in sentences and the leaderboard, errors positive."""

from __future__ import annotations

from relselect.notebook import NotebookTable, notebook_html
from relselect.report.record import RunRecord
from relselect.report.tables import leaderboard
from relselect.report.verdict import verdict

__all__ = ["record_html"]


def record_html(title: str, record: RunRecord) -> str:
    """Return the verdict and the leaderboard of a record as HTML.

    Args:
        title: The heading.
        record: A run record.
    """
    found, board = verdict(record), leaderboard(record)
    table = NotebookTable(
        [column.name for column in board.columns],
        [row.cells for row in board.rows],
        numbers=[place for place, column in enumerate(board.columns) if column.kind == "number"],
        bold=[place for place, row in enumerate(board.rows) if row.chosen],
        caption=board.caption,
    )
    return notebook_html(title, [f"{found.headline} ({found.badge.lower()})", *found.alerts, *found.sentences], [table])

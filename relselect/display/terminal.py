"""Tables and sentences for a terminal, from the same sheets as the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from relselect.report.record import RunRecord, complete
from relselect.report.sheets import Column, Row, Sheet, findings, leaderboard, profile
from relselect.report.verdict import verdict

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "drift_table",
    "findings_table",
    "leaderboard_table",
    "profile_tables",
    "proposal_table",
    "sheet_table",
    "verdict_lines",
]


#: Candidates that a terminal shows at least; the chosen one, each family's best and the constants come in addition.
_SHOWN = 8


def leaderboard_table(record: Mapping[str, Any]) -> Table:
    """The leaderboard of a record as a rich table, without what does not fit a terminal."""
    whole: RunRecord = complete(record)
    rows = whole["leaderboard"]
    families = [row["family"] for row in rows]
    kept = [
        row
        for place, row in enumerate(rows)
        if place < _SHOWN or row["chosen"] or row["family"] == "constants" or families.index(row["family"]) == place
    ]
    sheet = leaderboard({**whole, "leaderboard": kept}, short=True)
    if len(kept) < len(rows):
        sheet = replace(sheet, caption=f"{sheet.caption}: {len(kept)} of {len(rows)}, the report has all")
    return sheet_table(sheet)


def profile_tables(record: Mapping[str, Any]) -> list[Table]:
    """The measures of a record's profile, one rich table per group."""
    return [sheet_table(sheet) for sheet in profile(complete(record))]


def findings_table(record: Mapping[str, Any]) -> list[Table]:
    """What the leak checks of a record's profile found, as one rich table; none where they found nothing."""
    sheet = findings(complete(record))
    return [sheet_table(sheet)] if sheet.rows else []


def verdict_lines(record: Mapping[str, Any]) -> list[str]:
    """The verdict: its headline with the badge, then one sentence per line."""
    whole: RunRecord = complete(record)
    said = verdict(whole)
    evidence = whole["recommendation"]["evidence"] if whole["kind"] == "recommendation" else []
    return [f"{said.headline} ({said.badge.lower()})", *said.sentences, *said.alerts, *evidence]


def drift_table(findings: Sequence[Mapping[str, Any]]) -> Table:
    """What has changed since training, the worst first, as one rich table."""
    names = ("severity", "table", "column", "what", "trained", "now", "advice")
    columns = tuple(Column(name.capitalize()) for name in names)
    rows = tuple(
        Row(tuple(str(each[name] or "–") for name in names), chosen=each["severity"] != "note") for each in findings
    )
    return sheet_table(Sheet("Since training", columns, rows))


def proposal_table(proposals: Sequence[Mapping[str, Any]]) -> Table:
    """What is proposed about a schema, one row each, as one rich table."""
    columns = (*map(Column, ("Table", "Column", "What", "Value")), Column("Sure", "number"), Column("Reason"))
    rows = []
    for each in proposals:
        sure = each["origin"] if each["origin"] != "inferred" else f"{each['confidence']:.2f}"
        cells = (each["table"], each["columns"], each["what"], each["value"] or "–", sure, each["reason"])
        rows.append(Row(cells, chosen=each["what"] == "note"))
    return sheet_table(Sheet("Proposals", columns, tuple(rows)))


def sheet_table(sheet: Sheet) -> Table:
    """A sheet as a rich table; no cell is read as markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(sheet.caption), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in sheet.columns:
        table.add_column(Text(column.name), justify="right" if column.kind == "number" else "left", overflow="fold")
    for row in sheet.rows:
        table.add_row(*map(Text, row.cells), style="bold" if row.chosen else None)
    return table

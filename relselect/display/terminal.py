"""Tables and sentences for a terminal, from the same text tables as the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from relselect.errors import SchemaProblem
from relselect.escaping import escape_controls
from relselect.report.families import is_baseline
from relselect.report.record import ProfileRecord, RunRecord
from relselect.report.tables import ReportColumn, ReportRow, ReportTable, findings, leaderboard, measures, unrun_checks
from relselect.report.verdict import verdict
from relselect.report.words import plural

if TYPE_CHECKING:
    from rich.table import Table

__all__ = [
    "drift_table",
    "leaderboard_table",
    "problem_table",
    "profile_tables",
    "proposal_table",
    "rich_table",
    "tasks_table",
    "verdict_lines",
]


#: Candidates that a terminal shows at least; the chosen one, each family's best and the baselines come in addition.
_SHOWN = 8


def leaderboard_table(record: RunRecord) -> Table:
    """Returns the leaderboard of a record as a rich table; of many candidates the first ones and those that matter."""
    rows = record["leaderboard"]
    families = [row["family"] for row in rows]
    kept = [
        row
        for place, row in enumerate(rows)
        if place < _SHOWN
        or row["chosen"]
        or is_baseline(record, row["family"])
        or families.index(row["family"]) == place
    ]
    table = leaderboard({**record, "leaderboard": kept})
    if len(kept) < len(rows):
        table = replace(table, caption=f"{table.caption}: {len(kept)} of {len(rows)}, the report has all")
    return rich_table(table)


def profile_tables(profile: ProfileRecord) -> list[Table]:
    """Returns the measures of a profile, one rich table per group, then its findings and the leak checks that did not run."""
    checks = [table for table in (findings(profile), unrun_checks(profile)) if table.rows]
    return [rich_table(table) for table in (*measures(profile), *checks)]


def verdict_lines(record: RunRecord) -> list[str]:
    """Returns the verdict: its headline with the badge, what must not be missed, then one sentence per line."""
    found = verdict(record)
    advice = record["recommendation"] if record["kind"] == "recommendation" else None
    evidence = [] if advice is None else advice["evidence"]
    return [f"{found.headline} ({found.badge.lower()})", *found.alerts, *found.sentences, *evidence]


def drift_table(findings: Sequence[Mapping[str, Any]]) -> Table:
    """Returns what has changed since training, the most severe first, as one rich table."""
    names = ("severity", "table", "column", "what", "trained", "now", "advice")
    columns = tuple(ReportColumn(name.capitalize()) for name in names)
    rows = tuple(
        ReportRow(tuple(str(each[name] or "–") for name in names), chosen=each["severity"] != "note")
        for each in findings
    )
    return rich_table(ReportTable("Since training", columns, rows))


def proposal_table(proposals: Sequence[Mapping[str, Any]]) -> Table:
    """Returns the proposals about a schema, one row each, as one rich table."""
    columns = (
        *map(ReportColumn, ("Table", "Column", "What", "Value")),
        ReportColumn("Sure", "number"),
        ReportColumn("Reason"),
    )
    rows = []
    for each in proposals:
        sure = each["origin"] if each["origin"] != "inferred" else f"{each['confidence']:.2f}"
        cells = (each["table"], each["columns"], each["what"], each["value"] or "–", sure, each["reason"])
        rows.append(ReportRow(cells, chosen=each["what"] == "note"))
    return rich_table(ReportTable("Proposals", columns, tuple(rows)))


def tasks_table(tasks: Sequence[Mapping[str, Any]]) -> Table:
    """Returns the declared tasks of a database, one row each, as one rich table."""
    columns = (
        *map(ReportColumn, ("Task", "Entity", "Kind", "Metric", "Horizon")),
        *(ReportColumn(name, "number") for name in ("Train", "Val", "Test")),
        ReportColumn("What it asks"),
    )
    rows = []
    for each in tasks:
        counts = [
            f"{each['rows'][name]:,}" if name in (each["rows"] or {}) else "–" for name in ("train", "val", "test")
        ]
        horizon = "–" if each["horizon"] is None else str(each["horizon"])
        asked = (each["entity"] or "–", each["kind"] or "–", each["metric_title"] or "–")
        about = f"cannot be read: {each['problem']}" if each["problem"] else each["description"] or "–"
        rows.append(ReportRow((each["task"], *asked, horizon, *counts, about)))
    return rich_table(ReportTable("Tasks", columns, tuple(rows)))


def problem_table(problems: Sequence[SchemaProblem]) -> Table:
    """Returns every problem of a database as one rich table."""
    columns = tuple(map(ReportColumn, ("Table", "Column", "Value", "Rule", "Way out")))
    rows = tuple(ReportRow((p.table, p.column or "–", p.value, p.rule, p.fix)) for p in problems)
    title = f"{len(problems)} {plural(len(problems), 'problem')} in the database"
    return rich_table(ReportTable(title, columns, rows))


def rich_table(table: ReportTable) -> Table:
    """Returns a text table as a rich table; no cell is read as markup, and none moves the cursor."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=Text(escape_controls(table.caption)), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        drawn.add_column(
            Text(escape_controls(column.name)), justify="right" if column.kind == "number" else "left", overflow="fold"
        )
    for row in table.rows:
        drawn.add_row(*(Text(escape_controls(cell)) for cell in row.cells), style="bold" if row.chosen else None)
    return drawn

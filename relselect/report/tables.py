"""The report's tables as text cells, shared by the page, the Markdown and the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from relselect.report.details import importances
from relselect.report.families import family_class, family_info, is_baseline
from relselect.report.record import LeaderboardRecord, ProfileRecord, RunRecord
from relselect.report.words import MISSING, config_text, count, is_error, number, percent, score, seconds, share

__all__ = [
    "ReportColumn",
    "ReportRow",
    "ReportTable",
    "configurations",
    "database_tables",
    "features",
    "findings",
    "further_scores",
    "leaderboard",
    "measures",
    "near_ties",
    "neighbours",
    "notes",
    "pruned",
    "score_interval",
    "splits",
    "stages",
    "unrun_checks",
    "without_empty",
]


@dataclass(frozen=True)
class ReportColumn:
    """A column heading; `kind` is "text", "name", "number", "code" or "family"."""

    name: str
    kind: str = "text"


@dataclass(frozen=True)
class ReportRow:
    """One row of cells; `chosen` rows stand out, `css` is the class that colours the family cell."""

    cells: tuple[str, ...]
    chosen: bool = False
    css: str = ""


@dataclass(frozen=True)
class ReportTable:
    """A table with its caption; rows after the first `fold` are folded away on the page."""

    caption: str
    columns: tuple[ReportColumn, ...]
    rows: tuple[ReportRow, ...]
    fold: int = 15


def leaderboard(record: RunRecord) -> ReportTable:
    """Every candidate with its scores and its time; columns without any value are left out."""
    metric = record["task"]["metric"]
    columns = (
        ReportColumn("#", "number"),
        ReportColumn("Candidate", "name"),
        ReportColumn("Family", "family"),
        ReportColumn("Validation", "number"),
        ReportColumn("Interval", "number"),
        ReportColumn("Test", "number"),
        ReportColumn("Time", "number"),
        ReportColumn("Note"),
    )
    rows = [
        ReportRow(
            (
                count(row["rank"]),
                row["candidate"],
                family_info(record, row["family"])["short"],
                score(row["score"], metric),
                score_interval(row["low"], row["high"], metric),
                score(row["test_score"], metric),
                seconds(row["seconds"]),
                _remark(record, row),
            ),
            row["chosen"],
            family_class(record, row["family"]),
        )
        for row in record["leaderboard"]
    ]
    return without_empty(ReportTable(f"Candidates by {record['task']['metric_title']}", columns, tuple(rows)))


def further_scores(record: RunRecord) -> ReportTable:
    """What the leaderboard has no room for: scores of the stop rows, intervals of the test scores, memory and devices."""
    metric = record["task"]["metric"]
    columns = (
        ReportColumn("Candidate", "name"),
        ReportColumn("Stop rows", "number"),
        ReportColumn("Test interval", "number"),
        ReportColumn("Peak memory", "number"),
        ReportColumn("Device"),
    )
    rows = [
        ReportRow(
            (
                row["candidate"],
                score(row["stop_score"], metric),
                score_interval(row["test_low"], row["test_high"], metric),
                MISSING if row["peak_memory_mb"] is None else f"{count(row['peak_memory_mb'])} MB",
                row["device"],
            ),
            row["chosen"],
        )
        for row in record["leaderboard"]
    ]
    return without_empty(ReportTable("Stop rows, test intervals, memory and devices", columns, tuple(rows), fold=0))


def configurations(record: RunRecord) -> ReportTable:
    """The configuration of each candidate, those without one left out."""
    rows = [
        ReportRow((row["candidate"], config_text(row["config"])), row["chosen"])
        for row in record["leaderboard"]
        if row["config"]
    ]
    columns = (ReportColumn("Candidate", "name"), ReportColumn("Configuration", "code"))
    return ReportTable("Configurations", columns, tuple(rows), fold=0)


def notes(record: RunRecord) -> ReportTable:
    """What the families noted about their candidates; a baseline's note stands in the leaderboard."""
    noted: dict[str, list[str]] = {}
    for row in record["leaderboard"]:
        if row["note"] and not is_baseline(record, row["family"]):
            noted.setdefault(row["note"], []).append(row["candidate"])
    rows = [ReportRow((", ".join(names), note)) for note, names in noted.items()]
    return ReportTable("Notes", (ReportColumn("Candidate", "name"), ReportColumn("Note")), tuple(rows), fold=6)


def pruned(record: RunRecord) -> ReportTable:
    """The trials whose training was ended on the way, and why."""
    rows = [ReportRow((f"{row['family']}-{row['number']}", row["reason"])) for row in record["pruned"]]
    return ReportTable("Pruned trials", (ReportColumn("Trial", "name"), ReportColumn("Reason")), tuple(rows), fold=6)


def near_ties(record: RunRecord) -> ReportTable:
    """The checkpoints between which flatness decided."""
    metric, choice = record["task"]["metric"], record["choice"]
    columns = (
        ReportColumn("Candidate", "name"),
        ReportColumn("Checkpoint", "number"),
        ReportColumn("Step", "number"),
        ReportColumn("Validation", "number"),
        ReportColumn("Slope", "number"),
    )
    rows = [
        ReportRow(
            (
                row["candidate"],
                count(row["checkpoint"]),
                count(row["step"]),
                score(row["score"], metric),
                number(row["slope"]),
            ),
            row["chosen"],
        )
        for row in ([] if choice is None else choice["near_ties"])
    ]
    return without_empty(ReportTable("Near-tied checkpoints", columns, tuple(rows)))


def features(record: RunRecord) -> ReportTable:
    """The features of a candidate with their shares of the whole model's importance."""
    found = importances(record)
    columns = (ReportColumn("Feature", "code"), ReportColumn("In words"), ReportColumn("Share", "number"))
    if found is None:
        return ReportTable("Features", columns, ())
    candidate, known = found
    rows = tuple(
        ReportRow((row["feature"], row["description"] or MISSING, percent(row["share"])))
        for row in known["features"][:50]
    )
    return without_empty(ReportTable(f"Features of {candidate} by {known['kind']}", columns, rows, fold=0))


def splits(record: RunRecord) -> ReportTable:
    """Rows, cutoffs and mean label per split."""
    columns = (
        ReportColumn("Split"),
        ReportColumn("Rows", "number"),
        ReportColumn("First cutoff"),
        ReportColumn("Last cutoff"),
        ReportColumn("Mean label", "number"),
        ReportColumn("Purged", "number"),
    )
    rows = [
        ReportRow(
            (
                row["split"],
                count(row["rows"]),
                _text(row["first_cutoff"]),
                _text(row["last_cutoff"]),
                number(row["label_mean"]),
                count(row["purged"]),
            )
        )
        for row in record["task"]["splits"]
    ]
    return without_empty(ReportTable("Splits", columns, tuple(rows)))


def database_tables(record: RunRecord) -> ReportTable:
    """The tables of the database with their keys."""
    columns = (
        ReportColumn("Table", "name"),
        ReportColumn("Rows", "number"),
        ReportColumn("Columns", "number"),
        ReportColumn("Primary key", "code"),
        ReportColumn("Time", "code"),
        ReportColumn("Foreign keys", "code"),
    )
    rows = [
        ReportRow(
            (
                table["name"],
                count(table["rows"]),
                count(table["columns"]),
                ", ".join(table["primary_key"]) or MISSING,
                table["time"] or MISSING,
                ", ".join(f"{'+'.join(key['columns'])} → {key['table']}" for key in table["foreign_keys"]) or MISSING,
            )
        )
        for table in record["database"]["tables"]
    ]
    return ReportTable("Tables", columns, tuple(rows), fold=30)


def measures(profile: ProfileRecord) -> tuple[ReportTable, ...]:
    """The measures of a profile, one table per group in order of appearance."""
    known = profile["measures"]
    groups = list(dict.fromkeys(row["group"] for row in known))
    columns = (
        ReportColumn("Measure", "name"),
        ReportColumn("Value", "number"),
        ReportColumn("± error", "number"),
        ReportColumn("Reading"),
    )
    found = []
    for group, rows in groupby(sorted(known, key=lambda row: groups.index(row["group"])), lambda row: row["group"]):
        cells = [
            ReportRow(
                (
                    row["name"],
                    _measured(row["value"], row["stderr"]),
                    number(row["stderr"]),
                    row["reading"] or MISSING,
                )
            )
            for row in rows
        ]
        title = (group or "measures").replace("_", " ").capitalize()
        found.append(without_empty(ReportTable(title, columns, tuple(cells))))
    return tuple(found)


def findings(profile: ProfileRecord) -> ReportTable:
    """What the leak checks found, with the way out or the reason why it is let stand."""
    columns = (
        ReportColumn("Severity"),
        ReportColumn("Check"),
        ReportColumn("Subject", "code"),
        ReportColumn("Evidence"),
        ReportColumn("Way out"),
    )
    rows = [
        ReportRow(
            (
                f"{row['severity']}, accepted" if row["accepted"] else row["severity"],
                row["check"],
                row["subject"],
                row["evidence"],
                f"Accepted: {row['accepted']}" if row["accepted"] else row["fix"],
            )
        )
        for row in profile["findings"]
    ]
    return ReportTable("Leak checks", columns, tuple(rows))


def unrun_checks(profile: ProfileRecord) -> ReportTable:
    """The leak checks that did not run, and why."""
    rows = tuple(ReportRow((row["check"], row["why"])) for row in profile["unrun_checks"])
    return ReportTable("Leak checks that did not run", (ReportColumn("Check"), ReportColumn("Why")), rows)


def neighbours(record: RunRecord) -> ReportTable:
    """The most similar known tasks, the nearest first: which family was better there, by how much, and what both cost."""
    columns = (
        ReportColumn("Task", "name"),
        ReportColumn("Better", "family"),
        ReportColumn("Lead in skill", "number"),
        ReportColumn("Training both", "number"),
    )
    rows = []
    for row in record["recommendation"]["neighbours"]:
        better = str(row.get("better", MISSING))
        lead, minutes = (_real(row.get(name)) for name in ("margin", "minutes"))
        cells = (
            _text(row.get("task")),
            family_info(record, better)["short"],
            MISSING if lead is None else percent(abs(lead)),
            MISSING if minutes is None else seconds(60 * minutes),
        )
        rows.append(ReportRow(cells, css=family_class(record, better)))
    return ReportTable("Most similar known tasks", columns, tuple(rows))


def _real(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def stages(record: RunRecord) -> ReportTable:
    """Seconds by stage."""
    known = record["budget"]["by_stage"]
    whole = sum(row["seconds"] for row in known)
    columns = (ReportColumn("Stage"), ReportColumn("Time", "number"), ReportColumn("Share", "number"))
    rows = tuple(ReportRow((row["stage"], seconds(row["seconds"]), share(row["seconds"], whole))) for row in known)
    return ReportTable("Time by stage", columns, rows, fold=0)


def score_interval(low: float | None, high: float | None, metric: str) -> str:
    """The interval in the metric's own direction, low end first."""
    ends = [score(end, metric) for end in (low, high)]
    if MISSING in ends:
        return MISSING
    return " to ".join(reversed(ends) if is_error(metric) else ends)


def _measured(value: float | None, stderr: float | None) -> str:
    """A measured number; a count when it is whole and has no error."""
    return count(value) if value is not None and stderr is None and float(value).is_integer() else number(value)


def _remark(record: RunRecord, row: LeaderboardRecord) -> str:
    """What marks a candidate: chosen, the default configuration, cut off by the budget; of a baseline its note."""
    marks = (
        ("chosen", row["chosen"]),
        ("default", row["default"]),
        ("cut off by the budget", row["ended"] == "budget"),
    )
    words = [word for word, holds in marks if holds]
    note = row["note"].rstrip(".") if is_baseline(record, row["family"]) else ""
    return "; ".join([*words, *([note] if note else [])]) or MISSING


def _text(value: Any) -> str:
    if value is None:
        return MISSING
    return number(value) if isinstance(value, float) else str(value)


def without_empty(table: ReportTable) -> ReportTable:
    """The table without the columns that have no value."""
    kept = [i for i in range(len(table.columns)) if any(row.cells[i] != MISSING for row in table.rows)]
    rows = tuple(ReportRow(tuple(row.cells[i] for i in kept), row.chosen, row.css) for row in table.rows)
    return ReportTable(table.caption, tuple(table.columns[i] for i in kept), rows, table.fold)

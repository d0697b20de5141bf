"""The report's tables as plain text cells, shared by the page, the Markdown and the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from relselect.report.details import importances
from relselect.report.record import LeaderboardRecord, RunRecord
from relselect.report.words import (
    MISSING,
    config_text,
    constant_scope,
    count,
    family_short,
    metric_name,
    number,
    percent,
    score,
    seconds,
    share,
)

__all__ = [
    "Column",
    "Row",
    "Sheet",
    "configurations",
    "features",
    "findings",
    "leaderboard",
    "near_ties",
    "notes",
    "neighbours",
    "profile",
    "splits",
    "stages",
    "tables",
]


@dataclass(frozen=True)
class Column:
    """A column heading; `kind` is "text", "name", "number", "code" or "family"."""

    name: str
    kind: str = "text"


@dataclass(frozen=True)
class Row:
    """One row of cells; `chosen` rows stand out, `family` colours the family cell."""

    cells: tuple[str, ...]
    chosen: bool = False
    family: str | None = None


@dataclass(frozen=True)
class Sheet:
    """A table with its caption; rows after the first `fold` may be folded away on the page."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    fold: int = 15


def leaderboard(record: RunRecord, short: bool = False) -> Sheet:
    """Every candidate with its scores and costs; columns without any value are left out, memory too when `short`."""
    metric = record["task"]["metric"]
    columns = (
        Column("#", "number"),
        Column("Candidate", "name"),
        Column("Family", "family"),
        Column("Validation", "number"),
        Column("Interval", "number"),
        Column("Test", "number"),
        Column("Time", "number"),
        Column("Peak memory", "number"),
        Column("Device"),
        Column("Note"),
    )
    rows = [
        Row(
            (
                count(row["rank"]),
                row["candidate"] or MISSING,
                family_short(row["family"]),
                score(row["score"], metric),
                _interval(row, metric),
                score(row["test_score"], metric),
                seconds(row["seconds"]),
                _megabytes(row["peak_memory_mb"]),
                row["device"] or MISSING,
                _note(row),
            ),
            bool(row["chosen"]),
            row["family"],
        )
        for row in record["leaderboard"]
    ]
    several = len({row["device"] for row in record["leaderboard"]}) > 1  # one device stands under reproduction
    dropped = {"Device"} if not several else set()
    dropped |= {"Peak memory", "Device"} if short else set()
    hidden = [index for index, column in enumerate(columns) if column.name in dropped]
    return _without_empty(Sheet(f"Candidates by {metric_name(metric)}", columns, tuple(rows)), hidden)


def configurations(record: RunRecord) -> Sheet:
    """The configuration of each candidate, those without one left out."""
    rows = [
        Row((row["candidate"] or MISSING, config_text(row["config"])), bool(row["chosen"]))
        for row in record["leaderboard"]
        if row["config"]
    ]
    return Sheet("Configurations", (Column("Candidate", "name"), Column("Configuration", "code")), tuple(rows), fold=0)


def notes(record: RunRecord) -> Sheet:
    """What the families noted about their candidates."""
    noted: dict[str, list[str]] = {}
    for row in record["leaderboard"]:
        if row["note"]:
            noted.setdefault(row["note"], []).append(row["candidate"] or MISSING)
    rows = [Row((", ".join(names), note)) for note, names in noted.items()]
    return Sheet("Notes", (Column("Candidate", "name"), Column("Note")), tuple(rows), fold=6)


def near_ties(record: RunRecord) -> Sheet:
    """The checkpoints between which flatness decided."""
    metric = record["task"]["metric"]
    columns = (
        Column("Candidate", "name"),
        Column("Checkpoint", "number"),
        Column("Step", "number"),
        Column("Validation", "number"),
        Column("Steepness", "number"),
    )
    rows = [
        Row(
            (
                row["candidate"] or MISSING,
                count(row["checkpoint"]),
                count(row["step"]),
                score(row["score"], metric),
                number(row["slope"]),
            ),
            bool(row["chosen"]),
        )
        for row in record["choice"]["near_ties"]
    ]
    return _without_empty(Sheet("Near-tied checkpoints", columns, tuple(rows)))


def features(record: RunRecord) -> Sheet:
    """The features of a candidate with their share of all weight."""
    found = importances(record)
    candidate, items = found if found else ("", [])
    columns = (Column("Feature", "code"), Column("In words"), Column("Share", "number"))
    rows = tuple(Row((item.feature, item.description or MISSING, percent(item.share))) for item in items[:50])
    return _without_empty(Sheet(f"Features that {candidate} leans on", columns, rows, fold=0))


def splits(record: RunRecord) -> Sheet:
    """Rows, cutoffs and mean label per split."""
    columns = (
        Column("Split"),
        Column("Rows", "number"),
        Column("First cutoff"),
        Column("Last cutoff"),
        Column("Mean label", "number"),
        Column("Purged", "number"),
    )
    rows = [
        Row(
            (
                row["split"] or MISSING,
                count(row["rows"]),
                _text(row["first_cutoff"]),
                _text(row["last_cutoff"]),
                number(row["label_mean"]),
                count(row["purged"]),
            )
        )
        for row in record["task"]["splits"]
    ]
    return _without_empty(Sheet("Splits", columns, tuple(rows)))


def tables(record: RunRecord) -> Sheet:
    """The tables of the database with their keys."""
    columns = (
        Column("Table", "name"),
        Column("Rows", "number"),
        Column("Columns", "number"),
        Column("Primary key", "code"),
        Column("Time", "code"),
        Column("Foreign keys", "code"),
    )
    rows = [
        Row(
            (
                table["name"] or MISSING,
                count(table["rows"]),
                count(table["columns"]),
                ", ".join(table["primary_key"]) or MISSING,
                table["time"] or MISSING,
                ", ".join(f"{'+'.join(key['columns'])} → {key['table']}" for key in table["foreign_keys"]) or MISSING,
            )
        )
        for table in record["database"]["tables"]
    ]
    return Sheet("Tables", columns, tuple(rows), fold=30)


def profile(record: RunRecord) -> tuple[Sheet, ...]:
    """The measures, one table per group in order of appearance."""
    measures = record["profile"]["measures"]
    groups = list(dict.fromkeys(row["group"] or "measures" for row in measures))
    columns = (Column("Measure", "name"), Column("Value", "number"), Column("± error", "number"), Column("Reading"))
    ordered = sorted(measures, key=lambda row: groups.index(row["group"] or "measures"))
    return tuple(
        _without_empty(
            Sheet(
                group.replace("_", " ").capitalize(),
                columns,
                tuple(
                    Row(
                        (
                            row["name"] or MISSING,
                            _measured(row["value"], row["stderr"]),
                            number(row["stderr"]),
                            row["reading"] or MISSING,
                        )
                    )
                    for row in rows
                ),
            )
        )
        for group, rows in groupby(ordered, key=lambda row: row["group"] or "measures")
    )


def findings(record: RunRecord) -> Sheet:
    """What the leak checks found, with the way out or the reason why it may stand."""
    columns = (Column("Severity"), Column("Check"), Column("Subject", "code"), Column("Evidence"), Column("Way out"))
    rows = [
        Row(
            (
                f"{row['severity']}, accepted" if row["accepted"] else row["severity"] or MISSING,
                row["check"] or MISSING,
                row["subject"] or MISSING,
                row["evidence"] or MISSING,
                f"Accepted: {row['accepted']}" if row["accepted"] else row["fix"] or MISSING,
            )
        )
        for row in record["profile"]["findings"]
    ]
    return Sheet("Leak checks", columns, tuple(rows))


def neighbours(record: RunRecord) -> Sheet:
    """The nearest tasks of the bank, whatever is known of them."""
    known = [row if isinstance(row, dict) else {"task": row} for row in record["recommendation"]["neighbours"]]
    names = list(dict.fromkeys(name for row in known for name in row))
    rows = tuple(Row(tuple(_text(row.get(name)) for name in names)) for row in known)
    return Sheet("Nearest tasks of the bank", tuple(Column(name.replace("_", " ")) for name in names), rows)


def stages(record: RunRecord) -> Sheet:
    """Seconds by stage."""
    given = record["budget"]["by_stage"]
    whole = sum(row["seconds"] or 0.0 for row in given)
    columns = (Column("Stage"), Column("Time", "number"), Column("Share", "number"))
    rows = tuple(Row((row["stage"] or MISSING, seconds(row["seconds"]), share(row["seconds"], whole))) for row in given)
    return Sheet("Time by stage", columns, rows, fold=0)


def _interval(row: LeaderboardRecord, metric: str | None) -> str:
    """The interval in the metric's own direction, low end first."""
    ends = [score(end, metric) for end in (row["low"], row["high"])]
    if MISSING in ends:
        return MISSING
    return " to ".join(reversed(ends) if (metric or "").startswith("neg_") else ends)


def _measured(value: float | None, stderr: float | None) -> str:
    """A measured number; a count when it is whole and has no error."""
    return count(value) if value is not None and stderr is None and float(value).is_integer() else number(value)


def _note(row: LeaderboardRecord) -> str:
    words = [word for word, holds in (("chosen", row["chosen"]), ("default", row["default"])) if holds]
    scope = constant_scope(row["config"]) if row["family"] == "constants" else ""
    return "; ".join([*words, *([scope] if scope else [])]) or MISSING


def _megabytes(value: float | None) -> str:
    return MISSING if value is None else f"{count(value)} MB"


def _text(value: Any) -> str:
    if value is None:
        return MISSING
    return number(value) if isinstance(value, float) else str(value)


def _without_empty(sheet: Sheet, dropped: Sequence[int] = ()) -> Sheet:
    """The table without the columns in which nothing is known, and without the `dropped` ones."""
    known = [i for i in range(len(sheet.columns)) if any(row.cells[i] != MISSING for row in sheet.rows)]
    kept = [i for i in known if i not in dropped]
    rows = tuple(Row(tuple(row.cells[i] for i in kept), row.chosen, row.family) for row in sheet.rows)
    return Sheet(sheet.caption, tuple(sheet.columns[i] for i in kept), rows, sheet.fold)

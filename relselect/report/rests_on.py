"""What the decided model rests on, for the report: sentences, tables and the two figures, losses of tables and staleness.

Colours and fonts are the page's, as in `relselect.report.figures`.
"""

from __future__ import annotations

from markupsafe import Markup

from relselect.report.families import family_class
from relselect.report.record import AblationRecord, DelayRecord, PeriodRecord, RestsOnRecord, RunRecord
from relselect.report.svg import WIDE, Canvas, FigureLayout, Scale, ticks
from relselect.report.tables import ReportColumn, ReportRow, ReportTable, score_interval
from relselect.report.words import count, is_error, number, score, shorten

__all__ = ["ablation_figure", "ablation_table", "decay_table", "delay_table", "rests_on_sentences", "staleness_figure"]

_TABLES, _COLUMNS = 8, 8


def rests_on_sentences(found: RestsOnRecord) -> tuple[str, ...]:
    """What was found, and what was not measured."""
    parts = [
        *(found["importance"] or {"sentences": []})["sentences"],
        *(found["staleness"] or {"sentences": []})["sentences"],
    ]
    return (*parts, *([found["why"]] if found["why"] else []))


def ablation_table(found: RestsOnRecord) -> ReportTable:
    """Everything that was withheld, with the loss and its interval."""
    study = found["importance"]
    rows = [] if study is None else [row for row in study["ablations"] if row["drop"] is not None]
    columns = (
        ReportColumn("Withheld"),
        ReportColumn("Kind", "name"),
        ReportColumn("Loss", "number"),
        ReportColumn("Interval", "number"),
        ReportColumn("Path"),
    )
    # a loss is counted in scores, higher is better, whatever the metric: above zero is always worse
    losses = [(number(row["drop"]), score_interval(row["low"], row["high"], "")) for row in rows]
    cells = [ReportRow((row["name"], row["kind"], *loss, row["path"])) for row, loss in zip(rows, losses, strict=True)]
    return ReportTable("Score that is lost when one thing is withheld", columns, tuple(cells), fold=0)


def delay_table(record: RunRecord, found: RestsOnRecord) -> ReportTable:
    """The score by the age of the data."""
    metric, known = record["task"]["metric"], found["staleness"]
    columns = (
        ReportColumn("Age of the data", "name"),
        ReportColumn("Score", "number"),
        ReportColumn("Change", "number"),
        ReportColumn("Interval", "number"),
        ReportColumn("Rows", "number"),
        ReportColumn("Fall out", "number"),
    )
    rows = [
        ReportRow(
            (
                row["delay"],
                score(row["score"], metric),
                score(row["change"], metric),
                score_interval(row["low"], row["high"], metric),
                count(row["rows"]),
                count(row["fallen"]),
            )
        )
        for row in ([] if known is None else known["delays"])
    ]
    return ReportTable(f"{record['task']['metric_title']} with older data", columns, tuple(rows), fold=0)


def decay_table(record: RunRecord, found: RestsOnRecord) -> ReportTable:
    """The score by period."""
    metric, known = record["task"]["metric"], found["staleness"]
    decay = None if known is None else known["decay"]
    columns = (
        ReportColumn("Period", "name"),
        ReportColumn("Score", "number"),
        ReportColumn("Interval", "number"),
        ReportColumn("Rows", "number"),
    )
    periods: list[PeriodRecord] = [] if decay is None else decay["periods"]
    rows = [
        ReportRow(
            (
                row["period"],
                score(row["score"], metric),
                score_interval(row["low"], row["high"], metric),
                count(row["rows"]),
            )
        )
        for row in periods
    ]
    split = "" if decay is None else f" of the {decay['split']} rows"
    return ReportTable(f"{record['task']['metric_title']} by period{split}", columns, tuple(rows), fold=0)


def ablation_figure(record: RunRecord, layout: FigureLayout = WIDE) -> Markup | None:
    """Bars of the loss of each table, then of the columns that lose most, with intervals."""
    rows = _drawn(record)
    ends = [end for row in rows for end in (row["drop"], row["low"], row["high"]) if end is not None]
    if not ends:
        return None
    step, right = 40.0, layout.width - layout.values
    x = Scale(min(0.0, *ends), max(0.0, *ends), 2.0, right)
    summary = "; ".join(f"{row['name']}: {number(row['drop'])}" for row in rows)
    title = f"Loss of {record['task']['metric_title']} when one thing is withheld"
    art = Canvas("fig-ablations", title, summary, layout, step * len(rows) + 6)
    css = _css(record)
    art.line(x(0), 0, x(0), step * len(rows) + 2, "baseline")
    for index, row in enumerate(rows):
        y, drop = step * index + 14, row["drop"] or 0.0
        art.text(2, y, shorten(row["name"], layout.line), "label", tip=f"{row['name']} ({row['path']})")
        art.rect(x(0), y + 6, x(drop) - x(0), 10, f"bar {css}")
        _whisker(art, x, row["low"], row["high"], y + 11)
        art.text(right + 12, y + 15, number(row["drop"]), "value")
    return art.markup()


def staleness_figure(record: RunRecord, layout: FigureLayout = WIDE) -> Markup | None:
    """The change of the score with the age of the data, with intervals; better is always up."""
    found = record["rests_on"]
    rows = [] if found is None or found["staleness"] is None else found["staleness"]["delays"]
    known = [(row, row["change"]) for row in rows if row["change"] is not None]
    if len(known) < 2:
        return None
    values = [end for row, change in known for end in (change, row["low"], row["high"]) if end is not None]
    metric, left, right, top, bottom = record["task"]["metric"], 64.0, layout.width - 38, 14.0, 150.0
    low, high = min(0.0, *values), max(0.0, *values)
    air = (high - low) * 0.08 or 0.01
    y = Scale(low - air, high + air, bottom, top)
    x = Scale(0.0, float(len(known) - 1), left + 30, right)
    summary = "; ".join(f"{row['delay']}: {score(change, metric)}" for row, change in known)
    title = f"Change of {record['task']['metric_title']} with the age of the data"
    art = Canvas("fig-staleness", title, summary, layout, bottom + 42)
    for tick in ticks(y.low, y.high, 4):
        art.line(left, y(tick), right, y(tick), "grid")
        art.text(left - 8, y(tick) + 4, score(tick, metric), "axis", "end")
    art.line(left, y(0), right, y(0), "baseline")
    css = _css(record)
    art.polyline([(x(place), y(change)) for place, (_, change) in enumerate(known)], f"curve {css}")
    for place, (row, change) in enumerate(known):
        _upright(art, x(place), y, row)
        art.circle(x(place), y(change), 4.5, f"dot {css}", f"{row['delay']}: {score(change, metric)}")
        art.text(x(place), bottom + 18, row["delay"], "axis", "middle")
    art.text(right, bottom + 38, "age of the data", "axis", "end")
    direction = "better upwards" if not is_error(metric) or layout is not WIDE else "better upwards, errors fall"
    art.text(left, bottom + 38, direction, "axis")
    return art.markup()


def _drawn(record: RunRecord) -> list[AblationRecord]:
    """The tables and the groups of columns that are drawn."""
    found = record["rests_on"]
    study = None if found is None else found["importance"]
    rows = [] if study is None else [row for row in study["ablations"] if row["drop"] is not None]
    kinds = (("table", _TABLES), ("path", _TABLES), ("columns", _COLUMNS))
    return [row for kind, most in kinds for row in [each for each in rows if each["kind"] == kind][:most]]


def _css(record: RunRecord) -> str:
    choice = record["choice"]
    return family_class(record, None if choice is None else choice["family"])


def _whisker(art: Canvas, x: Scale, low: float | None, high: float | None, y: float) -> None:
    if low is None or high is None:
        return
    art.line(x(low), y, x(high), y, "whisker")
    for end in (low, high):
        art.line(x(end), y - 4, x(end), y + 4, "whisker")


def _upright(art: Canvas, at: float, y: Scale, row: DelayRecord) -> None:
    if row["low"] is None or row["high"] is None or row["low"] == row["high"]:
        return
    art.line(at, y(row["low"]), at, y(row["high"]), "whisker")
    for end in (row["low"], row["high"]):
        art.line(at - 4, y(end), at + 4, y(end), "whisker")

"""The report's figures as inline SVG: each function returns markup for a record, or None where there is no data.

Colours and fonts are the page's: shapes only carry class names, so the figures follow light, dark and print.
"""

from __future__ import annotations

from datetime import UTC, datetime

from markupsafe import Markup

from relselect.report.details import curve_points, importances, learning_curve
from relselect.report.families import family_class, family_info
from relselect.report.record import FamilyRecord, LeaderboardRecord, RunRecord, SplitRecord
from relselect.report.svg import WIDE, Canvas, FigureLayout, Scale, ticks
from relselect.report.verdict import best_baseline, chosen_row
from relselect.report.words import capital, count, natural, number, percent, score, seconds, shorten

__all__ = [
    "budget_figure",
    "curve_figure",
    "importance_figure",
    "leaderboard_figure",
    "margin_figure",
    "splits_figure",
]

_LEADERS = 10
_FEATURES = 12
_ROWS = {"train": "training", "stop": "stop"}
_STEP = 30.0


def leaderboard_figure(record: RunRecord, layout: FigureLayout = WIDE) -> Markup | None:
    """Bars from the best baseline to each candidate's score, with intervals; better is always right."""
    rows = _leaders(record)
    values = [value for row in rows for value in (row["score"], row["low"], row["high"], row["test_score"])]
    known = [value for value in values if value is not None]
    if not known:
        return None
    metric, title = record["task"]["metric"], record["task"]["metric_title"]
    left, right, top = layout.labels, layout.width - layout.values, 10.0
    bottom = top + _STEP * len(rows)
    x = Scale(*_padded(min(known), max(known)), left, right)
    summary = "; ".join(f"{row['candidate']}: {score(row['score'], metric)}" for row in rows)
    art = Canvas("fig-board", f"Validation {title} by candidate", summary, layout, bottom + 38)
    for tick in ticks(x.low, x.high, layout.ticks):
        art.line(x(tick), top - 4, x(tick), bottom, "grid")
        art.text(x(tick), bottom + 16, number(natural(tick, metric)), "axis", "middle")
    art.text(right, bottom + 34, f"{title}, better to the right →", "axis", "end")
    baseline = best_baseline(record)
    origin = baseline["score"] if baseline is not None else None
    if origin is not None:
        art.line(x(origin), top - 4, x(origin), bottom, "baseline")
    for index, row in enumerate(rows):
        y, css = top + _STEP * (index + 0.5), " chosen" if row["chosen"] else ""
        art.text(
            left - 12, y + 4, shorten(row["candidate"], layout.letters), f"label{css}", "end", tip=row["candidate"]
        )
        _leader(art, row, family_class(record, row["family"]), x, y, x.low if origin is None else origin)
        art.text(right + 12, y + 4, score(row["score"], metric), f"value{css}")
    return art.markup()


def _leader(art: Canvas, row: LeaderboardRecord, css: str, x: Scale, y: float, origin: float) -> None:
    """One candidate: bar, interval, score, test score; `css` is the class of its family's colour."""
    value, low, high = row["score"], row["low"], row["high"]
    if value is not None:
        art.rect(x(origin), y - 7, x(value) - x(origin), 14, f"bar {css}")
    if low is not None and high is not None:
        art.line(x(low), y, x(high), y, "whisker")
        for end in (low, high):
            art.line(x(end), y - 4, x(end), y + 4, "whisker")
    if value is not None:
        art.circle(x(value), y, 4.5, f"dot {css}")
    if row["test_score"] is not None:
        art.diamond(x(row["test_score"]), y, 5, "test")


def _leaders(record: RunRecord) -> list[LeaderboardRecord]:
    """The first rows, and wherever they stand the chosen one and the best baseline."""
    rows = [row for row in record["leaderboard"] if row["score"] is not None]
    kept = rows[:_LEADERS]
    for extra in (chosen_row(record), best_baseline(record)):
        if extra is not None and extra["score"] is not None and not any(extra is row for row in kept):
            kept.append(extra)
    return kept


def curve_figure(record: RunRecord, layout: FigureLayout = WIDE) -> Markup | None:
    """The validation score (or the training loss) over the steps of training, near-ties and choice marked."""
    found = learning_curve(record)
    if found is None:
        return None
    candidate, curve = found
    scored, points = curve_points(curve)
    metric = record["task"]["metric"] if scored else ""
    what = (
        f"{record['task']['metric_title']} on the stop rows"
        if scored
        else f"loss on the {_ROWS[curve['loss_of']]} rows"
    )
    left, right, top, bottom = 56.0, layout.width - 24, 14.0, 200.0
    values = [value for _, _, value in points]
    x = Scale(points[0][0], points[-1][0], left, right)
    y = Scale(*_padded(min(values), max(values)), bottom, top)
    summary = f"{what} of {candidate}: from {score(values[0], metric)} to {score(values[-1], metric)}"
    art = Canvas("fig-curve", f"Learning curve of {candidate}", summary, layout, bottom + 40)
    for tick in ticks(y.low, y.high, 4):
        art.line(left, y(tick), right, y(tick), "grid")
        art.text(left - 10, y(tick) + 4, number(natural(tick, metric)), "axis", "end")
    for tick in ticks(x.low, x.high, layout.ticks + 3):
        if tick == int(tick):
            art.text(x(tick), bottom + 18, count(tick), "axis", "middle")
    art.text(right, bottom + 36, curve["unit"], "axis", "end")
    direction = ", better upwards" if scored and layout is WIDE else ""
    art.text(left, bottom + 36, f"{what}{direction}", "axis")
    css = family_class(record, _family_of(record, candidate))
    art.polyline([(x(place), y(value)) for place, _, value in points], f"curve {css}")
    for place, step, value in points:
        if marked := _tie_class(record, candidate, step):
            tip = f"{curve['unit']} {count(place)}: {score(value, metric)}"
            art.circle(x(place), y(value), 5, f"mark {marked} {css}", tip)
    return art.markup()


def _family_of(record: RunRecord, candidate: str) -> str | None:
    return next((row["family"] for row in record["leaderboard"] if row["candidate"] == candidate), None)


def _tie_class(record: RunRecord, candidate: str, step: int) -> str:
    """ "chosen" for the chosen checkpoint, "tie" for its near-ties, nothing otherwise."""
    choice = record["choice"]
    if choice is None:
        return ""
    if choice["candidate"] == candidate and choice["step"] == step:
        return "chosen"
    ties = choice["near_ties"]
    return "tie" if any(row["candidate"] == candidate and row["step"] == step for row in ties) else ""


def importance_figure(record: RunRecord, layout: FigureLayout = WIDE) -> Markup | None:
    """The most important features of a candidate by their shares."""
    found = importances(record)
    if found is None:
        return None
    candidate, known = found
    shown, step = known["features"][:_FEATURES], 40.0
    x = Scale(0.0, shown[0]["share"], 0.0, layout.width - layout.values)
    summary = "; ".join(f"{row['feature']}: {percent(row['share'])}" for row in shown)
    art = Canvas("fig-features", f"Most important features of {candidate}", summary, layout, step * len(shown) + 4)
    css = family_class(record, _family_of(record, candidate))
    for index, row in enumerate(shown):
        y = step * index + 14
        name = row["description"] or row["feature"]
        art.text(0, y, shorten(name, layout.line), "label", tip=f"{row['feature']} {row['description']}".strip())
        art.rect(0, y + 5, x(row["share"]), 8, f"bar {css}")
        art.text(x(row["share"]) + 8, y + 13, percent(row["share"]), "value")
    return art.markup()


def splits_figure(record: RunRecord, layout: FigureLayout = WIDE) -> Markup | None:
    """When the training, validation and test rows are asked about."""
    spans = [(row, _moment(row["first_cutoff"]), _moment(row["last_cutoff"])) for row in record["task"]["splits"]]
    known = [(row, first, last) for row, first, last in spans if first is not None and last is not None]
    if not known:
        return None
    left, right, top = 56.0, layout.width - 12, 8.0
    x = Scale(min(first for _, first, _ in known), max(last for _, _, last in known), left, right)
    bottom = top + _STEP * len(known)
    summary = "; ".join(f"{row['split']}: {row['first_cutoff']} to {row['last_cutoff']}" for row, _, _ in known)
    art = Canvas("fig-splits", "Cutoffs of the splits on a time line", summary, layout, bottom + 24)
    art.line(left, bottom, right, bottom, "whisker")
    for position, text, anchor in ((left, _edge(known, 0), "start"), (right, _edge(known, -1), "end")):
        art.text(position, bottom + 18, text, "axis", anchor)
    for index, (row, first, last) in enumerate(known):
        y = top + _STEP * (index + 0.5)
        wide = max(x(last) - x(first), 4.0)
        start = min(x(first), right - wide)
        art.text(left - 12, y + 4, row["split"], "label", "end")
        art.rect(start, y - 8, wide, 16, f"split s{min(index, 2)}")
        text, room = f"{count(row['rows'])} rows", right - start - wide
        if wide > 90:
            art.text(start + 8, y + 4, text, "inside")
        else:
            art.text(
                start - 8 if room < 90 else start + wide + 8, y + 4, text, "value", "end" if room < 90 else "start"
            )
    return art.markup()


def _edge(known: list[tuple[SplitRecord, float, float]], index: int) -> str:
    """The first (0) or last (-1) cutoff of all splits as the record writes it."""
    ends = [(first, row["first_cutoff"]) for row, first, _ in known] + [
        (last, row["last_cutoff"]) for row, _, last in known
    ]
    return str(sorted(ends, key=lambda item: item[0])[index][1])[:19]


def _moment(value: str | int | None) -> float | None:
    """A cutoff as a number: seconds for ISO text, the integer itself otherwise."""
    if value is None or isinstance(value, int):
        return None if value is None else float(value)
    try:
        return float(value) if value.lstrip("-").isdigit() else _seconds(datetime.fromisoformat(value))
    except ValueError:
        return None


def _seconds(moment: datetime) -> float:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def budget_figure(record: RunRecord, layout: FigureLayout = WIDE) -> Markup | None:
    """Where the time went: each stage begins where the one before it ended."""
    stages = [(row["stage"], row["seconds"]) for row in record["budget"]["by_stage"]]
    spent = sum(took for _, took in stages)
    granted = record["budget"]["seconds"]
    if not spent:
        return None
    left, right, top, step = layout.labels, layout.width - layout.values, 8.0, 24.0
    x = Scale(0.0, max(spent, granted or 0.0), left, right)
    bottom = top + step * len(stages)
    summary = "; ".join(f"{stage}: {seconds(took)}" for stage, took in stages)
    art = Canvas("fig-budget", "Seconds by stage", summary, layout, bottom + 24)
    art.line(left, bottom, right, bottom, "whisker")
    art.text(left, bottom + 18, "0", "axis", "middle")
    if granted:
        art.line(x(granted), top - 4, x(granted), bottom, "baseline")
        art.text(x(granted), bottom + 18, f"{seconds(granted)} granted", "axis", "end")
    start = 0.0
    for index, (stage, took) in enumerate(stages):
        y = top + step * (index + 0.5)
        art.text(left - 12, y + 4, shorten(stage, layout.letters), "label", "end", tip=stage)
        art.rect(x(start), y - 6, max(x(start + took) - x(start), 1.5), 12, "bar stage")
        at = x(start + took)
        art.text(
            at + 8 if at < right - 70 else x(start) - 8,
            y + 4,
            seconds(took),
            "value",
            "start" if at < right - 70 else "end",
        )
        start += took
    return art.markup()


def margin_figure(record: RunRecord, layout: FigureLayout = WIDE) -> Markup | None:
    """The expected margin of each family over the best of the others, one row per family; better is right."""
    advice = record["recommendation"]
    if not advice["margins"]:
        return None
    known = [family["name"] for family in record["families"] if family["name"] in advice["margins"]]
    names = [*known, *(name for name in sorted(advice["margins"]) if name not in known)]
    rows = [
        (_label(family_info(record, name), layout), family_class(record, name), advice["margins"][name])
        for name in names
    ]
    ends = [end for _, _, row in rows for end in (row["value"], row["low"], row["high"]) if end is not None]
    reach = max(0.02, *(abs(end) for end in ends)) * 1.15
    left, right, top = layout.labels, layout.width - layout.values, 8.0
    bottom = top + _STEP * len(rows)
    x = Scale(-reach, reach, left, right)
    summary = "; ".join(f"{title}: {percent(row['value'])}" for title, _, row in rows)
    art = Canvas(
        "fig-margin", "Expected margin of each family over the best of the others", summary, layout, bottom + 24
    )
    art.line(x(0), top - 4, x(0), bottom, "baseline")
    for index, (title, css, row) in enumerate(rows):
        y = top + _STEP * (index + 0.5)
        low = row["value"] if row["low"] is None else row["low"]
        high = row["value"] if row["high"] is None else row["high"]
        art.text(left - 12, y + 4, shorten(title, layout.letters), "label", "end", tip=title)
        art.line(x.start, y, x.end, y, "grid")
        art.line(x(low), y, x(high), y, f"span {css}")
        art.circle(x(row["value"]), y, 6, f"dot {css}", f"{percent(low)} to {percent(high)}")
        art.text(right + 12, y + 4, percent(row["value"]), "value")
    art.text(x.start, bottom + 18, "← worse", "axis")
    art.text(x(0), bottom + 18, "even", "axis", "middle")
    art.text(x.end, bottom + 18, "better →", "axis", "end")
    return art.markup()


def _label(family: FamilyRecord, layout: FigureLayout) -> str:
    """The title of a family, or its short name where the title does not fit."""
    return capital(family["title"] if len(family["title"]) <= layout.letters else family["short"])


def _padded(low: float, high: float) -> tuple[float, float]:
    """The range with some air on both sides; never empty."""
    air = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return low - air, high + air

"""The report's figures as inline SVG. Each function takes a complete record and gives markup, or None for no data.

Colours and fonts are the page's: shapes only carry class names, so the figures follow light, dark and print.
"""

from __future__ import annotations

from datetime import UTC, datetime

from markupsafe import Markup

from relselect.report.details import importances, learning_curve
from relselect.report.record import LeaderboardRecord, RunRecord, SplitRecord
from relselect.report.svg import Canvas, Scale, ticks
from relselect.report.verdict import best_baseline, chosen_row
from relselect.report.words import (
    MISSING,
    count,
    family_kind,
    family_short,
    metric_name,
    natural,
    number,
    percent,
    score,
    seconds,
    shorten,
)

__all__ = [
    "budget_figure",
    "curve_figure",
    "importance_figure",
    "leaderboard_figure",
    "margin_figure",
    "splits_figure",
]

_WIDTH = 760.0
_LEADERS = 10
_FEATURES = 12
_STEP = 30.0


def leaderboard_figure(record: RunRecord) -> Markup | None:
    """Bars from the constant baseline to each candidate's score, with intervals; better is always right."""
    rows = _leaders(record)
    values = [value for row in rows for value in (row["score"], row["low"], row["high"], row["test_score"])]
    known = [value for value in values if value is not None]
    if not known:
        return None
    metric = record["task"]["metric"]
    left, right, top = 176.0, _WIDTH - 76, 10.0
    bottom = top + _STEP * len(rows)
    x = Scale(*_padded(min(known), max(known)), left, right)
    told = "; ".join(f"{row['candidate'] or row['family']}: {score(row['score'], metric)}" for row in rows)
    art = Canvas("fig-board", f"Validation {metric_name(metric)} by candidate", told, _WIDTH, bottom + 38)
    for tick in ticks(x.low, x.high):
        art.line(x(tick), top - 4, x(tick), bottom, "grid")
        art.text(x(tick), bottom + 16, number(natural(tick, metric)), "axis", "middle")
    art.text(right, bottom + 34, f"{metric_name(metric)}, better to the right →", "axis", "end")
    baseline = best_baseline(record)
    origin = baseline["score"] if baseline is not None else None
    if origin is not None:
        art.line(x(origin), top - 4, x(origin), bottom, "baseline")
    for index, row in enumerate(rows):
        y, css = top + _STEP * (index + 0.5), " chosen" if row["chosen"] else ""
        name = row["candidate"] or family_short(row["family"])
        art.text(left - 12, y + 4, shorten(name, 24), f"label{css}", "end", tip=name)
        _leader(art, row, x, y, x.low if origin is None else origin)
        art.text(right + 12, y + 4, score(row["score"], metric), f"value{css}")
    return art.markup()


def _leader(art: Canvas, row: LeaderboardRecord, x: Scale, y: float, origin: float) -> None:
    """One candidate: bar, interval, score, test score."""
    kind, value, low, high = family_kind(row["family"]), row["score"], row["low"], row["high"]
    if value is not None:
        art.rect(x(origin), y - 7, x(value) - x(origin), 14, f"bar {kind}")
    if low is not None and high is not None:
        art.line(x(low), y, x(high), y, "whisker")
        for end in (low, high):
            art.line(x(end), y - 4, x(end), y + 4, "whisker")
    if value is not None:
        art.circle(x(value), y, 4.5, f"dot {kind}")
    if row["test_score"] is not None:
        art.diamond(x(row["test_score"]), y, 5, "test")


def _leaders(record: RunRecord) -> list[LeaderboardRecord]:
    """The first rows, and wherever they stand the chosen one and the best constant."""
    rows = [row for row in record["leaderboard"] if row["score"] is not None]
    kept = rows[:_LEADERS]
    for extra in (chosen_row(record), best_baseline(record)):
        if extra is not None and extra["score"] is not None and not any(extra is row for row in kept):
            kept.append(extra)
    return kept


def curve_figure(record: RunRecord) -> Markup | None:
    """The validation score (or the training loss) over the steps of training, near-ties and choice marked."""
    curve = learning_curve(record)
    if curve is None:
        return None
    metric = record["task"]["metric"] if curve.scored else None
    what = f"validation {metric_name(metric)}" if curve.scored else "training loss"
    left, right, top, bottom = 70.0, _WIDTH - 24, 14.0, 200.0
    values = [point.value for point in curve.points]
    x = Scale(curve.points[0].epoch, curve.points[-1].epoch, left, right)
    y = Scale(*_padded(min(values), max(values)), bottom, top)
    told = f"{what} of {curve.candidate}: from {score(values[0], metric)} to {score(values[-1], metric)}"
    art = Canvas("fig-curve", f"Learning curve of {curve.candidate}", told, _WIDTH, bottom + 40)
    for tick in ticks(y.low, y.high, 4):
        art.line(left, y(tick), right, y(tick), "grid")
        art.text(left - 10, y(tick) + 4, number(natural(tick, metric)), "axis", "end")
    for tick in ticks(x.low, x.high, 8):
        if tick == int(tick):
            art.text(x(tick), bottom + 18, count(tick), "axis", "middle")
    art.text(right, bottom + 36, curve.unit, "axis", "end")
    art.text(left, bottom + 36, f"{what}{', better upwards' if curve.scored else ''}", "axis")
    art.polyline([(x(point.epoch), y(point.value)) for point in curve.points], "curve")
    for point in curve.points:
        marked = _tie_class(record, curve.candidate, point.step)
        if marked:
            tip = f"{curve.unit} {count(point.epoch)}: {score(point.value, metric)}"
            art.circle(x(point.epoch), y(point.value), 5, f"mark {marked}", tip)
    return art.markup()


def _tie_class(record: RunRecord, candidate: str, step: float) -> str:
    """ "chosen" for the chosen checkpoint, "tie" for its near-ties, nothing otherwise."""
    choice = record["choice"]
    if choice["candidate"] == candidate and choice["step"] == step:
        return "chosen"
    ties = choice["near_ties"]
    return "tie" if any(row["candidate"] == candidate and row["step"] == step for row in ties) else ""


def importance_figure(record: RunRecord) -> Markup | None:
    """The heaviest features of a candidate as shares of all weight."""
    found = importances(record)
    if found is None:
        return None
    candidate, features = found
    shown, step = features[:_FEATURES], 40.0
    x = Scale(0.0, shown[0].share, 0.0, _WIDTH - 70)
    told = "; ".join(f"{item.feature}: {percent(item.share)}" for item in shown)
    art = Canvas("fig-features", f"Features that {candidate} leans on", told, _WIDTH, step * len(shown) + 4)
    for index, item in enumerate(shown):
        y = step * index + 14
        name = item.description or item.feature
        art.text(0, y, shorten(name, 104), "label", tip=f"{item.feature} {item.description}".strip())
        art.rect(0, y + 5, x(item.share), 8, "bar dfs")
        art.text(x(item.share) + 8, y + 13, percent(item.share), "value")
    return art.markup()


def splits_figure(record: RunRecord) -> Markup | None:
    """When the training, validation and test rows are asked about."""
    spans = [(row, _moment(row["first_cutoff"]), _moment(row["last_cutoff"])) for row in record["task"]["splits"]]
    known = [(row, first, last) for row, first, last in spans if first is not None and last is not None]
    if not known:
        return None
    left, right, top = 96.0, _WIDTH - 12, 8.0
    x = Scale(min(first for _, first, _ in known), max(last for _, _, last in known), left, right)
    bottom = top + _STEP * len(known)
    told = "; ".join(f"{row['split']}: {row['first_cutoff']} to {row['last_cutoff']}" for row, _, _ in known)
    art = Canvas("fig-splits", "Cutoffs of the splits on a time line", told, _WIDTH, bottom + 24)
    art.line(left, bottom, right, bottom, "whisker")
    for position, text, anchor in ((left, _edge(known, 0), "start"), (right, _edge(known, -1), "end")):
        art.text(position, bottom + 18, text, "axis", anchor)
    for index, (row, first, last) in enumerate(known):
        y = top + _STEP * (index + 0.5)
        wide = max(x(last) - x(first), 4.0)
        start = min(x(first), right - wide)
        art.text(left - 12, y + 4, str(row["split"] or MISSING), "label", "end")
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


def budget_figure(record: RunRecord) -> Markup | None:
    """Where the time went: each stage begins where the one before it ended."""
    stages = [(row["stage"] or MISSING, row["seconds"] or 0.0) for row in record["budget"]["by_stage"]]
    spent = sum(took for _, took in stages)
    granted = record["budget"]["seconds"]
    if not spent:
        return None
    left, right, top, step = 190.0, _WIDTH - 76, 8.0, 24.0
    x = Scale(0.0, max(spent, granted or 0.0), left, right)
    bottom = top + step * len(stages)
    told = "; ".join(f"{stage}: {seconds(took)}" for stage, took in stages)
    art = Canvas("fig-budget", "Seconds by stage", told, _WIDTH, bottom + 24)
    art.line(left, bottom, right, bottom, "whisker")
    art.text(left, bottom + 18, "0", "axis", "middle")
    if granted:
        art.line(x(granted), top - 4, x(granted), bottom, "baseline")
        art.text(x(granted), bottom + 18, f"{seconds(granted)} granted", "axis", "end")
    start = 0.0
    for index, (stage, took) in enumerate(stages):
        y = top + step * (index + 0.5)
        art.text(left - 12, y + 4, shorten(stage, 26), "label", "end", tip=stage)
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


def margin_figure(record: RunRecord) -> Markup | None:
    """The expected margin between the families with its interval; left favours DFS, right favours RDL."""
    advice = record["recommendation"]
    margin, interval = advice["margin"], advice["interval"]
    if margin is None:
        return None
    ends = interval if len(interval) == 2 else [margin, margin]
    reach = max(abs(margin), *(abs(end) for end in ends), 0.02) * 1.15
    x = Scale(-reach, reach, 60.0, _WIDTH - 60)
    told = f"margin {percent(margin)}, interval {percent(ends[0])} to {percent(ends[1])}"
    art = Canvas("fig-margin", "Expected margin between the families", told, _WIDTH, 74)
    art.line(x.start, 30, x.end, 30, "grid")
    art.line(x(0), 12, x(0), 48, "baseline")
    art.line(x(ends[0]), 30, x(ends[1]), 30, f"span {'rdl' if margin > 0 else 'dfs'}")
    art.circle(x(margin), 30, 7, f"dot {'rdl' if margin > 0 else 'dfs'}")
    art.text(x.start, 66, "← feature synthesis better", "axis")
    art.text(x(0), 66, "even", "axis", "middle")
    art.text(x.end, 66, "graph network better →", "axis", "end")
    return art.markup()


def _padded(low: float, high: float) -> tuple[float, float]:
    """The range with some air on both sides; never empty."""
    air = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return low - air, high + air

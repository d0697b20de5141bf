"""Figures of what the predictions are worth: gain curve, calibration, score by period.

Colours and fonts are the page's, as in `relselect.report.figures`.
"""

from __future__ import annotations

from itertools import pairwise

from markupsafe import Markup

from relselect.report.action import event_name
from relselect.report.families import family_class
from relselect.report.outcome_record import OutcomeRecord, PeriodOutcomeRecord
from relselect.report.record import RunRecord
from relselect.report.svg import WIDE, Canvas, FigureLayout, Scale, ticks
from relselect.report.words import is_error, number, percent, score, shorten

__all__ = ["calibration_figure", "gain_figure", "period_figure"]

_TOP, _BOTTOM = 14.0, 214.0
#: Periods whose names fit under a wide and a narrow figure, about.
_NAMES = {"wide": 7, "narrow": 3}


def gain_figure(record: RunRecord, layout: FigureLayout = WIDE) -> Markup | None:
    """How much lies in a share of the rows, those first where it is most expected, and the lift of each tenth of them."""
    found = record["outcome"]
    if found is None or not found["gain"]:
        return None
    summary = "; ".join(f"{percent(p['share'])}: {percent(p['captured'])}" for p in found["gain"][2::2])
    beside = layout is WIDE
    title = f"Share of {event_name(record, found)} by share of the rows, and lift by tenths"
    art = Canvas("fig-gain", title, summary, layout, _BOTTOM + 42 if beside else 2 * (_BOTTOM + 42))
    x = Scale(0.0, 1.0, 56.0, 410.0 if beside else layout.width - 24)
    y = Scale(0.0, 1.0, _BOTTOM, _TOP)
    css = _css(record)
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        art.line(x.start, y(tick), x.end, y(tick), "grid")
        art.text(x.start - 8, y(tick) + 4, _whole(tick), "axis", "end")
        art.text(x(tick), _BOTTOM + 18, _whole(tick), "axis", "middle")
    art.line(x(0), y(0), x(1), y(1), "baseline")
    art.polyline([(x(each["share"]), y(each["captured"])) for each in found["gain"]], f"curve {css}")
    tenth = found["gain"][len(found["gain"]) // 10]["captured"]
    art.line(x(0.1), y(0), x(0.1), y(tenth), "whisker")
    art.circle(x(0.1), y(tenth), 5, f"dot {css}", f"first tenth: {percent(tenth)}")
    art.text(x(0.1) + 10, y(tenth) + 14, f"first tenth: {percent(tenth)}", "label")
    art.text(x.end, _BOTTOM + 38, "share of the rows →", "axis", "end")
    _lift(
        art, found, css, Scale(0.0, 10.0, 470.0 if beside else 56.0, layout.width - 10), 0.0 if beside else _BOTTOM + 42
    )
    return art.markup()


def _lift(art: Canvas, found: OutcomeRecord, css: str, x: Scale, down: float) -> None:
    """Bars of what each tenth of the rows holds, as a multiple of a tenth drawn at random."""
    ends = [each["captured"] for each in found["gain"][:: max((len(found["gain"]) - 1) // 10, 1)]]
    lifts = [10 * (high - low) for low, high in pairwise(ends)]
    y = Scale(0.0, max(1.2, *lifts), down + _BOTTOM, down + _TOP)
    for tick in ticks(y.low, y.high, 4):
        art.line(x.start, y(tick), x.end, y(tick), "grid")
        art.text(x.start - 8, y(tick) + 4, f"{tick:g}×", "axis", "end")
    wide = x(1) - x(0)
    for place, lift in enumerate(lifts):
        art.rect(x(place) + wide * 0.12, y(lift), wide * 0.76, y(0) - y(lift), f"bar {css}")
        art.text(x(place + 0.5), down + _BOTTOM + 18, f"{place + 1}", "axis", "middle")
    art.line(x.start, y(1), x.end, y(1), "baseline")
    art.text(x.end, down + _BOTTOM + 38, "tenths of the rows →", "axis", "end")


def _whole(share: float) -> str:
    return f"{100 * share:.0f} %"


def calibration_figure(record: RunRecord, layout: FigureLayout = WIDE) -> Markup | None:
    """Mean label over mean prediction by groups of rows; on the diagonal predictions come true."""
    found = record["outcome"]
    if found is None or len(found["bins"]) < 2:
        return None
    values = [v for b in found["bins"] for v in (b["predicted"], b["actual"], b["low"], b["high"]) if v is not None]
    low, high = min(values), max(values)
    air = (high - low) * 0.06 or 1.0
    ends = (0.0, 1.0) if found["event"] != "amount" else (low - air, high + air)
    words = _whole if found["event"] != "amount" else number
    x, y = _square(layout, ends, ends)
    summary = "; ".join(f"{words(b['predicted'])}: {words(b['actual'])}" for b in found["bins"])
    art = Canvas("fig-calibration", "What came by what was predicted", summary, layout, _BOTTOM + 42)
    for tick in ticks(*ends, 4):
        art.line(x.start, y(tick), x.end, y(tick), "grid")
        art.text(x.start - 8, y(tick) + 4, words(tick), "axis", "end")
        art.text(x(tick), _BOTTOM + 18, words(tick), "axis", "middle")
    art.line(x(ends[0]), y(ends[0]), x(ends[1]), y(ends[1]), "baseline")
    css = _css(record)
    art.polyline([(x(b["predicted"]), y(b["actual"])) for b in found["bins"]], f"curve {css}")
    for each in found["bins"]:
        at = x(each["predicted"])
        _upright(art, at, y, each["low"], each["high"])
        art.circle(at, y(each["actual"]), 4.5, f"dot {css}", f"{words(each['predicted'])}: {words(each['actual'])}")
    art.text(x.start, _BOTTOM + 38, "↑ came", "axis")
    art.text(x.end, _BOTTOM + 38, "predicted →", "axis", "end")
    return art.markup()


def period_figure(record: RunRecord, layout: FigureLayout = WIDE) -> Markup | None:
    """The score by period, with intervals; better is always up."""
    found = record["outcome"]
    known = [] if found is None else _scored(found)
    if len(known) < 2:
        return None
    metric, title = record["task"]["metric"], record["task"]["metric_title"]
    values = [end for each, value in known for end in (value, each["low"], each["high"]) if end is not None]
    air = (max(values) - min(values)) * 0.08 or 0.01
    left, right, bottom = 64.0, layout.width - 40, 150.0
    y = Scale(min(values) - air, max(values) + air, bottom, _TOP)
    x = Scale(0.0, float(len(known) - 1), left + 30, right)
    summary = "; ".join(f"{each['period']}: {score(value, metric)}" for each, value in known)
    art = Canvas("fig-periods", f"{title} by period", summary, layout, bottom + 42)
    for tick in ticks(y.low, y.high, 4):
        art.line(left, y(tick), right, y(tick), "grid")
        art.text(left - 8, y(tick) + 4, score(tick, metric), "axis", "end")
    css, every = _css(record), -(-len(known) // _NAMES[layout.name])
    art.polyline([(x(place), y(value)) for place, (_, value) in enumerate(known)], f"curve {css}")
    for place, (each, value) in enumerate(known):
        _upright(art, x(place), y, each["low"], each["high"])
        art.circle(x(place), y(value), 4.5, f"dot {css}", f"{each['period']}: {score(value, metric)}")
        if place % every == 0:
            art.text(x(place), bottom + 18, shorten(each["period"], 12), "axis", "middle")
    art.text(
        left,
        bottom + 38,
        f"{title}, {'lower is better, drawn upwards' if is_error(metric) else 'better upwards'}",
        "axis",
    )
    return art.markup()


def _scored(found: OutcomeRecord) -> list[tuple[PeriodOutcomeRecord, float]]:
    return [(each, each["score"]) for each in found["periods"] if each["score"] is not None]


def _square(layout: FigureLayout, x: tuple[float, float], y: tuple[float, float]) -> tuple[Scale, Scale]:
    """The axes of a figure with two axes, at most 480 wide."""
    left = 56.0
    return Scale(*x, left, min(layout.width - 24, left + 480)), Scale(*y, _BOTTOM, _TOP)


def _upright(art: Canvas, at: float, y: Scale, low: float | None, high: float | None) -> None:
    if low is None or high is None or low == high:
        return
    art.line(at, y(low), at, y(high), "whisker")
    for end in (low, high):
        art.line(at - 4, y(end), at + 4, y(end), "whisker")


def _css(record: RunRecord) -> str:
    choice = record["choice"]
    return family_class(record, None if choice is None else choice["family"])

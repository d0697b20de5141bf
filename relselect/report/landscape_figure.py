"""The loss around the chosen checkpoint and others of its architecture, along two random directions that all share."""

from __future__ import annotations

from markupsafe import Markup

from relselect.report.families import family_class
from relselect.report.record import LossSliceRecord, RunRecord
from relselect.report.svg import WIDE, Canvas, FigureLayout, Scale, ticks
from relselect.report.words import number, percent

__all__ = ["landscape_figure"]

_TOP, _HEIGHT, _GAP = 24.0, 130.0, 44.0
#: Losses above this many times the rise of the chosen checkpoint are cut off at the top.
_CUT = 6.0


def landscape_figure(record: RunRecord, layout: FigureLayout = WIDE) -> Markup | None:
    """One panel per direction: rise of the loss over relative steps; the chosen checkpoint is the strong line."""
    choice = record["choice"]
    slices = [] if choice is None else choice["landscape"]
    rises = [(each, _rises(each)) for each in slices]
    known = [(each, points) for each, points in rises if len(points) > 2]
    chosen = [rise for each, points in known if each["chosen"] for _, rise in points]
    if not chosen:
        return None
    directions = sorted({each["direction"] for each, _ in known})
    ceiling = max(max(chosen) * _CUT, 1e-9)
    every = [min(rise, ceiling) for _, points in known for _, rise in points]
    reach = max(abs(step) for _, points in known for step, _ in points)
    left, right = 60.0, layout.width - 20
    summary = "; ".join(
        f"{_name(each)}, direction {each['direction'] + 1}: up to {number(max(r for _, r in points))}"
        for each, points in known
    )
    art = Canvas(
        "fig-landscape",
        "Rise of the loss around checkpoints",
        summary,
        layout,
        _TOP + (_HEIGHT + _GAP) * len(directions),
    )
    css = family_class(record, None if choice is None else choice["family"])
    x = Scale(-reach, reach, left, right)
    for panel, direction in enumerate(directions):
        top = _TOP + (_HEIGHT + _GAP) * panel
        y = Scale(min(0.0, *every), max(every), top + _HEIGHT, top)
        art.text(left, top - 8, f"direction {direction + 1}: rise of the loss", "axis")
        for tick in ticks(y.low, y.high, 3):
            art.line(left, y(tick), right, y(tick), "grid")
            art.text(left - 8, y(tick) + 4, number(tick), "axis", "end")
        for tick in (-reach, 0.0, reach):
            art.text(
                x(tick),
                top + _HEIGHT + 18,
                percent(tick) if tick else "0",
                "axis",
                "end" if tick > 0 else "start" if tick < 0 else "middle",
            )
        for each, points in sorted(known, key=lambda item: item[0]["chosen"]):
            if each["direction"] == direction:
                line = [(x(step), y(min(rise, ceiling))) for step, rise in points]
                art.polyline(line, f"curve {css}" if each["chosen"] else "curve other-line")
    return art.markup()


def _rises(line: LossSliceRecord) -> list[tuple[float, float]]:
    """Steps and rises over the loss at the checkpoint itself; nothing where that is unknown."""
    pairs = [(step, loss) for step, loss in zip(line["steps"], line["losses"], strict=False) if loss is not None]
    centre = next((loss for step, loss in pairs if step == 0), None)
    return [] if centre is None else [(step, loss - centre) for step, loss in pairs]


def _name(line: LossSliceRecord) -> str:
    return f"{line['candidate']}, checkpoint {line['checkpoint']}"

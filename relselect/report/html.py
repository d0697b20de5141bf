"""One self-contained HTML page from a record: no network, no script, no clock, equal records give equal bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from relselect.report import figures, outcome_figures, rests_on
from relselect.report.details import importances, learning_curve
from relselect.report.diagram import diagram_figure
from relselect.report.families import colour_style, family_class
from relselect.report.landscape_figure import landscape_figure
from relselect.report.record import RunRecord
from relselect.report.schema import check_record
from relselect.report.sections import sections
from relselect.report.svg import NARROW, WIDE, FigureLayout
from relselect.report.verdict import verdict

__all__ = ["both_layouts", "finished", "page_template", "render_html", "style_sheet"]

_CAPTIONS = {
    "board": "Bars start at the best baseline (dashed). Dot: validation score, with its interval. "
    "Diamond: test score of the validated model.",
    "gain": "Curve: how much is found by acting on a share of the rows, those first where it is most expected. Bars: what each "
    "tenth of the rows holds, as a multiple of a tenth drawn at random (lift). Dashed: in random order.",
    "calibration": "What was predicted and what came, in groups of rows with similar predictions, with intervals. On the dashed "
    "line predictions come true.",
    "periods": "The score by period, with its interval.",
    "schema": "The tables by how they are reached.",
    "landscape": "How much the loss rises when the weights are moved in random directions that all checkpoints share, in parts "
    "of the weights' own size. Strong line: the chosen checkpoint; thin lines: others of its architecture.",
    "splits": "First to last cutoff of each split.",
    "ablations": "Loss of the score when a table, a path or columns are withheld, one at a time, with its interval; the model is "
    "not trained again. Columns that say nearly the same are one group.",
    "staleness": "Change of the score with older data, compared on the same rows, with its interval.",
    "budget": "Each stage begins where the one before it ended.",
    "margin": "Expected margin of each family over the best of the others. Dot: the margin, band: its interval. Where a "
    "band crosses the middle, measuring cannot decide.",
}


_FIGURES: dict[str, Callable[[RunRecord, FigureLayout], Markup | None]] = {
    "gain": outcome_figures.gain_figure,
    "calibration": outcome_figures.calibration_figure,
    "periods": outcome_figures.period_figure,
    "schema": diagram_figure,
    "landscape": landscape_figure,
    "board": figures.leaderboard_figure,
    "curve": figures.curve_figure,
    "features": figures.importance_figure,
    "splits": figures.splits_figure,
    "budget": figures.budget_figure,
    "margin": figures.margin_figure,
    "ablations": rests_on.ablation_figure,
    "staleness": rests_on.staleness_figure,
}


def render_html(record: Mapping[str, Any]) -> str:
    """Renders the report page.

    Args:
        record: A run record (`relselect.report.record.RunRecord`).

    Returns:
        The page as text; everything in it that comes from the record is escaped.

    Raises:
        ConfigError: The record is of another version or differs from its schema.
    """
    whole = check_record(record)
    found, parts = verdict(whole), sections(whole)
    drawn = {name: both_layouts(partial(draw, whole)) for name, draw in _FIGURES.items()}
    page = page_template("report.html.j2")
    return finished(
        page,
        record=whole,
        headline=parts[0].headline,
        drawn=drawn,
        captions=_captions(whole, drawn),
        sections=parts,
        style=Markup(f"{style_sheet()}\n{colour_style(whole['families'])}"),
        accent=family_class(whole, found.family),
    )


def finished(page: Template, **parts: Any) -> str:
    """Renders a template; no line of it ends between a number and its unit."""
    return page.render(**parts).replace(" %", "\u00a0%")


def both_layouts(draw: Callable[[FigureLayout], Markup | None]) -> Markup | None:
    """A figure for wide and for narrow windows; the style sheet shows one of the two."""
    wide, narrow = draw(WIDE), draw(NARROW)
    return None if wide is None or narrow is None else wide + narrow


def _captions(record: RunRecord, drawn: Mapping[str, Markup | None]) -> dict[str, str]:
    """The captions of the figures, with the candidates whose curve and features are drawn."""
    curve, features = learning_curve(record), importances(record)
    captions = dict(_CAPTIONS)
    if curve is not None:
        captions["curve"] = f"{curve[0]} during training."
        if 'class="mark' in (drawn["curve"] or ""):
            captions["curve"] += " Filled circle: the chosen checkpoint. Open circle: a near-tie."
    if features is not None:
        captions["features"] = (
            f"Most important features of {features[0]}: shares of the whole model's {features[1]['kind']}."
        )
    if drawn["ablations"] is not None:
        captions["schema"] += (
            " Strong: without the table the model predicts worse beyond chance; the bar and the number say how much of the score "
            "is lost."
        )
    return captions


def page_template(name: str) -> Template:
    """Returns a template of the pages."""
    return _environment().get_template(name)


def style_sheet() -> str:
    """Returns the style sheet of the pages, without the families' colours."""
    return _template("style.css")


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _template(name: str) -> str:
    return (resources.files("relselect.report") / "templates" / name).read_text(encoding="utf-8")

"""One self-contained HTML page from a record: no network, no script, no clock, equal records give equal bytes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from relselect.report import figures, verdict, words
from relselect.report.details import importances, learning_curve
from relselect.report.record import RunRecord, complete
from relselect.report.sections import sections

__all__ = ["render_html"]

_CAPTIONS = {
    "board": "Bars start at the best constant baseline (dashed). Dot: validation score, with its interval. "
    "Diamond: score on the test rows.",
    "splits": "First to last cutoff of each split.",
    "budget": "Each stage begins where the one before it ended.",
    "margin": "The dot is the expected margin, the band its interval. Where the band crosses the middle, "
    "measuring cannot decide.",
}


def render_html(record: Mapping[str, Any]) -> str:
    """Renders the report page.

    Args:
        record: A run record (`relselect.report.record.RunRecord`), possibly partial.

    Returns:
        The page as text; everything in it that comes from the record is escaped.

    Raises:
        ConfigError: When the record was written by a newer version of relselect.
    """
    whole = complete(record)
    drawn = {
        "board": figures.leaderboard_figure(whole),
        "curve": figures.curve_figure(whole),
        "features": figures.importance_figure(whole),
        "splits": figures.splits_figure(whole),
        "budget": figures.budget_figure(whole),
        "margin": figures.margin_figure(whole),
    }
    page = _environment().get_template("report.html.j2")
    return page.render(
        record=whole,
        verdict=verdict.verdict(whole),
        drawn=drawn,
        captions=_captions(whole, drawn),
        sections=sections(whole),
        style=Markup(_template("style.css")),
    )


def _captions(record: RunRecord, drawn: Mapping[str, Markup | None]) -> dict[str, str]:
    """What stands under the figures; whose curve and whose features they are."""
    curve, features = learning_curve(record), importances(record)
    captions = dict(_CAPTIONS)
    if curve is not None:
        captions["curve"] = f"{curve.candidate} while it trained."
        if 'class="mark' in (drawn["curve"] or ""):
            captions["curve"] += " Filled circle: the chosen checkpoint. Open circle: a near-tie."
    if features is not None:
        captions["features"] = f"What {features[0]} leans on: shares of the whole model's weight."
    return captions


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update({name: getattr(words, name) for name in words.__all__ if callable(getattr(words, name))})
    return environment


def _template(name: str) -> str:
    return (resources.files("relselect.report") / "templates" / name).read_text(encoding="utf-8")

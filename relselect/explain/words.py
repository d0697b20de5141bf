"""Numbers, lengths of time and changes of a score in words, for explanations in a terminal and in a notebook.

The report has words of its own (`relselect.report.words`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from relselect.database.clock import DAY

if TYPE_CHECKING:
    import pandas as pd

    from relselect.database.clock import TimeKind
    from relselect.tasks import Metric

__all__ = ["change_text", "counted", "figure", "html_of", "interval_text", "length_text", "listed", "signed"]

_HOUR = DAY // 24
#: Units of time with their ticks, the longest first, and how much of one must pass before it is used.
_UNITS = (("day", DAY), ("hour", _HOUR), ("minute", _HOUR // 60), ("second", _HOUR // 3600))


def figure(value: float) -> str:
    """Return a number with three significant digits.

    >>> figure(0.01234), figure(1234.5), figure(0.0)
    ('0.0123', '1,234', '0')
    """
    if not math.isfinite(value):
        return "undefined"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}"


def signed(value: float) -> str:
    """Return a number with its sign.

    >>> signed(0.25), signed(-0.25)
    ('+0.25', '-0.25')
    """
    return f"{'+' if value > 0 else ''}{figure(value)}"


def counted(number: int, word: str) -> str:
    """Return a number of things.

    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def length_text(ticks: float, kind: TimeKind | None) -> str:
    """Return a length of time in days, hours, minutes or seconds; in units in integer-time databases.

    >>> length_text(94 * DAY, "timestamp"), length_text(3, "integer")
    ('94 days', '3 units')
    """
    if kind == "integer":
        return _of(ticks, "unit")
    for word, size in _UNITS:
        if ticks >= size:
            return _of(ticks / size, word)
    return "0 days" if ticks == 0 else "under a second"


def _of(number: float, word: str) -> str:
    text = f"{number:.2g}" if number < 10 else f"{number:,.0f}"
    return f"{text} {word}{'' if text == '1' else 's'}"


def change_text(metric: Metric, change: float) -> str:
    """Return how the familiar figure of a metric changes with a change of its score.

    >>> from relselect.tasks.metrics import metric_named
    >>> change_text(metric_named("roc_auc"), -0.1), change_text(metric_named("neg_mean_absolute_error"), -0.5)
    ('AUROC falls by 0.1', 'MAE rises by 0.5')
    """
    shown = change * metric.sign
    return f"{metric.title} {'rises' if shown > 0 else 'falls'} by {figure(abs(shown))}"


def interval_text(low: float, high: float) -> str:
    """Return an interval as text; nothing where it is undefined.

    >>> interval_text(0.1, 0.2)
    ' (0.1 to 0.2)'
    """
    return f" ({figure(low)} to {figure(high)})" if math.isfinite(low) and math.isfinite(high) else ""


def html_of(lines: Iterable[str], *frames: pd.DataFrame) -> str:
    """Return lines and frames as HTML for notebooks; everything in them is escaped."""
    parts = [f"<p>{escape(line)}</p>" for line in lines]
    return "".join([*parts, *(frame.to_html(index=False, escape=True, border=0) for frame in frames if len(frame))])

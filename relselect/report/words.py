"""Numbers and names as text. The only module that decides on digits and units of the report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from relselect.errors import TaskError
from relselect.tasks.metrics import metric_named

__all__ = [
    "MISSING",
    "capital",
    "config_text",
    "count",
    "explain_metric",
    "is_error",
    "listed",
    "natural",
    "number",
    "percent",
    "plural",
    "score",
    "seconds",
    "sentence",
    "share",
    "shorten",
]

#: Stands where a value is missing.
MISSING = "–"


def is_error(metric: str) -> bool:
    """Whether the metric is a negated error, which is shown with its sign turned back (lower is better)."""
    return metric.startswith("neg_")


def explain_metric(metric: str) -> str:
    """One sentence on what the metric says; empty for an unknown one."""
    try:
        return metric_named(metric).explanation
    except TaskError:
        return ""


def natural(value: float | None, metric: str) -> float | None:
    """A "higher is better" score in the metric's own direction: errors become positive again."""
    return None if value is None else -value + 0.0 if is_error(metric) else value


def score(value: float | None, metric: str) -> str:
    """A score as text, in the metric's own direction."""
    return number(natural(value, metric))


def number(value: float | None, digits: int = 3) -> str:
    """About `digits` significant decimals, thousands grouped, a real minus sign."""
    if value is None or not math.isfinite(value):
        return MISSING
    size = abs(value)
    if 0 < size < 10.0**-digits:
        text = f"{value:.1e}"
    elif size >= 1000:
        text = f"{value:,.0f}"
    else:
        whole = 0 if size < 10 else 1 if size < 100 else 2
        text = f"{value:.{max(digits - whole, 0)}f}"
    return text.replace("-", "−")


def count(value: float | None) -> str:
    """A whole number with grouped thousands."""
    return MISSING if value is None else f"{value:,.0f}".replace("-", "−")


def percent(value: float | None) -> str:
    """A share as a percentage: 0.034 is "3.4 %"."""
    if value is None:
        return MISSING
    if 0 < abs(value) < 0.0005:
        return "under 0.1 %" if value > 0 else "over −0.1 %"
    text = f"{100 * value:.1f}" if abs(value) < 0.1 else f"{100 * value:.0f}"
    return f"{text} %".replace("-", "−")


def share(part: float | None, whole: float | None) -> str:
    """`part` of `whole` as a percentage."""
    return MISSING if part is None or not whole else percent(part / whole)


def seconds(value: float | None) -> str:
    """A duration: "0.4 s", "43 s", "4 min 43 s", "2 h 5 min"."""
    if value is None:
        return MISSING
    if 0 <= value < 0.05:
        return "under 0.1 s"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def sentence(text: str | None) -> str:
    """The text with a capital first letter and a full stop."""
    bare = (text or "").strip() or MISSING
    return f"{capital(bare)}{'' if bare[-1] in '.!?…' else '.'}"


def capital(text: str) -> str:
    """The text with a capital first letter."""
    return f"{text[:1].upper()}{text[1:]}"


def shorten(text: str, limit: int) -> str:
    """The text cut to `limit` characters, an ellipsis standing for the middle."""
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def plural(number: int, word: str) -> str:
    """The word as it stands after a number: "candidate" after 1, "candidates" otherwise."""
    return word if number == 1 else f"{word}s"


def listed(names: Sequence[str]) -> str:
    """Names as a list in a sentence: "A", "A and B", "A, B and C"."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def config_text(config: Mapping[str, Any]) -> str:
    """A configuration as sorted "key=value" pairs."""
    return ", ".join(f"{key}={_value_text(config[key])}" for key in sorted(config))


def _value_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False)

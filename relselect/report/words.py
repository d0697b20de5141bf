"""Numbers and names as text. The only module that decides on digits and units of the report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

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

#: What a metric says, in one sentence, for readers who do not use it daily.
_EXPLAINED = {
    "roc_auc": "AUROC is the chance that a row that came true is ranked above one that did not: "
    "0.5 is guessing, 1 is perfect.",
    "roc_auc_ovr": "AUROC (one against rest) is the chance that a row of a class is ranked above one of another class "
    "by the class's probability, averaged over the classes: 0.5 is guessing, 1 is perfect.",
    "average_precision": "Average precision is the mean precision over all thresholds: "
    "the share of positives is guessing, 1 is perfect.",
    "accuracy": "Accuracy is the share of rows that are predicted right.",
    "neg_mean_absolute_error": "MAE is the mean absolute difference between prediction and label, "
    "in the unit of the label; lower is better.",
    "neg_root_mean_squared_error": "RMSE is the root of the mean squared difference between prediction and label, "
    "in the unit of the label; lower is better.",
    "r2": "R² is the share of the label's variance that is explained: 0 is the mean, 1 is perfect.",
    "neg_log_loss": "Log loss punishes confident mistakes; lower is better.",
}


def is_error(metric: str) -> bool:
    """Whether the metric is a negated error, which is shown with its sign turned back (lower is better)."""
    return metric.startswith("neg_")


def explain_metric(metric: str) -> str:
    """One sentence on what the metric says; empty for an unknown one."""
    return _EXPLAINED.get(metric, "")


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

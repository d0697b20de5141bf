"""Numbers and names as people read them. The only place that decides on digits and units of the report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

__all__ = [
    "EXPLAINED",
    "MISSING",
    "config_text",
    "constant_scope",
    "count",
    "explain_metric",
    "family_kind",
    "family_name",
    "family_short",
    "is_error",
    "metric_name",
    "natural",
    "number",
    "percent",
    "score",
    "seconds",
    "sentence",
    "share",
    "shorten",
]

#: Stands where a value is missing.
MISSING = "–"

_FAMILIES = {
    "rdl": ("graph neural network", "RDL"),
    "dfs": ("feature synthesis", "DFS"),
    "constants": ("constant baseline", "constant"),
    "both": ("both families", "both"),
}

_METRICS = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "mean_absolute_error": "mean absolute error",
    "mean_squared_error": "mean squared error",
    "root_mean_squared_error": "root mean squared error",
    "r2": "R²",
    "f1": "F1",
    "macro_f1": "macro F1",
    "f1_macro": "macro F1",
    "log_loss": "log loss",
    "mrr": "mean reciprocal rank",
}

_SCOPES = {"global": "the same answer for all", "entity": "each entity's own past"}

#: What a metric says, in one sentence, for readers who do not live with it.
EXPLAINED = {
    "roc_auc": "ROC AUC is the chance that a row that came true is ranked above one that did not: "
    "0.5 is guessing, 1 is perfect.",
    "average_precision": "Average precision is the mean precision over all thresholds: "
    "the share of positives is guessing, 1 is perfect.",
    "accuracy": "Accuracy is the share of rows that are predicted right.",
    "mean_absolute_error": "Mean absolute error is how far a prediction is off on average, "
    "in the unit of the label; lower is better.",
    "root_mean_squared_error": "Root mean squared error is how far predictions are off, large misses weighing more, "
    "in the unit of the label; lower is better.",
    "r2": "R² is the share of the label's variance that is explained: 0 is the mean, 1 is perfect.",
    "log_loss": "Log loss punishes confident mistakes; lower is better.",
}


def is_error(metric: str | None) -> bool:
    """Whether the metric is a negated error, shown with its sign turned back (lower is better)."""
    return (metric or "").startswith("neg_")


def _bare(metric: str | None) -> str:
    return (metric or "score").removeprefix("neg_")


def metric_name(metric: str | None) -> str:
    """The metric's name for people: "neg_mean_absolute_error" is "mean absolute error"."""
    return _METRICS.get(_bare(metric), _bare(metric).replace("_", " "))


def explain_metric(metric: str | None) -> str:
    """One sentence on what the metric says; empty for an unknown one."""
    return EXPLAINED.get(_bare(metric), "")


def natural(value: float | None, metric: str | None) -> float | None:
    """A "higher is better" score in the metric's own direction: errors become positive again."""
    return None if value is None else -value + 0.0 if is_error(metric) else value


def score(value: float | None, metric: str | None) -> str:
    """A score as text, in the metric's own direction."""
    return number(natural(value, metric))


def family_kind(family: str | None) -> str:
    """A word that is safe as a CSS class: "rdl", "dfs", "constants" or "other"."""
    return family if family in {"rdl", "dfs", "constants"} else "other"


def family_name(family: str | None) -> str:
    """The family's name in plain words."""
    return _FAMILIES.get(family or "", (family or MISSING, ""))[0]


def family_short(family: str | None) -> str:
    """The family's short name: RDL, DFS, constant."""
    return _FAMILIES.get(family or "", ("", family or MISSING))[1]


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
    return f"{bare[0].upper()}{bare[1:]}{'' if bare[-1] in '.!?…' else '.'}"


def shorten(text: str, limit: int) -> str:
    """The text cut to `limit` characters, an ellipsis standing for the middle."""
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def constant_scope(config: Mapping[str, Any]) -> str:
    """What a constant baseline is constant over, in words; empty when its configuration does not say."""
    return _SCOPES.get(str(config.get("scope") or ""), "")


def config_text(config: Mapping[str, Any]) -> str:
    """A configuration as sorted "key=value" pairs."""
    return ", ".join(f"{key}={_value_text(config[key])}" for key in sorted(config))


def _value_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False)

"""Features in English, one sentence each, exact enough to compute them by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relselect.database.clock import DAY
from relselect.database.table import SemanticType
from relselect.problem import LABELS

if TYPE_CHECKING:
    from relselect.dfs.plan.feature import Feature, Hop, Route

__all__ = ["length", "sentence"]

_HOUR, _MINUTE, _SECOND = DAY // 24, DAY // 1440, DAY // 86_400
_ROW_WORDS = {
    "calendar": "{} of the cutoff",
    "delay": "age of the newest visible data at the cutoff",
    "row": "{} of the task row",
}
_OF_ROWS = {
    "count": "number of {}",
    "time_since_last": "time since the last of the {}",
    "time_since_first": "time since the first of the {}",
    "avg_time_between": "mean time from one to the next of the {}",
}
_OF_VALUES = {
    "sum": "sum",
    "mean": "mean",
    "std": "standard deviation",
    "skew": "skewness",
    "min": "smallest value",
    "max": "largest value",
    "median": "median",
    "first": "first value",
    "last": "last value",
    "num_unique": "number of different values",
    "mode": "most frequent value",
    "entropy": "entropy",
    "percent_true": "share of true",
    "trend": "change per unit of time",
}


def sentence(feature: Feature, owner: str) -> str:
    """Return what a feature is.

    Args:
        feature: The feature.
        owner: Whose it is, such as "the customers row".
    """
    own = _ROW_WORDS.get(feature.aggregate)
    if own is not None:
        return own.format(feature.column)
    up, down, then = feature.parts
    for hop in up:
        owner = _parent(hop, owner)
    if not down:
        return f"{_read(feature, ())} of {owner}"
    rows = _rows(feature, down, owner)
    if feature.aggregate in _OF_ROWS:
        return _OF_ROWS[feature.aggregate].format(rows + (f" that have {_climb(then, 'them')}" if then else ""))
    if feature.base is not None:
        return f"{_word(feature)}, over the {rows}, of the {sentence(feature.base, 'each')}"
    if feature.column is None:
        return f"number of different {then[-1].table} rows (by {then[-1].key}) over the {rows}"
    age = feature.type == SemanticType.TIMESTAMP and feature.aggregate in ("first", "last", "min", "max")
    return f"{'time since the ' if age else ''}{_word(feature)} of {_read(feature, then)} over the {rows}"


def length(ticks: int) -> str:
    """Return a window's length: `60d`, `12h`, `90min`, `5s`, or plain units where it is none of these.

    >>> length(60 * DAY), length(DAY // 2), length(7)
    ('60d', '12h', '7')
    """
    for unit, name in ((DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (_SECOND, "s")):
        if ticks % unit == 0:
            return f"{ticks // unit}{name}"
    return str(ticks)


def _parent(hop: Hop, child: str) -> str:
    return f"the {hop.table} row (by {hop.key}) of {child}"


def _climb(path: Route, start: str) -> str:
    if len(path) == 1:
        return f"a {path[0].table} row (by {path[0].key})"
    for hop in path:
        start = _parent(hop, start)
    return start


def _rows(feature: Feature, down: Route, owner: str) -> str:
    """The rows aggregated, without an article: "lines (by order) with kind = gift of the orders (by customer) of ..."."""
    for hop in down[:-1]:
        owner = f"the {_children(hop)} of {owner}"
    which = f" with {feature.where.column} = {feature.where.value}" if feature.where is not None else ""
    when = f" in the {_window(feature.window)} before the cutoff" if feature.window is not None else ""
    return f"{_children(down[-1])}{which} of {owner}{when}"


def _children(hop: Hop) -> str:
    return "past labels" if hop.table == LABELS else f"{hop.table} (by {hop.key})"


def _read(feature: Feature, then: Route) -> str:
    """The column read, and where from as seen from the rows aggregated."""
    words = {SemanticType.TEXT: "the length of {}", SemanticType.TIMESTAMP: "{}"}
    direct = not then and feature.aggregate == "direct" and feature.type == SemanticType.TIMESTAMP
    text = ("time since {}" if direct else words.get(feature.type, "{}")).format(feature.column)
    if feature.aggregate in ("num_unique", "mode", "entropy", "share"):
        text = str(feature.column)
    for number, hop in enumerate(reversed(then)):
        text += f" of {'their' if number == len(then) - 1 else 'the'} {hop.table} row (by {hop.key})"
    return text + (f" = {feature.category}" if feature.category is not None else "")


def _word(feature: Feature) -> str:
    if feature.aggregate == "quantile":
        return f"{feature.level:g} quantile"
    if feature.aggregate == "share":
        return "share" if feature.base is None else f"share of {feature.category}"
    return _OF_VALUES[feature.aggregate]


def _window(ticks: int) -> str:
    for unit, name in ((DAY, "days"), (_HOUR, "hours"), (_MINUTE, "minutes"), (_SECOND, "seconds")):
        if ticks % unit == 0:
            return f"{ticks // unit} {name if ticks != unit else name[:-1]}"
    return f"{ticks} units of time"

"""English words for the parts of a feature: its aggregate, its window, the rows on its path.

`Feature.describe` puts them together to a sentence that is exact enough to compute the feature by hand. "Before the cutoff"
of a window means before the end of the row's data, where these are older (see `relselect.dfs.plan.window_start`).
"""

from __future__ import annotations

from relselect.database.clock import DAY
from relselect.problem import LABELS

__all__ = ["OF_ROWS", "OF_TASK_ROW", "OF_TWO", "OF_VALUES", "children", "length", "parent", "window"]

_HOUR, _MINUTE, _SECOND = DAY // 24, DAY // 1440, DAY // 86_400
#: Aggregate -> sentence, with a place for the column.
OF_TASK_ROW = {
    "calendar": "{} of the cutoff",
    "delay": "age of the newest visible data at the cutoff",
    "row": "{} of the task row",
}
#: Aggregate -> phrase, with a place for the rows.
OF_ROWS = {
    "count": "number of {}",
    "time_since_last": "time since the last of the {}",
    "time_since_first": "time since the first of the {}",
    "avg_time_between": "mean time from one to the next of the {}",
}
#: Aggregate -> what stands between its two operands.
OF_TWO = {"ratio": "divided by", "difference": "minus"}
#: Aggregate -> noun.
OF_VALUES = {
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


def length(ticks: int) -> str:
    """Return a window's length: `60d`, `12h`, `90min`, `5s`, or plain units where it is none of these.

    >>> length(60 * DAY), length(DAY // 2), length(7)
    ('60d', '12h', '7')
    """
    for unit, name in ((DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (_SECOND, "s")):
        if ticks % unit == 0:
            return f"{ticks // unit}{name}"
    return str(ticks)


def window(ticks: int) -> str:
    """Return a window's length in words.

    >>> window(60 * DAY), window(DAY), window(7)
    ('60 days', '1 day', '7 units of time')
    """
    for unit, name in ((DAY, "days"), (_HOUR, "hours"), (_MINUTE, "minutes"), (_SECOND, "seconds")):
        if ticks % unit == 0:
            return f"{ticks // unit} {name if ticks != unit else name[:-1]}"
    return f"{ticks} units of time"


def parent(table: str, key: str, child: str) -> str:
    """Return the row of a table that another row refers to.

    >>> parent("regions", "region", "the shops row")
    'the regions row (by region) of the shops row'
    """
    return f"the {table} row (by {key}) of {child}"


def children(table: str, key: str) -> str:
    """Return the rows of a table that refer to another row, without an article.

    >>> children("orders", "customer")
    'orders (by customer)'
    """
    return "past labels" if table == LABELS else f"{table} (by {key})"

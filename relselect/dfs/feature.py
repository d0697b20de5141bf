"""What a feature is: a frozen definition with a stable name, an English description and a JSON form.

The vocabulary is featuretools' (`MEAN(orders[customer].total)`), with what it cannot say added: windows that end at the
cutoff, shares of a category, quantiles, calendar parts. Nothing here computes or chooses features.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from relselect.database.clock import DAY
from relselect.database.table import SemanticType

__all__ = ["Aggregate", "Condition", "Feature", "Hop", "Route", "split_path"]


class Aggregate(StrEnum):
    """How the rows at the end of a path become one number."""

    DIRECT = "direct"
    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    STD = "std"
    SKEW = "skew"
    MIN = "min"
    MAX = "max"
    MEDIAN = "median"
    QUANTILE = "quantile"
    FIRST = "first"
    LAST = "last"
    NUM_UNIQUE = "num_unique"
    MODE = "mode"
    ENTROPY = "entropy"
    PERCENT_TRUE = "percent_true"
    SHARE = "share"
    TREND = "trend"
    SINCE_LAST = "time_since_last"
    SINCE_FIRST = "time_since_first"
    TIME_BETWEEN = "avg_time_between"
    CALENDAR = "calendar"
    DELAY = "delay"
    ROW = "row"


#: Aggregates whose result is one of the column's own values, and so as categorical as the column.
_KEEPS_VALUE = (Aggregate.DIRECT, Aggregate.FIRST, Aggregate.LAST, Aggregate.MODE, Aggregate.ROW)


@dataclass(frozen=True)
class Hop:
    """One step along a foreign key.

    Attributes:
        table: The table arrived at.
        key: The foreign key's name.
        down: From a row to the rows that refer to it (the key belongs to `table`); else from a row to its parent.
    """

    table: str
    key: str
    down: bool


Route = tuple[Hop, ...]


def split_path(path: Route) -> tuple[Route, Route, Route]:
    """Return the leading steps up, the steps down, and the steps up from there.

    Raises:
        ValueError: The path goes down again after the second ascent.
    """
    first = next((i for i, hop in enumerate(path) if hop.down), len(path))
    second = next((i for i in range(first, len(path)) if not path[i].down), len(path))
    if any(hop.down for hop in path[second:]):
        raise ValueError(f"path {path} goes down twice")
    return path[:first], path[first:second], path[second:]


@dataclass(frozen=True)
class Condition:
    """Rows that are aggregated: those whose `column`, read as text, equals `value`; a missing value equals nothing.

    Attributes:
        column: A column of the rows aggregated: of the table that the steps down end at.
        value: The value, as `relselect.database.columns.as_strings` writes it.
    """

    column: str
    value: str


@dataclass(frozen=True)
class Feature:
    """One column of the feature matrix.

    Attributes:
        aggregate: How rows become a number.
        path: Steps from the entity; empty for the entity's own columns and for what the task row itself says.
        column: The column read; None for counts, times since and nested features. The calendar part for CALENDAR.
        type: The semantic type of what is read; KEY with NUM_UNIQUE counts different parents at the end of the path.
        category: The value whose share is taken.
        window: Length in ticks of the window that ends at the cutoff; None for all history.
        level: The quantile's level, in (0, 1); None for other aggregates.
        where: Aggregate only rows that meet it.
        base: Read instead of a column: this feature of each row at the end of the path, whose steps down are one. It is
            computed for that row as if it were the entity, at the task row's own cutoff and asof.
    """

    aggregate: Aggregate
    path: Route = ()
    column: str | None = None
    type: SemanticType = SemanticType.NUMERICAL
    category: str | None = None
    window: int | None = None
    level: float | None = None
    where: Condition | None = None
    base: Feature | None = None

    @property
    def categorical(self) -> bool:
        """Whether the feature's values are categories."""
        return self.type == SemanticType.CATEGORICAL and self.aggregate in _KEEPS_VALUE

    @property
    def depth(self) -> int:
        """Steps of the path, those of a nested feature included."""
        return len(self.path) + (self.base.depth if self.base else 0)

    @property
    def name(self) -> str:
        """A stable name, unique within a plan: `MEAN(orders[customer].products(product).price, 60d)`.

        Square brackets hold the foreign key of rows that refer here, round ones the key that refers to a parent.

        >>> orders, lines = Hop("orders", "customer", True), Hop("lines", "order", True)
        >>> per_order = Feature(Aggregate.COUNT, (lines,))
        >>> Feature(Aggregate.MAX, (orders,), base=per_order, where=Condition("status", "paid"), window=30 * DAY).name
        'MAX(orders[customer].COUNT(lines[order]) WHERE status = paid, 30d)'
        """
        if self.aggregate in (Aggregate.CALENDAR, Aggregate.DELAY, Aggregate.ROW):
            return f"{self.aggregate.upper()}({self.column})" if self.column else self.aggregate.upper()
        steps = ".".join(f"{hop.table}[{hop.key}]" if hop.down else f"{hop.table}({hop.key})" for hop in self.path)
        inside = ".".join(filter(None, [steps, self.base.name if self.base else self.column]))
        if self.aggregate == Aggregate.DIRECT:
            return inside
        inside += f"={self.category}" if self.category is not None else ""
        inside += f" WHERE {self.where.column} = {self.where.value}" if self.where is not None else ""
        inside += f", q={self.level:g}" if self.level is not None else ""
        inside += f", {_length(self.window)}" if self.window is not None else ""
        return f"{self.aggregate.upper()}({inside})"

    def describe(self, entity: str) -> str:
        """Return what the feature is, in a sentence for readers.

        >>> hop = Hop("orders", "customer", True)
        >>> Feature(Aggregate.MEAN, (hop,), "total", window=60 * DAY).describe("customers")
        'mean of total over the orders of the customers row in the 60 days before the cutoff'
        """
        own = _ROW_WORDS.get(self.aggregate)
        if own is not None:
            return own.format(self.column)
        up, down, then = split_path(self.path)
        owner = f"the {entity} row" if not up else f"{_ups(up)} of the {entity} row"
        if not down:
            return f"{self.column} of {owner}"
        rows = " of the ".join(hop.table for hop in reversed(down))
        rows += f" with {self.where.column} = {self.where.value}" if self.where is not None else ""
        read = f"[{self.base.describe(down[-1].table)}]" if self.base else self.column
        what = _WORDS[self.aggregate].format(
            column=f"{read} of {_ups(then)}" if then and read else read or _ups(then),
            category=self.category,
            level=f"{self.level:g}" if self.level is not None else "",
        )
        when = f" in the {_words(self.window)} before the cutoff" if self.window is not None else ""
        return f"{what} over the {rows} of {owner}{when}"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary that `from_json` understands."""
        return _without_empty(asdict(self))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Feature:
        """Return the feature that `to_json` wrote."""
        path = tuple(Hop(**hop) for hop in data.get("path", ()))
        rest = {key: data[key] for key in ("column", "category", "window", "level") if key in data}
        return cls(
            aggregate=Aggregate(data["aggregate"]),
            path=path,
            type=SemanticType(data["type"]),
            where=Condition(**data["where"]) if "where" in data else None,
            base=cls.from_json(data["base"]) if "base" in data else None,
            **rest,
        )


_ROW_WORDS = {
    Aggregate.CALENDAR: "{} of the cutoff",
    Aggregate.DELAY: "age of the newest visible data at the cutoff",
    Aggregate.ROW: "{} of the task row",
}
_WORDS = {
    Aggregate.COUNT: "number of rows",
    Aggregate.SUM: "sum of {column}",
    Aggregate.MEAN: "mean of {column}",
    Aggregate.STD: "standard deviation of {column}",
    Aggregate.SKEW: "skewness of {column}",
    Aggregate.MIN: "smallest {column}",
    Aggregate.MAX: "largest {column}",
    Aggregate.MEDIAN: "median of {column}",
    Aggregate.QUANTILE: "{level} quantile of {column}",
    Aggregate.FIRST: "first {column}",
    Aggregate.LAST: "last {column}",
    Aggregate.NUM_UNIQUE: "number of different {column}",
    Aggregate.MODE: "most frequent {column}",
    Aggregate.ENTROPY: "entropy of {column}",
    Aggregate.PERCENT_TRUE: "share of rows with {column}",
    Aggregate.SHARE: "share of {column} = {category}",
    Aggregate.TREND: "change of {column} per unit of time",
    Aggregate.SINCE_LAST: "time since the last row",
    Aggregate.SINCE_FIRST: "time since the first row",
    Aggregate.TIME_BETWEEN: "mean time between rows",
}


def _ups(path: Route) -> str:
    return " of ".join(f"their {hop.table} (by {hop.key})" for hop in reversed(path))


def _length(ticks: int) -> str:
    return f"{ticks // DAY}d" if ticks % DAY == 0 else str(ticks)


def _words(ticks: int) -> str:
    return f"{ticks // DAY} days" if ticks % DAY == 0 else f"{ticks} ticks"


def _without_empty(data: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_empty(value) if isinstance(value, dict) else value
        for key, value in data.items()
        if value not in (None, ())
    }

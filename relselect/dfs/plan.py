"""What a feature is: frozen definitions with stable names, an English description and a JSON form.

The vocabulary is featuretools' (`MEAN(orders[customer].total)`), with what it cannot say added: windows that end at the
cutoff, first, time since, shares of a category, calendar parts. Nothing here computes or chooses features.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from relselect.database.clock import DAY
from relselect.database.table import SemanticType

__all__ = ["Aggregate", "Feature", "Hop", "Route", "Plan", "split_path"]


class Aggregate(StrEnum):
    """How the rows at the end of a path become one number."""

    DIRECT = "direct"
    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    STD = "std"
    MIN = "min"
    MAX = "max"
    FIRST = "first"
    LAST = "last"
    NUM_UNIQUE = "num_unique"
    MODE = "mode"
    PERCENT_TRUE = "percent_true"
    SHARE = "share"
    SINCE_LAST = "time_since_last"
    SINCE_FIRST = "time_since_first"
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
class Feature:
    """One column of the feature matrix.

    Attributes:
        aggregate: How rows become a number.
        path: Steps from the entity; empty for the entity's own columns and for what the task row itself says.
        column: The column read; None for counts and times since. The calendar part for CALENDAR.
        type: The column's semantic type; KEY with NUM_UNIQUE counts different parents at the end of the path.
        category: The value whose share is taken.
        window: Length in ticks of the window that ends at the cutoff; None for all history.
    """

    aggregate: Aggregate
    path: Route = ()
    column: str | None = None
    type: SemanticType = SemanticType.NUMERICAL
    category: str | None = None
    window: int | None = None

    @property
    def categorical(self) -> bool:
        """Whether the feature's values are categories."""
        return self.type == SemanticType.CATEGORICAL and self.aggregate in _KEEPS_VALUE

    @property
    def depth(self) -> int:
        """Steps of the path."""
        return len(self.path)

    @property
    def name(self) -> str:
        """A stable name, unique within a plan: `MEAN(orders[customer].products(product).price, 60d)`.

        Square brackets hold the foreign key of rows that refer here, round ones the key that refers to a parent.
        """
        if self.aggregate in (Aggregate.CALENDAR, Aggregate.DELAY, Aggregate.ROW):
            return f"{self.aggregate.upper()}({self.column})" if self.column else self.aggregate.upper()
        steps = ".".join(f"{hop.table}[{hop.key}]" if hop.down else f"{hop.table}({hop.key})" for hop in self.path)
        inside = ".".join(filter(None, [steps, self.column]))
        if self.aggregate == Aggregate.DIRECT:
            return inside
        inside += f"={self.category}" if self.category is not None else ""
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
        what = _WORDS[self.aggregate].format(
            column=f"{self.column} of {_ups(then)}" if then and self.column else self.column or _ups(then),
            category=self.category,
        )
        when = f" in the {_words(self.window)} before the cutoff" if self.window is not None else ""
        return f"{what} over the {rows} of {owner}{when}"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary that `from_json` understands."""
        return {key: value for key, value in asdict(self).items() if value not in (None, ())}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Feature:
        """Return the feature that `to_json` wrote."""
        path = tuple(Hop(**hop) for hop in data.get("path", ()))
        rest = {key: data[key] for key in ("column", "category", "window") if key in data}
        return cls(aggregate=Aggregate(data["aggregate"]), path=path, type=SemanticType(data["type"]), **rest)


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
    Aggregate.MIN: "smallest {column}",
    Aggregate.MAX: "largest {column}",
    Aggregate.FIRST: "first {column}",
    Aggregate.LAST: "last {column}",
    Aggregate.NUM_UNIQUE: "number of different {column}",
    Aggregate.MODE: "most frequent {column}",
    Aggregate.PERCENT_TRUE: "share of rows with {column}",
    Aggregate.SHARE: "share of {column} = {category}",
    Aggregate.SINCE_LAST: "time since the last row",
    Aggregate.SINCE_FIRST: "time since the first row",
}


def _ups(path: Route) -> str:
    return " of ".join(f"their {hop.table} (by {hop.key})" for hop in reversed(path))


def _length(ticks: int) -> str:
    return f"{ticks // DAY}d" if ticks % DAY == 0 else str(ticks)


def _words(ticks: int) -> str:
    return f"{ticks // DAY} days" if ticks % DAY == 0 else f"{ticks} ticks"


@dataclass(frozen=True)
class Plan:
    """An ordered list of features of one entity table; names are unique.

    Attributes:
        entity: The table asked about.
        features: In order of priority.
    """

    entity: str
    features: tuple[Feature, ...]

    def __len__(self) -> int:
        return len(self.features)

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self.features)

    def where(self, keep: Callable[[Feature], bool]) -> list[int]:
        """Return the places of the features that `keep` accepts."""
        return [place for place, feature in enumerate(self.features) if keep(feature)]

    def take(self, places: Sequence[int]) -> Plan:
        """Return the plan with only those places, in that order."""
        return Plan(self.entity, tuple(self.features[place] for place in places))

    def save(self, path: Path) -> None:
        """Write the plan as JSON."""
        data = {"entity": self.entity, "features": [feature.to_json() for feature in self.features]}
        path.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Return the plan that `save` wrote."""
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(data["entity"], tuple(Feature.from_json(item) for item in data["features"]))

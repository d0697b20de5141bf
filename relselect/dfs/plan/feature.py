"""The definition of a feature: a frozen dataclass with a stable name, an English description and a JSON form.

The vocabulary is featuretools' (`MEAN(orders[customer].total)`) and more: windows of any length, shares of a category,
quantiles, calendar parts, ratios and differences of two features. Features are neither computed nor chosen here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from relselect.database.table import SemanticType
from relselect.dfs.plan import english
from relselect.problem import LABELS

__all__ = ["CALENDAR_PARTS", "Aggregate", "Condition", "Feature", "Hop", "Route", "split_path"]

#: The columns of CALENDAR features, all of the cutoff in UTC: 1-12, 1-366, 0-6 (Monday 0), 0-23.
CALENDAR_PARTS = ("month", "day_of_year", "weekday", "hour")


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
    RATIO = "ratio"
    DIFFERENCE = "difference"


#: Aggregates whose result is one of the column's own values, and so as categorical as the column.
_KEEPS_VALUE = (Aggregate.DIRECT, Aggregate.FIRST, Aggregate.LAST, Aggregate.MODE, Aggregate.ROW)


_OF_TASK_ROW = (Aggregate.CALENDAR, Aggregate.DELAY, Aggregate.ROW)
_OF_TWO = (Aggregate.RATIO, Aggregate.DIFFERENCE)


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
    """Restricts an aggregate to rows whose `column`, read as text, equals `value`; a missing value equals nothing.

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
        path: Steps from the entity; empty for the entity's own columns and for features of the task row itself.
        column: The column read; None for counts, times since and nested features. The calendar part for CALENDAR.
        type: The semantic type of what is read; KEY with NUM_UNIQUE counts different parents at the end of the path.
        category: The value whose share is taken.
        window: Length in ticks of the window that ends at the cutoff, or where the row's data end if they are older (see
            `window_start`); None for all history.
        level: The quantile's level, in (0, 1); None for other aggregates.
        where: Aggregate only the rows that meet this condition; None for all rows.
        base: A nested feature, aggregated instead of a column. It is computed for each row at the end of the path as if that
            row were the entity, at the task row's own cutoff and asof. The path then has exactly one step down, its last.
            Of RATIO and DIFFERENCE, which have no path, the first operand: a feature of the same entity.
        other: The second operand of RATIO (the divisor) and DIFFERENCE (what is subtracted); None for other aggregates.
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
    other: Feature | None = None

    @property
    def categorical(self) -> bool:
        """Whether the feature's values are categories."""
        return self.type == SemanticType.CATEGORICAL and self.aggregate in _KEEPS_VALUE

    @property
    def of_task_row(self) -> bool:
        """Whether the feature reads the task row itself: its cutoff, its delay, its declared columns."""
        return self.aggregate in _OF_TASK_ROW

    @property
    def operands(self) -> tuple[Feature, ...]:
        """The two features that a ratio or difference combines; none of other features."""
        return (self.base, self.other) if self.aggregate in _OF_TWO and self.base and self.other else ()

    @property
    def leaves(self) -> tuple[Feature, ...]:
        """The features that are read from tables: the operands of a ratio or difference, else the feature itself."""
        return self.operands or (self,)

    @property
    def chain(self) -> tuple[Feature, ...]:
        """The feature, what it nests or combines, and so on."""
        inside = self.operands or ((self.base,) if self.base is not None else ())
        return (self, *(each for feature in inside for each in feature.chain))

    @property
    def depth(self) -> int:
        """Steps of the path, those of a nested feature included; of two operands, the steps of the deeper one.

        The past labels of a row count as its own: the step to them is none, except from the entity itself.
        """
        if self.operands:
            return max(each.depth for each in self.operands)
        steps = [hop for feature in self.chain for hop in feature.path]
        return len(steps) - (len(steps) > 1 and steps[-1].table == LABELS)

    @property
    def name(self) -> str:
        """A stable name, unique within a plan: `MEAN(orders[customer].products(product).price, 60d)`.

        Square brackets hold the foreign key of rows that refer here, round ones the key that refers to a parent.

        >>> from relselect.database.clock import DAY
        >>> orders, lines = Hop("orders", "customer", True), Hop("lines", "order", True)
        >>> per_order = Feature(Aggregate.COUNT, (lines,))
        >>> Feature(Aggregate.MAX, (orders,), base=per_order, where=Condition("status", "paid"), window=30 * DAY).name
        'MAX(orders[customer].COUNT(lines[order]) WHERE status = paid, 30d)'
        """
        if self.of_task_row:
            return f"{self.aggregate.upper()}({self.column})" if self.column else self.aggregate.upper()
        if self.operands:
            return f"{self.aggregate.upper()}({', '.join(each.name for each in self.operands)})"
        steps = ".".join(f"{hop.table}[{hop.key}]" if hop.down else f"{hop.table}({hop.key})" for hop in self.path)
        inside = ".".join(filter(None, [steps, self._read_name]))
        if self.aggregate == Aggregate.DIRECT:
            return inside
        inside += f"={self.category}" if self.category is not None else ""
        inside += f" WHERE {self.where.column} = {self.where.value}" if self.where is not None else ""
        inside += f", q={self.level:g}" if self.level is not None else ""
        inside += f", {english.length(self.window)}" if self.window is not None else ""
        return f"{self.aggregate.upper()}({inside})"

    @property
    def _read_name(self) -> str | None:
        """What is read. A nested column stands in brackets: without them this would be the name of the plain path."""
        if self.base is None:
            return self.column
        return f"({self.base.name})" if self.base.aggregate == Aggregate.DIRECT else self.base.name

    @property
    def parts(self) -> tuple[Route, Route, Route]:
        """The path's leading steps up, its steps down, and the steps up from there; see `split_path`."""
        return split_path(self.path)

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables on the path, those of a nested feature and of operands included, in order."""
        inside = self.operands or ((self.base,) if self.base else ())
        return (*(hop.table for hop in self.path), *(table for each in inside for table in each.tables))

    def source(self, entity: str) -> tuple[str, str]:
        """Return the table and column read at the innermost level, by the first operand; the table of a task-row feature is "".

        Args:
            entity: The table the path starts at.
        """
        if self.aggregate == Aggregate.ROW:
            return "", self.column or ""
        end = self.path[-1].table if self.path else entity
        return self.base.source(end) if self.base is not None else (end, self.column or "")

    def describe(self, entity: str) -> str:
        """Return the feature's description in English, exact enough to compute it by hand.

        >>> from relselect.database.clock import DAY
        >>> orders, lines = Hop("orders", "customer", True), Hop("lines", "order", True)
        >>> Feature(Aggregate.MEAN, (orders,), "total", window=60 * DAY).describe("customers")
        'mean of total over the orders (by customer) of the customers row in the 60 days before the cutoff'
        >>> Feature(Aggregate.COUNT, (orders,), where=Condition("status", "paid")).describe("customers")
        'number of orders (by customer) with status = paid of the customers row'
        >>> Feature(Aggregate.MAX, (orders,), base=Feature(Aggregate.COUNT, (lines,))).describe("customers")
        'largest value, over the orders (by customer) of the customers row, of the number of lines (by order) of each'
        """
        return _sentence(self, f"the {entity} row")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary that `from_json` understands."""
        return _without_empty(asdict(self))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Feature:
        """Return the feature that `to_json` wrote.

        Raises:
            ValueError: The data are no feature's; the message says why.
        """
        if not isinstance(data, Mapping):
            raise ValueError(f"must be an object, not {type(data).__name__}")
        values = _fields(data, _PLAIN, (*_PLAIN, "aggregate", "path", "type", "where", *_FEATURES))
        where = _fields(data["where"], _CONDITION, _CONDITION, needed=True) if "where" in data else None
        inside = {name: cls.from_json(data[name]) for name in _FEATURES if name in data}
        path = tuple(Hop(**_fields(hop, _HOP, _HOP, needed=True)) for hop in data.get("path", ()))
        if "aggregate" not in data:
            raise ValueError("lacks aggregate")
        return cls(
            aggregate=Aggregate(data["aggregate"]),
            path=path,
            type=SemanticType(data.get("type", SemanticType.NUMERICAL)),
            where=Condition(**where) if where is not None else None,
            base=inside.get("base"),
            other=inside.get("other"),
            **values,
        )


def _sentence(feature: Feature, owner: str) -> str:
    """Return the description of a feature of a row that is called `owner`, such as "the customers row"."""
    own = english.OF_TASK_ROW.get(feature.aggregate)
    if own is not None:
        return own.format(feature.column)
    if feature.operands:
        first, second = (_sentence(each, owner) for each in feature.operands)
        return f"{first}, {english.OF_TWO[feature.aggregate]} {second}"
    up, down, then = feature.parts
    for hop in up:
        owner = english.parent(hop.table, hop.key, owner)
    if not down:
        return f"{_value_read(feature, ())} of {owner}"
    rows = _rows_aggregated(feature, down, owner)
    if feature.aggregate in english.OF_ROWS:
        return english.OF_ROWS[feature.aggregate].format(rows + (f" that have {_ascent(then)}" if then else ""))
    if feature.base is not None:
        return f"{_noun(feature)}, over the {rows}, of the {_sentence(feature.base, 'each')}"
    if feature.column is None:
        return f"number of different {then[-1].table} rows (by {then[-1].key}) over the {rows}"
    age = feature.type == SemanticType.TIMESTAMP and feature.aggregate in ("first", "last", "min", "max")
    return f"{'time since the ' if age else ''}{_noun(feature)} of {_value_read(feature, then)} over the {rows}"


def _ascent(path: Route) -> str:
    """Return the row at the end of steps up from rows called "them"."""
    if len(path) == 1:
        return f"a {path[0].table} row (by {path[0].key})"
    found = "them"
    for hop in path:
        found = english.parent(hop.table, hop.key, found)
    return found


def _rows_aggregated(feature: Feature, down: Route, owner: str) -> str:
    """Return the rows aggregated, without an article: "lines (by order) with kind = gift of the orders (by customer) of ..."."""
    *before, last = down
    for hop in before:
        owner = f"the {english.children(hop.table, hop.key)} of {owner}"
    which = f" with {feature.where.column} = {feature.where.value}" if feature.where is not None else ""
    when = f" in the {english.window(feature.window)} before the cutoff" if feature.window is not None else ""
    return f"{english.children(last.table, last.key)}{which} of {owner}{when}"


def _value_read(feature: Feature, then: Route) -> str:
    """Return the column read, and where from as seen from the rows aggregated."""
    words = {SemanticType.TEXT: "the length of {}", SemanticType.TIMESTAMP: "{}"}
    direct = not then and feature.aggregate == "direct" and feature.type == SemanticType.TIMESTAMP
    text = ("time since {}" if direct else words.get(feature.type, "{}")).format(feature.column)
    if feature.aggregate in ("num_unique", "mode", "entropy", "share"):
        text = str(feature.column)
    for number, hop in enumerate(reversed(then)):
        text += f" of {'their' if number == len(then) - 1 else 'the'} {hop.table} row (by {hop.key})"
    return text + (f" = {feature.category}" if feature.category is not None else "")


def _noun(feature: Feature) -> str:
    if feature.aggregate == "quantile":
        return f"{feature.level:g} quantile"
    if feature.aggregate == "share":
        return "share" if feature.base is None else f"share of {feature.category}"
    return english.OF_VALUES[feature.aggregate]


#: Fields as JSON holds them.
_PLAIN: dict[str, Any] = {"column": str, "category": str, "window": int, "level": float | int}
_HOP: dict[str, Any] = {"table": str, "key": str, "down": bool}
_CONDITION: dict[str, Any] = {"column": str, "value": str}
_FEATURES = ("base", "other")


def _fields(data: Any, wanted: Mapping[str, Any], known: Iterable[str], *, needed: bool = False) -> dict[str, Any]:
    """Return the wanted fields of a JSON object.

    Raises:
        ValueError: A field is unknown, missing or of the wrong type.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"holds {data!r} where an object must stand")
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise ValueError(f"has unknown fields {', '.join(map(str, unknown))}")
    missing = [name for name in wanted if needed and name not in data]
    if missing:
        raise ValueError(f"lacks {', '.join(missing)}")
    found = {name: data[name] for name in wanted if name in data}
    for name, value in found.items():
        if not isinstance(value, wanted[name]) or (isinstance(value, bool) and wanted[name] is not bool):
            raise ValueError(f"has {name} {value!r} of the wrong type")
    return found


def _without_empty(data: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_empty(value) if isinstance(value, dict) else value
        for key, value in data.items()
        if value not in (None, ())
    }

"""Small random databases with every awkward thing, and a slow reading of a feature's definition to compare with."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from relselect.database import Database
from relselect.database.clock import DAY, NEVER
from relselect.database.table import SemanticType
from relselect.dfs.plan.feature import Aggregate, Feature, split_path
from relselect.problem import Problem
from relselect.tasks import Task

START = pd.Timestamp("2020-01-01")
SHOPS, DAYS = 6, 40


def frames(seed: int, *, keyed: bool = True) -> dict[str, pd.DataFrame]:
    """Tables with ties in time, NULL times and values, parents later than children, masked values, huge offsets."""
    rng = np.random.default_rng(seed)

    def day(n, late=DAYS):
        return START + pd.to_timedelta(rng.integers(0, late, n), "D")

    def some(values, share=0.15):
        return pd.Series(values).mask(rng.random(len(values)) < share)

    shops = pd.DataFrame(
        {
            "shop": np.arange(100, 100 + SHOPS),
            "region": some(rng.integers(0, 3, SHOPS)).astype("Int64"),
            "opened": day(SHOPS, 12),
            "area": some(rng.normal(size=SHOPS)),
            "kind": some(rng.choice(["a", "b", "c"], SHOPS)),
            "boss": some(rng.integers(98, 106, SHOPS)).astype("Int64"),
        }
    )
    n = int(rng.integers(0, 90))
    offset = np.where(rng.integers(0, 2, SHOPS) == 1, 1e9, 1.0)
    shop = rng.integers(0, SHOPS + 1, n)
    at = pd.Series(day(n)).mask(rng.random(n) < 0.05)
    orders = pd.DataFrame(
        {
            "order": rng.permutation(n),
            "shop": pd.Series(shop + 100).astype("Int64").mask(rng.random(n) < 0.05),
            "product": rng.integers(0, 7, n),
            "at": at,
            "amount": some(offset[np.minimum(shop, SHOPS - 1)] + np.round(rng.normal(size=n), 2)),
            "level": some(rng.integers(0, 3, n)).astype("Int64"),
            "status": some(rng.choice(["x", "y", "z"], n)),
            "paid": some(rng.random(n) < 0.5).astype("boolean"),
            "due": some(day(n)),
            "closed": some(at + pd.to_timedelta(rng.integers(-2, 9, n), "D"), 0.3),
            "outcome": some(rng.normal(size=n)),
            "verdict": some(rng.choice(["good", "bad"], n)),
        }
    )
    if not keyed:
        orders = orders.drop(columns="order")
    products = pd.DataFrame(
        {
            "product": np.arange(6),
            "listed": pd.Series(day(6)).mask(rng.random(6) < 0.1),
            "price": some(rng.normal(size=6)),
            "colour": some(rng.choice(["red", "blue"], 6)),
        }
    )
    m = int(rng.integers(0, 120)) if keyed else 0
    lines = pd.DataFrame(
        {
            "line": np.arange(m),
            "order": rng.integers(0, max(1, n) + 2, m),
            "seen": day(m),
            "units": some(rng.normal(size=m)),
        }
    )
    regions = pd.DataFrame({"region": np.arange(3), "size": rng.normal(size=3)})
    found = {"shops": shops, "orders": orders, "products": products, "regions": regions}
    return {**found, "lines": lines} if keyed else found


def database(tables: dict[str, pd.DataFrame]) -> Database:
    keyed = "lines" in tables
    foreign: dict[str, Any] = {
        "shops": {"region": "regions", "boss": "shops"},
        "orders": {"shop": "shops", "product": "products"},
    }
    times = {"shops": "opened", "orders": "at", "products": "listed"}
    if keyed:
        foreign["lines"], times["lines"] = {"order": "orders"}, "seen"
    keys = {
        "shops": "shop",
        "products": "product",
        "regions": "region",
        **({"orders": "order", "lines": "line"} if keyed else {}),
    }
    schema = {
        "orders": {"status": "categorical", "verdict": "categorical", "level": "numerical"},
        "shops": {"kind": "categorical"},
        "products": {"colour": "categorical"},
    }
    return Database.from_dataframes(
        tables,
        keys=keys,
        times=times,
        foreign_keys=foreign,
        types=schema,
        known_at={"orders": {"closed": ["outcome", "verdict"]}},
    )


def labels(seed: int, kind: str = "binary") -> pd.DataFrame:
    rng = np.random.default_rng(seed + 1)
    grid = [(shop, START + pd.Timedelta(days=day)) for shop in range(100, 101 + SHOPS) for day in range(2, DAYS + 4, 3)]
    frame = pd.DataFrame(grid, columns=["shop", "date"])
    values = {
        "binary": np.arange(len(frame)) // 2 % 2,
        "regression": rng.normal(size=len(frame)),
        "multiclass": rng.choice(["u", "v", "w"], len(frame)),
    }
    return frame.assign(label=values[kind])


def problem(seed: int, *, keyed: bool = True, kind: str = "binary", regime: str = "rolling") -> Problem:
    base = database(frames(seed, keyed=keyed))
    task: Any = Task.from_labels(
        base,
        labels(seed, kind),
        name="toy",
        entity="shops",
        kind=kind,
        time="date",
        horizon="4d",
        regime=regime,  # type: ignore[arg-type]
    )
    return Problem(base, task)


class Naive:
    """Reads features row by row from plain Python lists."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.base = problem, problem.database
        self.rows = {name: table.data.to_pylist() for name, table in self.base.tables.items()}
        self.parent = {
            (name, key.name): parents.tolist()
            for name, table in self.base.tables.items()
            for key, parents in zip(table.foreign_keys, self.base.parents(name), strict=True)
        }

    def value(self, feature: Feature, entity: int, cutoff: int, asof: int, start: str | None = None) -> Any:
        if feature.operands:
            first, second = (self.value(each, entity, cutoff, asof) for each in feature.operands)
            if first is None or second is None:
                return None
            if feature.aggregate == Aggregate.DIFFERENCE:
                return first - second
            return first / second if second != 0 else None
        up, down, then = split_path(feature.path)
        owner, table = self._climb(start or self.problem.entity, entity, up, asof)
        if not down:
            if owner is None or self._value_time(table, feature.column, owner) > asof:
                return None
            return self._cell(feature, table, owner, cutoff)
        found = [] if owner is None else [item for item in self._items(down, then, feature, owner) if item[0] <= asof]
        if feature.window is not None:
            found = [item for item in found if item[0] > min(cutoff, asof) - feature.window]
        found = sorted(found, key=lambda item: item[:2])
        if feature.base is not None:
            found = [
                (time, content, self.value(feature.base, row, cutoff, asof, down[0].table))
                for time, content, row in found
            ]
        return self._reduce(feature, found, cutoff)

    def _climb(self, table: str, row: int | None, up: Any, asof: int) -> tuple[int | None, str]:
        def ok(table, row):
            return row is not None and row >= 0 and self.base.times(table)[row] <= asof

        row = row if ok(table, row) else None
        for hop in up:
            row = None if row is None else self.parent[table, hop.key][row]
            table = hop.table
            row = row if ok(table, row) else None
        return row, table

    def _items(self, down: Any, then: Any, feature: Feature, owner: int) -> list[Any]:
        items = []
        for start in range(len(self.rows[down[-1].table])):
            row, time = start, -(2**63)
            for hop in reversed(down):
                time = max(time, int(self.base.times(hop.table)[row]))
                row = self.parent[hop.table, hop.key][row]
                if row < 0:
                    break
            if row != owner:
                continue
            at, table = start, down[-1].table
            for hop in then:
                at, table = self.parent[table, hop.key][at], hop.table
                if at < 0:
                    break
                time = max(time, int(self.base.times(table)[at]))
            if at < 0:
                continue
            if feature.column:
                time = max(time, self._value_time(table, feature.column, at))
            if feature.where is not None:
                end = down[-1].table
                if self._text(self.rows[end][start][feature.where.column]) != feature.where.value:
                    continue
                time = max(time, self._value_time(end, feature.where.column, start))
            if time == NEVER:
                continue
            value = (
                at
                if feature.type == SemanticType.KEY or feature.base is not None
                else self._cell(feature, table, at, None)
                if feature.column
                else None
            )
            items.append((time, self._content(down[-1].table, start, table, at, feature.column), value))
        return items

    def _content(self, table: str, row: int, end: str, at: int, column: str | None) -> Any:
        declared = self.base[table]
        names = declared.primary_key or tuple(c for c in declared.columns if declared.clock_of(c) is None)
        own = [] if column is None else [self.rows[end][at][column]]
        return tuple(
            (value is None, value) if value is not None else (True, 0)
            for value in [*(self.rows[table][row][c] for c in names), *own]
        )

    def _value_time(self, table: str, column: str | None, row: int) -> int:
        known = self.base.value_times(table, column) if column else None
        return -(2**63) if known is None else int(known[row])

    def _cell(self, feature: Feature, table: str, row: int, cutoff: int | None) -> Any:
        value = self.rows[table][row][feature.column]
        if isinstance(value, dt.datetime):
            value = (value - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1)
            return value if cutoff is None else (cutoff - value) / DAY
        if isinstance(value, bool):
            return float(value)
        return None if isinstance(value, float) and math.isnan(value) else value

    @staticmethod
    def _text(value: Any) -> str | None:
        if isinstance(value, bool):
            return "true" if value else "false"
        return None if value is None else str(value)

    def _reduce(self, feature: Feature, found: list[Any], cutoff: int) -> Any:
        raw = [value for _, _, value in found]
        values = [value for value in raw if value is not None]
        stamp = feature.type == SemanticType.TIMESTAMP

        def age(x: Any) -> Any:
            return (cutoff - x) / DAY if stamp and x is not None else x

        exact = [Fraction(value) for value in values] if values and not isinstance(values[0], str) else []
        match feature.aggregate:
            case Aggregate.COUNT:
                return len(found)
            case Aggregate.SINCE_LAST | Aggregate.SINCE_FIRST:
                return (
                    (cutoff - found[-1 if feature.aggregate == Aggregate.SINCE_LAST else 0][0]) / DAY if found else None
                )
            case Aggregate.NUM_UNIQUE:
                return len(set(values)) if found else None
            case Aggregate.MODE:
                counts = Counter(values)
                return min((value for value in counts if counts[value] == max(counts.values())), default=None)
            case Aggregate.SHARE:
                return sum(self._text(value) == feature.category for value in values) / len(values) if values else None
            case Aggregate.ENTROPY:
                counts = Counter(raw)
                return -sum(n / len(raw) * math.log(n / len(raw)) for n in counts.values()) if raw else None
            case Aggregate.TIME_BETWEEN:
                return (found[-1][0] - found[0][0]) / DAY / (len(found) - 1) if len(found) > 1 else None
            case Aggregate.MEDIAN:
                return _quantile(exact, Fraction(1, 2))
            case Aggregate.QUANTILE:
                return _quantile(exact, Fraction(feature.level))
            case Aggregate.SKEW:
                return _skew(exact)
            case Aggregate.TREND:
                return _trend([(Fraction(time, DAY), Fraction(v)) for time, _, v in found if v is not None])
            case Aggregate.PERCENT_TRUE:
                return sum(value == 1 for value in raw) / len(raw) if raw else None
            case Aggregate.FIRST:
                return age(raw[0]) if raw else None
            case Aggregate.LAST:
                return age(raw[-1]) if raw else None
            case Aggregate.MIN:
                return age(min(values)) if values else None
            case Aggregate.MAX:
                return age(max(values)) if values else None
            case Aggregate.SUM:
                return float(sum(exact))
            case Aggregate.MEAN:
                return float(sum(exact) / len(exact)) if exact else None
            case Aggregate.STD:
                mean = sum(exact) / len(exact) if exact else Fraction(0)
                return math.sqrt(sum((x - mean) ** 2 for x in exact) / (len(exact) - 1)) if len(exact) > 1 else None
        raise AssertionError(feature)


def reordered(table: pa.Table, rng: np.random.Generator) -> pa.Table:
    return table.take(pa.array(rng.permutation(table.num_rows)))


def _quantile(exact: list[Fraction], level: Fraction) -> float | None:
    if not exact:
        return None
    ordered, place = sorted(exact), (len(exact) - 1) * level
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


def _skew(exact: list[Fraction]) -> float | None:
    n = len(exact)
    if n < 3:
        return None
    mean = sum(exact) / n
    second, third = (sum((x - mean) ** power for x in exact) / n for power in (2, 3))
    if second == 0:
        return 0.0
    return math.sqrt(n * (n - 1)) / (n - 2) * float(third) / float(second) ** 1.5


def _trend(points: list[tuple[Fraction, Fraction]]) -> float | None:
    n = len(points)
    if n < 3:
        return None
    x, y = (sum(point[side] for point in points) / n for side in (0, 1))
    spread = sum((point[0] - x) ** 2 for point in points)
    return float(sum((point[0] - x) * (point[1] - y) for point in points) / spread) if spread else 0.0

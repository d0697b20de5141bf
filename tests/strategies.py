"""Random relational databases with tasks, and worlds that look the same up to a moment.

A `World` has an entity table `e` and one to four more: keys of integers, text or two columns; foreign keys that are NULL,
dangle, refer to their own table, twice to one table, or back in a circle; times that are NULL, tie with cutoffs, or put
parents after their children; columns masked until a clock strikes, dates that mask themselves alone; keys whose values differ
by nine orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from relselect.database import Database, ForeignKey, Table
from relselect.database.clock import DAY, EVERYTHING, NEVER, ticks_of
from relselect.problem import Problem
from relselect.tasks import Task

__all__ = ["Shape", "TableShape", "World", "build", "dressed", "shapes", "shuffled", "worlds"]

LAST = 12
CUTOFFS = (3, 5, 7, 9, 11)
NAMES = ("e", "events", "bridge", 'sel"ect', "ü|1")


@dataclass(frozen=True)
class TableShape:
    """How one table looks: its kind of key, its rows, the tables it refers to (by number), its clocks."""

    key: str
    rows: int
    parents: tuple[int, ...]
    timed: bool
    masked: bool


@dataclass(frozen=True)
class Shape:
    """How a world looks."""

    tables: tuple[TableShape, ...]
    kind: str = "binary"
    regime: str = "rolling"
    static: bool = False
    integer: bool = False
    history: bool = True
    fine: bool = False


@dataclass(frozen=True)
class World:
    """Tables, labelled rows and the rules of the task."""

    shape: Shape
    seed: int
    tables: dict[str, Table] = field(repr=False)
    labels: pa.Table = field(repr=False)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(f"build({self.shape!r}, {self.seed})")

    def database(self, tables: dict[str, Table] | None = None) -> Database:
        return Database((tables or self.tables).values(), "world")

    def task(self, database: Database) -> Task:
        shape = self.shape
        day = 1 if shape.integer else DAY
        options: dict[str, Any] = {"fold_column": "fold"} if shape.static else {
            "time": "cutoff", "horizon": 2 * day, "regime": shape.regime, "known_after": "horizon" if shape.history else None,
            "val_start": _moment(CUTOFFS[-2], shape.integer),
        }  # fmt: skip
        columns = self.tables["e"].primary_key
        return Task.from_labels(
            database, self.labels, name="toy", entity="e", kind=shape.kind, entity_columns=columns, **options
        )

    def problem(self, tables: dict[str, Table] | None = None) -> Problem:
        database = self.database(tables)
        return Problem(database, self.task(database))


def _moment(day: int, integer: bool) -> object:
    return day if integer else np.datetime64(day, "D")


@st.composite
def shapes(draw: st.DrawFn, **fixed: Any) -> Shape:
    """Shapes of worlds; options given by name are not drawn."""
    count = draw(st.integers(2, 5))
    tables = []
    for number in range(count):
        near = (0,) if number == 1 else ()
        parents = near + tuple(draw(st.lists(st.integers(0, count - 1), max_size=1 if number == 0 else 2)))
        static = fixed.get("static", False)
        tables.append(
            TableShape(
                key=draw(st.sampled_from(["integer", "text", "pair"])),
                rows=draw(st.integers(12, 16)) if number == 0 else draw(st.integers(0, 30)),
                parents=parents,
                timed=draw(st.booleans()) and not (static and number == 0),
                masked=draw(st.booleans()),
            )
        )
    drawn = {
        "kind": draw(st.sampled_from(["binary", "regression", "multiclass"])),
        "regime": draw(st.sampled_from(["rolling", "frozen"])),
        "static": draw(st.sampled_from([False, False, False, True])),
        "integer": draw(st.sampled_from([False, False, True])),
        "history": draw(st.sampled_from([True, True, False])),
        "fine": draw(st.booleans()),
    }
    shape = Shape(tuple(tables), **{**drawn, **fixed})
    if not any(table.timed for table in tables):
        return replace(shape, tables=(*tables[:-1], replace(tables[-1], timed=True, rows=max(5, tables[-1].rows))))
    return shape


@st.composite
def worlds(draw: st.DrawFn, **fixed: Any) -> World:
    """Random worlds; see `shapes`."""
    return build(draw(shapes(**fixed)), draw(st.integers(0, 10**6)))


def build(shape: Shape, seed: int) -> World:
    """Fill a shape with data."""
    rng = np.random.default_rng(seed)
    keys = [_keys(table, rng) for table in shape.tables]
    built = {}
    for number in range(len(shape.tables)):
        built[NAMES[number]] = _table(number, shape, keys, rng)
    return World(shape, seed, built, _labels(shape, keys[0], rng))


def _keys(table: TableShape, rng: np.random.Generator) -> dict[str, pa.Array]:
    number = rng.permutation(table.rows)
    if table.key == "integer":
        return {"id": pa.array(number * 3 - 5)}
    if table.key == "text":
        return {"id": pa.array([f"k|{n}" for n in number], pa.string())}
    return {"id": pa.array(number // 3), "part": pa.array([f"p{n % 3}" for n in number], pa.string())}


def _references(parent: dict[str, pa.Array], rows: int, rng: np.random.Generator, floats: bool) -> dict[str, pa.Array]:
    size = len(parent["id"])
    at = rng.integers(0, max(1, size), rows)
    lost, null = rng.random(rows) < (0.1 if size else 1), rng.random(rows) < 0.1
    found = {}
    for name, values in parent.items():
        items = values.to_pylist()
        absent = [f"gone {n}" if pa.types.is_string(values.type) else 900 + n for n in range(3)]
        drawn = [None if null[i] else absent[i % 3] if lost[i] else items[at[i]] for i in range(rows)]
        number = pa.types.is_integer(values.type)
        found[name] = pa.array(drawn, pa.float64() if number and floats else values.type)
    return found


def _times(rows: int, rng: np.random.Generator, integer: bool, late: int = LAST, null: float = 0.08) -> pa.Array:
    days = [None if rng.random() < null else int(rng.integers(0, late)) for _ in range(rows)]
    return (
        pa.array(days, pa.int64())
        if integer
        else pa.array([None if d is None else d * DAY for d in days], pa.timestamp("us"))
    )


def _table(number: int, shape: Shape, keys: list[dict[str, pa.Array]], rng: np.random.Generator) -> Table:
    table, columns, foreign = shape.tables[number], dict(keys[number]), []
    for place, target in enumerate(table.parents):
        references = _references(keys[target], table.rows, rng, floats=bool(rng.integers(0, 2)))
        names = {name: f"to{place} {name}" for name in references}
        columns.update({names[name]: values for name, values in references.items()})
        foreign.append(ForeignKey(tuple(names.values()), NAMES[target], tuple(references)))
    columns.update(_values(table.rows, columns, rng, shape.integer))
    if table.timed:
        columns["when"] = _times(table.rows, rng, shape.integer)
        if shape.fine and not shape.integer and number % 2:
            nanos = pa.array(
                [None if v is None else v * 1000 - 1 for v in columns["when"].cast(pa.int64()).to_pylist()], pa.int64()
            )
            columns["when"] = nanos.cast(pa.timestamp("ns"))
    known = {}
    if table.masked:
        columns["clock"] = _times(table.rows, rng, shape.integer, LAST + 6, 0.2)
        columns["outcome"] = pa.array(rng.normal(size=table.rows))
        columns["verdict"] = pa.array(rng.choice(["good", "bad", "open"], table.rows), pa.string())
        columns["shut"] = _times(table.rows, rng, shape.integer, LAST + 6, 0.2)
        known = {"clock": ("outcome", "verdict"), "shut": ()}
    return Table(
        NAMES[number],
        pa.table(columns),
        tuple(keys[number]),
        "when" if table.timed else None,
        tuple(foreign),
        {},
        known,
    )


def _values(rows: int, columns: dict[str, pa.Array], rng: np.random.Generator, integer: bool) -> dict[str, pa.Array]:
    def some(values: Any, dtype: pa.DataType) -> pa.Array:
        return pa.array([None if rng.random() < 0.12 else v for v in np.asarray(values).tolist()], dtype)

    # One parent's values lie at 1e9 with a tiny variance, the others' near 1.
    owner = next((values for name, values in columns.items() if name.startswith("to")), None)
    codes = np.zeros(rows) if owner is None else np.array([hash_of(value) % 2 for value in owner.to_pylist()])
    return {
        "amount": some(np.where(codes == 1, 1e9, 1.0) + np.round(rng.normal(size=rows), 3), pa.float64()),
        "level": some(rng.integers(0, 4, rows), pa.int32()),
        "kind": some(rng.choice(["a", "b", "c"], rows), pa.string()),
        "flag": some(rng.random(rows) < 0.5, pa.bool_()),
        **({} if integer else {"stamp": _times(rows, rng, integer)}),
    }


def hash_of(value: object) -> int:
    """A hash of short texts and numbers that is the same in every process."""
    return sum(map(ord, str(value)))


def _labels(shape: Shape, keys: dict[str, pa.Array], rng: np.random.Generator) -> pa.Table:
    days = (0,) if shape.static else CUTOFFS
    rows = len(keys["id"])
    strangers = {
        name: pa.array(["nobody"] if pa.types.is_string(v.type) else [999], v.type) for name, v in keys.items()
    }
    once = pa.table({name: pa.concat_arrays([values, strangers[name]]) for name, values in keys.items()})
    frame = pa.concat_tables([once] * len(days)).combine_chunks()
    order = np.tile(np.arange(rows + 1), len(days))
    day = np.repeat(days, rows + 1)
    classes = (order // 4 + day + rng.integers(0, 2)) % 2
    label = {
        "binary": pa.array(classes == 1),
        "regression": pa.array(np.round(rng.normal(size=len(day)), 3) + classes),
        "multiclass": pa.array(np.array(["x", "y", "z"])[(classes + rng.integers(0, 2, len(day))) % 3]),
    }[shape.kind]
    cutoff = pa.array(day) if shape.integer else pa.array(day * DAY).cast(pa.timestamp("us"))
    return (
        frame.append_column("cutoff", cutoff).append_column("label", label).append_column("fold", pa.array(order % 4))
    )


def shuffled(tables: dict[str, Table], seed: int) -> dict[str, Table]:
    """The same rows in another order."""
    rng = np.random.default_rng(seed)
    return {name: replace(t, data=t.data.take(pa.array(rng.permutation(t.num_rows)))) for name, t in tables.items()}


def dressed(tables: dict[str, Table], asof: int, seed: int) -> dict[str, Table]:
    """Other tables that look the same up to `asof`: what is hidden is removed, changed or invented, and all is shuffled."""
    rng = np.random.default_rng(seed)
    return shuffled({name: _dressed(table, asof, rng) for name, table in tables.items()}, seed)


def _dressed(table: Table, asof: int, rng: np.random.Generator) -> Table:
    data = table.data
    if not len(data):
        return table
    if table.time is not None:
        hidden = ticks_of(data[table.time]) > asof
        gone = hidden & (rng.random(len(data)) < 0.5)
        kept, late = data.filter(pa.array(~gone)), hidden[~gone]
        data = pa.concat_tables(
            [_changed(table, kept, late, asof, rng), _invented(table, data, asof, rng)]
        ).combine_chunks()
    for clock, masked in table.known_at.items():
        times = np.full(len(data), np.iinfo(np.int64).min) if table.time is None else ticks_of(data[table.time])
        unknown = np.maximum(ticks_of(data[clock]), times) > asof
        for column in masked:
            data = _with(data, column, _mixed(data[column], unknown, rng))
        data = _with(data, clock, _later(data[clock], unknown & (ticks_of(data[clock]) > asof), asof, rng))
    return replace(table, data=data)


def _changed(table: Table, data: pa.Table, rows: np.ndarray, asof: int, rng: np.random.Generator) -> pa.Table:
    """Other values in hidden rows: everything but the key, the time still hidden."""
    for column in data.column_names:
        if column == table.time:
            data = _with(data, column, _later(data[column], rows, asof, rng))
        elif column not in table.primary_key:
            data = _with(data, column, _mixed(data[column], rows, rng))
    return data


def _invented(table: Table, data: pa.Table, asof: int, rng: np.random.Generator) -> pa.Table:
    """Hidden rows that were not there, among them some that dangling references name."""
    count = min(len(data), 5)
    extra = data.take(pa.array(rng.permutation(len(data))[:count]))
    for column in table.primary_key:
        text = pa.types.is_string(extra[column].type)
        extra = _with(
            extra, column, pa.array([f"gone {n}" if text else 900 + n for n in range(count)], extra[column].type)
        )
    return _with(extra, table.time or "", _later(extra[table.time], np.ones(count, dtype=bool), asof, rng))


def _later(column: pa.ChunkedArray, rows: np.ndarray, asof: int, rng: np.random.Generator) -> pa.Array:
    """Other moments after `asof`, or none, at `rows`."""
    unit = 1 if pa.types.is_integer(column.type) else DAY
    ticks = ticks_of(column).copy()
    for row in np.flatnonzero(rows):
        later = (
            NEVER
            if asof >= EVERYTHING - 100 * DAY or rng.random() < 0.2
            else asof + int(rng.integers(1, 9)) * unit // int(rng.integers(1, 3))
        )
        ticks[row] = max(later, asof + 1)
    if pa.types.is_integer(column.type):
        return pa.array(ticks, mask=ticks == NEVER)
    if not pa.types.is_timestamp(column.type) or column.type.unit != "ns":
        return pa.array(ticks, mask=ticks == NEVER).cast(pa.timestamp("us"))
    own = column.cast(pa.int64()).to_pylist()
    nanos = [None if t == NEVER else own[i] if not rows[i] else int(t) * 1000 - 1 for i, t in enumerate(ticks)]
    return pa.array(nanos, pa.int64()).cast(pa.timestamp("ns"))


def _mixed(column: pa.ChunkedArray, rows: np.ndarray, rng: np.random.Generator) -> pa.Array:
    """Other values of the same kind at `rows`: those of the column in another order, some gone, numbers also far off."""
    values = column.to_pylist()
    mixed = [values[i] for i in rng.permutation(len(values))]
    for row in np.flatnonzero(rows):
        value = mixed[row]
        if isinstance(value, float) and rng.random() < 0.3 and not value.is_integer():
            value = value * 1e12
        elif isinstance(value, str) and rng.random() < 0.3 and not value.startswith(("k|", "p", "gone")):
            value = f"{value} new"
        values[row] = None if rng.random() < 0.1 else value
    return pa.array(values, column.type)


def _with(data: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return data.set_column(data.column_names.index(column), column, values)


def distinct_asofs(problem: Problem, splits: Iterable[str]) -> list[int]:
    """The moments as of which rows of these splits are asked."""
    return sorted({int(asof) for split in splits for asof in problem.rows(split).asof})

"""Fits the feature columns of a table before training: scales of numbers, vocabularies of categories, term counts of texts.

Only values that are visible at the end of training are used. The result is plain data, so that a saved model carries it as
JSON and a later database is read the same way. This module computes no tensors (see `relselect.rdl.graph.features`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.database import SemanticType
from relselect.database.columns import as_float, as_strings
from relselect.language import SentenceColumn
from relselect.problem.visibility import visible_masked, visible_rows
from relselect.rdl.graph.text import WIDTH, HashedTextColumn, fit_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from relselect.database import Database
    from relselect.problem import Problem

__all__ = [
    "LARGEST",
    "CategoryColumn",
    "MomentColumn",
    "NumericColumn",
    "TableEncoding",
    "fit_columns",
    "fit_database",
    "fit_tables",
]

#: Categories kept per column, the most frequent ones; all others share the code of unseen values.
MAX_CATEGORIES = 500
#: Numbers are clipped to this magnitude: differences of larger ones overflow.
LARGEST = 1e100


@dataclass(frozen=True)
class NumericColumn:
    """A numeric or boolean column, which the network reads as asinh((value - center) / scale).

    Attributes:
        name: The column.
        center: The median of the fitted values.
        scale: Their interquartile range / 1.349 (the standard deviation, were they normal); their standard deviation where
            that range is 0, and 1 where that is 0 too.
        clock: Position in `TableEncoding.clocks` of the column that says when the values become known, -1 for none.
    """

    name: str
    center: float
    scale: float
    clock: int = -1


@dataclass(frozen=True)
class CategoryColumn:
    """A categorical column.

    Attributes:
        name: The column.
        values: The vocabulary, most frequent value first; values outside it share one code, and NULL has another.
        clock: See `NumericColumn`.
    """

    name: str
    values: tuple[str, ...]
    clock: int = -1


@dataclass(frozen=True)
class MomentColumn:
    """A column of points in time, which the network reads as the time elapsed until the cutoff of the task row.

    Attributes:
        name: The column.
        clock: See `NumericColumn`.
    """

    name: str
    clock: int = -1


@dataclass(frozen=True)
class TableEncoding:
    """The fitted feature columns of a table.

    Attributes:
        numeric: Numeric and boolean columns.
        categories: Categorical columns.
        moments: Columns of points in time, the row's own time first where the table has one.
        clocks: Columns that say when the values of others become known; a column's `clock` is a position in this list.
        texts: Text columns.
        sentence: The sentence of a row that a language model reads; None where none does.
    """

    numeric: tuple[NumericColumn, ...] = ()
    categories: tuple[CategoryColumn, ...] = ()
    moments: tuple[MomentColumn, ...] = ()
    clocks: tuple[str, ...] = ()
    texts: tuple[HashedTextColumn, ...] = ()
    sentence: SentenceColumn | None = None

    @property
    def text_widths(self) -> tuple[int, ...]:
        """Entries of the vectors of every text column, and last of the sentence where there is one."""
        return (*(WIDTH for _ in self.texts), *(() if self.sentence is None else (self.sentence.width,)))

    def to_json(self) -> dict[str, Any]:
        """Return the encoding as JSON-able data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TableEncoding:
        """Rebuild an encoding from what `to_json` returned."""
        return cls(
            tuple(NumericColumn(**each) for each in data["numeric"]),
            tuple(CategoryColumn(each["name"], tuple(each["values"]), each["clock"]) for each in data["categories"]),
            tuple(MomentColumn(**each) for each in data["moments"]),
            tuple(data["clocks"]),
            tuple(HashedTextColumn(**{**each, "counts": tuple(each["counts"])}) for each in data["texts"]),
            _sentence(data.get("sentence")),
        )


def _sentence(data: Mapping[str, Any] | None) -> SentenceColumn | None:
    return None if data is None else SentenceColumn(**{**data, "columns": tuple(data["columns"])})


def fit_tables(problem: Problem) -> dict[str, TableEncoding]:
    """Fit the columns of every table of a problem on what is visible at the end of training."""
    encodings: dict[str, TableEncoding] = problem.cached(("rdl", "table encodings"), lambda: _fit_tables(problem))
    return encodings


def _fit_tables(problem: Problem) -> dict[str, TableEncoding]:
    return fit_database(problem.database, problem.types, problem.fit_asof)


def fit_database(
    database: Database, types: Mapping[str, Mapping[str, SemanticType]], asof: int
) -> dict[str, TableEncoding]:
    """Fit the columns of every table of a database on what is visible at `asof` ticks.

    Args:
        database: The database.
        types: Semantic type per table and column.
        asof: Whatever is later is not read.
    """
    encodings = {}
    for name, table in database.tables.items():
        visible = visible_rows(database, name, asof)
        clocks = tuple(sorted(table.known_at))
        known = visible_masked(database, name, asof)
        place = {column: clocks.index(clock) for column in known if (clock := table.clock_of(column)) is not None}
        encodings[name] = fit_columns(
            table.data, types[name], visible, known=known, clock_of=place, clocks=clocks, time=table.time
        )
    return encodings


def fit_columns(
    data: pa.Table,
    types: Mapping[str, SemanticType],
    visible: NDArray[np.bool_],
    *,
    known: Mapping[str, NDArray[np.bool_]] | None = None,
    clock_of: Mapping[str, int] | None = None,
    clocks: tuple[str, ...] = (),
    time: str | None = None,
) -> TableEncoding:
    """Fit the columns of one table.

    Args:
        data: The rows.
        types: Semantic type per column.
        visible: bool (rows,), the rows that may be read.
        known: Per masked column bool (rows,), the values that may be read: a subset of `visible`.
        clock_of: Per masked column, the position of its clock in `clocks`.
        clocks: The clock columns.
        time: The row's own time column.

    Returns:
        The encoding. Columns that never vary are left out.
    """
    numeric, categories, moments, texts = [], [], [], []
    if time is not None:
        moments.append(MomentColumn(time))
    for name in data.column_names:
        clock = (clock_of or {}).get(name, -1)
        mask = (known or {}).get(name, visible)
        kind = types.get(name, SemanticType.IGNORED)
        if kind in (SemanticType.NUMERICAL, SemanticType.BOOLEAN):
            fitted = _fit_numeric(name, as_float(data[name])[mask], clock)
            numeric.extend([fitted] if fitted else [])
        elif kind == SemanticType.CATEGORICAL:
            column = _fit_category(name, data[name], mask, clock)
            categories.extend([column] if column else [])
        elif kind == SemanticType.TIMESTAMP and name != time:
            moments.append(MomentColumn(name, clock))
        elif kind == SemanticType.TEXT:
            text = fit_text(name, data[name], mask, clock)
            texts.extend([text] if text else [])
    return TableEncoding(tuple(numeric), tuple(categories), tuple(moments), clocks, tuple(texts))


def _fit_numeric(name: str, values: NDArray[np.float64], clock: int) -> NumericColumn | None:
    # sorted, so that the order of the rows changes no bit of the deviation
    present = np.sort(np.clip(values[~np.isnan(values)], -LARGEST, LARGEST))
    if not len(present):
        return None
    low, center, high = (float(value) for value in np.quantile(present, [0.25, 0.5, 0.75]))
    # columns of mostly one value, such as booleans, have an interquartile range of 0
    scale = (high - low) / 1.349 or float(present.std())
    if scale == 0 and len(present) == len(values):
        return None
    return NumericColumn(name, center, scale or 1.0, clock)


def _fit_category(name: str, column: pa.ChunkedArray, mask: NDArray[np.bool_], clock: int) -> CategoryColumn | None:
    codes, values = as_strings(column)
    seen = codes[mask]
    counts = np.bincount(seen[seen >= 0], minlength=len(values))
    if (counts > 0).sum() + (seen < 0).any() < 2:
        return None
    # by frequency, then by value: `values` is sorted, and a stable sort keeps that order among equals
    order = np.argsort(-counts, kind="stable")[:MAX_CATEGORIES]
    return CategoryColumn(name, tuple(values[code] for code in order if counts[code] > 0), clock)

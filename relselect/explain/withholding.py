"""Problems with something withheld: a table, a foreign key, columns, or single rows. Nothing is scored here.

Every change is made in the database that a family is asked to predict on, so that any family, a blend included, can be asked.
Rows of a table become rows that are never visible; the values of columns become those of other rows that were known no later, so
that nothing later than a row's `asof` can touch it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.database.withheld import WithheldDatabase

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["earlier_rows", "with_drawn_columns", "with_drawn_features", "without_key", "without_rows", "without_table"]


def without_rows(problem: Problem, rows: Mapping[str, NDArray[np.bool_]]) -> Problem:
    """Return the problem with some rows never visible.

    Args:
        problem: The problem.
        rows: Table -> mask of the rows, shape (rows,).
    """
    return problem.over(WithheldDatabase(problem.database, rows=rows))


def without_table(problem: Problem, table: str) -> Problem:
    """Return the problem with no row of a table visible.

    Args:
        problem: The problem.
        table: A table other than the entity's.
    """
    return without_rows(problem, {table: np.ones(problem.database[table].num_rows, dtype=bool)})


def without_key(problem: Problem, child: str, place: int) -> Problem:
    """Return the problem with a foreign key whose rows refer to nothing: without every path that follows it.

    Args:
        problem: The problem.
        child: The table that holds the key.
        place: The key's place among those of the table.
    """
    return problem.over(WithheldDatabase(problem.database, references=[(child, place)]))


def with_drawn_columns(problem: Problem, table: str, columns: Sequence[str], *, seed: int = 0) -> Problem:
    """Return the problem with the values of columns drawn from other rows, all of them from one row together.

    Args:
        problem: The problem.
        table: The table.
        columns: Columns that are no key, time or clock.
        seed: Seed of the draw.
    """
    database, data = problem.database, problem.database[table].data
    known = {database[table].clock_of(name): database.value_times(table, name) for name in columns}
    values: dict[str, pa.ChunkedArray] = {}
    for clock, times in known.items():
        rows = earlier_rows(database.times(table) if times is None else times, seed=seed)
        for name in columns:
            if database[table].clock_of(name) == clock:
                values[name] = data[name].take(pa.array(rows))
    return problem.over(WithheldDatabase(database, values={table: values}))


def with_drawn_features(rows: Rows, columns: Sequence[str], *, seed: int = 0) -> Rows:
    """Return task rows with the values of declared features drawn from other rows, in one permutation."""
    features = rows.features
    if features is None:
        return rows
    drawn = pa.array(np.random.default_rng(seed).permutation(len(rows)))
    for name in columns:
        place = features.column_names.index(name)
        features = features.set_column(place, features.schema.field(name), features[name].take(drawn))
    return replace(rows, features=features)


def earlier_rows(times: NDArray[np.int64], *, seed: int = 0) -> NDArray[np.int64]:
    """Return for every row a row that was known no later, drawn evenly among them, shape (n,).

    The draw of a row depends on no later row: later rows may come or go and the earlier ones keep theirs.

    Args:
        times: When each row became known, in ticks, shape (n,).
        seed: Seed of the draw.

    >>> bool((np.array([3, 1, 2])[earlier_rows(np.array([3, 1, 2]))] <= np.array([3, 1, 2])).all())
    True
    """
    order = np.argsort(times, kind="stable")
    ordered = times[order]
    choices = np.searchsorted(ordered, ordered, side="right")
    drawn = np.random.default_rng(seed).random(len(times)) * choices
    found = np.empty(len(times), dtype=np.int64)
    found[order] = order[np.minimum(drawn.astype(np.int64), choices - 1)]
    return found

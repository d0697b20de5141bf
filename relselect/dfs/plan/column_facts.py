"""Facts about columns for the enumeration: types, whether they vary, frequent values.

Only what is visible at the end of training is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.database.columns import as_float
from relselect.database.table import SemanticType
from relselect.dfs.prefix.encoding import column_codes, known_in_training

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["columns_of", "conditions_of", "looks_like_code", "top_values"]

T = SemanticType

_READ = frozenset({T.NUMERICAL, T.BOOLEAN, T.CATEGORICAL, T.TIMESTAMP, T.TEXT})
#: Frequent values kept per column.
_TOP = 5
#: Characters of a value that may stand in the name of a feature, and most frequent values that are looked at.
_LONGEST, _LOOKED_AT = 200, 100
#: A column of whole numbers with at most this many distinct values is also read as a code.
_FEW = 200
#: The smallest and largest share of the values for which a condition may hold.
_RARE, _COMMON = 0.02, 0.95


def columns_of(problem: Problem, table: str) -> list[tuple[str, SemanticType]]:
    """Return the columns that features read, with their types; not keys, ignored and constant columns."""
    return problem.cached(("dfs", "columns", table), lambda: _varied(problem, table))


def _varied(problem: Problem, table: str) -> list[tuple[str, SemanticType]]:
    types = problem.types[table]
    return [
        (column, types[column])
        for column in problem.database[table].columns
        if types.get(column) in _READ and _has_two_values(problem, table, column)
    ]


def _has_two_values(problem: Problem, table: str, column: str) -> bool:
    values = problem.database[table].data[column].filter(pa.array(known_in_training(problem, table, column)))
    return len(values.unique()) > 1


def top_values(problem: Problem, table: str, column: str) -> list[tuple[str, float]]:
    """Return the most frequent values of a column with their shares of all known values; equally frequent values by value.

    Values of more than 200 characters are passed over: they would be part of the names of features.
    """
    return problem.cached(("dfs", "top values", table, column), lambda: _top(problem, table, column))


def _top(problem: Problem, table: str, column: str) -> list[tuple[str, float]]:
    codes, words = column_codes(problem, table, column)
    known = codes[known_in_training(problem, table, column)]
    counts = np.bincount(known[known >= 0], minlength=len(words))
    order = np.lexsort((np.arange(len(words)), -counts))[: int((counts > 0).sum())]
    short = [code for code in order[:_LOOKED_AT] if len(words[code]) <= _LONGEST][:_TOP]
    return [(words[code], float(counts[code] / counts.sum())) for code in short]


def looks_like_code(problem: Problem, table: str, column: str) -> bool:
    """Whether a numerical column looks like a code or a small count: few distinct whole numbers, often repeated."""
    return problem.cached(("dfs", "looks like code", table, column), lambda: _is_code(problem, table, column))


def _is_code(problem: Problem, table: str, column: str) -> bool:
    values = as_float(problem.database[table].data[column])[known_in_training(problem, table, column)]
    values = values[~np.isnan(values)]
    if len(values) < 10 or (values != np.floor(values)).any():
        return False
    return len(np.unique(values)) <= min(_FEW, len(values) // 10)


def conditions_of(problem: Problem, table: str, values: int) -> list[tuple[str, str]]:
    """Return conditions on a table's rows: (column, value) with values that are neither rare nor nearly always present.

    Args:
        problem: The problem.
        table: The table.
        values: At most so many values of a column, the most frequent ones.
    """
    found: list[tuple[str, str]] = []
    for column, kind in columns_of(problem, table):
        coded = kind in (T.CATEGORICAL, T.BOOLEAN) or (kind == T.NUMERICAL and looks_like_code(problem, table, column))
        if coded:
            kept = [word for word, share in top_values(problem, table, column) if _RARE <= share <= _COMMON]
            found.extend((column, word) for word in kept[:values])
    return found

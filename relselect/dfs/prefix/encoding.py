"""Fits and applies vocabularies: the categories of each column that features return as categories.

A vocabulary holds the most frequent values among those visible at the end of training, in value order. Any other value is
encoded as missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relselect.database.columns import as_strings
from relselect.dfs.plan.feature import Feature
from relselect.files import write_json
from relselect.problem.visibility import visible_values
from relselect.untrusted import read_strict_json

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["Vocabulary", "column_codes", "frequent", "known_in_training"]

#: Values per column that become categories of their own.
MAX_CATEGORIES = 64

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def frequent(problem: Problem, table: str, column: str, limit: int) -> tuple[list[str], int]:
    """Return the most frequent values of a column visible at the end of training, and how many values there are.

    Args:
        problem: The problem.
        table: The table; "" for the task rows of the training split.
        column: The column.
        limit: How many values at most; equally frequent ones by value.
    """
    codes, words = _codes(problem, table, column)
    counts = np.bincount(codes[codes >= 0], minlength=len(words))
    order = np.lexsort((np.arange(len(words)), -counts))[: int((counts > 0).sum())]
    return [words[code] for code in order[:limit]], len(order)


def _codes(problem: Problem, table: str, column: str) -> tuple[Ints, list[str]]:
    if not table:
        features = problem.rows("train").features
        return (np.empty(0, dtype=np.int64), []) if features is None else as_strings(features[column])
    codes, words = column_codes(problem, table, column)
    return codes[known_in_training(problem, table, column)], words


def column_codes(problem: Problem, table: str, column: str) -> tuple[Ints, list[str]]:
    """Return a column as codes ordered by value, shape (rows,), -1 where missing, and the value of each code."""
    key = ("dfs", "codes", table, column)
    return problem.cached_values(table, key, lambda: as_strings(problem.database[table].data[column]))


def known_in_training(problem: Problem, table: str, column: str) -> NDArray[np.bool_]:
    """Return which rows' values of a column are known at the end of training, shape (rows,)."""
    return visible_values(problem.database, table, column, problem.fit_asof)


@dataclass(frozen=True)
class Vocabulary:
    """The categories of each column, in value order.

    Attributes:
        words: (table, column) -> categories; the number of a category is its place.
    """

    words: Mapping[tuple[str, str], tuple[str, ...]]

    @classmethod
    def fit(cls, problem: Problem, features: Iterable[Feature]) -> Vocabulary:
        """Return the vocabulary of every column that some feature returns as a category."""
        sources = {feature.source(problem.entity) for feature in features if feature.categorical}
        found = {source: frequent(problem, *source, MAX_CATEGORIES)[0] for source in sorted(sources)}
        return cls({source: tuple(sorted(words)) for source, words in found.items()})

    def encode(self, source: tuple[str, str], codes: Floats, words: list[str]) -> Floats:
        """Return a column's own codes as category numbers, nan for missing and for values outside the vocabulary.

        Args:
            source: Table and column.
            codes: Places in `words`, nan or negative for missing, shape (n,).
            words: The column's values in the database at hand.
        """
        place, missing = self._places.get(source, {}), np.isnan(codes) | (codes < 0)
        at = np.where(missing, len(words), codes).astype(np.int64)
        if len(at) < len(words):
            return np.array(
                [place.get(words[i], np.nan) if i < len(words) else np.nan for i in at.tolist()], dtype=np.float64
            )
        lookup = np.array([*(place.get(word, np.nan) for word in words), np.nan], dtype=np.float64)
        return np.asarray(lookup[at])

    @cached_property
    def _places(self) -> dict[tuple[str, str], dict[str, int]]:
        return {source: {word: number for number, word in enumerate(words)} for source, words in self.words.items()}

    def save(self, path: Path) -> None:
        """Write the vocabulary as JSON."""
        data = [{"table": table, "column": column, "words": words} for (table, column), words in self.words.items()]
        write_json(path, data)

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Return the vocabulary that `save` wrote.

        Raises:
            OSError: The file cannot be read.
            ValueError: It holds no vocabulary.
        """
        words: dict[tuple[str, str], tuple[str, ...]] = {}
        for item in read_strict_json(path):
            source, found = (item["table"], item["column"]), item["words"]
            if not isinstance(found, list) or not all(isinstance(word, str) for word in (*source, *found)):
                raise ValueError("the vocabulary holds what is no word")
            if source in words or len(set(found)) < len(found):
                raise ValueError(f"the vocabulary holds a column or a word of {source} twice")
            words[source] = tuple(found)
        return cls(words)

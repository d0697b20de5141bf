"""Finds the texts that task rows see: their entity's own, those of its parents, and the latest ones of its children.

A text is read under the rule of visibility of every other value: what is not visible at a row's `asof` is no text of it. Texts
are neither encoded nor judged here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy import sparse

from relselect.database.columns import as_strings
from relselect.database.table import SemanticType
from relselect.dfs.plan.feature import Hop, Route
from relselect.dfs.plan.routes import routes
from relselect.dfs.prefix.paths import Paths
from relselect.hashing import hash_strings
from relselect.problem import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["LATEST", "RowTexts", "TextSource", "texts_of", "text_sources"]

Ints = NDArray[np.int64]

#: Children whose texts are read, the latest ones.
LATEST = 8
#: Sources of a task at most; nearer ones first.
_MOST = 12
#: Steps up at most; a step down is the only one.
_UP = 2


@dataclass(frozen=True)
class TextSource:
    """Where texts are read: a text column at the end of steps up, or of one step down.

    Attributes:
        path: The steps from the entity; none for its own column.
        column: The column.
    """

    path: Route
    column: str

    @property
    def of_children(self) -> bool:
        """Whether several texts are read, those of the latest children."""
        return bool(self.path) and self.path[-1].down

    def table(self, entity: str) -> str:
        """Return the table of the column."""
        return self.path[-1].table if self.path else entity

    def name(self, entity: str) -> str:
        """Return the name of the source, unique in a task.

        >>> TextSource((Hop("posts", "OwnerUserId", True),), "Title").name("users")
        'posts[OwnerUserId].Title'
        """
        steps = [f"{hop.table}[{hop.key}]" if hop.down else f"{hop.table}({hop.key})" for hop in self.path]
        return ".".join([*(steps or [entity]), self.column])

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary that `from_json` understands."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TextSource:
        """Return the source that `to_json` wrote.

        Raises:
            ValueError: The data are no source's.
        """
        hops = tuple(Hop(str(hop["table"]), str(hop["key"]), bool(hop["down"])) for hop in data["path"])
        if not _is_read_along(hops) or not isinstance(data["column"], str):
            raise ValueError("the texts are read along a path that no text is read along")
        return cls(hops, data["column"])


def _is_read_along(path: Route) -> bool:
    return len(path) == 1 or not any(hop.down for hop in path)


@dataclass(frozen=True)
class RowTexts:
    """The texts of n task rows.

    Attributes:
        texts: The distinct texts, m of them.
        weights: Which of them a row sees, its weights adding up to 1; none for a row without texts. Sparse, (n, m).
        groups: A number per row that rows with the same text share or, where several texts are read, rows of one entity, int64
            (n,).
    """

    texts: list[str]
    weights: sparse.csr_matrix
    groups: Ints

    @property
    def some(self) -> NDArray[np.bool_]:
        """Which rows have a text, shape (n,)."""
        return np.asarray(np.diff(self.weights.indptr) > 0)


def text_sources(problem: Problem) -> list[TextSource]:
    """Return the text columns that task rows see: the entity's own, those of parents, those of children."""
    found = []
    for route in routes(problem, _UP):
        if not _is_read_along(route) or any(hop.table == LABELS for hop in route):
            continue
        table = route[-1].table if route else problem.entity
        columns = problem.types[table].items()
        found += [TextSource(route, column) for column, kind in columns if kind == SemanticType.TEXT]
    return found[:_MOST]


def texts_of(problem: Problem, source: TextSource, rows: Rows) -> RowTexts:
    """Return the texts that task rows see at their own `asof`.

    Args:
        problem: Supplies the database.
        source: Where they are read.
        rows: n task rows.
    """
    paths, table = Paths(problem), source.table(problem.entity)
    at, row = _children(paths, source, rows) if source.of_children else _parents(paths, source, rows)
    values = problem.database[table].data[source.column].take(pa.array(at))
    codes, texts = as_strings(pc.cast(values, "string"))
    there = codes >= 0
    row, codes = row[there], codes[there]
    share = 1.0 / np.maximum(np.bincount(row, minlength=len(rows)), 1)
    weights = sparse.csr_matrix((share[row], (row, codes)), shape=(len(rows), len(texts)))
    return RowTexts(
        texts, weights, _owners(problem, rows) if source.of_children else _same_texts(texts, row, codes, len(rows))
    )


def _parents(paths: Paths, source: TextSource, rows: Rows) -> tuple[Ints, Ints]:
    """Return the rows of the table that are read, and the task row of each."""
    at = paths.direct(source.path, source.column, rows, paths.problem.entity)
    row = np.flatnonzero(at >= 0)
    return at[row], row


def _children(paths: Paths, source: TextSource, rows: Rows) -> tuple[Ints, Ints]:
    """Return the latest visible children of each task row, and the task row of each."""
    entity = paths.problem.entity
    index = paths.index(entity, source.path, (), source.column)
    span = index.spans(paths.owners((), rows, entity), rows.asof)
    size = np.clip(span.hi - span.lo, 0, LATEST)
    row = np.repeat(np.arange(len(rows)), size)
    place = np.arange(len(row)) - np.repeat(np.cumsum(size) - size, size)
    return index.order[np.repeat(span.hi - size, size) + place], row


def _same_texts(texts: list[str], row: Ints, codes: Ints, count: int) -> Ints:
    found = np.full(count, -1, dtype=np.int64)
    found[row] = hash_strings(texts)[codes] if len(texts) else 0
    return found


def _owners(problem: Problem, rows: Rows) -> Ints:
    """Return a number per task row that depends on its entity's key alone."""
    table = problem.database[problem.entity]
    found = np.zeros(len(rows), dtype=np.int64)
    there = np.flatnonzero(rows.entity >= 0)
    for key in table.primary_key:
        codes, words = as_strings(pc.cast(table.data[key].take(pa.array(rows.entity[there])), "string"))
        found[there] = found[there] * 31 + (hash_strings(words)[codes] if words else 0)
    return found

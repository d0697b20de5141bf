"""Who is asked about now, and what is expected of them: the population at the newest date of the database, with predictions.

No answer is known of these entities yet. Where a task has no population query, the newest evaluated rows stand in, whose answers
are known, and `source` says so. Predictions are handed in: nothing is predicted here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from relselect.database.clock import format_time
from relselect.database.columns import as_text
from relselect.tasks.metrics import clusters_of

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from relselect.tasks import Rows, Task

__all__ = ["AskedEntity", "ExpectedClass", "Outlook", "is_no_rarer", "newest_places", "outlook_of"]

#: Rows of the newest cutoffs that are enough to say who is asked about last.
_NEWEST = 100


@dataclass(frozen=True)
class AskedEntity:
    """One entity: the values of its key, its prediction, and, for classes, the one that is predicted.

    Attributes:
        key: Values of its key, as text.
        value: The probability of the second class, the amount, or, of several classes, the probability of the surest.
        answer: The class that is predicted; None for amounts.
    """

    key: tuple[str, ...]
    value: float
    answer: str | None = None


@dataclass(frozen=True)
class ExpectedClass:
    """One class: entities that are expected to have it (sum of probabilities), and those predicted so."""

    name: str
    expected: float
    predicted: int


@dataclass(frozen=True)
class Outlook:
    """Who is asked about at a date, and what is expected of them.

    Attributes:
        source: "population": everyone the population query finds at the date; "evaluated": the newest evaluated rows.
        at: The date, as text; None for static tasks.
        entities: How many they are.
        expected: Sum of their predictions: the expected number of positives, or the expected amount; None for several classes.
        positive: How many of them have a probability of at least one half; None for amounts and several classes.
        keys: Names of the columns of the entity's key.
        listed: Those who stand first: of two answers those to whom the rarer one is most probable, of amounts the highest, of
            several classes the surest; the first of them by their keys where predictions are equal.
        lowest_first: Whether `listed` begins with the lowest predictions, no being the rarer answer.
        classes: By class, for tasks with several classes.
    """

    source: Literal["population", "evaluated"]
    at: str | None
    entities: int
    expected: float | None
    positive: int | None
    keys: tuple[str, ...]
    listed: tuple[AskedEntity, ...]
    lowest_first: bool = False
    classes: tuple[ExpectedClass, ...] = ()

    def table(self) -> list[dict[str, Any]]:
        """Return one dictionary per listed entity: its key, `value`, and `answer` where there are classes."""
        return [
            dict(zip(self.keys, each.key, strict=True))
            | {"value": each.value}
            | ({} if each.answer is None else {"answer": each.answer})
            for each in self.listed
        ]


def outlook_of(
    task: Task,
    source: Literal["population", "evaluated"],
    rows: Rows,
    keys: pa.Table,
    predicted: NDArray[np.float64],
    *,
    most: int = 20,
) -> Outlook:
    """Return the outlook for rows that were predicted.

    Args:
        task: The task.
        source: Where the rows are from.
        rows: n rows, one per entity.
        keys: The entity's key, n rows.
        predicted: Predictions, shape (n,) or (n, classes).
        most: Entities that are listed at most.
    """
    many = predicted.ndim == 2
    value = predicted.max(axis=1) if many else predicted
    lowest = is_no_rarer(task)
    best = np.argsort(value if lowest else -value, kind="stable")[:most]
    names = task.classes or ()
    answer = predicted.argmax(axis=1) if many else (predicted >= 0.5).astype(np.int64)
    columns = [keys[name].take(best).to_pylist() for name in keys.column_names]
    listed = tuple(
        AskedEntity(tuple(map(as_text, key)), float(value[place]), names[answer[place]] if names else None)
        for place, key in zip(best, zip(*columns, strict=True), strict=True)
    )
    return Outlook(
        source=source,
        at=None if task.static or not len(rows) else str(format_time(int(rows.cutoff.max()), task.time_kind)),
        entities=len(rows),
        expected=None if many else float(predicted.sum()),
        positive=int((predicted >= 0.5).sum()) if task.kind == "binary" else None,
        keys=tuple(keys.column_names),
        listed=listed,
        lowest_first=lowest,
        classes=tuple(
            ExpectedClass(name, float(predicted[:, place].sum()), int((answer == place).sum()))
            for place, name in enumerate(names if many else ())
        ),
    )


def is_no_rarer(task: Task) -> bool:
    """Return whether more than half of the training rows of a task with two answers have the answer yes."""
    return task.kind == "binary" and bool(task.splits["train"].label.mean() > 0.5)


def newest_places(rows: Rows) -> NDArray[np.int64]:
    """Return the places of the rows of the last cutoff, or of as many of the last cutoffs as have 100 rows together.

    Of an entity with several such rows the latest is taken.
    """
    dates = np.sort(rows.cutoff)
    from_on = dates[-1] if (dates == dates[-1]).sum() >= _NEWEST else dates[max(len(dates) - _NEWEST, 0)]
    inside = np.flatnonzero(rows.cutoff >= from_on)
    inside = inside[np.argsort(rows.cutoff[inside], kind="stable")[::-1]]
    return inside[np.unique(clusters_of(rows)[inside], return_index=True)[1]]

"""Task rows bound to a database: entity, cutoff, asof, features, label. Both engines read tasks as `Rows` alone.

Rows with keys instead of row numbers are `labels.LabelFrame`s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from relselect.database.clock import EVERYTHING

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Rows"]


@dataclass(frozen=True)
class Rows:
    """n task rows bound to one database.

    Attributes:
        entity: Row number in the entity table, -1 for an unknown key or a row that is not visible yet; int64 of shape (n,).
        cutoff: The row's own date in ticks; relative times, calendar columns and the label window count from it.
        asof: What is visible: database rows with time <= asof; never later than the cutoff.
        features: Declared task-row features, n rows, or None.
        label: Regression value, 0 or 1, or class number; float64 of shape (n,), or None when unlabelled.
        weight: Weights in the training loss, all above 0, float64 of shape (n,); None where all are 1. Scores do not read them.
    """

    entity: NDArray[np.int64]
    cutoff: NDArray[np.int64]
    asof: NDArray[np.int64]
    features: pa.Table | None = None
    label: NDArray[np.float64] | None = None
    weight: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.entity)

    @property
    def delay(self) -> NDArray[np.int64]:
        """Ticks from `asof` to `cutoff`, shape (n,); 0 for static tasks."""
        return np.where(self.asof == EVERYTHING, 0, self.cutoff - np.minimum(self.asof, self.cutoff))

    def take(self, index: NDArray[Any] | slice) -> Rows:
        """Return the rows at `index` (numbers, a mask or a slice), in that order."""
        where = np.arange(len(self))[index]
        return Rows(
            entity=self.entity[where],
            cutoff=self.cutoff[where],
            asof=self.asof[where],
            features=None if self.features is None else self.features.take(pa.array(where)),
            label=None if self.label is None else self.label[where],
            weight=None if self.weight is None else self.weight[where],
        )

    def drawn(self, most: int, seed: int = 0) -> Rows:
        """Return a draw of `most` rows without replacement, in their order; all rows where there are no more."""
        if len(self) <= most:
            return self
        return self.take(np.sort(np.random.default_rng(seed).choice(len(self), size=most, replace=False)))

    def delayed(self, delay: NDArray[np.int64]) -> Rows:
        """Return the rows as they would look with data that are `delay` ticks old (shape (n,), not negative)."""
        return replace(self, asof=self.cutoff - delay)

    def unlabelled(self) -> Rows:
        """Return the rows without their labels and weights."""
        return replace(self, label=None, weight=None)

    @staticmethod
    def concat(parts: list[Rows]) -> Rows:
        """Return all rows of `parts`, which must agree on having labels and features; parts without weights have the weight 1."""
        features = [part.features for part in parts if part.features is not None]
        labels = [part.label for part in parts if part.label is not None]
        return Rows(
            entity=np.concatenate([part.entity for part in parts]),
            cutoff=np.concatenate([part.cutoff for part in parts]),
            asof=np.concatenate([part.asof for part in parts]),
            features=pa.concat_tables(features) if features else None,
            label=np.concatenate(labels) if labels else None,
            weight=None
            if all(part.weight is None for part in parts)
            else np.concatenate([np.ones(len(part)) if part.weight is None else part.weight for part in parts]),
        )

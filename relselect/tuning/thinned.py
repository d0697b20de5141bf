"""A part of the training rows: what a trial of low fidelity is fitted on."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relselect.families.protocol import RowSource
    from relselect.tasks import Rows

__all__ = ["ThinnedRows"]


@dataclass(frozen=True)
class ThinnedRows:
    """The rows of another source, of which a fit trains on a part; stop and select rows stay whole.

    Attributes:
        source: The rows.
        share: The part of the training rows, above 0 and at most 1.
        seed: Seed of the draw.
    """

    source: RowSource
    share: float
    seed: int

    @property
    def key(self) -> tuple[Hashable, ...]:
        """The key of the source, the part and the draw."""
        return (*self.source.key, "thinned", self.share, self.seed)

    @property
    def stop(self) -> Rows:
        """The stop rows of the source."""
        return self.source.stop

    @property
    def select(self) -> Rows:
        """The select rows of the source."""
        return self.source.select

    @property
    def awaiting(self) -> int:
        """None: what is trained on a part of the rows is not deployed."""
        return 0

    def train(self, *, seed: int, copies: int) -> Rows:
        """Return a part of the training rows of the source, delayed copies among them."""
        rows = self.source.train(seed=seed, copies=copies)
        return rows.drawn(max(1, math.ceil(self.share * len(rows))), self.seed)

    def added(self, *, seed: int, copies: int) -> Rows:
        """Return the rows that the source adds for a refit."""
        return self.source.added(seed=seed, copies=copies)

"""Ends trials on the way that would hardly win: a learning curve is compared with those of earlier trials at equal parts.

The parts are those of the longest training, in rounds or epochs. A trial that is not pruned at a part goes on from there;
nothing is trained twice. What a trial is compared with depends on the outcomes of trials that are `LAG` numbers older, never on
the clock, so that a study with workers, or one that was killed, prunes what an unbroken study without workers prunes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from relselect.errors import FitPruned
from relselect.families.options import training_length

if TYPE_CHECKING:
    from relselect.families.candidate import Config, CurvePoint
    from relselect.families.protocol import Family, TrainingLength

__all__ = ["FEWEST", "PARTS", "LengthWatch", "ReachedValues", "bars_of"]

#: Parts of the longest training at which trials are compared, a factor of three apart.
PARTS = (1 / 9, 1 / 3, 1.0)
#: A part prunes nothing before so many earlier trials have been there.
FEWEST = 4


@dataclass(frozen=True)
class ReachedValues:
    """What the learning curve of a trial had reached at each of `PARTS`.

    Attributes:
        track: Values of one track are compared.
        values: The best value up to the part, higher is better; None beyond the point at which the trial was ended.
    """

    track: str
    values: tuple[float | None, ...]

    @classmethod
    def of(cls, points: Sequence[CurvePoint], length: TrainingLength, *, whole: bool) -> ReachedValues:
        """Return what a curve had reached.

        The value of a point is its negative loss where that is measured on the stop rows, as it is less noisy than a ranking of
        few rows, else its score on them. The value at a part is the best up to the first point at or beyond it: early stopping
        keeps the best state.

        Args:
            points: The curve.
            length: The longest training.
            whole: Whether training ended by itself, so that it would have reached nothing more at the later parts.
        """
        known = [_value(point, length) for point in points]
        values: list[float | None] = []
        for part in PARTS:
            there = next((n for n, point in enumerate(points) if _share(point, length) >= part), None)
            if there is not None:
                values.append(max(known[: there + 1]))
            else:
                values.append(max(known) if whole and known else None)
        return cls(length.track, tuple(values))

    @classmethod
    def of_trial(
        cls, family: Family, config: Config, points: Sequence[CurvePoint], *, whole: bool
    ) -> ReachedValues | None:
        """Return what a trial had reached; None where its family has no learning curves."""
        length = training_length(family, config)
        return None if length is None else cls.of(points, length, whole=whole)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> ReachedValues:
        """Return what `to_json` wrote."""
        return cls(str(stored["track"]), tuple(stored["values"]))

    def to_json(self) -> dict[str, Any]:
        """Return the values as JSON-able data; what is not finite is as if it was not reached."""
        return {
            "track": self.track,
            "values": [None if each is None or not math.isfinite(each) else each for each in self.values],
        }

    @property
    def last(self) -> tuple[int, float] | None:
        """The place of the last part that was reached, and the value there; None where none was."""
        found = [(place, value) for place, value in enumerate(self.values) if value is not None]
        return found[-1] if found else None


def bars_of(known: Sequence[ReachedValues], track: str) -> tuple[float | None, ...]:
    """Return the value at each part below which a trial of a track is pruned: the median of the earlier trials that were there.

    This is the median stopping rule (Golovin et al., KDD 2017) on the best value so far. A trial that ended by itself counts at
    the later parts with its best value, and one that was pruned counts up to the part at which it was.

    Args:
        known: What earlier trials had reached.
        track: The track.

    Returns:
        One value per part; None where fewer than `FEWEST` trials were.
    """
    mine = [each.values for each in known if each.track == track]
    columns = ([each[place] for each in mine] for place in range(len(PARTS)))
    found = ([value for value in column if value is not None] for column in columns)
    return tuple(median(values) if len(values) >= FEWEST else None for values in found)


@dataclass(frozen=True)
class LengthWatch:
    """Ends a fit whose learning curve is below a bar; see `FitWatch`.

    Attributes:
        length: The longest training.
        bars: The bar at each part; None for none.
        shown: Returns a value as readers know it.
    """

    length: TrainingLength
    bars: Sequence[float | None]
    shown: Callable[[float], str]

    def __call__(self, points: Sequence[CurvePoint]) -> None:
        """Compare a curve with the bars.

        Raises:
            FitPruned: It is below one.
        """
        reached = ReachedValues.of(points, self.length, whole=False)
        for value, bar in zip(reached.values, self.bars, strict=True):
            if value is not None and bar is not None and value < bar:
                done = _done(points[-1])
                where = f"pruned at {done:g} of {self.length.most:g} {self.length.unit}"
                rule = f"{self.shown(value)} on the stop rows is worse than {self.shown(bar)}, the median of earlier trials there"
                raise FitPruned(f"{where}: {rule}", tuple(points))


def _done(point: CurvePoint) -> int:
    """Return the rounds or epochs at a point."""
    return point.step if point.epoch is None else point.epoch + 1


def _share(point: CurvePoint, length: TrainingLength) -> float:
    """Return the part of the longest training at a point; 1 where a configuration can go no further."""
    done = _done(point)
    return 1.0 if done >= length.most else done * length.pace / length.most


def _value(point: CurvePoint, length: TrainingLength) -> float:
    value = -point.loss if length.loss_of == "stop" else point.score
    return value if math.isfinite(value) else -math.inf

"""What a fit returns: a candidate with its scores, its checkpoints, its learning curve and its importances.

Nothing here trains or predicts. Everything but the model, the predictions and the checkpoints' states is JSON-able.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from relselect.serialization import jsonable, number_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Candidate",
    "Checkpoint",
    "Config",
    "CurvePoint",
    "FeatureImportance",
    "FitEnd",
    "Importances",
    "LearningCurve",
]

#: A configuration: JSON-able values only.
Config = dict[str, Any]

#: Why a fit ended: the stop rows no longer improved, its own limit of rounds or epochs was reached, the budget cut it off,
#: or there was nothing to learn.
FitEnd = Literal["converged", "limit", "budget", "constant"]

_NAN = float("nan")


@dataclass(frozen=True)
class Checkpoint:
    """A state of a model during training.

    Attributes:
        step: The training step, or boosting round, it was taken at.
        score: Its score on the stop rows, higher is better; nan where the metric is undefined.
        state: The weights; only the family that made it reads them.
    """

    step: int
    score: float
    state: Any = None


@dataclass(frozen=True)
class CurvePoint:
    """One point of a learning curve; a number that a family does not measure is nan.

    Attributes:
        step: Training steps, or boosting rounds, done.
        loss: The loss, of the rows that `LearningCurve.loss_of` names.
        score: The score on the stop rows, higher is better.
        epoch: The epoch that ended at this step, counted from 0.
        seconds: Seconds that the epoch took.
        rate: Factor of the learning rate.
    """

    step: int
    loss: float = _NAN
    score: float = _NAN
    epoch: int | None = None
    seconds: float = _NAN
    rate: float = 1.0


@dataclass(frozen=True)
class LearningCurve:
    """How loss and score went during one fit.

    Attributes:
        unit: What the curve is drawn over: "epoch" or "round".
        loss_of: Which rows the loss was measured on: "train" or "stop".
        points: In the order of the steps.
    """

    unit: Literal["epoch", "round"]
    loss_of: Literal["train", "stop"]
    points: tuple[CurvePoint, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the curve as JSON-able values, null for nan."""
        return {
            "unit": self.unit,
            "loss_of": self.loss_of,
            "points": [jsonable(asdict(point)) for point in self.points],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> LearningCurve:
        """Return the curve that `to_json` wrote."""
        points = [
            CurvePoint(
                step=int(each["step"]),
                loss=number_of(each["loss"]),
                score=number_of(each["score"]),
                epoch=each["epoch"],
                seconds=number_of(each["seconds"]),
                rate=float(each["rate"]),
            )
            for each in stored["points"]
        ]
        return cls(stored["unit"], stored["loss_of"], tuple(points))


@dataclass(frozen=True)
class FeatureImportance:
    """One feature, its share of all importance (0 to 1) and its description in words."""

    feature: str
    share: float
    description: str = ""


@dataclass(frozen=True)
class Importances:
    """Which features a model reads most.

    Attributes:
        kind: What the shares are shares of, such as "gain".
        features: The heaviest first.
    """

    kind: str
    features: tuple[FeatureImportance, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the importances as JSON-able values."""
        return asdict(self) | {"features": [asdict(each) for each in self.features]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Importances:
        """Return the importances that `to_json` wrote."""
        found = [
            FeatureImportance(str(each["feature"]), float(each["share"]), str(each["description"]))
            for each in stored["features"]
        ]
        return cls(stored["kind"], tuple(found))


@dataclass(frozen=True)
class Candidate:
    """One fitted configuration of one family: what was validated.

    Attributes:
        family: The family's name.
        config: The configuration.
        seed: The seed of the fit.
        number: The trial number within the family's study; 0 is the default configuration.
        model: The model, holding the state of `checkpoint`; only its family reads it.
        predictions: Predictions of the select rows, shape (n,) or (n, classes).
        score: Score on the select rows, higher is better; nan where the metric is undefined.
        interval: 90 % bootstrap interval of the score, clustered by entity.
        stop_score: Score on the stop rows, which ended the training; nan where a family has none.
        seconds: Wall-clock seconds of the fit.
        peak_memory_mb: Peak resident memory of the process after the fit.
        device: "cpu" or the accelerator.
        ended: Why the fit ended.
        checkpoints: The best states met in training, best first.
        checkpoint: Which of them the model holds; None without checkpoints.
        curve: The learning curve, if the family keeps one.
        importances: The features read most, if the family knows.
        notes: What a reader should know (fallbacks, columns left out).
        facts: Further JSON-able facts: sizes, precision.
    """

    family: str
    config: Config
    seed: int
    number: int
    model: Any
    predictions: NDArray[np.float64]
    score: float
    interval: tuple[float, float]
    stop_score: float = _NAN
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    device: str = "cpu"
    ended: FitEnd = "converged"
    checkpoints: tuple[Checkpoint, ...] = ()
    checkpoint: int | None = None
    curve: LearningCurve | None = None
    importances: Importances | None = None
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The name under which reports speak of it."""
        return f"{self.family}-{self.number}"

    @property
    def finished(self) -> bool:
        """Whether the fit ended by itself: one that the budget cut off is no measure of its configuration."""
        return self.ended != "budget"

    def bare(self) -> Candidate:
        """Return the candidate without its model and without the states of its checkpoints: its facts and predictions."""
        points = tuple(replace(each, state=None) for each in self.checkpoints)
        return replace(self, model=None, checkpoints=points)

    def to_json(self) -> dict[str, Any]:
        """Return everything but model, predictions and states as JSON-able values, null for nan."""
        plain = {name: getattr(self, name) for name in _SAME}
        return jsonable(
            {
                **plain,
                **{name: getattr(self, name) for name in _FLOATS},
                "interval": list(self.interval),
                "notes": list(self.notes),
                "facts": dict(self.facts),
                "checkpoints": [{"step": each.step, "score": each.score} for each in self.checkpoints],
                "curve": None if self.curve is None else self.curve.to_json(),
                "importances": None if self.importances is None else self.importances.to_json(),
            }
        )

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], predictions: NDArray[np.float64] | None = None) -> Candidate:
        """Return the candidate that `to_json` wrote, without its model and states.

        Args:
            stored: The JSON.
            predictions: Its predictions of the select rows; none if None.

        Raises:
            KeyError: A key is missing.
            TypeError: A value is of another type.
            ValueError: A value is none of those known.
        """
        if stored["ended"] not in ("converged", "limit", "budget", "constant"):
            raise ValueError(f"ended: {stored['ended']!r}")
        for name, kinds in _TYPES.items():
            if not isinstance(stored[name], kinds) or isinstance(stored[name], bool):
                raise TypeError(f"{name}: {type(stored[name]).__name__}")
        if not all(isinstance(note, str) for note in stored["notes"]):
            raise TypeError("notes: they are no sentences")
        low, high = (number_of(value) for value in stored["interval"])
        plain: dict[str, Any] = {name: stored[name] for name in _SAME}
        plain |= {name: number_of(stored[name]) for name in _FLOATS}
        return cls(
            **plain,
            model=None,
            predictions=np.empty(0) if predictions is None else predictions,
            interval=(low, high),
            notes=tuple(stored["notes"]),
            facts=dict(stored["facts"]),
            checkpoints=tuple(
                Checkpoint(int(each["step"]), number_of(each["score"])) for each in stored["checkpoints"]
            ),
            curve=None if stored["curve"] is None else LearningCurve.from_json(stored["curve"]),
            importances=None if stored["importances"] is None else Importances.from_json(stored["importances"]),
        )


_SAME = ("family", "config", "seed", "number", "device", "ended", "checkpoint")
_TYPES: dict[str, tuple[type, ...]] = {
    "family": (str,), "config": (dict,), "seed": (int,), "number": (int,), "device": (str,),
    "checkpoint": (int, type(None)), "facts": (dict,), "notes": (list, tuple), "checkpoints": (list, tuple),
}  # fmt: skip
_FLOATS = ("score", "stop_score", "seconds", "peak_memory_mb")

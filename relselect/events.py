"""What happens during a run, as small dataclasses.

Progress bars, logs and the report are views of these events. The library never prints and owns no log handler.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = [
    "BankProgress",
    "CheckpointChosen",
    "Emit",
    "EpochDone",
    "Event",
    "FeatureProgress",
    "Notice",
    "Refitted",
    "StageFinished",
    "StageStarted",
    "TrialFailed",
    "TrialFinished",
    "TrialPruned",
    "TrialStarted",
    "silent",
]


@dataclass(frozen=True)
class Event:
    """Something happened."""

    def to_json(self) -> dict[str, Any]:
        """Return the event as a JSON-able dictionary whose `event` names its class."""
        return {"event": type(self).__name__, **asdict(self)}


@dataclass(frozen=True)
class StageStarted(Event):
    """A stage of the run began (profile, tuning of a family, choice of the checkpoint, ...)."""

    stage: str
    detail: str = ""


@dataclass(frozen=True)
class StageFinished(Event):
    """A stage of the run ended."""

    stage: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True)
class Notice(Event):
    """Something the user should know: a fallback, rows left out, a doubtful input."""

    topic: str
    message: str
    level: Literal["info", "warning"] = "info"


@dataclass(frozen=True)
class FeatureProgress(Event):
    """So many cells (rows times features) of so many are computed, after so many seconds."""

    done: int
    cells: int
    seconds: float

    @property
    def left(self) -> float:
        """Seconds until all is computed, at the pace so far; infinite before anything is."""
        return self.seconds * (self.cells - self.done) / self.done if self.done else float("inf")


@dataclass(frozen=True)
class TrialStarted(Event):
    """A configuration of a family is about to be fitted."""

    family: str
    number: int
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class EpochDone(Event):
    """A training pass ended; `score` is that of the stop rows, higher is better."""

    family: str
    number: int
    epoch: int
    loss: float
    score: float
    seconds: float


@dataclass(frozen=True)
class TrialFinished(Event):
    """A configuration was fitted; `score` is that of the select rows, higher is better.

    `metric` is its name for readers, who see `sign * score`: errors are positive for them.
    """

    family: str
    number: int
    score: float
    seconds: float
    metric: str = ""
    sign: int = 1


@dataclass(frozen=True)
class TrialFailed(Event):
    """A configuration could not be fitted; the study goes on. `traceback` is the exception's, as text."""

    family: str
    number: int
    error: str
    traceback: str = ""


@dataclass(frozen=True)
class TrialPruned(Event):
    """A fit was ended on the way, since earlier trials had been better at the same point; the study goes on."""

    family: str
    number: int
    reason: str
    seconds: float


@dataclass(frozen=True)
class CheckpointChosen(Event):
    """The final candidate and checkpoint were chosen."""

    family: str
    number: int
    checkpoint: int | None
    why: str


@dataclass(frozen=True)
class Refitted(Event):
    """What was decided was trained on validation rows too; `done` is false where there was no time for it."""

    family: str
    number: int
    done: bool
    seconds: float


@dataclass(frozen=True)
class BankProgress(Event):
    """How far the build of a performance bank is.

    Attributes:
        done: Trials in the bank, failed ones included.
        planned: Trials of the manifest.
        failed: Trials that failed.
        refused: Tasks that were not taken.
        seconds: Wall-clock seconds of this build so far.
        left: Expected wall-clock seconds until the end; nan while nothing is known.
        detail: What was finished last.
    """

    done: int
    planned: int
    failed: int
    refused: int
    seconds: float
    left: float
    detail: str = ""


Emit = Callable[[Event], None]


def silent(event: Event) -> None:
    """Ignore `event`: the default listener."""

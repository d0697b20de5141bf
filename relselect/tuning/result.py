"""What a study hands back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from relselect.families.candidate import Candidate

__all__ = ["Failure", "Pruned", "Study"]


@dataclass(frozen=True)
class Failure:
    """A configuration that could not be fitted.

    Attributes:
        family: The family's name.
        number: The trial's number within its study.
        config: What was tried.
        error: Class and message of the exception.
        seconds: Time lost.
        traceback: The traceback of the exception, as text.
    """

    family: str
    number: int
    config: dict[str, Any]
    error: str
    seconds: float
    traceback: str = ""


@dataclass(frozen=True)
class Pruned:
    """A trial that was ended on the way; it is no candidate.

    Attributes:
        family: The family's name.
        number: The trial's number within its study.
        config: What was tried.
        reason: When and why: "pruned at 3 of 40 epochs: ...".
        seconds: Wall-clock of the fit.
    """

    family: str
    number: int
    config: dict[str, Any]
    reason: str
    seconds: float


@dataclass(frozen=True)
class Study:
    """The finished trials of one family.

    Attributes:
        family: Name of the family.
        candidates: One per finished trial, by number; those of earlier runs of the same study included.
        failures: Trials that raised, by number.
        stopped: Why the study ended, as a sentence.
        interrupted: Whether a keyboard interrupt ended it; what was finished is kept.
        seconds: Wall-clock of this run of the study.
        partial: The number of trials on a part of the training rows, which are no candidates.
        pruned: Trials that were ended on the way, by number.
    """

    family: str
    candidates: tuple[Candidate, ...]
    failures: tuple[Failure, ...]
    stopped: str
    interrupted: bool
    seconds: float
    partial: int = 0
    pruned: tuple[Pruned, ...] = ()

    @property
    def best(self) -> Candidate | None:
        """The candidate with the highest score on the select rows (the earliest of equals), None without any."""
        scored = [c for c in self.candidates if not math.isnan(c.score)]
        if not scored:
            return self.candidates[0] if self.candidates else None
        return max(scored, key=lambda c: (c.score, -c.number))

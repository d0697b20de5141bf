"""One flatness criterion at one checkpoint, and when one is clearly below another."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Measurement", "clearly_flatter"]

#: Standard errors by which a difference must exceed zero.
_CLEARLY = 2.0


@dataclass(frozen=True)
class Measurement:
    """One criterion at one checkpoint; lower is flatter.

    Attributes:
        value: The criterion.
        stderr: Its standard error.
        parts: What `value` is the mean of, in an order shared by all checkpoints of an architecture; empty for a criterion that
            is one number.
        seconds: Time it took.
    """

    value: float
    stderr: float
    parts: tuple[float, ...]
    seconds: float


def clearly_flatter(one: Measurement, other: Measurement) -> bool:
    """Whether the first is lower by more than two standard errors, of the paired parts where there are any, else of both."""
    gain = np.subtract(other.parts, one.parts) if len(one.parts) == len(other.parts) else np.empty(0)
    if len(gain) > 1:
        return bool(np.isfinite(gain).all() and gain.mean() > _CLEARLY * gain.std(ddof=1) / math.sqrt(len(gain)))
    error = math.hypot(one.stderr, other.stderr)
    return math.isfinite(error) and other.value - one.value > _CLEARLY * error

"""Checkpoints within one standard error of the best on the select rows, and the spread of each score over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.families.candidate import Candidate
    from relselect.tasks import Metric, Rows

__all__ = ["Entry", "NearTie", "entries", "score_spread", "standard_error"]

_NORMAL_95 = 1.6449
_SLICES = 5
_SLICE_ROWS = 20


@dataclass(frozen=True)
class NearTie:
    """One row of the table of near ties.

    Attributes:
        family: Family of the candidate.
        number: Number of the candidate in its family's study.
        checkpoint: Index of the checkpoint, None for a candidate without checkpoints.
        score: Score on the select rows, higher is better.
        architecture: What it may be compared with by flatness; "" when flatness is undefined for it.
        flatness: Value of the criterion, lower is flatter; nan when it was not measured.
        flatness_stderr: Its standard error.
        spread: Standard deviation of the score over time slices; nan when it was not needed or does not
            exist.
        chosen: Whether this is the final choice.
    """

    family: str
    number: int
    checkpoint: int | None
    score: float
    architecture: str = ""
    flatness: float = math.nan
    flatness_stderr: float = math.nan
    spread: float = math.nan
    chosen: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the row with null for nan."""
        return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(self).items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> NearTie:
        """Return the row that `to_json` wrote."""
        plain: dict[str, Any] = {k: math.nan if v is None and k != "checkpoint" else v for k, v in stored.items()}
        return cls(**plain)


@dataclass(frozen=True)
class Entry:
    """A checkpoint that could be chosen: a candidate, an index (None without checkpoints) and its score."""

    candidate: Candidate
    checkpoint: int | None
    score: float

    @property
    def ident(self) -> tuple[str, int, int | None]:
        """Family, number and checkpoint."""
        return self.candidate.family, self.candidate.number, self.checkpoint


def entries(candidates: Sequence[Candidate]) -> list[Entry]:
    """Return every checkpoint of every candidate, the best first.

    A candidate's score on the select rows is that of the checkpoint its model holds. The other checkpoints have a score on the
    stop rows only: they are entered at the candidate's score plus the difference of the two scores on the stop rows, an estimate
    that `choose_checkpoint` replaces by their own score on the select rows where it comes to a choice between them.
    """
    found = []
    for candidate in candidates:
        if math.isnan(candidate.score):
            continue
        held = candidate.checkpoint
        if held is None or math.isnan(candidate.checkpoints[held].score):
            found.append(Entry(candidate, held, candidate.score))
            continue
        shifted = [candidate.score + each.score - candidate.checkpoints[held].score for each in candidate.checkpoints]
        found += [Entry(candidate, place, score) for place, score in enumerate(shifted) if not math.isnan(score)]
    return sorted(found, key=lambda e: (-e.score, e.candidate.number, e.candidate.family, e.checkpoint or 0))


def standard_error(candidate: Candidate) -> float:
    """Return the standard error of a score on the select rows, from its 90 % interval; 0 if there is none."""
    low, high = candidate.interval
    error = (high - low) / (2 * _NORMAL_95)
    return error if math.isfinite(error) else 0.0


def score_spread(candidate: Candidate, rows: Rows, metric: Metric) -> float:
    """Return the standard deviation of the score over up to five slices of the select rows' cutoffs; nan below two."""
    label = np.asarray(rows.label)
    scores = [metric.score(label[part], candidate.predictions[part]) for part in _slices(rows.cutoff)]
    kept = [score for score in scores if not math.isnan(score)]
    return float(np.std(kept, ddof=1)) if len(kept) > 1 else math.nan


def _slices(cutoff: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Cut the rows into runs of whole cutoffs with about equal numbers of rows."""
    count = min(_SLICES, len(np.unique(cutoff)), max(1, len(cutoff) // _SLICE_ROWS))
    ordered = np.sort(cutoff)
    bounds = np.unique(ordered[[len(ordered) * k // count for k in range(1, count)]])
    place = np.searchsorted(bounds, cutoff, side="right")
    return [np.flatnonzero(place == k) for k in range(len(bounds) + 1)]

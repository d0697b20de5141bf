"""How much of the best trial's score is luck: the best of several noisy scores is expected to be too good."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from relselect.families.registry import info_of
from relselect.tasks.metrics import skill
from relselect.tasks.paired import PairedDifference, paired_difference, paired_skill_error

if TYPE_CHECKING:
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import RowSource
    from relselect.problem import Problem

__all__ = ["TuningGain", "tuning_gain"]

#: Trials without which nothing is known of their spread, and trials whose noise is measured at most.
_FEWEST, _MOST = 3, 8
#: Standard deviation of a normal variable per median absolute deviation.
_PER_MAD = 1.4826


@dataclass(frozen=True)
class TuningGain:
    """What tuning gave one family on the select rows.

    Attributes:
        family: The family.
        trials: The number of finished trials.
        gain: Score of the best trial less that of the default, in the metric, with its paired interval; nan where the default is
            the best or was not finished.
        luck: The part of the best trial's skill that is expected to be luck, not below 0.
        luck_score: The same in the metric.
    """

    family: str
    trials: int
    gain: PairedDifference
    luck: float
    luck_score: float

    def sentence(self, title: str) -> str:
        """Return what a reader should know; `title` is that of the metric. Gains are positive for better."""
        name, nothing = info_of(self.family).phrase, math.isnan(self.gain.value)
        if nothing:
            return f"None of {self.trials} trials of {name} beat its default on the select rows."
        low, high = (f"{abs(end):.4f} {'worse' if end < 0 else 'better'}" for end in (self.gain.low, self.gain.high))
        return (
            f"The best of {self.trials} trials of {name} beats its default by {self.gain.value:.4f} {title} on the select rows "
            f"(90 % interval: {low} to {high}); {self.luck_score:.4f} of its score is expected to be luck."
        )


def tuning_gain(
    problem: Problem, rows: RowSource, candidates: Sequence[Candidate], reference: float
) -> TuningGain | None:
    """Return what tuning gave a family, and the expected luck of its best trial.

    A trial's skill on the select rows is its true skill plus noise. With the variance v of the skills over trials and the
    variance s^2 of the noise that trials do not share, the best one's noise is expected to be min(1, s^2 / v) times its distance
    from the typical trial (Efron, Tweedie's formula and selection bias, JASA 2011, with a normal prior). v is robust, from the
    median absolute deviation; s^2 is half the mean squared standard error of the paired difference from the default. Trials that
    the budget cut off are left out.

    Args:
        problem: The problem.
        rows: The rows; the select rows are read.
        candidates: The candidates of one family.
        reference: Score of the constant baseline on the select rows.

    Returns:
        The gain; None with fewer than three finished trials, without a finished default, or where skill is undefined.
    """
    metric, label = problem.task.metric, rows.select.label
    known = [each for each in candidates if each.ended != "budget" and math.isfinite(each.score)]
    default = next((each for each in known if each.number == 0), None)
    if len(known) < _FEWEST or label is None or default is None:
        return None
    best = max(known, key=lambda each: (each.score, -each.number))
    skills = np.array([skill(metric, each.score, reference) for each in known])
    others = [each for each in known if each is not default]
    errors = [
        paired_skill_error(
            metric, label, default.predictions, each.predictions, rows.select.entity, reference, seed=each.seed
        )
        for each in others[:: max(1, math.ceil(len(others) / _MOST))]
    ]
    noise = float(np.mean(np.square(errors))) / 2
    typical = float(np.median(skills))
    spread = (_PER_MAD * float(np.median(np.abs(skills - typical)))) ** 2
    if not math.isfinite(noise) or not math.isfinite(spread):
        return None
    lead = float(skills.max()) - typical
    luck = lead * (1.0 if spread <= noise else noise / spread)
    gain = PairedDifference(math.nan, math.nan, math.nan)
    if best.score > default.score:
        gain = paired_difference(metric, rows.select, default.predictions, best.predictions, seed=best.seed)
    # skill is an affine function of the score
    slope = skill(metric, 1.0, reference) - skill(metric, 0.0, reference)
    return TuningGain(default.family, len(known), gain, luck, luck / slope if slope else math.nan)

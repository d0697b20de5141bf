"""What averaging families is worth, and with which weights.

The skill of an average of two predictors is that of a straight line between theirs, and more: for a squared loss,

    skill(w) = (1 - w) s_1 + w s_2 + c w (1 - w),

where c is how far their predictions are apart (Krogh and Vedelsby 1995, "Neural network ensembles, cross validation, and active
learning", equation 6). Families that differ more in skill also differ more in what they predict, so c is taken to be
level + slope |s_2 - s_1|, which a bank teaches. With the expected skills in place of the true ones the best weights follow.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from relselect.bank.pairs import PairEvidence

__all__ = ["CLEAR", "BlendGain", "best_weights", "fit_gain"]

#: From this probability on the better family is deployed alone.
CLEAR = 0.95
#: Databases with blends that the two numbers are learnt from, at least, and the smallest c.
_FEWEST_DATABASES, _LEAST = 3, 1e-3
#: Rounds of exchanges between families, and the change of a weight below which they end.
_ROUNDS, _SETTLED = 200, 1e-6


@dataclass(frozen=True)
class BlendGain:
    """How much averages gain: c = level + slope |margin|.

    Attributes:
        level: c of two predictors of equal skill, 0 or more.
        slope: How c grows with the margin between them, 0 or more.
    """

    level: float
    slope: float

    def of(self, margin: float) -> float:
        """Return c of two predictors with a margin in skill between them."""
        return max(_LEAST, self.level + self.slope * abs(margin))


def fit_gain(pairs: Sequence[PairEvidence]) -> BlendGain | None:
    """Fit level and slope to the even blends of a bank by least squares, every database with the same weight.

    Of each pair c = 4 (skill(1/2) - (s_1 + s_2) / 2) on the test rows.

    Args:
        pairs: Comparisons; those without the skill of blends are left out.

    Returns:
        The numbers; None where fewer than three databases have blends.
    """
    known = [pair for pair in pairs if math.isfinite(pair.margin) and pair.blends.get("test")]
    counts: dict[str, int] = {}
    for pair in known:
        counts[pair.database] = counts.get(pair.database, 0) + 1
    if len(counts) < _FEWEST_DATABASES:
        return None
    apart = np.array([abs(pair.margin) for pair in known])
    gained = np.array([4 * (pair.blend(0.5) - (pair.first_test + pair.second_test) / 2) for pair in known])
    share = np.sqrt([1.0 / counts[pair.database] for pair in known])
    sides = np.column_stack([np.ones(len(known)), apart])
    level, slope = (float(each) for each in np.linalg.lstsq(sides * share[:, None], gained * share, rcond=None)[0])
    if slope < 0:
        level, slope = float(np.average(gained, weights=share**2)), 0.0
    return BlendGain(max(level, 0.0), slope)


def best_weights(means: Mapping[str, float], gain: Callable[[str, str, float], float]) -> dict[str, float]:
    """Return the weights of 0 or more, with the sum 1, whose average has the best expected skill.

    That is the maximum of sum_i w_i s_i + sum_(i<j) c_ij w_i w_j. For two it is w_2 = 1/2 + (s_2 - s_1) / (2 c), between 0 and 1;
    of more, weight is exchanged between two at a time, each time the best amount, until nothing moves.

    Args:
        means: Family -> expected skill, up to a constant.
        gain: Returns c of two families and their margin.

    >>> best_weights({"dfs": 0.0, "rdl": 0.01}, lambda one, other, margin: 0.04)
    {'dfs': 0.375, 'rdl': 0.625}
    """
    names = list(means)
    skill = np.array([means[name] for name in names])
    apart = np.zeros((len(names), len(names)))
    for one, other in itertools.combinations(range(len(names)), 2):
        apart[one, other] = apart[other, one] = gain(names[one], names[other], float(skill[other] - skill[one]))
    weights = np.full(len(names), 1.0 / len(names))
    for _ in range(_ROUNDS):
        moved = 0.0
        for one, other in itertools.combinations(range(len(names)), 2):
            both, slope = weights[one] + weights[other], skill + apart @ weights
            amount = (slope[other] - slope[one]) / (2 * apart[one, other])
            new = min(both, max(0.0, weights[other] + amount))
            moved = max(moved, abs(new - weights[other]))
            weights[one], weights[other] = both - new, new
        if moved < _SETTLED:
            break
    return dict(zip(names, weights.tolist(), strict=True))

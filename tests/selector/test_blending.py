"""What averages gain, and the weights that follow: learnt from planted averages, and the best of all on a fine grid."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from relselect.bank.pairs import BLEND_WEIGHTS, PairEvidence
from relselect.selector.blending import BlendGain, best_weights, fit_gain


def planted(database: str, margin: float, gain: float, *, curve: bool = True) -> PairEvidence:
    """Two families with skills 0.3 and 0.3 + margin, whose average gains gain * w (1 - w)."""
    skill = [0.3 + w * margin + gain * w * (1 - w) for w in BLEND_WEIGHTS]
    return PairEvidence(
        id=f"{database}{margin}", task=database, database=database, kind="binary", first="dfs", second="rdl", seed=0,
        first_select=0.3, second_select=0.3 + margin, first_test=0.3, second_test=0.3 + margin, select_error=0.01,
        test_error=0.01, first_seconds=1.0, second_seconds=1.0, blends={"test": skill} if curve else {},
    )  # fmt: skip


MARGINS = (-0.2, -0.05, 0.0, 0.04, 0.1)


def test_level_and_slope_are_learnt_from_even_blends():
    pairs = [planted(f"d{place}", margin, 0.02 + 0.8 * abs(margin)) for place, margin in enumerate(MARGINS)]
    found = fit_gain(pairs)
    assert (found.level, found.slope) == (pytest.approx(0.02), pytest.approx(0.8))
    # ten tasks of one database weigh as much as one of another
    repeated = [planted("d0", MARGINS[0], 0.02 + 0.8 * 0.2) for _ in range(9)]
    again = fit_gain([*pairs, *repeated])
    assert (again.level, again.slope) == (pytest.approx(0.02), pytest.approx(0.8))


def test_a_gain_is_never_negative_and_never_falls_with_the_margin():
    falling = [planted(f"d{place}", margin, 0.1 - 0.3 * abs(margin)) for place, margin in enumerate(MARGINS)]
    found = fit_gain(falling)
    assert found.slope == 0
    assert found.level == pytest.approx(np.mean([0.1 - 0.3 * abs(margin) for margin in MARGINS]))
    harmful = fit_gain([planted(f"d{place}", margin, -0.1) for place, margin in enumerate(MARGINS)])
    assert harmful.level == 0
    assert harmful.of(0.0) > 0


def test_too_few_databases_with_averages_teach_nothing():
    pairs = [planted(f"d{place}", margin, 0.05, curve=place < 2) for place, margin in enumerate(MARGINS)]
    assert fit_gain(pairs) is None
    assert fit_gain([]) is None


@pytest.mark.parametrize("margin", [-0.3, -0.03, 0.0, 0.01, 0.06, 0.4])
def test_two_weights_are_the_best_of_a_fine_grid(margin):
    gain = BlendGain(0.03, 0.5)
    weights = best_weights({"dfs": 0.0, "rdl": margin}, lambda one, other, apart: gain.of(apart))
    grid = np.linspace(0, 1, 10_001)
    best = grid[np.argmax(grid * margin + gain.of(margin) * grid * (1 - grid))]
    assert weights["rdl"] == pytest.approx(best, abs=1e-4)
    assert sum(weights.values()) == pytest.approx(1)


def test_three_weights_are_the_best_of_a_grid():
    means, gain = {"a": 0.0, "b": 0.02, "c": -0.03}, BlendGain(0.05, 0.4)
    found = best_weights(means, lambda one, other, apart: gain.of(apart))

    def skill(weights):
        pairs = itertools.combinations(means, 2)
        return sum(weights[n] * means[n] for n in means) + sum(
            gain.of(means[i] - means[j]) * weights[i] * weights[j] for i, j in pairs
        )

    steps = np.linspace(0, 1, 101)
    grid = max(skill({"a": a, "b": b, "c": 1 - a - b}) for a, b in itertools.product(steps, steps) if a + b <= 1 + 1e-9)
    assert skill(found) >= grid - 1e-9
    assert sum(found.values()) == pytest.approx(1)
    assert min(found.values()) >= 0

"""Calibrated probabilities mean what they say, keep the order of rows, and refuse too few rows."""

from __future__ import annotations

import numpy as np
import pytest

from relselect.errors import TaskError
from relselect.uncertainty import ProbabilityScale


def planted(seed: int, rows: int, slope: float, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return classes, their true chances, and chances whose log odds are (log odds - shift) / slope."""
    draw = np.random.default_rng(seed)
    odds = draw.normal(-1.0, 1.5, rows)
    truth = 1 / (1 + np.exp(-odds))
    return (draw.random(rows) < truth).astype(int), truth, 1 / (1 + np.exp(-(odds - shift) / slope))


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (0.4, 0.0), (2.0, -1.0)])
def test_planted_chances_are_found_again(slope: float, shift: float) -> None:
    codes, truth, stated = planted(0, 4000, slope, shift)
    scaled = ProbabilityScale(codes, stated)(stated)
    assert np.abs(scaled - truth).mean() < 0.02
    assert (np.argsort(scaled, kind="stable") == np.argsort(stated, kind="stable")).all()
    if slope != 1.0:
        assert np.abs(stated - truth).mean() > 0.05


def test_three_classes_are_scaled_with_one_slope_and_a_shift_each() -> None:
    draw = np.random.default_rng(0)
    logs = draw.normal(size=(5000, 3)) * 1.5
    truth = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    codes = np.array([draw.choice(3, p=row) for row in truth])
    stated = np.exp(3 * logs + [0.0, 1.0, -1.0])
    stated /= stated.sum(axis=1, keepdims=True)
    scaled = ProbabilityScale(codes, stated)(stated)
    assert np.abs(scaled - truth).mean() < 0.02 < 0.1 < np.abs(stated - truth).mean()
    assert scaled.sum(axis=1) == pytest.approx(1.0)


def test_separated_classes_and_certainty_stay_finite() -> None:
    codes = np.repeat([0, 1], 100)
    scaled = ProbabilityScale(codes, codes.astype(float))(np.array([0.0, 0.5, 1.0]))
    assert np.isfinite(scaled).all()
    assert 0.0 <= scaled[0] < 0.05 < scaled[1] < 0.95 < scaled[2] <= 1.0


@pytest.mark.parametrize("codes", [np.repeat([0, 1], 24), np.array([0] * 500 + [1] * 9)])
def test_too_few_rows_are_refused(codes: np.ndarray) -> None:
    with pytest.raises(TaskError, match="of the rarest class"):
        ProbabilityScale(codes, np.full(len(codes), 0.5))

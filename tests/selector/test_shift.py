"""What a bank teaches about the way from validation to test: optimism, shift, and drift."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from relselect.bank.pairs import PairEvidence
from relselect.selector.normal import NormalMargin
from relselect.selector.shift import Shift, ValidationShift, fit_shift

DATABASES, TASKS = 60, 3


def planted_pairs(
    *, omega: float, beta: float = 0.0, drift: float = 0.0, wide: float = 0.15, seed: int = 0
) -> list[PairEvidence]:
    """Return pairs of planted margins: half of them with small sampling errors, half with those of a hundred rows.

    Args:
        omega: Standard deviation of what select rows add beyond the sampling error.
        beta: What they add on average.
        drift: Standard deviation of what the test rows add, which nothing tells.
        wide: The sampling error on select rows of every second pair; it is 0.01 of the others.
        seed: Seed of everything.
    """
    rng, found = np.random.default_rng(seed), []
    for place in range(DATABASES * TASKS):
        error, margin = (wide if place % 2 else 0.01), float(rng.normal(0, 0.05))
        seen = margin + beta + float(rng.normal(0, omega)) + float(rng.normal(0, error))
        later = margin + float(rng.normal(0, drift)) + float(rng.normal(0, 0.01))
        found.append(
            PairEvidence(
                id=f"pair{place}", task=f"task{place}", database=f"db{place // TASKS}", kind="binary", first="dfs", second="rdl",
                seed=0, first_select=0.4, second_select=0.4 + seen, first_test=0.4, second_test=0.4 + later,
                select_error=error, test_error=0.01, first_seconds=1.0, second_seconds=1.0, blends={},
            )
        )  # fmt: skip
    return found


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("omega", [0.02, 0.05])
def test_tasks_of_few_rows_do_not_hide_the_shift(omega, seed):
    found = fit_shift(planted_pairs(omega=omega, beta=0.01, seed=seed)).overall
    assert found.omega == pytest.approx(omega, rel=0.35)
    assert found.beta == pytest.approx(0.01, abs=0.01)


def test_differences_within_the_sampling_errors_are_no_shift():
    pairs = planted_pairs(omega=0.0)
    quiet = [replace(pair, select_error=3 * pair.select_error) for pair in pairs]
    assert fit_shift(quiet).overall.omega == pytest.approx(0.01)  # the least that is assumed


@pytest.mark.parametrize("drift", [0.0, 0.06])
def test_drift_is_what_neither_prior_nor_select_rows_tell(drift):
    pairs = planted_pairs(omega=0.02, drift=drift, seed=1)
    expected = {pair.task: NormalMargin(0.0, math.hypot(0.05, drift)) for pair in pairs}
    shift = fit_shift(pairs).with_drift(pairs, expected)
    fresh = planted_pairs(omega=0.02, drift=drift, seed=2)
    held = []
    for pair in fresh:
        prior = expected[pair.task]
        found = shift.posterior(prior, pair.difference, pair.select_error, "binary")
        low, high = found.interval
        assert found.sd <= prior.sd
        held.append(low <= pair.margin <= high)
    assert 0.84 < np.mean(held) < 0.97
    assert (shift.drift > 0.02) == (drift > 0)


def test_a_difference_without_an_error_leaves_the_prior_as_it_is():
    shift = ValidationShift(Shift(0.01, 0.02), {}, drift=0.05)
    prior = NormalMargin(-0.02, 0.04)
    assert shift.posterior(prior, 0.1, math.nan, "binary") == prior


def test_pairs_of_unknown_tasks_teach_no_drift():
    pairs = planted_pairs(omega=0.02)
    shift = fit_shift(pairs)
    assert shift.with_drift(pairs, {}) == shift

"""The expected luck of the best trial is what it loses on rows that chose nothing; a default that wins is called so."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from relselect.families.candidate import Candidate
from relselect.run.optimism import tuning_gain
from relselect.tasks import Rows
from relselect.tasks.metrics import metric_named, skill

ROWS = 300
METRIC = metric_named("neg_mean_absolute_error")
PROBLEM: Any = SimpleNamespace(task=SimpleNamespace(metric=METRIC))


def trials(seed: int, count: int, spread: float) -> tuple[Any, list[Candidate], np.ndarray, float]:
    """Return rows, candidates of errors with a known mean size, their true scores, and the constant's score."""
    draw = np.random.default_rng(seed)
    label = draw.normal(size=ROWS)
    zero = np.zeros(ROWS, dtype=np.int64)
    rows: Any = SimpleNamespace(select=Rows(np.arange(ROWS), zero, zero, label=label))
    sizes = 0.6 * np.exp(spread * draw.normal(size=count))
    found = []
    for number, size in enumerate(sizes):
        predictions = label + draw.normal(size=ROWS) * size
        score = METRIC.score(label, predictions)
        found.append(Candidate("dfs", {}, number, number, None, predictions, score, (math.nan, math.nan)))
    return rows, found, -sizes * math.sqrt(2 / math.pi), -math.sqrt(2 / math.pi)


@pytest.mark.parametrize("spread", [0.0, 0.03, 0.15])
def test_luck_is_what_the_best_trial_loses(spread: float) -> None:
    expected, real = [], []
    for seed in range(40):
        rows, found, truth, reference = trials(seed, 10, spread)
        gain = tuning_gain(PROBLEM, rows, found, reference)
        assert gain is not None
        best = int(np.argmax([each.score for each in found]))
        expected.append(gain.luck)
        real.append(skill(METRIC, found[best].score, reference) - skill(METRIC, float(truth[best]), reference))
        assert gain.luck_score == pytest.approx(gain.luck * math.sqrt(2 / math.pi))
    assert np.mean(expected) == pytest.approx(np.mean(real), abs=0.012)
    assert np.mean(real) > (0.02 if spread < 0.1 else 0.0)


def test_the_gain_over_the_default_is_paired_and_in_words() -> None:
    rows, found, _, reference = trials(2, 6, 0.2)
    best = max(found, key=lambda each: each.score)
    assert best.number > 0
    gain = tuning_gain(PROBLEM, rows, found, reference)
    assert gain is not None
    assert gain.trials == 6
    assert gain.gain.value == pytest.approx(best.score - found[0].score)
    assert gain.gain.low < gain.gain.value < gain.gain.high
    assert "The best of 6 trials of feature synthesis beats its default by 0." in gain.sentence("MAE")
    reordered = [Candidate("dfs", {}, 0, 0, None, best.predictions, best.score, best.interval)]
    reordered += [each for each in found if each.number not in (0, best.number)]
    unbeaten = tuning_gain(PROBLEM, rows, reordered, reference)
    assert unbeaten is not None
    assert unbeaten.sentence("MAE") == "None of 5 trials of feature synthesis beat its default on the select rows."


def test_nothing_is_said_of_two_trials_or_without_the_default() -> None:
    rows, found, _, reference = trials(0, 6, 0.1)
    assert tuning_gain(PROBLEM, rows, found[:2], reference) is None
    assert tuning_gain(PROBLEM, rows, found[1:], reference) is None
    cut = [Candidate("dfs", {}, 0, n, None, each.predictions, each.score, each.interval, ended="budget")
           for n, each in enumerate(found)]  # fmt: skip
    assert tuning_gain(PROBLEM, rows, cut, reference) is None

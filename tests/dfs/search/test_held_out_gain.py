from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relselect.dfs.search.folds import Fold
from relselect.dfs.search.held_out_gain import Screening, _derivatives, _gains, _loss, held_out_gains

ROWS = 1_200
FOLDS = [
    Fold(np.arange(0, 600), np.arange(600, 900)),
    Fold(np.arange(0, 900), np.arange(900, 1_200)),
]


def planted(kind: str, seed: int = 0, noise: int = 30) -> Screening:
    """Two features that the label follows, one that it followed in the early rows alone, and noise with many values."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(ROWS, 3 + noise))
    values[::9, 0] = np.nan
    score = np.nan_to_num(values[:, 0]) * 2 + (values[:, 1] > 0) * 2 - 1
    early = np.arange(ROWS) < 600
    score = score + np.where(early, 2 * values[:, 2], -2 * values[:, 2])
    label = {
        "regression": score * 3 + 100,
        "binary": (score + draw.logistic(size=ROWS) > 0).astype(float),
        "multiclass": np.digitize(score + draw.normal(size=ROWS), [-1.0, 1.0]).astype(float),
    }[kind]
    return Screening(values, label, kind, 3 if kind == "multiclass" else 1)


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
def test_what_goes_on_holding_is_told_from_noise_and_from_what_ended(kind):
    data = planted(kind)
    gains = held_out_gains(data, FOLDS, seed=1)
    assert min(gains[:2]) > 0.02
    assert gains[2] < 0  # what the trees learnt from it misleads on later rows
    assert max(gains[3:]) < min(gains[:2]) / 4
    assert gains.sum() < 1


def test_equal_seeds_give_equal_gains():
    data = planted("binary")
    first, second = (held_out_gains(data, FOLDS, seed=4) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert held_out_gains(data, FOLDS, seed=5).tobytes() != first.tobytes()


def test_the_gains_of_all_splits_are_the_decrease_of_a_squared_error():
    """For a squared error the second-order decrease is the whole one, so the gains of all features add up to it."""
    lightgbm = pytest.importorskip("lightgbm")
    data = planted("regression", noise=5)
    fit, held = FOLDS[0].fit, FOLDS[0].held
    start = np.array([data.label[fit].mean()])
    params = {"objective": "regression", "num_leaves": 8, "verbosity": -1, "deterministic": True, "num_threads": 1}
    main = lightgbm.Dataset(data.values[fit], data.label[fit], init_score=np.full(len(fit), start[0]), params=params)
    booster = lightgbm.train(params, main, num_boost_round=20)
    leaves = booster.predict(data.values[held], pred_leaf=True)
    found = _gains(booster.model_to_string(), leaves, data, held, start)
    raw = booster.predict(data.values[held], raw_score=True) + start[0]
    equal = np.ones(len(held))
    losses = [
        _loss("regression", score[:, None], data.label[held], equal) for score in (np.full(len(held), start[0]), raw)
    ]
    assert found.sum() == pytest.approx(1 - losses[1] / losses[0], abs=1e-3)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_the_derivatives_are_those_of_the_loss(kind):
    draw = np.random.default_rng(2)
    score = draw.normal(size=(4, 1 if kind == "binary" else 3))
    label = draw.integers(0, 2 if kind == "binary" else 3, 4).astype(float)
    first, second = _derivatives(kind, score, label)
    step = 1e-4
    for place in np.ndindex(score.shape):
        shifted = [score.copy(), score.copy()]
        shifted[0][place] += step
        shifted[1][place] -= step
        up, down, here = (_loss(kind, each, label, np.ones(4)) for each in (*shifted, score))
        assert (up - down) / (2 * step) == pytest.approx(first[place], abs=1e-6)
        assert (up - 2 * here + down) / step**2 == pytest.approx(second[place], abs=1e-5)


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
def test_rows_that_count_little_decide_little(kind):
    """A feature that the label follows in half of the rows, and its opposite in the other half, says what the weights say."""
    data = planted(kind)
    half = np.arange(ROWS) % 2 == 0
    values = data.values.copy()
    values[half, 0] = np.random.default_rng(5).permutation(values[half, 0])
    mixed = replace(data, values=values)
    gain = held_out_gains(mixed, FOLDS, seed=1)[0]
    told, untold = (
        held_out_gains(replace(mixed, weight=np.where(half, one, other)), FOLDS, seed=1)[0]
        for one, other in ((0.01, 1.0), (1.0, 0.01))
    )
    assert told > 2 * gain > 0
    assert untold < gain / 2


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
def test_the_unit_of_weights_does_not_matter(kind):
    data = planted(kind)
    plain = held_out_gains(data, FOLDS, seed=1)
    for unit in (1.0, 8.0):
        weighted = held_out_gains(replace(data, weight=np.full(ROWS, unit)), FOLDS, seed=1)
        assert weighted == pytest.approx(plain, rel=1e-9, abs=1e-12)


def test_nothing_to_judge_is_no_gain():
    data = planted("binary")
    assert (held_out_gains(data, [], seed=0) == 0).all()

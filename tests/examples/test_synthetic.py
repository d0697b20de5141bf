"""The generator: seeded, valid, and its planted signal is where it says."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from relselect.database.clock import DAY, ticks_of
from relselect.errors import ConfigError
from relselect.examples import Example, synthetic
from relselect.examples.synthetic import planted


def spent_lately(example: Example, window: int = 30) -> np.ndarray:
    """Return per test row what the customer spent in the days before the cutoff, computed anew from the tables."""
    database = example.database
    frame = example.task("planted").splits["test"]
    buyer = database.parents("orders")[0][database.parents("items")[0]]
    amount, times = database["items"].data["amount"].to_numpy(), ticks_of(database["items"].data["placed"])
    customers = database.rows_of("customers", frame.keys)
    sums = np.empty(len(frame))
    for cutoff in np.unique(frame.cutoff):
        recent = (times <= cutoff) & (times > cutoff - window * DAY)
        rows = frame.cutoff == cutoff
        sums[rows] = np.bincount(buyer[recent], amount[recent], database["customers"].num_rows)[customers[rows]]
    return sums


def test_equal_seeds_give_equal_examples() -> None:
    first, second, other = (
        synthetic(customers=40, seed=3),
        synthetic(customers=40, seed=3),
        synthetic(customers=40, seed=4),
    )
    assert first.database.fingerprint == second.database.fingerprint
    assert first.task("planted").fingerprint == second.task("planted").fingerprint
    assert first.database.fingerprint != other.database.fingerprint


def test_default_is_small_and_complete() -> None:
    began = time.perf_counter()
    example = synthetic()
    assert time.perf_counter() - began < 5
    assert example.database["customers"].num_rows == 200
    counts = example.database.counts
    assert not any(counts.null_keys.values())
    assert not any(counts.dangling_keys.values())
    assert set(example.task("planted").splits) == {"train", "val", "test"}


def test_linear_aggregate_is_found_by_its_aggregate() -> None:
    example = synthetic("linear-aggregate", seed=1)
    label = example.task("planted").splits["test"].label
    assert roc_auc_score(label, spent_lately(example)) > 0.75


def test_noise_is_noise() -> None:
    example = synthetic("noise", customers=400, seed=1)
    frame = example.task("planted").splits["test"]
    assert abs(roc_auc_score(frame.label, spent_lately(example)) - 0.5) < 0.06
    assert 0.4 < frame.label.mean() < 0.6


def test_interaction_needs_both_tables() -> None:
    example = synthetic("interaction", customers=400, seed=1)
    database, frame = example.database, example.task("planted").splits["test"]
    customers = database.rows_of("customers", frame.keys)
    region = np.asarray(database["customers"].data["region"].to_pylist())
    favourite = dict(zip(("north", "south", "east", "west"), ("food", "books", "tools", "toys"), strict=True))
    buyer = database.parents("orders")[0][database.parents("items")[0]]
    category = np.asarray(database["products"].data["category"].to_pylist())[database.parents("items")[1]]
    match = category == np.asarray([favourite[name] for name in region])[buyer]
    share = np.bincount(buyer, match, len(region)) / np.maximum(np.bincount(buyer, minlength=len(region)), 1)
    assert roc_auc_score(frame.label, share[customers]) > 0.75
    by_region = {name: frame.label[region[customers] == name].mean() for name in favourite}
    assert max(by_region.values()) - min(by_region.values()) < 0.25


def test_regression_label_follows_the_score() -> None:
    example = synthetic(kind="regression", seed=2)
    label = example.task("planted").splits["test"].label
    assert np.corrcoef(label, spent_lately(example))[0, 1] > 0.7


def test_unknown_signal_is_refused() -> None:
    with pytest.raises(ConfigError, match="interaction"):
        synthetic("quadratic")  # type: ignore[arg-type]


def test_a_flipping_sign_is_in_products_and_in_no_column_alone() -> None:
    made = planted("sign-flip", customers=1500, strength=4.0, seed=1)
    database, frame = made.example.database, made.example.task("planted").splits["test"]
    order = database.parents("items")[0]
    buyer = database.parents("orders")[0][order]
    tone = database["orders"].data["tone"].to_numpy()[order]
    grade = database["items"].data["grade"].to_numpy()
    visible = ticks_of(database["items"].data["placed"])[None, :] <= frame.cutoff[:, None]
    mine = visible & (database.rows_of("customers", frame.keys)[:, None] == buyer[None, :])

    def auc(values: np.ndarray) -> float:
        return roc_auc_score(frame.label, (mine * values).sum(1) / np.sqrt(np.maximum(mine.sum(1), 1)))

    assert auc(tone * grade) == pytest.approx(made.best("test"), abs=1e-6)
    assert made.best("test") > 0.9
    assert abs(auc(tone) - 0.5) < 0.1
    assert abs(auc(grade) - 0.5) < 0.1
    assert abs(auc(np.abs(grade)) - 0.5) < 0.1


def test_nobody_asked_about_a_flipping_sign_is_asked_twice() -> None:
    task = synthetic("sign-flip", customers=300, seed=2).task("planted")
    asked = np.concatenate([frame.keys["customer_id"].to_numpy() for frame in task.splits.values()])
    assert len(np.unique(asked)) == len(asked)


@pytest.mark.parametrize("signal", ["linear-aggregate", "interaction", "noise"])
def test_the_best_score_is_that_of_the_planted_probabilities(signal) -> None:
    made = planted(signal, customers=300, seed=3)
    frame = made.example.task("planted").splits["train"]
    score = made.scores["train"]
    if signal == "noise":
        assert made.best("train") == pytest.approx(0.5)
        return
    # labels follow the probability: in each fifth of the scores the share of ones is the mean probability
    for fifth in np.array_split(np.argsort(score), 5):
        assert frame.label[fifth].mean() == pytest.approx((1 / (1 + np.exp(-2.0 * score[fifth]))).mean(), abs=0.08)

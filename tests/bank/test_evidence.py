from __future__ import annotations

import math

import numpy as np
import pytest

from relselect.bank import BankFolder, BankTask, BankTrial, LabelledPart, PerformanceBank
from relselect.bank.evidence import blend_of
from relselect.bank.rows import trial_id
from relselect.tasks.metrics import metric_named


def two_families(folder: BankFolder, *, shares_rows: bool = True) -> PerformanceBank:
    """A regression of 400 rows whose two families err independently: a blend is better than both."""
    rng = np.random.default_rng(0)
    metric = metric_named("neg_mean_absolute_error")
    label = {part: rng.normal(size=400).astype(np.float32) for part in ("select", "test")}
    task = BankTask(
        id="t", database="d", name="n", origin="real", kind="regression", metric=metric.name, regime="rolling",
        label_history=True, refitted_over_time=False, validation="cutoffs", shares_rows=shares_rows,
        reference_select=-0.8, reference_test=-0.8,
    )  # fmt: skip
    clusters = (np.arange(400) // 4).astype(np.int32)
    folder.add_task(task, {part: LabelledPart(values, clusters) for part, values in label.items()})
    for family, size in (("dfs", 0.5), ("rdl", 0.55)):
        found = {p: (values + rng.normal(0, size, 400)).astype(np.float32) for p, values in label.items()}
        config = {"x": family}
        trial = BankTrial(
            id=trial_id(task="t", family=family, config=config, seed=0, generation=1), task="t", family=family, learner="",
            config=config, number=0, role="default", seed=0, generation=1, ended="converged", seconds_training=30.0,
            select_score=metric.score(label["select"], found["select"]), select_low=-0.6, select_high=-0.3,
            test_score=metric.score(label["test"], found["test"]),
        )  # fmt: skip
        folder.add_trial(trial, found)
    return PerformanceBank.open(folder.path)


def test_a_pair_is_compared_with_its_errors_and_every_blend(tmp_path):
    bank = two_families(BankFolder.made(tmp_path / "bank"))
    (pair,) = bank.evidence
    assert (pair.first, pair.second, pair.database) == ("dfs", "rdl", "d")
    labels, predictions = bank.labels("t"), bank.predictions("t")
    metric = metric_named("neg_mean_absolute_error")
    ours, theirs = (next(t for t in bank.trials if t.family == name) for name in ("dfs", "rdl"))
    assert pair.first_test == pytest.approx(1 - ours.test_score / -0.8)
    assert pair.margin == pytest.approx(pair.second_test - pair.first_test)
    assert pair.blend(0.0) == pytest.approx(pair.first_test, abs=1e-5)
    assert pair.blend(1.0, "select") == pytest.approx(pair.second_select, abs=1e-5)
    half = blend_of(predictions[ours.id]["test"], predictions[theirs.id]["test"], 0.5)
    assert pair.blend(0.5) == pytest.approx(1 - metric.score(labels["test"].label, half) / -0.8)
    assert pair.blend(0.5) > max(pair.first_test, pair.second_test)
    # independent errors of each row: sd of a mean of 400 differences of absolute errors
    one, other = (np.abs(predictions[t.id]["test"] - labels["test"].label) for t in (ours, theirs))
    assert pair.test_error == pytest.approx((one - other).std() / math.sqrt(400) / 0.8, rel=0.3)
    assert pair.first_seconds == 30.0


def test_what_must_not_be_handed_on_leaves_its_comparisons(tmp_path):
    bank = two_families(BankFolder.made(tmp_path / "bank"), shares_rows=False)
    shipped = bank.save(tmp_path / "shipped", shareable=True)
    assert shipped.labels("t") is None
    assert [row.to_json() for row in shipped.evidence] == [row.to_json() for row in bank.evidence]
    shipped.validate()


def test_without_predictions_errors_come_from_the_intervals(tmp_path):
    bank = two_families(BankFolder.made(tmp_path / "bank"))
    (pair,) = PerformanceBank(bank.tasks, bank.trials).evidence
    assert pair.select_error == pytest.approx(math.sqrt(2) * 0.3 / 0.8 / (2 * 1.6449))
    assert math.isnan(pair.test_error)
    assert pair.blend(0.5) == pytest.approx((pair.first_test + pair.second_test) / 2)

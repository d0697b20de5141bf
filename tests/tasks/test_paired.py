"""Paired differences: what is hard for both predictions cancels, and a difference beyond chance is seen."""

from __future__ import annotations

import math

import numpy as np

from relselect.tasks import Rows
from relselect.tasks.metrics import cluster_draws, metric_named
from relselect.tasks.paired import paired_difference

MAE = metric_named("neg_mean_absolute_error")


def rows(size: int, entities: int) -> Rows:
    label = np.random.default_rng(0).normal(0, 100, size)
    zero = np.zeros(size, dtype=np.int64)
    return Rows(np.arange(size) % entities, zero, zero, label=label)


def test_a_small_difference_of_noisy_predictions_is_seen():
    asked = rows(400, 100)
    noisy = asked.label + np.random.default_rng(1).normal(0, 50, 400)
    worse = asked.label + (noisy - asked.label) * 1.02
    found = paired_difference(MAE, asked, noisy, worse)
    assert found.low <= found.value <= found.high < 0
    assert paired_difference(MAE, asked, worse, noisy).value == -found.value
    assert found.high - found.low < 0.3


def test_nine_of_ten_intervals_cover_zero_where_nothing_differs():
    asked = rows(400, 100)
    covered = []
    for seed in range(60):
        draw = np.random.default_rng(seed)
        one, two = (asked.label + draw.normal(0, 50, 400) for _ in range(2))
        found = paired_difference(MAE, asked, one, two)
        covered.append(found.low < 0 < found.high)
    assert 0.8 < np.mean(covered) < 0.97


def test_without_labels_or_with_one_entity_there_is_no_interval():
    asked = rows(10, 1)
    found = paired_difference(MAE, asked, asked.label, asked.label + 1)
    assert found.value == -1.0
    assert math.isnan(found.low)
    assert math.isnan(paired_difference(MAE, asked.unlabelled(), asked.label, asked.label).value)


def test_whole_clusters_are_drawn():
    clusters = np.array([5, 5, 7, 7, 7, 9])
    for drawn in cluster_draws(clusters, seed=0, draws=20):
        counts = np.bincount(drawn, minlength=6)
        assert counts[0] == counts[1]
        assert counts[2] == counts[3] == counts[4]
    assert list(cluster_draws(np.zeros(4, dtype=np.int64), seed=0, draws=5)) == []


def test_drawn_rows_are_those_of_one_cluster_after_another():
    clusters, generator = np.array([9, 5, 7, 5, 7, 7, -3]), np.random.default_rng(4)
    members = [np.flatnonzero(clusters == each) for each in np.unique(clusters)]
    for drawn in cluster_draws(clusters, seed=4, draws=10):
        wanted = np.concatenate([members[each] for each in generator.integers(4, size=4)])
        assert drawn.tolist() == wanted.tolist()

"""The label level follows the labels known at each as-of, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from relselect.database.clock import DAY, NEVER
from relselect.problem import Problem
from relselect.rdl.family import blueprint_of
from relselect.rdl.network.ensemble import NetworkEnsemble
from relselect.rdl.network.label_level import LabelLevel, fit_label_level
from relselect.rdl.network.target import Target
from relselect.rdl.settings import NetworkSettings
from relselect.rdl.training.fitted import batcher_of, row_tensors


def known(problem):
    frames = list(problem.task.splits.values())
    since = np.concatenate([np.maximum(frame.known_at, frame.cutoff + 1) for frame in frames])
    label = np.concatenate([frame.label for frame in frames])
    kept = np.concatenate([frame.known_at for frame in frames]) != NEVER
    return since[kept], label[kept].astype(float)


def by_definition(problem, asof, most):
    since, label = known(problem)
    taken = np.zeros(len(since), bool)
    for time in sorted({t for t in since if t <= asof}, reverse=True):
        if taken.any() and (taken | (since == time)).sum() > most:
            break
        taken |= since == time
    train = problem.rows("train").label
    return (label[taken] - train.mean()).sum() / train.std() / (taken.sum() + 10)


@pytest.mark.parametrize("most", [1, 200, 10**6])
def test_it_is_the_mean_of_the_latest_known_labels(make_problem, most):
    problem = make_problem("regression")
    target = Target.of(problem)
    level = fit_label_level(problem, target, most)
    since, _ = known(problem)
    asofs = np.array([since.min() - 1, since.min(), *(np.unique(since)[1:] - 1), since.max(), since.max() + 99 * DAY])
    found = level.at(torch.from_numpy(asofs))
    wanted = np.array([by_definition(problem, asof, most) for asof in asofs])
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-6)
    assert found[0] == 0


def test_labels_that_are_known_later_change_nothing(make_problem):
    problem = make_problem("regression")
    target, task = Target.of(problem), problem.task
    asof = task.starts["val"]
    splits = {
        name: replace(frame, label=np.where(frame.known_at > asof, 1e6, frame.label))
        for name, frame in task.splits.items()
    }
    other = fit_label_level(Problem(problem.user_database, replace(task, splits=splits)), target)
    asofs = torch.arange(asof - 100 * DAY, asof + 1, DAY)
    assert torch.equal(fit_label_level(problem, target).at(asofs), other.at(asofs))
    assert not torch.equal(fit_label_level(problem, target).value, other.value)


def test_a_static_task_has_one_level(make_problem):
    problem = make_problem("regression", static=True)
    target = Target.of(problem)
    found = fit_label_level(problem, target)
    assert len(found.since) == 0
    assert found.value.tolist() == [0.0]


@pytest.mark.parametrize(
    ("kind", "level", "reads"), [("regression", True, True), ("regression", False, False), ("binary", True, False)]
)
def test_a_regression_reads_it_where_it_may(make_problem, kind, level, reads):
    problem = make_problem(kind)
    blueprint = blueprint_of(problem, NetworkSettings(level=level, channels=16))
    torch.manual_seed(0)
    network = NetworkEnsemble(blueprint).eval()
    batcher = batcher_of(blueprint, problem, torch.device("cpu"))
    rows = row_tensors(blueprint, problem.rows("val"), torch.device("cpu"))
    before = network(batcher.batch(rows, torch.arange(8)))
    assert (batcher.level is not None) == reads
    if batcher.level is not None:
        batcher.level = LabelLevel(batcher.level.since, batcher.level.value + 1)
        assert not torch.isclose(network(batcher.batch(rows, torch.arange(8))), before).any()

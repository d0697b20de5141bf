"""The level that outputs are counted from follows the labels known at each as-of, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from relselect.budget import Budget
from relselect.database.clock import DAY, NEVER
from relselect.events import silent
from relselect.problem import Problem
from relselect.rdl import RDL
from relselect.rdl.level import level_of
from relselect.rdl.target import Target


def known(problem):
    frames = list(problem.task.splits.values())
    since = np.concatenate([np.maximum(frame.known_at, frame.cutoff + 1) for frame in frames])
    label = np.concatenate([frame.label for frame in frames])
    kept = np.concatenate([frame.known_at for frame in frames]) != NEVER
    return since[kept], label[kept].astype(float)


def by_definition(problem, target, asof, most):
    since, label = known(problem)
    taken = np.zeros(len(since), bool)
    for time in sorted({t for t in since if t <= asof}, reverse=True):
        if taken.any() and (taken | (since == time)).sum() > most:
            break
        taken |= since == time
    latest = label[taken]
    train = problem.rows("train").label
    if target.kind == "regression":
        return [(latest - train.mean()).sum() / train.std() / (len(latest) + 10)]
    if target.kind == "binary":
        share = (latest.sum() + 10 * train.mean()) / (len(latest) + 10)
        return [np.log(share / (1 - share))]
    counts, before = (np.bincount(each.astype(int), minlength=3) for each in (latest, train))
    return np.log((counts + 10 * (before + 1) / (before + 1).sum()) / (len(latest) + 10))


@pytest.mark.parametrize("kind", ["binary", "regression", "multiclass"])
@pytest.mark.parametrize("most", [1, 200, 10**6])
def test_it_is_the_mean_of_the_latest_known_labels(make_problem, kind, most):
    problem = make_problem(kind)
    target = Target.of(problem)
    level = level_of(problem, target, most)
    since, _ = known(problem)
    asofs = np.array([since.min() - 1, since.min(), *(np.unique(since)[1:] - 1), since.max(), since.max() + 99 * DAY])
    found = level.at(torch.from_numpy(asofs))
    wanted = np.array([by_definition(problem, target, asof, most) for asof in asofs])
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[0], target.prior, rtol=1e-5)


def test_labels_that_are_known_later_change_nothing(make_problem):
    problem = make_problem("regression")
    target, task = Target.of(problem), problem.task
    asof = task.starts["val"]
    splits = {
        name: replace(frame, label=np.where(frame.known_at > asof, 1e6, frame.label))
        for name, frame in task.splits.items()
    }
    other = level_of(Problem(problem.user_database, replace(task, splits=splits)), target)
    asofs = torch.arange(asof - 100 * DAY, asof + 1, DAY)
    assert torch.equal(level_of(problem, target).at(asofs), other.at(asofs))
    assert not torch.equal(level_of(problem, target).outputs, other.outputs)


def test_a_static_task_has_one_level(make_problem):
    problem = make_problem(static=True)
    target = Target.of(problem)
    found = level_of(problem, target)
    assert len(found.since) == 0
    np.testing.assert_allclose(found.outputs, [target.prior], rtol=1e-6)


def test_a_network_follows_labels_that_move(make_problem, small):
    """Labels that rise by a constant from one cutoff to the next are met at a level that training never saw."""
    problem = make_problem("regression")
    task = problem.task
    splits = {
        name: replace(frame, label=frame.label + frame.cutoff / (10 * DAY)) for name, frame in task.splits.items()
    }
    rising = Problem(problem.user_database, replace(task, splits=splits))

    def error(recent_level: bool) -> float:
        config = {**small, "recent_level": recent_level, "refit": "none"}
        fitted = RDL("cpu").fit(rising, config, seed=0, number=0, budget=Budget(None), emit=silent)
        rows = rising.rows("val")
        return float(np.abs(RDL("cpu").predict(fitted, rising, rows.unlabelled()) - rows.label).mean())

    assert error(True) < 0.7 * error(False)

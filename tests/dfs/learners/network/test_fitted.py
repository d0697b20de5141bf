"""A trained tabular network: its checkpoints, its loss as flatness reads it, and its files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from relselect.budget import Budget
from relselect.dfs.learners import LearnerFit, learner_of
from relselect.dfs.learners.network.fitted import NetworkModel
from tests.dfs.learners.test_contract import SMALL, data
from tests.shop import shop_problem


def fit(kind: str = "binary", **options) -> LearnerFit:
    learner, problem = learner_of("tabm"), shop_problem(kind)
    config = {**learner.default(problem), **SMALL["tabm"], **options}
    train, stop = data(kind, 200, 0), data(kind, 100, 1)
    return learner.fit(problem.task, config, train, stop, seed=0, budget=Budget(None), progress=lambda *how: None)


@pytest.fixture(scope="module")
def fitted() -> LearnerFit:
    return fit(steps=100, stop_on="metric")


def test_the_best_states_are_kept_and_can_be_loaded(fitted):
    scores = [each.score for each in fitted.checkpoints]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert fitted.rounds == fitted.checkpoints[0].step
    stop, metric = data("binary", 100, 1), shop_problem("binary").task.metric
    for each in fitted.checkpoints:
        predicted = fitted.model.at(each.state).predict(stop.features.values)
        assert metric.score(stop.label, predicted) == pytest.approx(each.score, abs=1e-6)


@pytest.mark.parametrize("kind", ["binary", "regression", "multiclass"])
def test_the_probe_has_a_gradient_at_every_checkpoint(kind):
    found = fit(kind, steps=60)
    probe = found.model.probe(data(kind, 50, 2), [each.state for each in found.checkpoints])
    losses = []
    for place in range(len(found.checkpoints)):
        weights = {name: each.requires_grad_() for name, each in probe.parameters(place).items()}
        loss = probe.loss(weights)
        gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
        assert sum(float(each.abs().sum()) for each in gradients if each is not None) > 0
        losses.append(loss.item())
    assert np.isfinite(losses).all()
    assert len(set(losses)) == len(losses)


def test_states_are_the_same_once_loaded(fitted, tmp_path):
    fitted.model.save(tmp_path)
    fitted.model.save_states([each.state for each in fitted.checkpoints], tmp_path)
    found = NetworkModel.load(tmp_path).load_states(tmp_path, len(fitted.checkpoints))
    for state, each in zip(found, fitted.checkpoints, strict=True):
        assert state.keys() == each.state.keys()
        assert all(torch.equal(state[name], each.state[name]) for name in state)


DAMAGES = {
    "another format": lambda head: head.update(format=9),
    "wider than its file": lambda head: head["shape"].update(width=1 << 14, members=256),
    "a negative width": lambda head: head["shape"].update(width=-1),
    "a width that is true": lambda head: head["shape"].update(width=True),
    "no share as dropout": lambda head: head["shape"].update(dropout=1.0),
    "another number of outputs": lambda head: head["shape"].update(outputs=2),
    "another kind": lambda head: head["objective"].update(kind="ranking"),
    "a scale of 0": lambda head: head["objective"]["scale"].update(scale=0),
    "a column twice": lambda head: head.update(numeric=[0, 0, 2, 3]),
    "a flag too few": lambda head: head.update(flagged=[False] * 3),
    "a column too many": lambda head: head.update(categorical=[4, 5]),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_head_is_refused(fitted, damage, tmp_path):
    fitted.model.save(tmp_path)
    path = tmp_path / "tabular_network.json"
    head = json.loads(path.read_text())
    damage(head)
    path.write_text(json.dumps(head))
    with pytest.raises(ValueError):  # noqa: PT011
        NetworkModel.load(tmp_path)


@pytest.mark.parametrize("name", ["quantiles", "network.head.weight"])
def test_weights_that_are_not_finite_are_refused(fitted, name, tmp_path):
    fitted.model.save(tmp_path)
    path = tmp_path / "tabular_network.safetensors"
    state = load_file(path)
    state[name].view(-1)[0] = float("nan")
    save_file(state, path)
    with pytest.raises(ValueError, match="not finite"):
        NetworkModel.load(tmp_path)


def test_training_ends_with_its_budget_and_keeps_what_it_has():
    learner, problem = learner_of("tabm"), shop_problem("binary")
    config = {**learner.default(problem), **SMALL["tabm"], "steps": 10**9, "patience": 10**9}
    train, stop, budget = data("binary", 200, 0), data("binary", 100, 1), Budget(2)
    found = learner.fit(problem.task, config, train, stop, seed=0, budget=budget, progress=lambda *how: None)
    assert found.ended == "budget"
    assert found.checkpoints
    assert budget.elapsed() < 5

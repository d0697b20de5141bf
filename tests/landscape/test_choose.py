"""Validation first, then flatness among near ties of one architecture."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from relselect.budget import Budget
from relselect.errors import ConfigError
from relselect.events import CheckpointChosen, Event
from relselect.families.candidate import Candidate, Checkpoint
from relselect.families.constants import Constants
from relselect.families.protocol import RowSource
from relselect.landscape import choose_checkpoint, load_choice
from relselect.problem import Problem
from relselect.tasks import Rows
from tests.rows import shared_rows
from tests.tuning.cheap import tiny_problem


class Net:
    """A family whose checkpoints are curvatures around their weights."""

    name = "net"

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> np.ndarray:
        """Return predictions whose score is that of the checkpoint, or nearly: errors are put in until it is."""
        label = np.asarray(rows.label)
        wanted = candidate.checkpoints[candidate.checkpoint or 0].score
        for wrong in range(len(rows)):
            found = np.where(np.arange(len(rows)) < wrong, 1 - label, label)
            if problem.task.metric.score(label, found) <= wanted:
                return found
        raise AssertionError

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        return replace(candidate, model=checkpoint + 100, checkpoint=checkpoint)

    def probe(self, candidate: Candidate, problem: Problem, rows: RowSource) -> Any:
        return Bowl(candidate)


class Bowl:
    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self.architecture = candidate.config["architecture"]

    def parameters(self, checkpoint: int) -> dict[str, torch.Tensor]:
        curvature = self.candidate.checkpoints[checkpoint].state
        return {"w": torch.ones(3, 4), "c": torch.tensor([curvature])}

    def loss(self, parameters: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return parameters["c"][0] * (parameters["w"] - 1.1).square().sum()


@pytest.fixture(scope="module")
def problem() -> Problem:
    return tiny_problem()


def net(
    problem: Problem,
    number: int,
    score: float,
    checkpoints: list[tuple[float, float]],
    architecture: str = "a",
) -> Candidate:
    predictions = np.random.default_rng(number).random(len(problem.rows("val")))
    states = tuple(Checkpoint(i, s, c) for i, (s, c) in enumerate(checkpoints))
    config = {"architecture": architecture}
    interval = (score - 0.0329, score + 0.0329)  # a standard error of 0.02
    held = 0 if states else None
    return Candidate(
        "net", config, 0, number, number, predictions, score, interval, checkpoints=states, checkpoint=held
    )


def choose(problem: Problem, *candidates: Candidate, budget: float | None = None, **how: Any) -> Any:
    families = {"net": Net(), "constants": Constants()}
    limit = Budget(None) if budget is None else Budget(10).until(budget)
    return choose_checkpoint(candidates, problem, shared_rows(problem), families, budget=limit, **how)


def test_the_flattest_near_tie_is_chosen(problem: Problem) -> None:
    best = net(problem, 0, 0.80, [(0.80, 9.0), (0.795, 1.0), (0.70, 0.1)])
    other = net(problem, 1, 0.79, [(0.79, 4.0)])
    heard: list[Event] = []
    choice = choose(problem, best, other, emit=heard.append)
    assert (choice.candidate.number, choice.checkpoint) == (0, 1)
    assert choice.without_flatness == ("net", 0, 0)
    assert choice.standard_error == pytest.approx(0.02, rel=1e-3)
    assert [(t.number, t.checkpoint, t.chosen) for t in choice.near_ties] == [
        (0, 0, False),
        (0, 1, True),
        (1, 0, False),
    ]
    slopes = [t.flatness for t in choice.near_ties]
    assert slopes[1] < slopes[2] < slopes[0]
    assert "flatter" in choice.why
    assert any(isinstance(e, CheckpointChosen) and e.checkpoint == 1 for e in heard)
    loaded = load_choice(choice, problem, shared_rows(problem), {"net": Net()})
    assert loaded.model == 101
    rows = problem.rows("val")
    assert loaded.score == problem.task.metric.score(rows.label, loaded.predictions)


def test_equal_inputs_give_the_equal_choice(problem: Problem) -> None:
    best = net(problem, 0, 0.80, [(0.80, 9.0), (0.795, 1.0)])
    assert choose(problem, best, seed=3).to_json() == choose(problem, best, seed=3).to_json()


def test_another_architecture_is_never_compared_by_flatness(problem: Problem) -> None:
    best = net(problem, 0, 0.80, [(0.80, 9.0)])
    flat = net(problem, 1, 0.79, [(0.79, 0.1)], architecture="b")
    choice = choose(problem, best, flat)
    assert choice.candidate.number == 0
    assert all(np.isnan(t.flatness) for t in choice.near_ties)


def test_a_clear_lead_is_never_overruled(problem: Problem) -> None:
    best = net(problem, 0, 0.80, [(0.80, 9.0)])
    choice = choose(problem, best, net(problem, 1, 0.77, [(0.77, 0.1)]))
    assert choice.candidate.number == 0
    assert len(choice.near_ties) == 1


def test_no_time_means_validation_decides_and_says_so(problem: Problem) -> None:
    best = net(problem, 0, 0.80, [(0.80, 9.0), (0.795, 1.0)])
    choice = choose(problem, best, budget=0.0)
    assert choice.checkpoint == 0
    assert "0 of 2" in choice.skipped
    assert "not measured" in choice.why


def test_too_little_time_is_seen_before_it_is_spent(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []

    def slow(self: Bowl, parameters: Mapping[str, torch.Tensor]) -> torch.Tensor:
        calls.append(time.sleep(0.02) or 0.0)
        return parameters["w"].sum()

    monkeypatch.setattr(Bowl, "loss", slow)
    choice = choose(problem, net(problem, 0, 0.80, [(0.80, 9.0), (0.795, 1.0)]), budget=0.3)
    assert len(calls) == 1
    assert "would take about" in choice.skipped


def test_between_learners_steadiness_over_time_breaks_ties(problem: Problem) -> None:
    rows = problem.rows("val")
    shaky, steady = net(problem, 0, 0.8000, []), net(problem, 1, 0.7999, [])
    half = rows.cutoff == rows.cutoff.max()
    shaky = replace(shaky, predictions=np.where(half, rows.label, 0.5))
    steady = replace(steady, predictions=np.where(np.arange(len(rows)) % 2 == 0, rows.label, 0.5))
    choice = choose(problem, shaky, steady)
    assert choice.candidate.number == 1
    assert "varies less over time" in choice.why
    assert choice.without_flatness == ("net", 0, None)


def test_constants_take_part(problem: Problem) -> None:
    family = Constants()
    candidates = [
        family.fit(problem, shared_rows(problem), c, seed=0, number=i, budget=Budget(None), emit=lambda e: None)
        for i, c in enumerate((family.default(problem), *family.alternatives(problem)))
    ]
    choice = choose(problem, *candidates)
    assert choice.candidate.config["scope"] == "entity"
    assert choice.checkpoint is None
    assert load_choice(choice, problem, shared_rows(problem), {"constants": family}) is choice.candidate


def test_undefined_scores_are_survived(problem: Problem) -> None:
    only = replace(net(problem, 0, 0.8, []), score=float("nan"))
    assert choose(problem, only).candidate is only
    with pytest.raises(ConfigError):
        choose(problem)


def test_the_loss_is_drawn_around_the_choice_the_leader_and_the_ends_of_flatness(problem: Problem) -> None:
    best = net(problem, 0, 0.80, [(0.80, 4.0), (0.795, 1.0), (0.79, 9.0), (0.70, 0.1)])
    drawn = choose(problem, best).landscape
    assert [(each.checkpoint, each.direction, each.chosen) for each in drawn] == [
        (1, 0, True), (1, 1, True), (0, 0, False), (0, 1, False), (2, 0, False), (2, 1, False),
    ]  # fmt: skip
    rises = [max(each.losses) - each.losses[len(each.losses) // 2] for each in drawn if each.direction == 0]
    assert rises[0] < rises[1] < rises[2]
    alone = choose(problem, net(problem, 0, 0.80, [(0.80, 4.0), (0.60, 1.0)])).landscape
    assert {each.checkpoint for each in alone} == {0, 1}  # nothing was measured: beside the choice its worst checkpoint
    assert choose(problem, best, budget=0.0).landscape == ()


def test_what_has_no_gradient_has_no_landscape(problem: Problem) -> None:
    assert choose(problem, replace(net(problem, 0, 0.8, []), family="constants")).landscape == ()

"""The optimiser of the graph network takes the steps of `torch.optim.AdamW` to the last bit, and imports less."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from relselect.rdl.training.adamw import AdamW


def weights_of(draw: torch.Generator) -> list[torch.Tensor]:
    return [torch.randn(shape, generator=draw).requires_grad_() for shape in ((3, 4), (4,), (1,), (2, 2, 2))]


def groups_of(weights: list[torch.Tensor]) -> list[dict[str, object]]:
    return [{"params": weights[:2], "full_rate": 1.0}, {"params": weights[2:], "lr": 0.003}]


def steps_of(optimizer, weights: list[torch.Tensor], draw: torch.Generator, count: int) -> None:
    """Take steps in which now and then a weight has no gradient, and the rate of the first group falls."""
    for step in range(count):
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
        for place, weight in enumerate(weights):
            if (step + place) % 3:
                weight.grad = torch.randn(weight.shape, generator=draw)
        optimizer.step()


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_its_steps_are_those_of_pytorch(decay):
    ends, states = [], []
    for make in (AdamW, lambda groups, **options: torch.optim.AdamW(groups, fused=True, **options)):
        draw = torch.Generator().manual_seed(0)
        weights = weights_of(draw)
        optimizer = make(groups_of(weights), lr=0.02, weight_decay=decay)
        assert [group["lr"] for group in optimizer.param_groups] == [0.02, 0.003]
        steps_of(optimizer, weights, draw, 12)
        ends.append(weights)
        states.append(optimizer.moments if isinstance(optimizer, AdamW) else optimizer.state_dict()["state"])
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(*ends, strict=True))
    assert states[0].keys() == states[1].keys()
    for number, mine in states[0].items():
        assert mine.keys() == states[1][number].keys()
        assert all(torch.equal(mine[name], states[1][number][name]) for name in mine)


def test_it_goes_on_from_its_moments():
    draw = torch.Generator().manual_seed(1)
    weights = weights_of(draw)
    optimizer = AdamW(groups_of(weights), lr=0.02, weight_decay=0.01)
    steps_of(optimizer, weights, draw, 5)
    copies = [weight.detach().clone().requires_grad_() for weight in weights]
    other = AdamW(groups_of(copies), lr=0.02, weight_decay=0.01)
    other.restore(optimizer.moments)
    for each, mine in ((optimizer, weights), (other, copies)):
        steps_of(each, mine, torch.Generator().manual_seed(2), 4)
    assert all(torch.equal(one, another) for one, another in zip(weights, copies, strict=True))


def test_training_does_not_import_the_compiler():
    code = """
import sys
from relselect.budget import Budget
from relselect.events import silent
from relselect.rdl import RDL
from tests.rdl.training.killed import CONFIG
from tests.rows import shared_rows
from tests.tuning.cheap import tiny_problem
problem = tiny_problem()
RDL("cpu").fit(problem, shared_rows(problem), {**CONFIG, "epochs": 1}, seed=0, number=0, budget=Budget(None), emit=silent)
print({"torch._dynamo", "sympy"} & set(sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "set()"

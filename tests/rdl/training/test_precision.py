"""Float32 and bfloat16 steps both learn; a plan other than the default is taken only if configured or measured to be faster."""

from __future__ import annotations

import time

import pytest
import torch

from relselect.budget import Budget
from relselect.errors import ConfigError
from relselect.events import silent
from relselect.rdl import RDL
from relselect.rdl.settings import NetworkSettings
from relselect.rdl.training.precision import PrecisionPlan, choose_precision
from tests.rows import shared_rows


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precisions_learn(make_problem, small, precision):
    config = {**small, "precision": precision}
    candidate = RDL("cpu").fit(
        problem := make_problem(), shared_rows(problem), config, seed=0, number=0, budget=Budget(None), emit=silent
    )
    assert candidate.facts["precision"] == precision
    assert not candidate.facts["compiled"]
    assert candidate.score > 0.85
    assert all(tensor.dtype == torch.float32 for tensor in candidate.checkpoints[0].state.values())


def test_nothing_is_tried_out_on_a_cpu():
    def run(pace: PrecisionPlan) -> None:
        raise AssertionError

    assert choose_precision(NetworkSettings(), torch.device("cpu"), torch.nn.Identity(), run, 10**9) == PrecisionPlan()
    assert choose_precision(
        NetworkSettings(precision="bf16"), torch.device("cpu"), torch.nn.Identity(), run, 10**9
    ) == PrecisionPlan(bf16=True)


@pytest.mark.parametrize(("fast", "wanted"), [("bf16", PrecisionPlan(bf16=True)), ("fp32", PrecisionPlan())])
def test_the_faster_precision_is_taken_on_a_gpu(monkeypatch, fast, wanted):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)

    def run(pace: PrecisionPlan) -> None:
        time.sleep(0.001 if pace.bf16 == (fast == "bf16") else 0.01)

    assert choose_precision(NetworkSettings(), torch.device("cuda"), torch.nn.Identity(), run, 10) == wanted


def test_compiling_without_a_compiler_says_so_and_leaves_the_network_eager():
    network = torch.nn.Module()
    network.members = torch.nn.ModuleList()

    def run(plan: PrecisionPlan) -> None:
        raise RuntimeError("no C++ compiler was found")

    with pytest.raises(ConfigError, match=r"compile=on.*no C\+\+ compiler was found.*'off'"):
        choose_precision(NetworkSettings(compile="on"), torch.device("cpu"), network, run, 10)

    def full(plan: PrecisionPlan) -> None:
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        choose_precision(NetworkSettings(compile="on"), torch.device("cpu"), network, full, 10)

"""Ways of computing a step: they learn the same, and only what was asked for or measured is taken."""

from __future__ import annotations

import time

import pytest
import torch

from relselect.budget import Budget
from relselect.events import silent
from relselect.rdl import RDL
from relselect.rdl.settings import Settings
from relselect.rdl.training.pace import Pace, find_pace, one_thread_if_small
from tests.rows import shared_rows


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precisions_learn(make_problem, small, precision):
    config = {**small, "precision": precision}
    candidate = RDL("cpu").fit(
        make_problem(), shared_rows(make_problem()), config, seed=0, number=0, budget=Budget(None), emit=silent
    )
    assert candidate.details["precision"] == precision
    assert not candidate.details["compiled"]
    assert candidate.score > 0.85
    assert all(tensor.dtype == torch.float32 for tensor in candidate.checkpoints[0].state.values())


def test_nothing_is_tried_out_on_a_cpu():
    def run(pace: Pace) -> None:
        raise AssertionError

    assert find_pace(Settings(), torch.device("cpu"), torch.nn.Identity(), run, 10**9) == Pace()
    assert find_pace(Settings(precision="bf16"), torch.device("cpu"), torch.nn.Identity(), run, 10**9) == Pace(
        bf16=True
    )


@pytest.mark.parametrize(("fast", "wanted"), [("bf16", Pace(bf16=True)), ("fp32", Pace())])
def test_the_faster_precision_is_taken_on_a_gpu(monkeypatch, fast, wanted):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)

    def run(pace: Pace) -> None:
        time.sleep(0.001 if pace.bf16 == (fast == "bf16") else 0.01)

    assert find_pace(Settings(), torch.device("cuda"), torch.nn.Identity(), run, 10) == wanted


def test_small_networks_keep_to_one_thread(make_problem, small):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        cpu, seen = torch.device("cpu"), {}
        for name, settings in {
            "small": Settings(),
            "large": Settings(fan_out=64, batch_size=1024),
            "members": Settings(members=2),
        }.items():
            with one_thread_if_small(settings, cpu):
                seen[name] = torch.get_num_threads()
            assert torch.get_num_threads() == 2
        assert seen == {"small": 1, "large": 2, "members": 2}
        RDL("cpu").fit(
            make_problem(), shared_rows(make_problem()), small, seed=0, number=0, budget=Budget(None), emit=silent
        )
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)

"""Two real processes train the network that one trains; a process that ends takes the others with it, and says so."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from relselect.errors import ConfigError, ProcessLost
from relselect.rdl.training.processes import ALONE, Processes, current_processes, joined_processes
from relselect.rdl.training.stepping import BatchShare, own_parts
from tests.rdl.training.together import DRAWS, MEMBERS, PLAIN, numeric_problem, trained
from tests.shop import shop_problem

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


@pytest.fixture(scope="module")
def forking():
    """The process that forks those that train together."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.rdl.training.together"],
        env=environment,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        yield running
        assert running.stdin is not None
        running.stdin.close()


@pytest.fixture
def run_together(forking, tmp_path):
    """Run a case in processes of their own; return the exit code and the errors of each."""

    def run(case: str, count: int = 2) -> list[tuple[int, str]]:
        forking.stdin.write(json.dumps([str(tmp_path), case, count, free_port()]) + "\n")
        forking.stdin.flush()
        codes = json.loads(forking.stdout.readline())
        return [(code, (tmp_path / f"stderr{rank}.txt").read_text()) for rank, code in enumerate(codes)]

    return run


@pytest.mark.slow
def test_two_processes_train_what_one_trains(run_together, tmp_path):
    """With dropout, draws of categories, members, refits of both kinds, and a budget that ends in between."""
    for code, errors in run_together("same"):
        assert code == 0, errors
    found = np.load(tmp_path / "found.npz")
    wanted = {
        "draws": trained(shop_problem(), {**DRAWS, "parts": 2}),
        "members": trained(shop_problem(), {**MEMBERS, "parts": 2}),
        "later": trained(shop_problem(), {**DRAWS, "parts": 3}),
    }
    for name, each in wanted.items():
        assert each.keys() == {"fit", "refit", "steps"}
        for what, values in each.items():
            np.testing.assert_allclose(found[f"{name}.{what}"], values, rtol=0, atol=1e-5)
    assert (
        np.abs(wanted["draws"]["fit"] - trained(shop_problem(), DRAWS)["fit"]).max() > 1e-4
    )  # parts draw by themselves
    assert (tmp_path / "state" / "training.safetensors").is_file()  # written by process 0


@pytest.mark.slow
def test_without_draws_they_train_what_one_trains_on_whole_batches(run_together, tmp_path):
    for code, errors in run_together("plain"):
        assert code == 0, errors
    found = np.load(tmp_path / "found.npz")
    for what, values in trained(numeric_problem(), PLAIN).items():
        np.testing.assert_allclose(found[what], values, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("case", "dead"), [("lost", 1), ("first_lost", 0)])
def test_a_process_that_dies_ends_the_other_with_an_error(case, dead, run_together):
    found = run_together(case)
    assert found[dead][0] == -signal.SIGKILL
    code, errors = found[1 - dead]
    assert code not in (0, -signal.SIGKILL)
    last = errors.strip().splitlines()[-1]
    assert "ProcessLost" in last or "ProcessLost" in errors
    assert f"process {1 - dead}: lost another of the 2 processes" in errors
    assert "start all of them again" in errors


@pytest.mark.slow
def test_processes_of_different_data_end(run_together):
    (_, first), (code, other) = run_together("other")
    assert code != 0
    assert "is not the database and task that process 0 trains on" in other
    assert "lost another of the 2 processes" in first


@pytest.mark.slow
def test_after_an_error_of_process_0_nobody_waits(run_together):
    (code, first), (follower, other) = run_together("failed")
    assert code != 0
    assert follower != 0
    assert "ended the common training after an error (ZeroDivisionError)" in first
    assert "lost another of the 2 processes" in other


def test_a_process_that_is_alone_joins_nobody(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    monkeypatch.setenv("RANK", "0")
    with joined_processes() as processes:
        assert processes is ALONE
        assert current_processes() is ALONE
    assert ALONE.told("x") == "x"
    assert ALONE.summed(torch.ones(2)).tolist() == [1, 1]


def test_variables_that_name_no_place_to_meet_are_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "zero")
    with pytest.raises(ConfigError, match=r"cannot meet.*torchrun"), joined_processes():
        pass


def test_a_forked_process_has_joined_nobody(monkeypatch):
    from relselect.rdl.training import processes

    joined = Processes(0, 2)
    monkeypatch.setattr(processes, "_JOINED", [joined])
    assert current_processes() is joined
    joined.process += 1
    assert current_processes() is ALONE


def test_the_parts_of_all_processes_are_the_batch():
    index = torch.arange(11)
    for parts, count in ((1, 1), (2, 2), (5, 2), (16, 3)):
        taken = [part for rank in range(count) for part in own_parts([index], parts, Processes(rank, count))]
        assert sorted(torch.cat(taken).tolist()) == index.tolist()
        assert all(len(part) for part in taken)


def test_parts_change_no_gradient_where_nothing_is_drawn():
    """The gradient of a batch in parts is that of the whole batch."""
    from relselect.rdl.family import blueprint_of
    from relselect.rdl.network.ensemble import NetworkEnsemble
    from relselect.rdl.settings import NetworkSettings
    from relselect.rdl.training.fitted import batcher_of, row_tensors
    from relselect.rdl.training.precision import PrecisionPlan
    from relselect.rdl.training.stepping import Stepper

    problem, cpu = numeric_problem(), torch.device("cpu")
    blueprint = blueprint_of(problem, NetworkSettings.from_config(PLAIN))
    rows = row_tensors(blueprint, problem.rows("train"), cpu)
    torch.manual_seed(0)
    network, batcher = NetworkEnsemble(blueprint), batcher_of(blueprint, problem, cpu)
    index = torch.arange(30)
    grads, losses = [], []
    for parts in (1, 4):
        stepper = Stepper(network, blueprint, rows)
        cut = {number: batcher.batch(rows, part) for number, part in ALONE.shares(index, parts)}
        losses.append(stepper.gradients(BatchShare(cut, len(index), parts), PrecisionPlan()))
        grads.append(torch.cat([each.grad.flatten() for each in network.parameters() if each.grad is not None]))
    assert torch.allclose(*grads, atol=1e-6)
    assert torch.allclose(*losses, atol=1e-6)


def test_the_error_of_a_lost_process_can_be_sent():
    import pickle

    error = ProcessLost("process 1", "lost another", "Start again")
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "process 1: lost another. Start again."

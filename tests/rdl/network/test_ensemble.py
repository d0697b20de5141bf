"""Members have different initial weights, learn independently, and give the same result for any number of threads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from relselect.rdl.family import blueprint_of
from relselect.rdl.graph.features import RESERVED, UNSEEN, TableTensors
from relselect.rdl.graph.table_encoding import CategoryColumn, TableEncoding
from relselect.rdl.network.ensemble import NetworkEnsemble
from relselect.rdl.network.stacked_encoder import StackedEncoder
from relselect.rdl.settings import NetworkSettings
from relselect.rdl.training.fitted import batcher_of, row_tensors
from relselect.rdl.training.stepping import ShuffledBatches, Stepper

CPU = torch.device("cpu")


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def trained(problem, threads: int, members: int = 2) -> tuple[Stepper, list[float]]:
    """Take some steps with members of one thread each, beside one another or one after another."""
    torch.set_num_threads(threads)
    torch.manual_seed(3)
    blueprint = blueprint_of(problem, NetworkSettings(members=members, channels=16, fan_out=8, batch_size=64))
    rows = row_tensors(blueprint, problem.rows("train"), CPU)
    stepper, batcher = Stepper(NetworkEnsemble(blueprint), blueprint, rows), batcher_of(blueprint, problem, CPU, seed=1)
    torch.set_num_threads(1)
    order = ShuffledBatches(len(rows), 64, 0)
    return stepper, [float(stepper.step(batcher.batch(rows, order.next()))) for _ in range(4)]


def test_threads_change_no_bit(make_problem, two_threads):
    problem = make_problem()
    beside, losses = trained(problem, 2)
    after, same = trained(problem, 1)
    assert losses == same
    for name, each in beside.network.state_dict().items():
        assert torch.equal(each, after.network.state_dict()[name]), name


def test_members_differ_and_their_outputs_are_averaged(make_problem):
    problem = make_problem()
    stepper, _ = trained(problem, 1, members=3)
    network = stepper.network.eval()
    blueprint = stepper.blueprint
    rows = row_tensors(blueprint, problem.rows("val"), CPU)
    batch = batcher_of(blueprint, problem, CPU).batch(rows, torch.arange(len(rows)))
    with torch.no_grad():
        each = torch.stack([member(batch) for member in network.members])
        assert torch.allclose(network(batch), each.mean(0))
    assert each.std(0).min() > 0


def test_a_member_learns_as_it_would_alone(make_problem):
    """No gradient, no clipping and no dropout of one member reaches another."""
    problem = make_problem()
    blueprint = blueprint_of(problem, NetworkSettings(channels=16, fan_out=8, dropout=0.0, members=2))
    one = replace(blueprint, settings=replace(blueprint.settings, members=1))
    rows = row_tensors(blueprint, problem.rows("train"), CPU)
    batch = batcher_of(blueprint, problem, CPU, seed=1).batch(rows, torch.arange(64))
    torch.manual_seed(0)
    pair = Stepper(NetworkEnsemble(blueprint), blueprint, rows)
    alone = Stepper(NetworkEnsemble(one), one, rows)
    alone.network.load_state_dict(
        {name: each for name, each in pair.network.state_dict().items() if name.startswith("members.0.")}
    )
    for part in (*pair.network.modules(), *alone.network.modules()):
        part.train(isinstance(part, NetworkEnsemble))  # what draws, draws nothing
    pair.step(batch)
    alone.step(batch)
    for name, each in alone.network.state_dict().items():
        assert torch.equal(each, pair.network.state_dict()[name]), name


def test_a_category_that_training_never_met_is_read_as_nothing():
    spec = TableEncoding(categories=(CategoryColumn("kind", ("a", "b", "c")),))
    torch.manual_seed(0)
    encoder = StackedEncoder(spec, 8, 0, 0.0)
    encoder.zero_category_embeddings()
    codes = torch.from_numpy(np.random.default_rng(0).integers(RESERVED, RESERVED + 2, (400, 1)))  # a and b alone
    nothing = torch.empty(400, 0, dtype=torch.int64)
    tensors = TableTensors(nothing.float(), codes, nothing, nothing)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=0.05)
    rows, known = torch.arange(400), nothing.bool()
    for _ in range(30):
        optimizer.zero_grad()
        torch.autograd.backward((encoder(tensors, rows, known)[:, 0] - codes[:, 0]).square().mean())
        optimizer.step()
    assert encoder.embedding is not None
    met, never = encoder.embedding.weight[RESERVED : RESERVED + 2], encoder.embedding.weight[RESERVED + 2]
    assert met.abs().sum(1).min() > 0
    assert torch.equal(never, torch.zeros(8))
    assert encoder.embedding.weight[UNSEEN].abs().sum() > 0  # training saw some values as if for the first time

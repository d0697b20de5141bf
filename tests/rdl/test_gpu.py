"""What runs on a GPU gives what the CPU gives: trees, messages, fits, saved networks, stored trainings, flatness."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from relselect.budget import Budget
from relselect.events import silent
from relselect.rdl import RDL
from relselect.rdl.family import blueprint_of
from relselect.rdl.graph.of_problem import problem_graph
from relselect.rdl.network.convolutions import CONVOLUTIONS
from relselect.rdl.network.ensemble import NetworkEnsemble
from relselect.rdl.network.scatter import gather, gather_scatter_sum, scatter_max, scatter_sum, segment_max
from relselect.rdl.sampling.sampler import TemporalSampler
from relselect.rdl.settings import NetworkSettings
from relselect.rdl.training import trainer as training
from relselect.rdl.training.fitted import batcher_of, row_tensors
from relselect.rdl.training.stepping import Stepper
from tests.rows import shared_rows

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")

GPU = "cuda"


def fit(problem, config, device=GPU, *, resume=None, seed=0):
    rows = shared_rows(problem)
    return RDL(device).fit(problem, rows, config, seed=seed, number=0, budget=Budget(None), emit=silent, resume=resume)


@pytest.fixture(scope="module")
def problem(make_problem):
    return make_problem()


def near(there: torch.Tensor, here: torch.Tensor, tolerance: float = 1e-4) -> bool:
    return torch.allclose(there.detach().cpu(), here.detach(), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("strategy", ["last", "uniform"])
@pytest.mark.parametrize("window", [None, 90])
def test_the_gpu_samples_the_same_trees(problem, strategy, window):
    rows, here = problem.rows("train"), torch.device("cpu")
    columns = [torch.from_numpy(np.array(each, dtype=np.int64)) for each in (rows.entity, rows.cutoff, rows.asof)]
    window = None if window is None else window * 86_400_000_000
    trees = {}
    for device in (here, torch.device(GPU)):
        graph = problem_graph(problem, device, shortcuts=True)
        sampler = TemporalSampler(graph, (8, 4, 2), strategy, seed=3, window=window)
        trees[device.type] = sampler.sample(problem.entity, *(each.to(device) for each in columns))
    one, other = trees["cpu"], trees[GPU]
    assert all(torch.equal(one.rows[name], other.rows[name].cpu()) for name in one.rows)
    assert all(torch.equal(one.edge_index[name], other.edge_index[name].cpu()) for name in one.edge_index)
    assert torch.equal(one.degree, other.degree.cpu())


@pytest.mark.parametrize("of", ["gather", "gather_scatter_sum", "scatter_sum", "scatter_max", "segment_max"])
def test_scatters_and_their_derivatives_are_those_of_the_cpu(of):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 8, generator=generator, dtype=torch.float64)
    source, target = (torch.randint(0, size, (40,), generator=generator) for size in (40, 9))
    segment = target.sort().values.unique(return_inverse=True)[1]
    size = int(segment.max()) + 1
    calls = {
        "gather": lambda x, d: gather(x, source.to(d)),
        "gather_scatter_sum": lambda x, d: gather_scatter_sum(x, source.to(d), target.to(d), 9),
        "scatter_sum": lambda x, d: scatter_sum(x, target.to(d), 9),
        "scatter_max": lambda x, d: scatter_max(x, target.to(d), 9),
        "segment_max": lambda x, d: segment_max(x, segment.to(d), size),
    }
    found = {}
    for device in ("cpu", GPU):
        leaf = x.to(device).requires_grad_()
        out = calls[of](leaf, device)
        (first,) = torch.autograd.grad((out**3).sum(), leaf, create_graph=True)
        (second,) = torch.autograd.grad((first**2).sum(), leaf)
        found[device] = (out, first, second)
    assert all(near(there, here, 1e-9) for there, here in zip(found[GPU], found["cpu"], strict=True))


@pytest.mark.parametrize("name", list(CONVOLUTIONS))
def test_a_network_of_every_convolution_computes_what_the_cpu_computes(problem, name):
    settings = NetworkSettings(convolution=name, channels=16, fan_out=8, dropout=0.0)
    blueprint, rows = blueprint_of(problem, settings), problem.rows("train").take(np.arange(64))
    found, weights = {}, None
    for device in (torch.device("cpu"), torch.device(GPU)):
        torch.manual_seed(0)
        batcher = batcher_of(blueprint, problem, device)
        tensors = row_tensors(blueprint, rows, batcher.device)
        network = NetworkEnsemble(blueprint).to(device)
        stepper = Stepper(network, blueprint, tensors)
        weights = weights or {name: each.clone() for name, each in network.state_dict().items()}
        network.load_state_dict(weights)
        batch = batcher.batch(tensors, torch.arange(64, device=batcher.device))
        loss = stepper.gradients(batch, stepper.plan)
        slopes = [each.grad for each in network.parameters() if each.grad is not None]
        found[device.type] = (loss, *slopes)
    assert len(found["cpu"]) == len(found[GPU])
    assert all(near(there, here, 1e-3) for there, here in zip(found[GPU], found["cpu"], strict=True))


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "fp32"},
        {"precision": "bf16"},
        {"precision": "auto"},
        {"compile": "on"},
        {"members": 2},
        {"sampling": "gpu"},
    ],
    ids=str,
)
@pytest.mark.parametrize("convolution", ["multi", "sage"])
def test_every_precision_learns_what_was_planted(problem, small, options, convolution):
    candidate = fit(problem, {**small, **options, "convolution": convolution, "epochs": 6})
    assert candidate.device == GPU
    assert candidate.score > 0.85
    asked = options.get("precision")
    if asked in ("fp32", "bf16"):
        assert candidate.facts["precision"] == asked
    assert candidate.facts["compiled"] == (options.get("compile") == "on")


@pytest.mark.parametrize("kind", ["regression", "multiclass"])
def test_every_kind_trains(make_problem, small, kind):
    problem = make_problem(kind, regime="frozen")
    candidate = fit(problem, {**small, "strategy": "uniform", "layers": 3})
    assert np.isfinite(candidate.predictions).all()
    assert math.isfinite(candidate.score)


def test_a_network_trained_on_a_gpu_predicts_on_a_cpu(problem, small, tmp_path):
    candidate = fit(problem, small)
    RDL(GPU).save(candidate, tmp_path)
    header = dataclasses.replace(candidate, model=None, checkpoints=())
    rows = problem.rows("val")
    for device in ("cpu", GPU):
        loaded = RDL(device).load(tmp_path, header)
        assert np.allclose(RDL(device).predict(loaded, problem, rows), candidate.predictions, atol=1e-4)


def test_a_training_that_was_cut_off_goes_on(problem, small, tmp_path, monkeypatch):
    steps = iter(range(8))
    step = Stepper.step

    def counted(self, batch):
        if next(steps, None) is None:
            raise KeyboardInterrupt
        return step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(training, "SAVE_SECONDS", 0.0)
        patch.setattr(Stepper, "step", counted)
        with pytest.raises(KeyboardInterrupt):
            fit(problem, small, resume=tmp_path)
    candidate = fit(problem, small, resume=tmp_path)
    assert "went on from step" in candidate.notes[0]
    assert abs(candidate.score - fit(problem, small).score) < 0.05


def test_flatness_has_second_derivatives(problem, small):
    candidate = fit(problem, small)
    probe = RDL(GPU).probe(candidate, problem, shared_rows(problem))
    weights = {name: each.requires_grad_() for name, each in probe.parameters(0).items()}
    slopes = torch.autograd.grad(probe.loss(weights), list(weights.values()), create_graph=True, allow_unused=True)
    length = sum((each**2).sum() for each in slopes if each is not None)
    curvature = torch.autograd.grad(length, list(weights.values()), allow_unused=True)
    assert all(torch.isfinite(each).all() for each in curvature if each is not None)


def test_a_fit_gives_its_memory_back(problem, small):
    fit(problem, small)
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    for seed in range(3):
        fit(problem, small, seed=seed)
    assert torch.cuda.memory_allocated() <= before + 2**20

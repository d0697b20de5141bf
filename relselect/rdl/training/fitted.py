"""A trained network with what it needs to read a database, and its predictions."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from relselect.rdl.graph.features import TableTensors, read_columns
from relselect.rdl.graph.of_problem import problem_features, problem_graph
from relselect.rdl.graph.placement import store_of
from relselect.rdl.network.batch import Batcher, RowTensors
from relselect.rdl.network.label_level import LabelLevel, fit_label_level
from relselect.rdl.network.thread_limit import one_thread_if_small
from relselect.rdl.network.time_encoding import time_unit
from relselect.rdl.sampling.sampler import TemporalSampler
from relselect.rdl.training.pace import Pace
from relselect.rdl.training.prefetch import prefetched
from relselect.rdl.training.processes import ALONE, Processes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.problem import Problem
    from relselect.rdl.network.ensemble import NetworkEnsemble
    from relselect.rdl.network.model import Blueprint
    from relselect.rdl.sampling.sampler import Strategy
    from relselect.tasks import Rows

__all__ = ["FittedNetwork", "batcher_of", "outputs_of", "row_tensors"]


@dataclass
class FittedNetwork:
    """A network, what it was built from, and where it computes."""

    blueprint: Blueprint
    network: NetworkEnsemble
    device: torch.device

    def predict(self, problem: Problem, rows: Rows, processes: Processes = ALONE) -> NDArray[np.float64]:
        """Predict task rows, (n,) or (n, classes); draws of the sampler are fixed, dropout is off.

        Args:
            problem: The problem.
            rows: n rows.
            processes: The processes that share the work; all must call.
        """
        settings = self.blueprint.settings
        batcher = batcher_of(self.blueprint, problem, self.device)
        tensors = row_tensors(self.blueprint, rows, batcher.device)
        with one_thread_if_small(settings, self.device):
            output = outputs_of(self.network, batcher, tensors, settings.batch_size, processes=processes)
        return self.blueprint.target.predictions(output)


def row_tensors(blueprint: Blueprint, rows: Rows, device: torch.device) -> RowTensors:
    """Turn task rows into tensors on `device`."""
    nothing = torch.empty(len(rows), 0, dtype=torch.int64)
    columns = TableTensors(nothing.float(), nothing, nothing, nothing)
    if rows.features is not None:
        columns = read_columns(rows.features, blueprint.task_encoding, [])
    entity, cutoff, asof, delay = (
        torch.from_numpy(np.array(key, dtype=np.int64)).to(device)
        for key in (rows.entity, rows.cutoff, rows.asof, rows.delay)
    )
    label = None if rows.label is None else torch.from_numpy(rows.label.astype(np.float64)).to(device)
    weight = None
    if rows.weight is not None:
        weight = torch.from_numpy((rows.weight / rows.weight.mean()).astype(np.float32)).to(device)
    return RowTensors(entity, cutoff, asof, delay, columns.to(device), label, weight)


def batcher_of(blueprint: Blueprint, problem: Problem, device: torch.device, *, seed: int = 0) -> Batcher:
    """Return what builds batches of a problem's rows for a network.

    Args:
        blueprint: What the network was built from.
        problem: The problem.
        device: The device of the network, and of the batches. Trees for a network on a GPU are sampled on the CPU, in compiled
            loops, while the GPU computes (see `relselect.rdl.training.prefetch`), unless the option `sampling` says otherwise.
        seed: Seed of the sampler's draws.
    """
    settings = blueprint.settings
    sampled_on = device if settings.sampling == "gpu" else torch.device("cpu")
    store = store_of(problem, settings.store)
    graph = problem_graph(problem, sampled_on, shortcuts=settings.edges == "shortcuts", store=store)
    graph = graph.only(blueprint.edge_types, blueprint.entity)
    delivered = None
    if sampled_on != device:
        delivered = device, problem_features(problem, blueprint.encodings, device, store=store)
    strategy: Strategy = "uniform" if settings.strategy == "uniform" else "last"
    kind = problem.database.time_kind
    window = max(1, round(settings.window * time_unit(kind))) if settings.window else None
    return Batcher(
        TemporalSampler(graph, settings.fan_outs, strategy, seed, window=window),
        problem_features(problem, blueprint.encodings, sampled_on, store=store),
        blueprint.encodings,
        blueprint.task_encoding,
        blueprint.entity,
        time_unit(kind),
        kind,
        _level(blueprint, problem, sampled_on),
        delivered,
    )


def _level(blueprint: Blueprint, problem: Problem, device: torch.device) -> LabelLevel | None:
    if not blueprint.reads_level:
        return None
    target = blueprint.target
    found: LabelLevel = problem.cached(("rdl", "level", target), lambda: fit_label_level(problem, target))
    return found.to(device)


def outputs_of(
    network: NetworkEnsemble,
    batcher: Batcher,
    rows: RowTensors,
    size: int,
    budget: Budget | None = None,
    pace: Pace | None = None,
    processes: Processes = ALONE,
) -> torch.Tensor:
    """Return a network's outputs in evaluation mode, (n, outputs), without gradients.

    Args:
        network: The network.
        batcher: Builds the batches.
        rows: n rows.
        size: Rows per batch.
        budget: Asked between two batches.
        pace: Takes in the time of each batch.
        processes: The processes that share the batches out, one after another to each; all get the outputs of all rows.

    Raises:
        BudgetExhausted: The budget ended between two batches.
    """
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    output = torch.zeros(len(rows), network.outputs, device=device)
    every = torch.split(torch.arange(len(rows), device=batcher.device), size) if len(rows) else ()
    own = every[processes.rank :: processes.count]
    begun = time.monotonic()
    try:
        with torch.no_grad(), prefetched(batcher, rows, own, device) as batches:
            for turn in range(-(-len(every) // processes.count)):
                if budget is not None:
                    budget.check()
                if turn == len(own):
                    break  # the last turn is not for all
                output[own[turn].to(device)] = network(next(batches)).float()
                if pace is not None:
                    now = time.monotonic()
                    pace.add(now - begun)
                    begun = now
    finally:
        network.train(was_training)
    return processes.summed(output)

"""Relational deep learning as a family: a graph neural network over the database itself, no features made by hand."""

from __future__ import annotations

import resource
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from relselect.database import Table
from relselect.database.inference import infer_types
from relselect.families.protocol import Candidate, Config
from relselect.rdl.graph.graph import problem_graph
from relselect.rdl.graph.table_encoding import TableEncoding, fit_columns, fit_tables
from relselect.rdl.network.encoders import ENCODERS
from relselect.rdl.network.ensemble import NetworkEnsemble
from relselect.rdl.network.model import Blueprint
from relselect.rdl.network.target import Target
from relselect.rdl.network.thread_limit import one_thread_if_small
from relselect.rdl.settings import NetworkSettings, suggest
from relselect.rdl.training.fitted import FittedNetwork
from relselect.rdl.training.precision import restore_eager
from relselect.rdl.training.probe import NetworkProbe
from relselect.rdl.training.refit import train_again
from relselect.rdl.training.saving import load_network, save_network
from relselect.rdl.training.trainer import Storage, Trainer
from relselect.rdl.training.training_state import training_identity
from relselect.tasks.metrics import interval_of

if TYPE_CHECKING:
    from pathlib import Path

    import optuna
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.events import Emit
    from relselect.families.protocol import Probe
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["RDL", "blueprint_of"]


#: The states of a training, and of the last one, that are not finished.
_STATES = ("training.safetensors", "again.safetensors")
#: Part of the budget that the training which is validated may take, by what follows it.
_FIRST = {"none": 1.0, "continue": 0.7, "anew": 0.5}


class RDL:
    """Trains a graph neural network on trees sampled around each task row.

    Args:
        device: Where to compute; None for a GPU where there is one.
    """

    name = "rdl"

    def __init__(self, device: str | None = None) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))

    def default(self, problem: Problem) -> Config:
        """Return the configuration that is always tried first.

        Where evaluation rows see old data, two hops: on earlier folds of rel-f1 what lies further away told less than it misled.
        """
        delayed = bool((problem.evaluation_delays() > 0).any())
        return (NetworkSettings(layers=2, fan_out=32) if delayed else NetworkSettings()).to_config()

    def alternatives(self, problem: Problem) -> tuple[Config, ...]:
        """Return trees of three hops and twice the default's width, which some signals need and others drown in."""
        return ({**self.default(problem), "layers": 3, "fan_out": 16},)

    def space(self, trial: optuna.Trial, problem: Problem) -> Config:
        """Return a configuration suggested by a study; the heavier encoder is tried where there is a GPU."""
        return suggest(trial, tuple(ENCODERS) if self.device.type == "cuda" else ("stacked",))

    def fit(
        self,
        problem: Problem,
        config: Config,
        *,
        seed: int,
        number: int,
        budget: Budget,
        emit: Emit,
        resume: Path | None = None,
    ) -> Candidate:
        """Train one configuration; see `Family.fit`. A training that was cut off goes on where its state was last written.

        Raises:
            BudgetExhausted: The budget ended before the first validation.
            ConfigError: The configuration has an unknown option or value.
        """
        begun = time.monotonic()
        settings = NetworkSettings.from_config(config)
        blueprint = blueprint_of(problem, settings)
        # the global generator draws initial weights and dropout: seed it for this fit only
        generators = torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else [])
        with generators, one_thread_if_small(settings, self.device):
            torch.manual_seed(seed)
            network = NetworkEnsemble(blueprint).to(self.device)
            stored = _storages(resume, blueprint, problem, seed)
            part = budget.share(_FIRST[settings.refit])
            trainer = Trainer(network, blueprint, problem, seed, number, part, emit, stored[0])
            trainer.run()
            restore_eager(network)
            network.load_state_dict(trainer.checkpoints[0].state)
            fitted = FittedNetwork(blueprint, network.eval(), self.device)
            rows = problem.rows("val")
            predictions = fitted.predict(problem, rows) if trainer.predictions is None else trainer.predictions
            again = None if settings.refit == "none" else train_again(trainer, budget, stored[1])
        score, interval = interval_of(problem.task.metric, rows, predictions, seed=seed)
        return Candidate(
            family=self.name,
            config=dict(config),
            seed=seed,
            number=number,
            val_predictions=predictions,
            val_score=score,
            val_interval=interval,
            seconds=time.monotonic() - begun,
            peak_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            device=self.device.type,
            model=fitted if again is None else replace(fitted, network=again.eval()),
            checkpoints=tuple(trainer.checkpoints),
            notes=_notes(trainer, settings, again),
            details=_details(network, trainer, again),
        )

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> NDArray[np.float64]:
        """Return predictions of shape (n,), or (n, classes) for multiclass tasks."""
        fitted: FittedNetwork = candidate.model
        return fitted.predict(problem, rows)

    def reads(self, candidate: Candidate) -> dict[str, set[str]]:
        """Return the columns of every table of the graph that the network encodes."""
        specs = candidate.model.blueprint.encodings
        return {
            name: {each.name for each in (*spec.numeric, *spec.categories, *spec.moments, *spec.texts)}
            for name, spec in specs.items()
        }

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        """Return the candidate with one of its checkpoints loaded into a network of its own."""
        fitted: FittedNetwork = candidate.model
        network = NetworkEnsemble(fitted.blueprint).to(fitted.device)
        network.load_state_dict(candidate.checkpoints[checkpoint].state)
        return replace(candidate, model=FittedNetwork(fitted.blueprint, network.eval(), fitted.device))

    def save(self, candidate: Candidate, folder: Path) -> None:
        """Write weights as safetensors and the rest as JSON into an existing folder."""
        save_network(candidate.model, candidate.checkpoints, folder)

    def load(self, folder: Path, header: Candidate) -> Candidate:
        """Return `header` with its network and checkpoints read from the folder."""
        fitted, checkpoints = load_network(folder, self.device)
        return replace(header, model=fitted, checkpoints=checkpoints)

    def probe(self, candidate: Candidate, problem: Problem) -> Probe | None:
        """Return the loss on a fixed batch of validation rows; None when there are none."""
        if not len(problem.rows("val")):
            return None
        return NetworkProbe(candidate.model, candidate.checkpoints, problem)


def blueprint_of(problem: Problem, settings: NetworkSettings) -> Blueprint:
    """Fit columns and target of a problem and say what network to build."""
    graph = problem_graph(problem, torch.device("cpu"), shortcuts=settings.edges == "shortcuts")
    tables = {name: read_of(spec, settings) for name, spec in fit_tables(problem).items()}
    task_row = read_of(_task_spec(problem), settings)
    return Blueprint(problem.entity, graph.edge_types, tables, task_row, Target.of(problem), settings)


def read_of(spec: TableEncoding, settings: NetworkSettings) -> TableEncoding:
    """Return the part of a table's fitted columns that the settings let the network read."""
    texts = tuple(text for text in spec.texts if settings.texts == "all" or not text.names)
    return replace(spec, texts=() if settings.texts == "none" else texts)


def _task_spec(problem: Problem) -> TableEncoding:
    features = problem.rows("train").features
    if features is None:
        return TableEncoding()
    everything = np.ones(features.num_rows, dtype=bool)
    return fit_columns(features, infer_types(Table("task rows", features), everything), everything)


def _storages(
    resume: Path | None, blueprint: Blueprint, problem: Problem, seed: int
) -> tuple[Storage | None, Storage | None]:
    """Return where the states of the training and of the last training are kept."""
    if resume is None:
        return None, None
    identity = training_identity(blueprint, problem, seed)
    return Storage(resume / _STATES[0], identity), Storage(resume / _STATES[1], identity)


def _notes(trainer: Trainer, settings: NetworkSettings, again: NetworkEnsemble | None) -> tuple[str, ...]:
    notes = []
    if trainer.resumed:
        notes.append(f"Training went on from step {trainer.resumed}, where it had been cut off.")
    if again is not None:
        notes.append("Predictions come from a network trained again on training and validation rows.")
    elif settings.refit != "none":
        notes.append("The budget left no time to train again on training and validation rows.")
    return tuple(notes)


def _details(network: NetworkEnsemble, trainer: Trainer, again: NetworkEnsemble | None) -> dict[str, Any]:
    seconds = [epoch["seconds"] for epoch in trainer.curve]
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "learning_curve": trainer.curve,
        "seconds_per_epoch": float(np.mean(seconds)) if seconds else 0.0,
        "training_rows": trainer.training_rows,
        "precision": "bf16" if trainer.precision_plan.bf16 else "fp32",
        "compiled": trainer.precision_plan.compiled,
        "fitted_again": again is not None,
    }

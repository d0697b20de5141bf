"""Relational deep learning as a family: a graph neural network over the database itself, no features made by hand."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from relselect.database import Table
from relselect.database.inference import infer_types
from relselect.errors import ConfigError
from relselect.families.candidate import Candidate, Config
from relselect.families.protocol import TrainingLength
from relselect.families.space_files import shipped_space
from relselect.memory import peak_memory_mb
from relselect.rdl.device import check_device, device_of
from relselect.rdl.graph.language_rows import read_language, with_sentences
from relselect.rdl.graph.of_problem import problem_graph
from relselect.rdl.graph.placement import store_of
from relselect.rdl.graph.table_encoding import TableEncoding, fit_columns, fit_tables
from relselect.rdl.network.convolutions import CONVOLUTIONS
from relselect.rdl.network.encoders import ENCODERS
from relselect.rdl.network.ensemble import NetworkEnsemble
from relselect.rdl.network.model import Blueprint
from relselect.rdl.network.target import Target
from relselect.rdl.network.thread_limit import one_thread_if_small
from relselect.rdl.settings import NetworkSettings
from relselect.rdl.training.fitted import FittedNetwork, batcher_of
from relselect.rdl.training.jobs import GivenRows, TrainingJob, led, portable, problem_identity
from relselect.rdl.training.precision import restore_eager
from relselect.rdl.training.pretrained import SCRATCH, decided_options, find_pretrained, new_network, read_pretrained
from relselect.rdl.training.probe import NetworkProbe
from relselect.rdl.training.processes import current_processes
from relselect.rdl.training.refit import train_again
from relselect.rdl.training.saving import load_network, save_network
from relselect.rdl.training.trainer import Trainer
from relselect.rdl.training.training_state import StateFile, training_identity
from relselect.tasks.metrics import interval_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import optuna
    import pyarrow as pa
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.events import Emit
    from relselect.families.protocol import FitWatch, Probe, RowSource
    from relselect.families.space import SearchSpace
    from relselect.problem import Problem
    from relselect.rdl.graph.adjacency import EdgeType
    from relselect.tasks import Rows

__all__ = ["RDL", "blueprint_of", "task_encoding"]


#: Files of the state of an unfinished fit, and of an unfinished refit.
_FIT_STATE, _REFIT_STATE = "training.safetensors", "refit.safetensors"


class RDL:
    """Trains a graph neural network on trees sampled around each task row.

    Args:
        device: Where to compute; None for a GPU where there is one.
        space: What studies search; None for the shipped space.
    """

    name = "rdl"

    def __init__(self, device: str | None = None, space: SearchSpace | None = None) -> None:
        self.design = shipped_space(self.name) if space is None else space
        self.device = device_of(device)

    def default(self, problem: Problem) -> Config:
        """Return the configuration that is always tried first.

        Where evaluation rows see old data, trees of two hops: on earlier folds of rel-f1 a third hop lowered the score.
        """
        delayed = bool((problem.evaluation_delays() > 0).any())
        return (NetworkSettings(layers=2, fan_out=32) if delayed else NetworkSettings()).to_config()

    def adjusted(self, problem: Problem, options: Config) -> Config:
        """Return the default with the options that a caller fixed.

        Raises:
            ConfigError: There is no such option, or it has no such value.
        """
        settings = decided_options(NetworkSettings.from_config({**self.default(problem), **options}))
        _check_left_out(settings.without, problem)
        _check_routes(settings, problem)
        _said_tables(problem, settings)
        return settings.to_config()

    def on_device(self, device: str) -> RDL:
        """Return the family on a device.

        Raises:
            ConfigError: PyTorch knows no such device here.
        """
        check_device(device)
        return RDL(device, self.design)

    def with_space(self, space: SearchSpace) -> RDL:
        """Return the family with another search space."""
        return RDL(str(self.device), space)

    def alternatives(self, problem: Problem) -> tuple[Config, ...]:
        """Return twice the default's fan-out, and composite routes where there is a bridge table: both help on some tasks."""
        default = self.default(problem)
        routes = ({**default, "routes": "composite"},) if _has_bridge(problem) else ()
        return ({**default, "layers": 3, "fan_out": 16}, *routes)

    def space(self, trial: optuna.Trial, problem: Problem) -> Config:
        """Return a configuration suggested by a study."""
        return self.designed(problem, self.design.suggest(trial, self.known(problem)))

    def training_length(self, config: Config) -> TrainingLength:
        """Return the most epochs."""
        return TrainingLength(float(NetworkSettings.from_config(config).epochs), "epochs", "train", "network")

    def known(self, problem: Problem) -> dict[str, Any]:
        """Return the convolutions, the encoders (the heavier one where there is a GPU), the tables that may be left out, the
        routes (composite ones where there is a bridge table), and the pretrained weights that `$RELSELECT_PRETRAINED` names.
        """
        encoders = list(ENCODERS) if self.device.type == "cuda" else ["stacked"]
        tables = sorted(set(problem.database.tables) - {problem.entity})
        weights = [str(found)] if (found := find_pretrained()) is not None else []
        routes = ["off", "composite"] if _has_bridge(problem) else ["off"]
        known = {"convolutions": list(CONVOLUTIONS), "encoders": encoders, "tables": tables}
        return {**known, "routes": routes, "pretrained": weights}

    def designed(self, problem: Problem, suggested: Config) -> Config:
        """Return the options that are searched; all others stay at their defaults."""
        left_out = suggested.get("without")
        if not isinstance(left_out, str):
            return suggested
        return {**suggested, "without": [left_out] if left_out else []}

    def fit(
        self,
        problem: Problem,
        rows: RowSource,
        config: Config,
        *,
        seed: int,
        number: int,
        budget: Budget,
        emit: Emit,
        resume: Path | None = None,
        watch: FitWatch | None = None,
    ) -> Candidate:
        """Train one configuration; see `Watched.fit`. A training that was cut off goes on where its state was last written.

        Raises:
            BudgetExhausted: The budget ended before the first validation.
            FitPruned: `watch` ended the training.
            ConfigError: The configuration has an unknown option or value.
        """
        begun = time.monotonic()
        settings = decided_options(NetworkSettings.from_config(config))
        processes, job = current_processes(), None
        if processes.count > 1:
            settings = replace(settings, parts=max(settings.parts, processes.count))
            rows = GivenRows.of(rows, seed, settings.copies)
            job = TrainingJob("fit", problem_identity(problem), rows, settings, seed)
        with led(processes, job):
            trainer, fitted, predictions = self.train(
                problem, rows, settings, seed=seed, number=number, budget=budget, emit=emit, resume=resume, watch=watch
            )
        score, interval = interval_of(problem.task.metric, rows.select, predictions, seed=seed)
        return Candidate(
            family=self.name,
            config=dict(config),
            seed=seed,
            number=number,
            model=fitted,
            predictions=predictions,
            score=score,
            interval=interval,
            stop_score=trainer.checkpoints[0].score,
            seconds=time.monotonic() - begun,
            peak_memory_mb=peak_memory_mb(),
            device=self.device.type,
            ended=trainer.ended,
            checkpoints=tuple(trainer.checkpoints),
            checkpoint=0,
            curve=trainer.learning_curve,
            notes=_notes(trainer),
            facts={**_facts(fitted.network, trainer), **_origin(settings)},
        )

    def train(
        self,
        problem: Problem,
        rows: RowSource,
        settings: NetworkSettings,
        *,
        seed: int,
        number: int,
        budget: Budget,
        emit: Emit,
        resume: Path | None = None,
        watch: FitWatch | None = None,
    ) -> tuple[Trainer, FittedNetwork, NDArray[np.float64]]:
        """Train one network, together with the processes that this one has joined; all of them call.

        Args:
            problem: See `Family.fit`, as for all arguments but the next.
            rows: The rows.
            settings: The options, in place of a configuration.
            seed: The seed.
            number: The trial's number.
            budget: Asked all the while; of several processes, that of process 0.
            emit: Listener.
            resume: Where process 0 keeps the state.
            watch: Sees the learning curve; not asked where several processes train.

        Returns:
            The trainer, the network in its best state, and its predictions of the select rows.

        Raises:
            BudgetExhausted: The budget ended before the first validation.
            FitPruned: `watch` ended the training.
            ProcessLost: Another process has ended.
        """
        processes = current_processes()
        with processes.in_turn():  # the files of graph, columns and sentences are written once
            blueprint = blueprint_of(problem, settings, rows.train(seed=0, copies=0).features)
            if settings.rows != "columns":
                read_language(problem, blueprint.encodings, budget, emit, store_of(problem, settings.store))
            batcher_of(blueprint, problem, self.device)
        # the global generator draws initial weights and dropout: seed it for this fit only
        generators = torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else [])
        with generators, one_thread_if_small(settings, self.device):
            torch.manual_seed(seed)
            network = new_network(blueprint, problem, self.device)
            storage = _storage(resume, _FIT_STATE, blueprint, problem, rows, seed)
            agreed = processes.budget(budget)
            trainer = Trainer(network, blueprint, problem, rows, seed, number, agreed, emit, storage, processes, watch)
            trainer.run()
            restore_eager(network)
            network.load_state_dict(trainer.checkpoints[0].state)
            fitted = FittedNetwork(blueprint, network.eval(), self.device)
            return trainer, fitted, fitted.predict(problem, rows.select, processes)

    def refit(
        self,
        candidate: Candidate,
        problem: Problem,
        rows: RowSource,
        *,
        budget: Budget,
        emit: Emit,
        resume: Path | None = None,
    ) -> Candidate | None:
        """Train the candidate's checkpoint on validation rows too, as its option `refit` says; see `Family.refit`."""
        fitted: FittedNetwork = candidate.model
        if fitted.blueprint.settings.refit == "none":
            return None
        storage = _storage(resume, _REFIT_STATE, fitted.blueprint, problem, rows, candidate.seed)
        processes, job = current_processes(), None
        if processes.count > 1:
            settings = fitted.blueprint.settings
            rows = GivenRows.of(rows, candidate.seed, settings.copies, refit=True)
            job = TrainingJob("refit", problem_identity(problem), rows, settings, candidate.seed, portable(candidate))
        with led(processes, job):
            network = train_again(candidate, problem, rows, processes.budget(budget), storage, processes)
        return None if network is None else replace(candidate, model=replace(fitted, network=network.eval()))

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> NDArray[np.float64]:
        """Return predictions of shape (n,), or (n, classes) for multiclass tasks."""
        fitted: FittedNetwork = candidate.model
        return fitted.predict(problem, rows)

    def reads(self, candidate: Candidate) -> dict[str, set[str]]:
        """Return the columns of every table of the graph that the network encodes."""
        blueprint: Any = candidate.model.blueprint
        left_out = blueprint.settings.without
        specs = {name: spec for name, spec in blueprint.encodings.items() if name not in left_out}
        return {
            name: {each.name for each in (*spec.numeric, *spec.categories, *spec.moments, *spec.texts)}
            | (set() if spec.sentence is None else set(spec.sentence.columns))
            for name, spec in specs.items()
        }

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        """Return the candidate with one of its checkpoints loaded into a network of its own."""
        fitted: FittedNetwork = candidate.model
        network = NetworkEnsemble(fitted.blueprint).to(fitted.device)
        network.load_state_dict(candidate.checkpoints[checkpoint].state)
        model = FittedNetwork(fitted.blueprint, network.eval(), fitted.device)
        return replace(candidate, model=model, checkpoint=checkpoint)

    def save(self, candidate: Candidate, folder: Path) -> None:
        """Write weights as safetensors and the rest as JSON into an existing folder."""
        save_network(candidate.model, candidate.checkpoints, folder)

    def load(self, folder: Path, header: Candidate) -> Candidate:
        """Return `header` with its network and checkpoints read from the folder."""
        fitted, checkpoints = load_network(folder, self.device)
        return replace(header, model=fitted, checkpoints=checkpoints)

    def probe(self, candidate: Candidate, problem: Problem, rows: RowSource) -> Probe | None:
        """Return the loss on a fixed batch of select rows; None when there are none."""
        if not len(rows.select):
            return None
        return NetworkProbe(candidate.model, candidate.checkpoints, problem, rows.select)


def blueprint_of(problem: Problem, settings: NetworkSettings, features: pa.Table | None = None) -> Blueprint:
    """Fit columns and target of a problem and return what network to build.

    Args:
        problem: The problem.
        settings: The options.
        features: The columns of the training rows themselves; None without any.

    Raises:
        ConfigError: A table cannot be left out, or there is no bridge table for composite routes.
    """
    _check_routes(settings, problem)
    store = store_of(problem, settings.store)
    graph = problem_graph(problem, torch.device("cpu"), shortcuts=settings.edges == "shortcuts", store=store)
    edge_types = _without(graph.edge_types, settings.without, problem)
    tables = {name: readable(encoding, settings) for name, encoding in fit_tables(problem).items()}
    if settings.rows != "columns":
        both, said = settings.rows == "both", _said_tables(problem, settings)
        tokens = settings.language_layers != 0
        tables = with_sentences(problem, tables, settings.language, columns=both, said=said, tokens=tokens)
    task_row = readable(task_encoding(features), settings)
    return Blueprint(problem.entity, edge_types, tables, task_row, Target.of(problem), settings)


def _without(edge_types: Sequence[EdgeType], left_out: Sequence[str], problem: Problem) -> tuple[EdgeType, ...]:
    """Return the edge types between the tables that are not left out.

    Raises:
        ConfigError: The entity table is left out, or a table that does not exist.
    """
    _check_left_out(left_out, problem)
    return tuple(each for each in edge_types if each[0] not in left_out and each[2] not in left_out)


def _check_left_out(left_out: Sequence[str], problem: Problem) -> None:
    for name in left_out:
        if name == problem.entity or name not in problem.database.tables:
            rule = "must name tables of the graph, and not the entity table"
            known = ", ".join(sorted(set(problem.database.tables) - {problem.entity}))
            raise ConfigError("without", list(left_out), rule, f"Use some of {known}")


def _has_bridge(problem: Problem) -> bool:
    return any(len(table.foreign_keys) > 1 for table in problem.database.tables.values())


def _check_routes(settings: NetworkSettings, problem: Problem) -> None:
    if settings.routes != "off" and not _has_bridge(problem):
        rule = "needs a table with two foreign keys, and the database has none"
        raise ConfigError("routes", settings.routes, rule, 'Use "off"')


def _said_tables(problem: Problem, settings: NetworkSettings) -> set[str]:
    """Return the tables whose rows are read as language; those that stay out of the graph are not read.

    Raises:
        ConfigError: A table that is named does not exist, or stays out of the graph.
    """
    known = set(problem.user_database.tables) - set(settings.without)
    unknown = sorted(set(settings.language_tables) - known)
    if unknown:
        fix = f"Use some of {', '.join(sorted(known))}"
        raise ConfigError("language_tables", unknown[0], "is no table of the graph that may be read as language", fix)
    return set(settings.language_tables) or known


def readable(encoding: TableEncoding, settings: NetworkSettings) -> TableEncoding:
    """Return the part of a table's fitted columns that the settings let the network read."""
    texts = tuple(text for text in encoding.texts if settings.texts == "all" or not text.names)
    return replace(encoding, texts=() if settings.texts == "none" else texts)


def task_encoding(features: pa.Table | None) -> TableEncoding:
    """Fit the columns of the training rows themselves; an encoding of nothing where they have none."""
    if features is None:
        return TableEncoding()
    everything = np.ones(features.num_rows, dtype=bool)
    return fit_columns(features, infer_types(Table("task rows", features), everything), everything)


def _storage(
    resume: Path | None, name: str, blueprint: Blueprint, problem: Problem, rows: RowSource, seed: int
) -> StateFile | None:
    """Return where the state of an unfinished training is kept."""
    if resume is None:
        return None
    init = blueprint.settings.init
    weights = "" if init == SCRATCH else f" {read_pretrained(init).identity}"
    return StateFile(resume / name, f"{training_identity(blueprint, problem, seed)} {rows.key}{weights}")


def _notes(trainer: Trainer) -> tuple[str, ...]:
    found = []
    if trainer.resumed:
        found.append(f"Training went on from step {trainer.resumed}, where it had been cut off.")
    if trainer.processes.count > 1:
        parts = trainer.blueprint.settings.parts
        found.append(
            f"{trainer.processes.count} processes trained it together, every batch in {parts} parts (parts={parts})."
        )
    return tuple(found)


def _origin(settings: NetworkSettings) -> dict[str, Any]:
    """Return the hash of the pretrained weights that a network began with; empty for none."""
    return {} if settings.init == SCRATCH else {"pretrained": read_pretrained(settings.init).identity}


def _facts(network: NetworkEnsemble, trainer: Trainer) -> dict[str, Any]:
    seconds = [epoch["seconds"] for epoch in trainer.curve]
    return {
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "seconds_per_epoch": float(np.mean(seconds)) if seconds else 0.0,
        "seconds_per_step": trainer.step_seconds,
        "training_rows": trainer.training_rows,
        "precision": "bf16" if trainer.precision_plan.bf16 else "fp32",
        "compiled": trainer.precision_plan.compiled,
    }

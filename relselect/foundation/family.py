"""Pretrained vectors with a linear head as a family: nothing is trained by gradients, so a new task is answered in seconds."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from relselect.errors import BudgetExhausted, BundleError, ConfigError
from relselect.families.candidate import Candidate, Config
from relselect.families.space_files import shipped_space
from relselect.foundation.head import LinearHead, fit_head
from relselect.foundation.inputs import foundation_blueprint, head_inputs
from relselect.memory import peak_memory_mb
from relselect.rdl.device import check_device, device_of
from relselect.rdl.family import task_encoding
from relselect.rdl.graph.language_rows import read_language
from relselect.rdl.settings import NetworkSettings
from relselect.rdl.training.fitted import FittedNetwork
from relselect.rdl.training.pretrained import decided_options, find_pretrained, new_network, read_pretrained
from relselect.rdl.training.saving import load_network, save_network
from relselect.tasks import Rows
from relselect.tasks.metrics import interval_of
from relselect.tensor_files import load_state, read_metadata, save_state
from relselect.torch_threads import one_thread
from relselect.untrusted import brief

if TYPE_CHECKING:
    import optuna
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.events import Emit
    from relselect.families.protocol import Probe, RowSource
    from relselect.families.space import SearchSpace
    from relselect.problem import Problem

__all__ = ["Foundation", "FoundationModel"]

#: Penalties that the stop rows choose among, most training rows that the head is solved on, and inputs that a saved one may have.
_PENALTIES, _MOST_ROWS, _MOST_INPUTS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0), 20_000, 1 << 16
_COPIES = 2


@dataclass(frozen=True)
class FoundationModel:
    """What predicts.

    Attributes:
        fitted: The pretrained network over the tables of the database.
        head: The head.
        constant: The mean label of training, or the share of each class.
        penalty: The penalty of the head.
    """

    fitted: FittedNetwork
    head: LinearHead
    constant: NDArray[np.float64]
    penalty: float


@dataclass(frozen=True)
class _Options:
    weights: str = ""
    fan_out: int = 16
    penalty: float = 0.0

    @classmethod
    def of(cls, config: Config) -> _Options:
        known = asdict(cls())
        for name, value in config.items():
            if name not in known:
                raise ConfigError(name, value, "is no option of the foundation model", f"Use {', '.join(known)}")
        found = cls(**config)
        if not isinstance(found.weights, str):
            raise ConfigError("weights", found.weights, "must be text", "Name a folder that `relselect pretrain` wrote")
        if isinstance(found.fan_out, bool) or not isinstance(found.fan_out, int) or found.fan_out < 1:
            raise ConfigError("fan_out", found.fan_out, "must be a whole number of at least 1", "Use 16, the default")
        if isinstance(found.penalty, bool) or not isinstance(found.penalty, int | float) or found.penalty < 0:
            rule = "must be a number of at least 0"
            raise ConfigError("penalty", found.penalty, rule, "Use 0, and the stop rows choose")
        return found

    def settings(self) -> NetworkSettings:
        """Return the settings of the network."""
        weights = self.weights or str(find_pretrained() or "")
        card = read_pretrained(weights).card
        language = str(card["plan"]["language"])
        plain = NetworkSettings(init=weights, fan_out=self.fan_out, mark=False, rows="language", language=language)
        return decided_options(replace(plain, level=False, dropout=0.0))


class Foundation:
    """Reads each entity by a pretrained network and solves a linear head on the labels (see `relselect.foundation.head`).

    Args:
        device: Where the network computes; None for a GPU where there is one.
        space: What studies search; None for the shipped space.
    """

    name = "foundation"

    def __init__(self, device: str | None = None, space: SearchSpace | None = None) -> None:
        self.design = shipped_space(self.name) if space is None else space
        self.device = device_of(device)

    def on_device(self, device: str) -> Foundation:
        """Return the family on a device.

        Raises:
            ConfigError: PyTorch knows no such device here.
        """
        check_device(device)
        return Foundation(device, self.design)

    def with_space(self, space: SearchSpace) -> Foundation:
        """Return the family with another search space."""
        return Foundation(str(self.device), space)

    def default(self, problem: Problem) -> Config:
        """Return the configuration that is always tried first; the stop rows choose the penalty of the head."""
        return asdict(_Options())

    def adjusted(self, problem: Problem, options: Config) -> Config:
        """Return the default with the options that a caller fixed.

        Raises:
            ConfigError: There is no such option, or it has no such value.
        """
        return asdict(_Options.of({**self.default(problem), **options}))

    def space(self, trial: optuna.Trial, problem: Problem) -> Config:
        """Return a suggested configuration."""
        return self.designed(problem, self.design.suggest(trial, self.known(problem)))

    def known(self, problem: Problem) -> dict[str, Any]:
        """Return nothing: the space does not depend on the problem."""
        return {}

    def designed(self, problem: Problem, suggested: Config) -> Config:
        """Return the options that are searched; all others stay at their defaults."""
        return suggested

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
    ) -> Candidate:
        """Read the rows and solve the head; see `Family.fit`.

        Raises:
            BudgetExhausted: The budget ended first.
            ConfigError: The configuration has an unknown option or value, or there are no pretrained weights.
        """
        begun, options = time.monotonic(), _Options.of(config)
        budget.check()
        settings = options.settings()
        train = _train_rows(rows, seed)
        blueprint = foundation_blueprint(problem, settings, task_encoding(train.features))
        read_language(problem, blueprint.encodings, budget, emit)
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []), one_thread():
            torch.manual_seed(seed)
            fitted = FittedNetwork(blueprint, new_network(blueprint, problem, self.device).eval(), self.device)
            constant = _mean_label(problem, train)
            inputs, stop, select = (
                head_inputs(fitted, problem, each, constant, budget.check) for each in (train, rows.stop, rows.select)
            )
        penalties = (options.penalty,) if options.penalty else _PENALTIES
        heads = [_solved(problem, inputs, train, each) for each in penalties]
        scores = [_score(problem, rows.stop, head.predict(stop)) for head in heads]
        best = int(np.argmax([-np.inf if np.isnan(score) else score for score in scores]))
        predictions = heads[best].predict(select)
        score, interval = interval_of(problem.task.metric, rows.select, predictions, seed=seed)
        return Candidate(
            family=self.name,
            config=dict(config),
            seed=seed,
            number=number,
            model=FoundationModel(fitted, heads[best], constant, penalties[best]),
            predictions=predictions,
            score=score,
            interval=interval,
            stop_score=scores[best],
            seconds=time.monotonic() - begun,
            peak_memory_mb=peak_memory_mb(),
            device=self.device.type,
            facts={
                "pretrained": read_pretrained(settings.init).identity,
                "penalty": penalties[best],
                "n_features": inputs.shape[1],
                "training_rows": len(train),
            },
        )

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
        """Solve the head on training and validation rows under the penalty that was chosen; see `Family.refit`."""
        model: FoundationModel = candidate.model
        added = rows.added(seed=candidate.seed, copies=_COPIES)
        every = Rows.concat([_train_rows(rows, candidate.seed), added])
        try:
            with one_thread():
                inputs = head_inputs(model.fitted, problem, every, model.constant, budget.check)
        except BudgetExhausted:
            return None
        return replace(candidate, model=replace(model, head=_solved(problem, inputs, every, model.penalty)))

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> NDArray[np.float64]:
        """Return predictions of shape (n,), or (n, classes) for multiclass tasks."""
        model: FoundationModel = candidate.model
        with one_thread():
            return model.head.predict(head_inputs(model.fitted, problem, rows, model.constant))

    def reads(self, candidate: Candidate) -> dict[str, set[str]]:
        """Return the columns of every table that the sentences hold, and the times of rows."""
        encodings = candidate.model.fitted.blueprint.encodings
        return {
            name: {*each.sentence.columns, *(moment.name for moment in each.moments)}
            for name, each in encodings.items()
        }

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        """Return the candidate itself: a head that was solved has no checkpoints."""
        return candidate

    def save(self, candidate: Candidate, folder: Path) -> None:
        """Write the network, and the head as `head.safetensors`; the pretrained weights are part of the network."""
        model: FoundationModel = candidate.model
        save_network(model.fitted, (), folder)
        head = model.head
        arrays = {
            "mean": head.mean,
            "scale": head.scale,
            "weights": head.weights,
            "constant": model.constant.reshape(-1),
        }
        numbers = {"center": head.center, "spread": head.spread, "penalty": model.penalty}
        arrays |= {name: np.array([value], np.float64) for name, value in numbers.items()}
        sizes = {"inputs": str(len(head.mean)), "outputs": str(head.weights.shape[1])}
        tensors = {name: torch.from_numpy(np.ascontiguousarray(each, np.float64)) for name, each in arrays.items()}
        save_state(tensors, folder / "head.safetensors", metadata=sizes)

    def load(self, folder: Path, header: Candidate) -> Candidate:
        """Return `header` with the model that `save` wrote.

        Raises:
            BundleError: A file is missing or damaged.
        """
        fitted, _ = load_network(folder, self.device)
        try:
            model = _loaded(folder / "head.safetensors", fitted)
        except Exception as error:  # whatever safetensors raises, too
            rule = f"holds no readable head ({type(error).__name__}: {brief(error)})"
            raise BundleError("folder", str(folder), rule, "Save it again") from error
        return replace(header, model=model)

    def probe(self, candidate: Candidate, problem: Problem, rows: RowSource) -> Probe | None:
        """Return None: the head is the solution, and has no other checkpoints to compare with."""
        return None


def _train_rows(rows: RowSource, seed: int) -> Rows:
    return rows.train(seed=seed, copies=_COPIES).drawn(_MOST_ROWS, seed)


def _mean_label(problem: Problem, rows: Rows) -> NDArray[np.float64]:
    """Return the weighted mean label, or the weighted share of each class."""
    label = np.zeros(0) if rows.label is None else rows.label
    if problem.task.kind == "multiclass":
        counts = np.bincount(label.astype(np.int64), rows.weight, minlength=len(problem.task.classes or ()))
        return np.asarray(counts / (counts.sum() or 1), dtype=np.float64)
    return np.asarray(np.average(label, weights=rows.weight) if len(label) else 0.0, dtype=np.float64)


def _solved(problem: Problem, inputs: NDArray[np.float64], rows: Rows, penalty: float) -> LinearHead:
    label = np.zeros(len(inputs)) if rows.label is None else rows.label
    classes, absolute = len(problem.task.classes or ()), "absolute" in problem.task.metric.name
    return fit_head(inputs, label, problem.task.kind, classes, penalty, absolute=absolute, row_weight=rows.weight)


def _score(problem: Problem, rows: Rows, predictions: NDArray[np.float64]) -> float:
    return float("nan") if rows.label is None else problem.task.metric.score(rows.label, predictions)


def _loaded(path: Path, fitted: FittedNetwork) -> FoundationModel:
    sizes: dict[str, Any] = {name: int(value) for name, value in read_metadata(path).items()}
    inputs, outputs = sizes["inputs"], sizes["outputs"]
    target = fitted.blueprint.target
    if not 0 < inputs <= _MOST_INPUTS or outputs != target.outputs:
        raise ValueError("the head is of an impossible size")
    one = (torch.Size([1]), torch.float64)
    shapes = {
        "mean": (torch.Size([inputs]), torch.float64),
        "scale": (torch.Size([inputs]), torch.float64),
        "weights": (torch.Size([inputs + 1, outputs]), torch.float64),
        "constant": (torch.Size([outputs]), torch.float64),
        **dict.fromkeys(("center", "spread", "penalty"), one),
    }
    state = {name: each.numpy() for name, each in load_state(path, shapes).items()}
    if not (state["scale"] > 0).all():
        raise ValueError("a scale of the head is not positive")
    numbers = {name: float(state[name][0]) for name in ("center", "spread", "penalty")}
    head = LinearHead(
        target.kind, state["mean"], state["scale"], state["weights"], numbers["center"], numbers["spread"]
    )
    constant = state["constant"] if outputs > 1 else state["constant"].reshape(())
    return FoundationModel(fitted, head, constant, numbers["penalty"])

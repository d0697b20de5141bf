"""Global and per-entity constants as a family.

The per-entity constant of a row is the mean (median under absolute error) of the entity's labels known at the row's
`asof`, drawn towards the training constant by a prior weight; an entity without known labels gets the training constant.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relselect.budget import Budget
from relselect.errors import BundleError, ConfigError
from relselect.events import Emit
from relselect.families.candidate import Candidate, Config
from relselect.families.constants.history import LabelHistory
from relselect.families.protocol import Probe, RowSource
from relselect.files import write_json
from relselect.memory import peak_memory_mb
from relselect.problem import LABELS, Problem
from relselect.tasks import Rows
from relselect.tasks.metrics import interval_of
from relselect.untrusted import brief, read_strict_json

if TYPE_CHECKING:
    import optuna
    from numpy.typing import NDArray

__all__ = ["Constants"]


class Constants:
    """Predicts the training constant, or the constant of the entity's own known labels."""

    name = "constants"

    def default(self, problem: Problem) -> Config:
        """Return the global constant."""
        return {"scope": "global"}

    def alternatives(self, problem: Problem) -> tuple[Config, ...]:
        """Return, with label history, the per-entity constant."""
        return ({"scope": "entity", "prior": 1.0},) if LABELS in problem.database.tables else ()

    def space(self, trial: optuna.Trial, problem: Problem) -> Config:
        """Return the per-entity constant under a suggested prior weight."""
        return {"scope": "entity", "prior": trial.suggest_float("prior", 0.1, 10.0, log=True)}

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
        """Take the constant from the training labels; see `Family.fit`.

        Raises:
            ConfigError: The configuration has an unknown option.
        """
        begun = time.monotonic()
        for name, value in config.items():
            if name not in ("scope", "prior"):
                raise ConfigError(name, value, "is no option of the constants", "Use scope or prior")
        label = rows.train(seed=seed, copies=0).label
        constant = _constant(problem, np.empty(0) if label is None else label)
        nan = float("nan")
        bare = Candidate(self.name, config, seed, number, constant, np.empty(0), nan, (nan, nan), ended="constant")
        predictions = self.predict(bare, problem, rows.select)
        score, interval = interval_of(problem.task.metric, rows.select, predictions, seed=seed)
        return replace(
            bare,
            predictions=predictions,
            score=score,
            interval=interval,
            seconds=time.monotonic() - begun,
            peak_memory_mb=peak_memory_mb(),
            notes=("each entity's own past",) if config["scope"] == "entity" else ("the same answer for all",),
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
    ) -> Candidate:
        """Take the constant from the training and the validation labels; see `Family.refit`."""
        parts = [rows.train(seed=candidate.seed, copies=0).label, rows.added(seed=candidate.seed, copies=0).label]
        label = np.concatenate([part for part in parts if part is not None])
        return replace(candidate, model=_constant(problem, label))

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> NDArray[np.float64]:
        """Return the constants; see `Family.predict`."""
        constant = np.asarray(candidate.model, dtype=np.float64)
        if candidate.config["scope"] == "global" or LABELS not in problem.database.tables:
            return _spread(constant, len(rows))
        history = problem.cached(("constants", "history"), lambda: LabelHistory(problem))
        return history.constants(rows, constant, prior=float(candidate.config["prior"]), median=_uses_median(problem))

    def reads(self, candidate: Candidate) -> dict[str, set[str]]:
        """Return nothing: a constant reads the labels alone."""
        return {}

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        """Return the candidate itself: a constant has no checkpoints."""
        return candidate

    def save(self, candidate: Candidate, folder: Path) -> None:
        """Write `constant.json`."""
        write_json(folder / "constant.json", np.asarray(candidate.model))

    def load(self, folder: Path, header: Candidate) -> Candidate:
        """Read `constant.json`.

        Raises:
            BundleError: It holds no finite numbers of the shape of the header's predictions.
        """
        try:
            constant = np.asarray(read_strict_json(folder / "constant.json"))
            if constant.dtype.kind not in "if" or constant.shape != header.predictions.shape[1:]:
                raise ValueError("it holds no number, or one number for several classes")
        except (OSError, ValueError) as error:
            rule = f"holds no readable constant ({brief(error)})"
            raise BundleError("folder", str(folder), rule, "Save it again") from None
        return replace(header, model=constant.astype(np.float64))

    def probe(self, candidate: Candidate, problem: Problem, rows: RowSource) -> Probe | None:
        """Return None: a constant has no landscape."""
        return None


def _uses_median(problem: Problem) -> bool:
    return problem.task.metric.name == "neg_mean_absolute_error"


def _constant(problem: Problem, label: NDArray[np.float64]) -> NDArray[np.float64]:
    if problem.task.kind == "multiclass":
        counts = np.bincount(label.astype(int), minlength=len(problem.task.classes or ()))
        return np.asarray(counts / counts.sum(), dtype=np.float64)
    return np.asarray(np.median(label) if _uses_median(problem) else label.mean(), dtype=np.float64)


def _spread(constant: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    return np.broadcast_to(constant, (rows, *constant.shape)).copy()

"""The hybrid as a family: trees rank the features of a plan, and a graph network reads the best of them at its head.

The network gets them as columns of the task row, beside the trees of related rows that it samples. It is trained only where a
caller names it: `docs/hybrid.md` has what it is worth.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from relselect.dfs import DFS
from relselect.dfs.plan.plan import Plan
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.errors import BundleError, ConfigError
from relselect.events import silent
from relselect.families.space_files import shipped_space
from relselect.hashing import sha256_of
from relselect.problem.rows import ExtendedRows, with_columns
from relselect.rdl import RDL
from relselect.serialization import canonical_json
from relselect.untrusted import brief

if TYPE_CHECKING:
    import optuna
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.events import Emit
    from relselect.families.candidate import Candidate, Config
    from relselect.families.protocol import FitWatch, Probe, RowSource, TrainingLength
    from relselect.families.space import SearchSpace
    from relselect.problem import Problem
    from relselect.rdl.training.fitted import FittedNetwork
    from relselect.tasks import Rows

__all__ = ["Hybrid", "HybridModel"]

#: Share of the budget that the trees may use.
_TREES = 0.4
#: Features that the network reads by default, and at most.
_KEPT, _MOST = 40, 1000


@dataclass(frozen=True)
class HybridModel:
    """What predicts.

    Attributes:
        plan: The features that the network reads, in their order.
        vocabulary: Their categories.
        network: The trained network.
    """

    plan: Plan
    vocabulary: Vocabulary
    network: FittedNetwork


@dataclass(frozen=True)
class _RankedFeatures:
    """Features as trees ranked them.

    Attributes:
        plan: The features, k of them.
        vocabulary: Their categories.
        gain: The share of each in the gain of the trees, shape (k,).
        score: Score of the trees on the select rows.
    """

    plan: Plan
    vocabulary: Vocabulary
    gain: NDArray[np.float64]
    score: float

    @classmethod
    def of(cls, trees: Candidate) -> _RankedFeatures:
        """Return the features of a candidate of feature synthesis."""
        shares = trees.model.learned.importances()
        gain = np.zeros(len(trees.model.plan)) if shares is None else np.asarray(shares, dtype=float)
        return cls(trees.model.plan, trees.model.vocabulary, gain, trees.score)

    def best(self, kept: int) -> Plan:
        """Return the numeric features of the greatest gain, at most `kept` and at least one, in the order of the plan."""
        numeric = [place for place, feature in enumerate(self.plan) if not feature.categorical] or [0]
        return self.plan.take(sorted(sorted(numeric, key=lambda place: (-self.gain[place], place))[:kept]))


class Hybrid:
    """Trains a graph network on sampled trees and on the features with the greatest gain in LightGBM.

    Args:
        device: Where the network computes; None for a GPU where there is one.
        space: What studies search; None for the shipped space.
    """

    name = "hybrid"

    def __init__(self, device: str | None = None, space: SearchSpace | None = None) -> None:
        self.design = shipped_space(self.name) if space is None else space
        self._network, self._trees = RDL(device), DFS()

    def on_device(self, device: str) -> Hybrid:
        """Return the family on a device.

        Raises:
            ConfigError: PyTorch knows no such device here.
        """
        self._network.on_device(device)
        return Hybrid(device, self.design)

    def with_space(self, space: SearchSpace) -> Hybrid:
        """Return the family with another search space."""
        return Hybrid(str(self._network.device), space)

    def default(self, problem: Problem) -> Config:
        """Return the number of features, options of the trees that rank them, and the default options of the network."""
        return {"kept": _KEPT, "trees": {}, **self._network.default(problem)}

    def adjusted(self, problem: Problem, options: Config) -> Config:
        """Return the default with the options that a caller fixed.

        Raises:
            ConfigError: There is no such option, or it has no such value.
        """
        config = {**self.default(problem), **options}
        self._of_trees(problem, config)
        own = {"kept": _checked(config["kept"]), "trees": config["trees"]}
        return {**own, **self._network.adjusted(problem, _of_network(config))}

    def space(self, trial: optuna.Trial, problem: Problem) -> Config:
        """Return a suggested configuration."""
        return self.designed(problem, self.design.suggest(trial, self.known(problem)))

    def known(self, problem: Problem) -> dict[str, Any]:
        """Return what the network knows of the problem."""
        return self._network.known(problem)

    def training_length(self, config: Config) -> TrainingLength:
        """Return the most epochs of the network."""
        return self._network.training_length(_of_network(config))

    def designed(self, problem: Problem, suggested: Config) -> Config:
        """Return the options that are searched; all others stay at their defaults."""
        return self._network.designed(problem, suggested)

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
        """Rank the features by trees that saw the training rows alone, then train the network; see `Watched.fit`.

        Raises:
            BudgetExhausted: The budget ended before the first validation of the network.
            FitPruned: `watch` ended the training of the network.
            ConfigError: The configuration has an unknown option or value.
        """
        begun, kept = time.monotonic(), _checked(config.get("kept", _KEPT))
        ranked = self._ranked(problem, rows, config, budget)
        plan, vocabulary = ranked.best(kept), ranked.vocabulary
        extended = _extended(problem, rows, plan, vocabulary)
        found = self._network.fit(
            problem,
            extended,
            _of_network(config),
            seed=seed,
            number=number,
            budget=budget,
            emit=emit,
            resume=resume,
            watch=watch,
        )
        return replace(
            found,
            family=self.name,
            config=dict(config),
            model=HybridModel(plan, vocabulary, found.model),
            seconds=time.monotonic() - begun,
            facts={**found.facts, "n_features": len(plan), "trees_score": ranked.score},
        )

    def _ranked(self, problem: Problem, rows: RowSource, config: Config, budget: Budget) -> _RankedFeatures:
        """Return the features with their gain, found once for all trials of a study."""
        options = self._of_trees(problem, config)

        def build() -> _RankedFeatures:
            limit = budget.share(_TREES)
            return _RankedFeatures.of(
                self._trees.fit(problem, rows, options, seed=0, number=1, budget=limit, emit=silent)
            )

        return problem.cached(("hybrid", "ranked", *rows.key, canonical_json(options)), build)

    def _of_trees(self, problem: Problem, config: Config) -> Config:
        trees = config.get("trees", {})
        if not isinstance(trees, dict):
            raise ConfigError("trees", trees, "must map options of feature synthesis to values", "Use {}, the default")
        return self._trees.adjusted(problem, {"texts": False, **trees})  # the network reads texts by itself

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
        """Train the network further on validation rows too, the features as they are; see `Family.refit`."""
        model: HybridModel = candidate.model
        extended = _extended(problem, rows, model.plan, model.vocabulary)
        found = self._network.refit(_inner(candidate), problem, extended, budget=budget, emit=emit, resume=resume)
        return None if found is None else replace(candidate, model=replace(model, network=found.model))

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> NDArray[np.float64]:
        """Return predictions of shape (n,), or (n, classes) for multiclass tasks."""
        model: HybridModel = candidate.model
        further = _columns(problem, model.plan, model.vocabulary, rows)
        return self._network.predict(_inner(candidate), problem, with_columns(rows, further))

    def reads(self, candidate: Candidate) -> dict[str, set[str]]:
        """Return the columns that the features or the network read."""
        found = self._trees.reads(candidate)
        for table, columns in self._network.reads(_inner(candidate)).items():
            found[table] = found.get(table, set()) | columns
        return found

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        """Return the candidate with one of its checkpoints loaded into a network of its own."""
        model: HybridModel = candidate.model
        found = self._network.choose(_inner(candidate), checkpoint)
        return replace(candidate, model=replace(model, network=found.model), checkpoint=checkpoint)

    def save(self, candidate: Candidate, folder: Path) -> None:
        """Write `plan.json`, `vocabulary.json` and the network's files into an existing folder."""
        candidate.model.plan.save(folder / "plan.json")
        candidate.model.vocabulary.save(folder / "vocabulary.json")
        self._network.save(_inner(candidate), folder)

    def load(self, folder: Path, header: Candidate) -> Candidate:
        """Return `header` with the model that `save` wrote.

        Raises:
            BundleError: A file is missing or damaged.
        """
        try:
            plan, vocabulary = Plan.load(folder / "plan.json"), Vocabulary.load(folder / "vocabulary.json")
            found = self._network.load(folder, header)
            wanted = {f"feature {place}" for place in range(len(plan))}
            known = found.model.blueprint.task_encoding
            missing = {each.name for each in known.numeric if each.name.startswith("feature ")} - wanted
            if missing:
                raise ValueError(f"the network reads {sorted(missing)[0]!r}, which is not in the plan")
        except (OSError, KeyError, TypeError, ValueError, ConfigError) as error:
            rule = f"holds no readable hybrid ({type(error).__name__}: {brief(error)})"
            raise BundleError("folder", str(folder), rule, "Save it again") from error
        return replace(found, model=HybridModel(plan, vocabulary, found.model))

    def probe(self, candidate: Candidate, problem: Problem, rows: RowSource) -> Probe | None:
        """Return the network's loss on a fixed batch of select rows; None when there are none."""
        model: HybridModel = candidate.model
        return self._network.probe(_inner(candidate), problem, _extended(problem, rows, model.plan, model.vocabulary))


def _checked(kept: Any) -> int:
    if isinstance(kept, bool) or not isinstance(kept, int) or not 1 <= kept <= _MOST:
        rule = f"must be a whole number from 1 to {_MOST}"
        raise ConfigError("kept", kept, rule, f"Use {_KEPT}, the default")
    return kept


def _of_network(config: Config) -> Config:
    return {name: value for name, value in config.items() if name not in ("kept", "trees")}


def _inner(candidate: Candidate) -> Candidate:
    """Return the candidate as the network's family knows it."""
    return replace(candidate, model=candidate.model.network)


def _extended(problem: Problem, rows: RowSource, plan: Plan, vocabulary: Vocabulary) -> Any:
    name = sha256_of([repr(plan.names)])[:16]
    return ExtendedRows(rows, lambda some: _columns(problem, plan, vocabulary, some), name)  # type: ignore[arg-type]


def _columns(problem: Problem, plan: Plan, vocabulary: Vocabulary, rows: Rows) -> pa.Table:
    """Return the features of rows as columns "feature 0", ...; missing and infinite values are null."""
    from relselect.dfs.prefix.matrix import compute
    from relselect.dfs.search.prepared import runs

    parts = [compute(problem, plan, run, vocabulary).values for run in runs(rows, len(plan))]
    values = np.concatenate(parts).astype(np.float64) if parts else np.empty((0, len(plan)))
    columns = {
        f"feature {place}": pa.array(values[:, place], mask=~np.isfinite(values[:, place]))
        for place in range(len(plan))
    }
    return pa.table(columns)

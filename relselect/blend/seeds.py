"""A family that also predicts with averages over seeds of its own configurations.

Averages are combined, refitted, saved and read as blends are (`relselect.blend.family`); all else is left to the family.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from relselect.blend.family import Blend, load_members, save_members
from relselect.blend.model import AVERAGED, BlendModel, blend_predictions, checked_weights
from relselect.errors import BundleError, ConfigError
from relselect.families.protocol import columns_read
from relselect.families.registry import family_of
from relselect.serialization import canonical_json
from relselect.untrusted import brief

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.events import Emit
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import Family, Probe, RowSource
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["SeedAverage", "predictor_family"]

#: How far a stored mean may be from that of the stored members, in units of the largest one.
_CLOSE = 1e-12


class SeedAverage:
    """A family whose candidates may be averages over seeds (`relselect.blend.average_seeds`).

    Args:
        family: The family.
    """

    def __init__(self, family: Family) -> None:
        self.family, self.name = family, family.name

    def __getattr__(self, name: str) -> Any:
        """Return the family's attribute."""
        if name in ("family", "name"):  # while being copied, before there is one
            raise AttributeError(name)
        return getattr(self.family, name)

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
        """Refit a candidate, every member of an average that has time for it; see `Family.refit`."""
        return self._of(candidate).refit(candidate, problem, rows, budget=budget, emit=emit, resume=resume)

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> NDArray[np.float64]:
        """Return predictions of shape (n,), or (n, classes) for multiclass tasks."""
        return self._of(candidate).predict(candidate, problem, rows)

    def reads(self, candidate: Candidate) -> dict[str, set[str]] | None:
        """Return the columns that a model reads; see `ReadsSome`."""
        return columns_read(self._of(candidate), candidate)

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        """Return the candidate with one of its checkpoints loaded; the checkpoints of an average were chosen before."""
        return self._of(candidate).choose(candidate, checkpoint)

    def probe(self, candidate: Candidate, problem: Problem, rows: RowSource) -> Probe | None:
        """Return what flatness is measured on; None for an average, which has no weights of its own."""
        return self._of(candidate).probe(candidate, problem, rows)

    def save(self, candidate: Candidate, folder: Path) -> None:
        """Write the model's files; each member of an average into a folder of its own."""
        if isinstance(candidate.model, BlendModel) and AVERAGED in candidate.facts:
            save_members(candidate, folder)
        else:
            self.family.save(candidate, folder)

    def load(self, folder: Path, header: Candidate) -> Candidate:
        """Return `header` with the model that `save` wrote.

        Raises:
            BundleError: A file is missing or damaged, or a member of an average is of another configuration or seed.
        """
        if AVERAGED not in header.facts:
            return self.family.load(folder, header)
        try:
            return replace(header, model=_average(folder, header))
        except (KeyError, TypeError, ValueError, OSError, ConfigError) as error:
            rule = f"holds no readable average over seeds ({type(error).__name__}: {brief(error)})"
            raise BundleError("folder", str(folder), rule, "Save it again") from error

    def _of(self, candidate: Candidate) -> Family:
        """Return the family that a candidate is handled by."""
        return cast("Family", Blend()) if isinstance(candidate.model, BlendModel) else self.family


def predictor_family(name: str) -> Family:
    """Return a family that predicts with all that a run may have deployed, averages over seeds included.

    Raises:
        ConfigError: There is no family of that name.
    """
    return cast("Family", SeedAverage(family_of(name)))


def _average(folder: Path, header: Candidate) -> BlendModel:
    """Return the members of an average and their equal weights.

    Raises:
        ValueError: They are not those that the header names.
    """
    seeds = header.facts[AVERAGED]
    if not isinstance(seeds, list) or any(not isinstance(seed, int) or isinstance(seed, bool) for seed in seeds):
        raise ValueError("its seeds are no whole numbers")
    members = load_members(folder, header, len(seeds))
    wanted = [(header.id, canonical_json(header.config), seed) for seed in seeds]
    if [(each.id, canonical_json(each.config), each.seed) for each in members] != wanted or len(set(seeds)) < len(
        seeds
    ):
        raise ValueError("the members are others than its header names")
    weights = checked_weights([1.0 / len(seeds)] * len(seeds), len(seeds))
    mean = blend_predictions([each.predictions for each in members], weights)
    if not np.allclose(mean, header.predictions, rtol=0, atol=_CLOSE * max(1.0, float(np.abs(mean).max(initial=0.0)))):
        raise ValueError("it predicts the select rows otherwise than its members do")
    return BlendModel(members, weights)

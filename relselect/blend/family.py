"""The blend as a family: it saves, loads, refits and predicts by asking the families of its members.

It is never tuned: `relselect.blend.model.blend_candidates` makes its candidates.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relselect.blend.model import BlendModel, blend_predictions, checked_weights
from relselect.errors import BundleError, ConfigError
from relselect.families.protocol import columns_read
from relselect.families.registry import family_of, info_of, trained
from relselect.tuning import load_candidate, save_candidate
from relselect.tuning.store import HEADER
from relselect.untrusted import brief, read_strict_json

if TYPE_CHECKING:
    import optuna
    from numpy.typing import NDArray

    from relselect.budget import Budget
    from relselect.events import Emit
    from relselect.families.candidate import Candidate, Config
    from relselect.families.protocol import Probe, RowSource
    from relselect.problem import Problem
    from relselect.tasks import Rows

__all__ = ["Blend", "load_members", "save_members"]

#: Members of a blend that is read from a file, at most.
_MOST = 16


class Blend:
    """Averages the predictions of candidates of other families; `Candidate.model` is a `BlendModel`."""

    name = "blended"

    def default(self, problem: Problem) -> Config:
        """Return the empty configuration: members and weights are decided, not configured."""
        return {}

    def space(self, trial: optuna.Trial, problem: Problem) -> Config:
        """Return the empty configuration: there is nothing to search."""
        return {}

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
        """Refuse: a blend has no training of its own.

        Raises:
            ConfigError: Always.
        """
        fix = f"Train {', '.join(trained())} and blend what they give (relselect.blend.blend_candidates)"
        raise ConfigError("family", self.name, "is made from trained candidates and is not trained itself", fix)

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
        """Refit every member that has time for it, the heaviest first; see `Family.refit`.

        Members of one family share the time that is left equally, so that one does not take that of the others; those for which
        their share was too short get what is left at the end. A member whose family does not refit it stays as it was validated;
        None when none was refitted.
        """
        model: BlendModel = candidate.model
        members, done = list(model.members), set[int]()

        def again(place: int, share: Budget) -> None:
            member, folder = members[place], None if resume is None else resume / f"member{place}"
            found = family_of(member.family).refit(member, problem, rows, budget=share, emit=emit, resume=folder)
            if found is not None:
                members[place] = found
                done.add(place)

        order = sorted(range(len(members)), key=lambda each: -model.weights[each])
        shared = []
        for at, place in enumerate(order):
            alike = sum(members[later].family == members[place].family for later in order[at:])
            again(place, budget if alike == 1 else budget.share(1 / alike))
            shared += [place] if alike > 1 else []
        for place in shared:
            if place not in done and not budget.spent:
                again(place, budget)
        return replace(candidate, model=BlendModel(tuple(members), model.weights)) if done else None

    def predict(self, candidate: Candidate, problem: Problem, rows: Rows) -> NDArray[np.float64]:
        """Return the weighted average of the members' predictions; members of weight zero are not asked."""
        model: BlendModel = candidate.model
        asked = [(each, weight) for each, weight in zip(model.members, model.weights, strict=True) if weight > 0]
        parts = [family_of(each.family).predict(each, problem, rows) for each, _ in asked]
        return blend_predictions(parts, [weight for _, weight in asked])

    def reads(self, candidate: Candidate) -> dict[str, set[str]] | None:
        """Return the columns that any member reads; None where the family of one does not know."""
        found: dict[str, set[str]] = {}
        for member in candidate.model.members:
            known = columns_read(family_of(member.family), member)
            if known is None:
                return None
            for table, columns in known.items():
                found[table] = found.get(table, set()) | columns
        return found

    def choose(self, candidate: Candidate, checkpoint: int) -> Candidate:
        """Return the candidate itself: its members' checkpoints were chosen before."""
        return candidate

    def save(self, candidate: Candidate, folder: Path) -> None:
        """Write each member into a folder of its own, `member0`, `member1`, ..., under its family's rules."""
        save_members(candidate, folder)

    def load(self, folder: Path, header: Candidate) -> Candidate:
        """Return `header` with the members that `save` wrote.

        Raises:
            BundleError: A member is missing or damaged, is itself a blend, or is another than the header's.
        """
        try:
            names = header.config["members"]
            weights = checked_weights(header.config["weights"], len(names))
            if not isinstance(names, list):
                raise ValueError("its members are no list")
            members = load_members(folder, header, len(names))
            if [member.id for member in members] != names:
                raise ValueError("the members are others than its configuration names")
        except (KeyError, TypeError, ValueError, OSError, ConfigError) as error:
            rule = f"holds no readable blend ({type(error).__name__}: {brief(error)})"
            raise BundleError("folder", str(folder), rule, "Save it again") from error
        return replace(header, model=BlendModel(members, weights))

    def probe(self, candidate: Candidate, problem: Problem, rows: RowSource) -> Probe | None:
        """Return None: flatness chooses among the checkpoints of one network."""
        return None


def save_members(candidate: Candidate, folder: Path) -> None:
    """Write each member of a candidate whose model is a `BlendModel` into a folder of its own."""
    for place, member in enumerate(candidate.model.members):
        bare = replace(member, checkpoints=(), checkpoint=None)
        save_candidate(family_of(member.family), bare, folder / f"member{place}")


def load_members(folder: Path, header: Candidate, count: int) -> tuple[Candidate, ...]:
    """Return the members that `save_members` wrote.

    Raises:
        ValueError: There are fewer than two or too many, one is a combination, or it predicted rows of another shape.
        OSError: A file cannot be read.
        BundleError: A member is damaged.
    """
    if not 2 <= count <= _MOST:
        raise ValueError(f"it has {count} members")
    return tuple(_member(folder / f"member{place}", header) for place in range(count))


def _member(folder: Path, header: Candidate) -> Candidate:
    """Return a member, which must have predicted the same select rows as the blend.

    Raises:
        ValueError: It is a blend itself, or predicted rows of another shape.
    """
    name = str(read_strict_json(folder / HEADER).get("family"))
    if info_of(name).combines:
        raise ValueError("a member is a blend itself")
    member = load_candidate(family_of(name), folder)
    if member.predictions.shape != header.predictions.shape:
        raise ValueError(f"a member predicted {member.predictions.shape}, the blend {header.predictions.shape}")
    return member

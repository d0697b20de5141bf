"""What trial number n of a study tries: the default, a known alternative, what the sampler proposes, or the best of a rung again.

A proposal depends on the seed, the number, and the outcomes of trials that are at least `LAG` numbers older: trials may be fitted
side by side by up to `LAG` workers, and the study is the same for any number of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from relselect.families.options import changed_default
from relselect.families.protocol import Portfolio
from relselect.serialization import canonical_json
from relselect.tuning.journal import fresh_sampler
from relselect.tuning.nearest import nearest_point
from relselect.tuning.pruning import ReachedValues

if TYPE_CHECKING:
    import optuna

    from relselect.families.candidate import Config
    from relselect.families.protocol import Family
    from relselect.problem import Problem

__all__ = ["LAG", "RUNGS", "TrialProposal", "TrialProposals", "Rung"]

#: The sampler learns from trials that are so many numbers older, however few workers there are.
LAG = 4


@dataclass(frozen=True)
class Rung:
    """Trials of one generation that are fitted on the same part of the training rows.

    Attributes:
        trials: How many; those after the first rung are the best of the rung before.
        share: The part of the training rows, 1 for all.
    """

    trials: int
    share: float


#: One generation of successive halving with a factor of three (Jamieson and Talwalkar 2016).
RUNGS = (Rung(9, 1 / 9), Rung(3, 1 / 3), Rung(1, 1.0))


@dataclass(frozen=True)
class TrialProposal:
    """What is tried.

    Attributes:
        point: Parameter -> value.
        share: The part of the training rows that it is fitted on.
    """

    point: dict[str, Any]
    share: float = 1.0


class TrialProposals:
    """Proposes the trials of one study.

    Args:
        family: The family.
        problem: The problem.
        seed: Seed of the study.
        rungs: The rungs of every generation; a single one for trials on all training rows.
        changes: Changes of the default, option -> value, that are tried right after it.
    """

    def __init__(
        self,
        family: Family,
        problem: Problem,
        seed: int,
        rungs: Sequence[Rung] = (Rung(1, 1.0),),
        changes: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.family, self.problem, self.seed, self.rungs = family, problem, seed, tuple(rungs)
        self.changes = tuple(changes)

    @cached_property
    def first(self) -> list[Config]:
        """The configurations that are tried before the sampler proposes any: the default, its changes, the alternatives.

        A change that the family does not have on this problem is left out.
        """
        changed = [changed_default(self.family, self.problem, change) for change in self.changes]
        others = self.family.alternatives(self.problem) if isinstance(self.family, Portfolio) else ()
        listed = [self.family.default(self.problem), *(each for each in changed if each is not None), *others]
        return list({canonical_json(each): each for each in listed}.values())

    @cached_property
    def default_in_space(self) -> bool:
        """Whether the sampler may learn from the default: the space holds a point close to it."""
        return nearest_point(self.family, self.problem, self.first[0])[1]

    def needed(self, number: int) -> int:
        """Return the number below which every trial must be settled before this one is proposed."""
        lagged = number - LAG + 1
        place, rung, begun = self._place(number)
        return max(0, lagged if place is None or rung == 0 else max(lagged, begun))

    def share_of(self, number: int) -> float:
        """Return the part of the training rows that a trial is fitted on."""
        place, rung, _ = self._place(number)
        return 1.0 if place is None else self.rungs[rung].share

    def propose(self, number: int, trials: Sequence[optuna.trial.FrozenTrial]) -> TrialProposal | None:
        """Return what trial `number` tries; None where the rung before has too few trials to choose from.

        Args:
            number: The number.
            trials: The trials of the journal.
        """
        if number < len(self.first):
            return TrialProposal(nearest_point(self.family, self.problem, self.first[number])[0])
        place, rung, begun = self._place(number)
        share = self.rungs[rung].share
        if rung > 0 and place is not None:
            before = range(begun - self.rungs[rung - 1].trials, begun)
            known = [each for each in _scored(trials, self.rungs[rung - 1].share) if each[0] in before]
            ranked = sorted(known, key=lambda each: (-each[1], each[0]))
            return None if place >= len(ranked) else TrialProposal(dict(ranked[place][2].params), share)
        return TrialProposal(
            self._sampled(
                number,
                [each for each in _scored(trials, share) if each[0] <= number - LAG],
                [each for each in _pruned(trials) if each[0] <= number - LAG],
            ),
            share,
        )

    def _place(self, number: int) -> tuple[int | None, int, int]:
        """Return the place within its rung, the rung, and the number at which that rung began; no place for the first trials."""
        if number < len(self.first):
            return None, 0, 0
        generation = sum(rung.trials for rung in self.rungs)
        place = (number - len(self.first)) % generation
        begun = number - place
        for index, rung in enumerate(self.rungs):
            if place < rung.trials:
                return place, index, begun
            place, begun = place - rung.trials, begun + rung.trials
        raise RuntimeError("a place lies outside its generation")

    def _sampled(
        self,
        number: int,
        known: Sequence[tuple[int, float, optuna.trial.FrozenTrial]],
        pruned: Sequence[tuple[int, dict[int, float], optuna.trial.FrozenTrial]],
    ) -> dict[str, Any]:
        """Return the point that a sampler proposes who knows these trials alone; it ranks pruned ones below all others."""
        import optuna

        study = optuna.create_study(direction="maximize", sampler=fresh_sampler(self.seed, number))
        for _, score, trial in known:
            study.add_trial(
                optuna.trial.create_trial(params=trial.params, distributions=trial.distributions, value=score)
            )
        for _, values, trial in pruned:
            study.add_trial(
                optuna.trial.create_trial(
                    params=trial.params,
                    distributions=trial.distributions,
                    intermediate_values=values,
                    state=optuna.trial.TrialState.PRUNED,
                )
            )
        asked = study.ask()
        self.family.space(asked, self.problem)
        return dict(asked.params)


def _scored(
    trials: Sequence[optuna.trial.FrozenTrial], share: float
) -> Iterator[tuple[int, float, optuna.trial.FrozenTrial]]:
    """Yield (number, score, trial) of the finished trials on a part of the rows whose points describe them, by number."""
    known = [each for each in trials if each.user_attrs.get("outcome") == "done" and "credit" in each.user_attrs]
    for trial in sorted(known, key=lambda each: int(each.user_attrs["number"])):
        if trial.user_attrs.get("share", 1.0) == share:
            yield int(trial.user_attrs["number"]), float(trial.user_attrs["credit"]), trial


def _pruned(
    trials: Sequence[optuna.trial.FrozenTrial],
) -> Iterator[tuple[int, dict[int, float], optuna.trial.FrozenTrial]]:
    """Yield (number, place of the last part -> value there, trial) of the trials that were ended on the way, by number."""
    known = [each for each in trials if each.user_attrs.get("outcome") == "pruned"]
    for trial in sorted(known, key=lambda each: int(each.user_attrs["number"])):
        last = ReachedValues.from_json(trial.user_attrs["reached"]).last
        yield int(trial.user_attrs["number"]), {} if last is None else dict([last]), trial

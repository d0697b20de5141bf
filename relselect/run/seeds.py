"""The stage of a run that trains what was chosen again with further seeds and averages the fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from relselect.blend import SeedAverage, average_seeds
from relselect.events import Notice
from relselect.families.registry import info_of
from relselect.tasks.paired import paired_difference
from relselect.tuning import further_seeds
from relselect.tuning.seeds import MARGIN

if TYPE_CHECKING:
    from relselect.budget import Budget
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import Family, RowSource
    from relselect.problem import Problem
    from relselect.run.log import RunLog
    from relselect.run.settings import Settings

__all__ = ["SeedStage", "seconds_for_seeds", "seeds_wanted"]

#: The part of a run that is kept for further seeds, at most.
_SHARE = 0.2
#: A refit in units of the fit: what is averaged is refitted too.
_REFIT = 0.3


def seeds_wanted(settings: Settings, family: str) -> int:
    """Return how many fits of a family are averaged where there is time; 1 for no average."""
    info = info_of(family)
    if info.baseline or info.combines:
        return 1
    if settings.average_seeds is not None:
        return settings.average_seeds
    return 1 if settings.max_trials is not None else info.seeds


def seconds_for_seeds(
    settings: Settings, shares: Mapping[str, float], best: Mapping[str, Candidate], budget: Budget
) -> float:
    """Return the seconds that are kept for further seeds of the family that gets the most time, and for their refits.

    They are those of as many fits as are wanted and as a fifth of the budget holds; none without a limit.

    Args:
        settings: What was asked for.
        shares: Family -> share of the time left, the largest first.
        best: Family -> its best candidate so far.
        budget: The clock of the run.
    """
    leader = best.get(next(iter(shares), ""))
    if leader is None or not leader.finished or not math.isfinite(budget.seconds):
        return 0.0
    one = max(leader.seconds, 1e-3) * (MARGIN + _REFIT)
    return min(seeds_wanted(settings, leader.family) - 1, math.floor(_SHARE * budget.seconds / one)) * one


@dataclass
class SeedStage:
    """Averages what was chosen over seeds.

    Attributes:
        problem: The problem.
        rows: The rows of every fit.
        settings: What was asked for.
        log: Where events go.
        families: Family by name; a family whose candidate becomes an average is replaced by one that predicts with it.
        home: The folder of the studies.
    """

    problem: Problem
    rows: RowSource
    settings: Settings
    log: RunLog
    families: dict[str, Family]
    home: Path

    def averaged(self, chosen: Sequence[Candidate], budget: Budget, refit: float = 0.0) -> list[Candidate]:
        """Return the candidates, each as the average over its seeds where there is time for further ones.

        Without a number in the settings only the first one is averaged: a variance that is smaller by v in a member of weight w
        makes a blend's smaller by w^2 v.

        Args:
            chosen: What is deployed, the heaviest first.
            budget: The budget of all fits.
            refit: Seconds that are kept for refits beside it.
        """
        most = len(chosen) if self.settings.average_seeds is not None else 1
        wanted = {each.id: seeds_wanted(self.settings, each.family) for each in chosen[:most]}
        if all(count < 2 for count in wanted.values()):
            return list(chosen)
        with self.log.stage("seeds"):
            return [self._averaged(each, wanted.get(each.id, 1), budget, refit) for each in chosen]

    def _averaged(self, candidate: Candidate, count: int, budget: Budget, refit: float) -> Candidate:
        if count < 2:
            return candidate
        left = budget.left()
        refits = max(0.0, count * _REFIT * candidate.seconds - refit) if math.isfinite(left) else 0.0
        more = further_seeds(
            self.families[candidate.family],
            self.problem,
            self.rows,
            candidate,
            count=count - 1,
            budget=budget.until(max(0.0, left - refits)),
            emit=self.log.emit,
            folder=self.home / candidate.family,
            jobs=self.settings.jobs,
        )
        if not more:
            if self.settings.average_seeds is not None:
                why = f"a fit takes about {candidate.seconds:.1f} s, its refit as well, and {left:.1f} s were left"
                self.log.emit(Notice("seeds", f"{candidate.id} is not averaged over seeds: {why}."))
            return candidate
        self.families[candidate.family] = SeedAverage(self.families[candidate.family])  # type: ignore[assignment]
        found = average_seeds([candidate, *more], self.problem, self.rows)
        sentence = self._sentence(candidate, more, found, count)
        self.log.emit(Notice("seeds", sentence))
        return replace(found, notes=(*found.notes, sentence))

    def _sentence(self, chosen: Candidate, more: Sequence[Candidate], found: Candidate, wanted: int) -> str:
        """Return how many fits are averaged, and what that is worth on the select rows."""
        metric, count = self.problem.task.metric, 1 + len(more)
        gain = paired_difference(metric, self.rows.select, chosen.predictions, found.predictions, seed=chosen.seed)
        value, low, high = (
            f"{abs(each):.4f} {'worse' if each < 0 else 'better'}" for each in (gain.value, gain.low, gain.high)
        )
        alone = sorted(metric.sign * each.score for each in (chosen, *more))
        short = "" if count == wanted else f" (of {wanted} wanted, for which there was no time)"
        interval = f" (90 % interval: {low} to {high})" if math.isfinite(gain.low) else ""
        return (
            f"The prediction is the average of {count} fits of this configuration with different seeds{short}. On the select "
            f"rows it is {value} in {metric.title} than the chosen fit alone{interval}; the fits alone score {alone[0]:.4f} "
            f"to {alone[-1]:.4f}."
        )

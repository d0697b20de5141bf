"""Chooses the final checkpoint: by the score on the select rows, then by flatness among near ties.

Flatness compares only checkpoints of one learner and architecture (`Probe.architecture`). Between learners the score
decides; where two are closer than a tenth of the standard error, the one whose score varies less over time. Flatness
overrules the score only when a checkpoint is flatter by more than twice the standard error of the difference, and its own
score on the select rows lies within one standard error of the best.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from relselect.budget import Budget
from relselect.errors import BudgetExhausted, ConfigError
from relselect.events import CheckpointChosen, Emit, StageFinished, StageStarted, silent
from relselect.landscape.criterion import Criterion, SlopeCriterion
from relselect.landscape.loss_slice import SLICE_EVALUATIONS, LossSlice, loss_lines
from relselect.landscape.measurement import Measurement, clearly_flatter
from relselect.landscape.ties import Entry, NearTie, entries, score_spread, standard_error
from relselect.tasks.metrics import interval_of

if TYPE_CHECKING:
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import Family, Probe, RowSource
    from relselect.problem import Problem

__all__ = ["FinalChoice", "choose_checkpoint", "load_choice"]

_STAGE = "choice of the checkpoint"
_MOST = 12
_LEARNER_TIE = 0.1
#: The part of the time left that drawing the loss around one checkpoint may take.
_DRAWING = 0.2


@dataclass(frozen=True)
class FinalChoice:
    """The chosen candidate and checkpoint, with the reason.

    Attributes:
        candidate: The chosen candidate, as its family returned it; `load_choice` loads the checkpoint.
        checkpoint: Index of the chosen checkpoint; None for a candidate without checkpoints.
        why: One or two sentences.
        near_ties: What was within one standard error of the best on validation, the best first.
        without_flatness: Family, number and checkpoint that validation alone would have chosen.
        standard_error: Of the best validation score.
        skipped: Why flatness was not (or not for all) measured; "" when it was.
        landscape: The loss around the chosen checkpoint and around others of its architecture, where there was time.
        seconds: Time the choice took.
    """

    candidate: Candidate
    checkpoint: int | None
    why: str
    near_ties: tuple[NearTie, ...]
    without_flatness: tuple[str, int, int | None]
    standard_error: float
    skipped: str
    seconds: float
    landscape: tuple[LossSlice, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the facts of the choice without the candidate's model and predictions."""
        return {
            "family": self.candidate.family,
            "number": self.candidate.number,
            "checkpoint": self.checkpoint,
            "why": self.why,
            "near_ties": [tie.to_json() for tie in self.near_ties],
            "without_flatness": list(self.without_flatness),
            "standard_error": self.standard_error,
            "skipped": self.skipped,
        }


def choose_checkpoint(
    candidates: Sequence[Candidate],
    problem: Problem,
    rows: RowSource,
    families: Mapping[str, Family],
    *,
    budget: Budget,
    emit: Emit = silent,
    seed: int = 0,
    criterion: Criterion | None = None,
) -> FinalChoice:
    """Choose the candidate and checkpoint to keep (rules in the module's docstring).

    Args:
        candidates: Finished candidates of any families.
        problem: Their problem.
        rows: Their rows; only the select rows are read.
        families: The families by name.
        budget: Flatness is measured while there is time, the score decides otherwise.
        emit: Listener.
        seed: Seed of the directions.
        criterion: The flatness criterion; None for the slope.

    Raises:
        ConfigError: There are no candidates.
    """
    if not candidates:
        raise ConfigError("candidates", [], "must not be empty", "Tune at least one family first")
    start = time.monotonic()
    emit(StageStarted(_STAGE))
    choice = _Choice(problem, rows, families, budget, seed, criterion or SlopeCriterion()).make(candidates)
    choice = replace(choice, seconds=time.monotonic() - start)
    emit(CheckpointChosen(choice.candidate.family, choice.candidate.number, choice.checkpoint, choice.why))
    emit(StageFinished(_STAGE, choice.seconds, choice.why))
    return choice


def load_choice(choice: FinalChoice, problem: Problem, rows: RowSource, families: Mapping[str, Family]) -> Candidate:
    """Return the chosen candidate with the chosen checkpoint loaded, its scores computed anew on the select rows."""
    if choice.checkpoint is None or choice.checkpoint == choice.candidate.checkpoint:
        return choice.candidate
    return _loaded(choice.candidate, choice.checkpoint, problem, rows, families[choice.candidate.family])


def _loaded(candidate: Candidate, checkpoint: int, problem: Problem, rows: RowSource, family: Family) -> Candidate:
    other = family.choose(candidate, checkpoint)
    predictions = family.predict(other, problem, rows.select)
    score, interval = interval_of(problem.task.metric, rows.select, predictions, seed=candidate.seed)
    stop_score = candidate.checkpoints[checkpoint].score
    return replace(other, predictions=predictions, score=score, interval=interval, stop_score=stop_score)


class _Choice:
    """The state of one choice."""

    def __init__(
        self,
        problem: Problem,
        rows: RowSource,
        families: Mapping[str, Family],
        budget: Budget,
        seed: int,
        criterion: Criterion,
    ) -> None:
        self.problem, self.rows, self.families, self.budget = problem, rows, families, budget
        self.seed, self.criterion = seed, criterion
        self.probes: dict[tuple[str, int], Probe | None] = {}
        self.found: dict[tuple[str, int, int | None], Measurement] = {}
        self.spreads: dict[tuple[str, int], float] = {}
        self.own_scores: dict[tuple[str, int, int | None], float] = {}

    def make(self, candidates: Sequence[Candidate]) -> FinalChoice:
        listed = entries(candidates)
        if not listed:
            only = candidates[0]
            why = "No candidate has a score on the select rows (the metric is undefined there); the first one is kept."
            ident = (only.family, only.number, only.checkpoint)
            return FinalChoice(only, only.checkpoint, why, (), ident, 0.0, why, 0.0)
        error = standard_error(listed[0].candidate)
        near = [entry for entry in listed if entry.score >= listed[0].score - error][:_MOST]
        leader, why = self._between_learners(near, error)
        chosen, reason, skipped = self._by_flatness(leader, near, error)
        rows = tuple(self._row(entry, entry is chosen) for entry in near)
        drawn = self._landscape(chosen, leader, listed, short=bool(skipped))
        return FinalChoice(
            chosen.candidate, chosen.checkpoint, f"{why} {reason}", rows, near[0].ident, error, skipped, 0.0, drawn
        )

    def _between_learners(self, near: list[Entry], error: float) -> tuple[Entry, str]:
        """Return the best entry of the learner that validation, or steadiness over time, prefers."""
        best = near[0]
        rivals = [e for e in near if best.score - e.score <= _LEARNER_TIE * error]
        learners = list({self._learner(e): e for e in reversed(rivals)}.values())
        lead = f"{_name(best)} has the best score on the select rows ({self.problem.task.metric.sign * best.score + 0.0:.4g})."
        if len(learners) < 2:
            return best, lead
        for entry in learners:
            key = (entry.candidate.family, entry.candidate.number)
            self.spreads[key] = score_spread(entry.candidate, self.rows.select, self.problem.task.metric)
        steady = min(learners, key=lambda e: (_last_if_nan(self._spread(e)), -e.score))
        if steady is best or math.isnan(self._spread(steady)):
            return best, lead
        spread = f"{self._spread(steady):.2g} against {self._spread(best):.2g}"
        return steady, f"{_name(steady)} ties with {_name(best)} and varies less over time ({spread})."

    def _by_flatness(self, leader: Entry, near: list[Entry], error: float) -> tuple[Entry, str, str]:
        """Return the flattest near tie of the leader's architecture, a sentence, and what was skipped."""
        architecture = self._architecture(leader)
        peers = [e for e in near if architecture and self._architecture(e) == architecture]
        if len(peers) < 2:
            return leader, "No near tie of the same architecture: flatness had nothing to decide.", ""
        peers.sort(key=lambda e: (e is not leader, -e.score))
        skipped = self._measure(peers)
        if leader.ident not in self.found:
            return leader, f"Flatness was not measured: {skipped}.", skipped
        measured = [e for e in peers if e.ident in self.found]
        flatter = [e for e in measured if self._clearly_flatter(e, leader)]
        name = self.criterion.name
        if not flatter:
            return (
                leader,
                f"None of its {len(measured) - 1} measured near ties is clearly flatter ({name}).",
                skipped,
            )
        near_enough = (e for e in sorted(flatter, key=self._value) if self._own_score(e) >= leader.score - error)
        flattest = next(near_enough, None)
        if flattest is None:
            return leader, f"What is flatter ({name}) scores lower by more than one standard error.", skipped
        values = f"{self.found[flattest.ident].value:.3g} against {self.found[leader.ident].value:.3g}"
        text = f"{_name(flattest)} is within one standard error of it and flatter ({name} {values})."
        return flattest, text, skipped

    def _measure(self, peers: list[Entry]) -> str:
        """Measure flatness while time lasts; return why some are missing, or ""."""
        seconds = self._expected_seconds(peers[0])
        if self.budget.left() < 2 * seconds:
            return f"two checkpoints would take about {2 * seconds:.1f} s and {self.budget.left():.1f} s are left"
        for count, entry in enumerate(peers):
            probe, checkpoint = self._probe(entry), entry.checkpoint
            short = f"the time left allowed {count} of {len(peers)} checkpoints"
            if probe is None or checkpoint is None or self.budget.left() < seconds:
                return short
            try:
                found = self.criterion.measure(probe, checkpoint, seed=self.seed, budget=self.budget)
            except BudgetExhausted:
                return short
            self.found[entry.ident] = found
            seconds = found.seconds
        return ""

    def _expected_seconds(self, entry: Entry) -> float:
        """Return about how long one checkpoint takes, from one evaluation of the loss."""
        probe = self._probe(entry)
        if probe is None or entry.checkpoint is None or self.budget.spent:
            return 0.0
        import torch

        parameters = probe.parameters(entry.checkpoint)
        begun = time.monotonic()
        with torch.no_grad():
            probe.loss(parameters)
        return (time.monotonic() - begun) * self.criterion.evaluations()

    def _landscape(self, chosen: Entry, leader: Entry, listed: list[Entry], *, short: bool) -> tuple[LossSlice, ...]:
        """Return the loss around the chosen checkpoint, the leader, and the flattest and steepest one that was measured.

        Where none was measured, the checkpoint of the chosen candidate with the lowest score is drawn beside the chosen one.

        Args:
            chosen: What was chosen.
            leader: What the score alone prefers.
            listed: Everything that could have been chosen.
            short: Whether there was too little time for flatness.
        """
        architecture = self._architecture(chosen)
        measured = sorted((e for e in listed if e.ident in self.found), key=self._value)
        if not architecture or (short and not measured):
            return ()
        known = self.found[measured[0].ident].seconds if measured else self._expected_seconds(chosen)
        seconds = known / self.criterion.evaluations() * SLICE_EVALUATIONS
        ends = [measured[0], measured[-1]] if measured else [e for e in listed if e.candidate is chosen.candidate][-1:]
        drawn = list({entry.ident: entry for entry in (chosen, leader, *ends)}.values())
        found: list[LossSlice] = []
        for entry in drawn if self._architecture(leader) == architecture else [chosen]:
            probe, checkpoint = self._probe(entry), entry.checkpoint
            if probe is None or checkpoint is None or self.budget.left() < seconds / _DRAWING:
                break
            try:
                lines = loss_lines(probe, checkpoint, seed=self.seed, budget=self.budget)
            except BudgetExhausted:
                break
            family, number, _ = entry.ident
            found += [
                LossSlice(family, number, checkpoint, place, steps, losses, entry is chosen)
                for place, (steps, losses) in enumerate(lines)
            ]
        return tuple(found)

    def _clearly_flatter(self, entry: Entry, leader: Entry) -> bool:
        return entry is not leader and clearly_flatter(self.found[entry.ident], self.found[leader.ident])

    def _value(self, entry: Entry) -> float:
        return self.found[entry.ident].value

    def _own_score(self, entry: Entry) -> float:
        """Return the checkpoint's own score on the select rows, which its entry may only estimate."""
        candidate, checkpoint = entry.candidate, entry.checkpoint
        if checkpoint is None or checkpoint == candidate.checkpoint:
            return entry.score
        if entry.ident not in self.own_scores:
            family = self.families[candidate.family]
            other = _loaded(candidate, checkpoint, self.problem, self.rows, family)
            self.own_scores[entry.ident] = other.score
        return self.own_scores[entry.ident]

    def _probe(self, entry: Entry) -> Probe | None:
        candidate = entry.candidate
        key = (candidate.family, candidate.number)
        if key not in self.probes:
            self.probes[key] = self.families[candidate.family].probe(candidate, self.problem, self.rows)
        return self.probes[key]

    def _architecture(self, entry: Entry) -> str:
        """Return what the entry may be compared with, "" for nothing."""
        if entry.checkpoint is None:
            return ""
        probe = self._probe(entry)
        return "" if probe is None else f"{entry.candidate.family}:{probe.architecture}"

    def _learner(self, entry: Entry) -> str:
        return self._architecture(entry) or f"{entry.candidate.family}#{entry.candidate.number}"

    def _spread(self, entry: Entry) -> float:
        return self.spreads.get((entry.candidate.family, entry.candidate.number), math.nan)

    def _row(self, entry: Entry, chosen: bool) -> NearTie:
        found = self.found.get(entry.ident)
        value, stderr = (found.value, found.stderr) if found else (math.nan, math.nan)
        spread = self._spread(entry) if entry.checkpoint == entry.candidate.checkpoint else math.nan
        score = self.own_scores.get(entry.ident, entry.score)
        return NearTie(*entry.ident, score, self._architecture(entry), value, stderr, spread, chosen)


def _name(entry: Entry) -> str:
    family, number, checkpoint = entry.ident
    return f"{family} trial {number}" + (f", checkpoint {checkpoint}" if checkpoint is not None else "")


def _last_if_nan(value: float) -> float:
    return math.inf if math.isnan(value) else value

"""Trains one configuration again with further seeds: what an average over seeds is made of.

A fit begins only where there is time for it to end naturally, and one that the budget cut off all the same is no member. What was
finished stays in the study's folder, so that a run that was killed goes on from there.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relselect.events import Emit, Event, Notice, silent
from relselect.files import unwritable
from relselect.serialization import canonical_json
from relselect.tuning.journal import derive_seed
from relselect.tuning.proposals import LAG
from relselect.tuning.store import HEADER, load_candidate, save_candidate
from relselect.tuning.trial_log import MORE_ROOM
from relselect.tuning.workers import FitJob, FitResult, ForkedWorkers, LocalWorker, Workers

if TYPE_CHECKING:
    from relselect.budget import Budget
    from relselect.families.candidate import Candidate
    from relselect.families.protocol import Family, RowSource
    from relselect.problem import Problem

__all__ = ["MARGIN", "further_seeds"]

#: A fit begins while so many times the slowest fit so far are left: fits of other seeds take other numbers of epochs.
MARGIN = 1.25
_FOLDER = "seeds"


def further_seeds(
    family: Family,
    problem: Problem,
    rows: RowSource,
    candidate: Candidate,
    *,
    count: int,
    budget: Budget,
    emit: Emit = silent,
    folder: Path,
    jobs: int = 1,
) -> tuple[Candidate, ...]:
    """Fit a candidate's configuration with further seeds, each to its natural end.

    The seeds derive from the candidate's, so that equal inputs and time for equally many give the equal candidates, also where
    a killed run goes on in `folder`.

    Args:
        family: The family of the candidate.
        problem: The problem.
        rows: The rows of its fit.
        candidate: What was fitted, to its natural end, with its own seed.
        count: Further seeds at most.
        budget: Asked before each fit, and seen by it.
        emit: Listener; of the fits, their progress is passed on and not their notices, which the first fit gave.
        folder: The folder of the study; an earlier call's finished fits are taken from there.
        jobs: Fits side by side in forked processes; one on a GPU.

    Returns:
        The candidates that were finished, by the order of their seeds, with finite scores and predictions; none for a candidate
        that the budget cut off, whose further fits would be cut off too.

    Raises:
        UnwritableError: The folder cannot be written.
    """
    if count < 1 or not candidate.finished:
        return ()
    work = _Fits(family, problem, rows, candidate, budget, _without_notices(emit), folder / _FOLDER)
    local = jobs < 2 or candidate.device != "cpu" or not hasattr(os, "fork")
    workers: Workers = LocalWorker(work.fit)
    if not local:
        workers = ForkedWorkers(work.fit, work.fit, min(jobs, LAG), work.emit)
    try:
        return tuple(work.finished(workers, count))
    finally:
        workers.close()


class _Fits:
    """The fits of one configuration with further seeds, numbered from 1."""

    def __init__(
        self,
        family: Family,
        problem: Problem,
        rows: RowSource,
        candidate: Candidate,
        budget: Budget,
        emit: Emit,
        home: Path,
    ) -> None:
        self.family, self.problem, self.rows = family, problem, rows
        self.first, self.budget, self.emit, self.home = candidate, budget, emit, home
        self.slowest = candidate.seconds

    def finished(self, workers: Workers, count: int) -> Iterator[Candidate]:
        """Yield the finished candidates by their numbers."""
        found = {number: stored for number in range(1, count + 1) if (stored := self._stored(number)) is not None}
        waiting, running = [number for number in range(1, count + 1) if number not in found], 0
        while waiting or running:
            while waiting and workers.idle and self.budget.left() >= MARGIN * self.slowest:
                workers.submit(FitJob(waiting.pop(0), self.first.config, 1.0))
                running += 1
            if not running:
                break
            try:
                result, running = workers.wait(), running - 1
            except KeyboardInterrupt:  # as in a study, what was finished is kept and the run goes on to its end
                self.emit(Notice("interrupt", "Further seeds were interrupted; what was finished is kept.", "warning"))
                break
            again = self._kept(result)
            if again is not None:
                found[result.number] = again
        yield from (found[number] for number in sorted(found))

    def fit(self, job: FitJob, emit: Emit | None = None) -> Candidate:
        """Fit with the seed of a number, and write the candidate to its place if it ended naturally."""
        unfinished = self.home / f"{self.first.number}-{job.number}.unfinished"
        candidate = self.family.fit(
            self.problem,
            self.rows,
            job.config,
            seed=derive_seed(self.first.seed, job.number),
            number=self.first.number,
            budget=self.budget,
            emit=self.emit if emit is None else emit,
            resume=unfinished,
        )
        if candidate.finished:
            with unwritable("workdir", self.home.parent, MORE_ROOM):
                save_candidate(self.family, candidate, self._place(job.number))
            shutil.rmtree(unfinished, ignore_errors=True)
        return candidate

    def _kept(self, result: FitResult) -> Candidate | None:
        """Return the candidate of a fit that can be a member; None for one that failed, was cut off or knows nothing."""
        if result.outcome == "failed":
            text = f"A fit with a further seed failed and is no part of the average: {result.error}"
            self.emit(Notice("seeds", text, "warning"))
        if result.outcome != "done":
            return None
        self.slowest = max(self.slowest, result.seconds)
        found = self._stored(result.number) if result.candidate is None else result.candidate
        return found if found is not None and found.finished and _usable(found) else None

    def _stored(self, number: int) -> Candidate | None:
        """Return what an earlier call wrote for a number; None where there is nothing, or something else."""
        if not (self._place(number) / HEADER).exists():
            return None
        try:
            found = load_candidate(self.family, self._place(number))
        except Exception:  # whatever a damaged file makes a library raise, it is fitted again
            return None
        same = canonical_json(found.config) == canonical_json(self.first.config)
        wanted = (self.first.number, derive_seed(self.first.seed, number))
        usable = same and (found.number, found.seed) == wanted and _usable(found)
        return found if usable and found.predictions.shape == self.first.predictions.shape else None

    def _place(self, number: int) -> Path:
        return self.home / f"{self.first.number}-{number}"


def _usable(candidate: Candidate) -> bool:
    return math.isfinite(candidate.score) and bool(np.isfinite(candidate.predictions).all())


def _without_notices(emit: Emit) -> Emit:
    """Return a listener of the progress of fits alone, and of warnings."""

    def listener(event: Event) -> None:
        if not isinstance(event, Notice) or event.level == "warning":
            emit(event)

    return listener

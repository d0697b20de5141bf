"""One family's study: ask, fit, save, tell, until the budget or the space ends.

Trials are numbered as they are asked, and settled in that order, by however many workers they are fitted. A trial that a kill,
an interrupt or the end of the budget cut off is told FAIL and its number goes to another one, so that a resumed study repeats the
configuration that was lost and then continues as if nothing had happened. A family that keeps the state of an unfinished fit in
the folder it is given goes on from there.
"""

from __future__ import annotations

import itertools
import math
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from relselect._version import __version__
from relselect.budget import Budget
from relselect.counts import check_count
from relselect.errors import ConfigError
from relselect.events import (
    Emit,
    Notice,
    StageFinished,
    StageStarted,
    TrialFailed,
    TrialFinished,
    TrialPruned,
    TrialStarted,
    silent,
)
from relselect.families.options import fixed_options, space_of, training_length
from relselect.files import check_writable, unwritable
from relselect.hashing import fingerprint_json
from relselect.serialization import canonical_json
from relselect.tuning.journal import derive_seed, open_study
from relselect.tuning.proposals import LAG, RUNGS, Rung, TrialProposals
from relselect.tuning.pruning import FEWEST, PARTS, LengthWatch, ReachedValues, bars_of
from relselect.tuning.result import Failure, Pruned, Study
from relselect.tuning.store import save_candidate
from relselect.tuning.thinned import ThinnedRows
from relselect.tuning.trial_log import MORE_ROOM, TrialLog
from relselect.tuning.workers import FitJob, FitResult, ForkedWorkers, LocalWorker, Workers, failed_fit

if TYPE_CHECKING:
    import optuna

    from relselect.families.candidate import Candidate, Config
    from relselect.families.protocol import Family, RowSource, Watched
    from relselect.problem import Problem

__all__ = ["Fidelity", "check_fidelity", "tune"]

#: How search trials are fitted: wholly; on parts of the training rows first, of which the best are fitted again on more; or with
#: a training that ends on the way where earlier trials were better at the same point.
Fidelity = Literal["full", "rows", "length", "auto"]

_FORMAT = 3
_SAME_ERRORS = 3
_SAME_CONFIGS = 25
_DIGITS = re.compile(r"\d+")
#: A trial begins when this part of the usual duration is left: a fit that is cut returns its best so far.
_USEFUL_PART = 0.5
#: Training rows from which "auto" begins with parts of them.
_MANY_ROWS = 20_000


def tune(
    family: Family,
    problem: Problem,
    rows: RowSource,
    *,
    budget: Budget,
    emit: Emit = silent,
    seed: int = 0,
    folder: Path,
    max_trials: int | None = None,
    jobs: int = 1,
    fidelity: Fidelity = "full",
    first: Sequence[Mapping[str, Any]] = (),
) -> Study:
    """Search the family's space on one problem; the default configuration comes first.

    Equal problem, seed, fidelity, `first` and number of trials give the equal study, whether it ran at once or was resumed in
    `folder`, and with any number of workers. A trial that raises is recorded and the study goes on; the same error three times in
    a row ends it. A keyboard interrupt ends it too: it is *not* raised again, the study comes back with what was finished and
    `interrupted` set.

    Args:
        family: What to fit.
        problem: What to fit it to.
        rows: The rows to train on, to stop on and to score.
        budget: The study's clock; each fit sees it.
        emit: Listener.
        seed: One seed; those of the trials derive from it and their numbers.
        folder: Home of the study: journal, finished trials. An earlier study there is continued.
        max_trials: Settled trials (those of earlier runs included) after which the study ends; None for no
            limit.
        jobs: Trials that are fitted side by side in forked processes, at most `proposals.LAG`; the default is fitted here
            before. One where processes cannot be forked, or the default was trained on a GPU.
        fidelity: "full" fits every trial on all training rows. "rows" begins with a ninth of them: of nine proposals the best
            three are fitted on a third, and the best of these on all rows (successive halving, Jamieson and Talwalkar 2016).
            Trials are compared on equal parts alone, and only those on all rows are candidates. The default and the family's
            alternatives come first, on all rows. "auto" is "rows" from 20,000 training rows on. "length" trains on all rows and
            prunes: a trial that is worse at a part of the longest training than the median of the earlier trials there is ended,
            and all others go on from where they stand (`relselect.tuning.pruning`). What comes before the sampler's proposals
            is never pruned. Pruned trials are no candidates, and count as trials.
        first: Changes of the default, option -> value, that are tried right after it; one that the family does not have on this
            problem is left out.

    Returns:
        The finished candidates, the failures and why the study ended.

    Raises:
        ConfigError: Neither budget nor `max_trials` bounds the study, the folder holds another study, or an option has no such
            value.
        UnwritableError: The folder cannot be written; what was finished is kept.
    """
    if max_trials is None and math.isinf(budget.left()):
        fix = "Give a time budget or a number of trials"
        raise ConfigError("max_trials", max_trials, "must be given when the budget has no limit", fix)
    search = _Search(family, problem, rows, seed, _rungs(problem, fidelity), tuple(first), fidelity == "length")
    workers = min(check_count("jobs", jobs), LAG) if hasattr(os, "fork") else 1
    stage = f"tuning {family.name}"
    emit(StageStarted(stage))
    with open_study(Path(folder), search.identity) as study:
        result = _StudyRun(search, budget, emit, Path(folder) / "trials", study).go(max_trials, workers)
    emit(StageFinished(stage, result.seconds, result.stopped))
    return result


@dataclass(frozen=True)
class _Search:
    """What a study is about."""

    family: Family
    problem: Problem
    rows: RowSource
    seed: int
    rungs: Sequence[Rung]
    first: Sequence[Mapping[str, Any]]
    prunes: bool

    @property
    def identity(self) -> dict[str, Any]:
        """The study that a folder holds, for whoever opens it again."""
        identity: dict[str, Any] = {
            "format": _FORMAT,
            "relselect": __version__,
            "family": self.family.name,
            "seed": self.seed,
            "task": self.problem.task.fingerprint,
            "database": self.problem.database.fingerprint,
            "rows": [str(part) for part in self.rows.key],
        }
        if options := fixed_options(self.family):
            identity["options"] = options
        if (space := space_of(self.family)) is not None:
            identity["space"] = fingerprint_json(space.to_json())
        if len(self.rungs) > 1:
            identity["fidelity"] = [[rung.trials, rung.share] for rung in self.rungs]
        if self.prunes:
            identity["fidelity"] = {"length": [*PARTS], "fewest": FEWEST}
        if self.first:
            identity["first"] = [dict(change) for change in self.first]
        return identity


def check_fidelity(fidelity: str) -> None:
    """Refuse what is no fidelity.

    Raises:
        ConfigError: It is not among the choices.
    """
    if fidelity not in get_args(Fidelity):
        choices = ", ".join(repr(each) for each in get_args(Fidelity))
        raise ConfigError("fidelity", fidelity, "is not among the choices", f"Use one of {choices}")


def _rungs(problem: Problem, fidelity: Fidelity) -> Sequence[Rung]:
    check_fidelity(fidelity)
    parts = fidelity == "rows" or (fidelity == "auto" and len(problem.task.splits["train"]) >= _MANY_ROWS)
    return RUNGS if parts else RUNGS[-1:]


class _StudyRun:
    """One opening of a study.

    Trials are asked and settled in the order of their numbers, whatever the order in which workers finish them.
    """

    def __init__(self, search: _Search, budget: Budget, emit: Emit, home: Path, study: optuna.Study) -> None:
        self.search, self.budget, self.emit = search, budget, emit
        self.family, self.problem = search.family, search.problem
        self.log = TrialLog(study, search.family, home, emit, search.seed, search.prunes)
        self.proposals = TrialProposals(search.family, search.problem, search.seed, search.rungs, search.first)
        #: Number -> configuration, as JSON, of what was tried or is being tried.
        self.tried: dict[int, str] = {}
        self.running: dict[int, tuple[optuna.Trial, FitJob]] = {}
        self.results: dict[int, FitResult] = {}
        self.cut = ""

    def go(self, max_trials: int | None, jobs: int) -> Study:
        start, interrupted = time.monotonic(), False
        self.tried = self.log.recover()
        workers: Workers = LocalWorker(self._fit)
        if jobs > 1 and all(each.device == "cpu" for each in self.log.candidates):  # a forked process can use no GPU
            workers = ForkedWorkers(self._fit, self._fit, jobs, self.emit)
        try:
            reason = self._search(workers, max_trials)
        except KeyboardInterrupt:
            reason, interrupted = "A keyboard interrupt ended the study; what was finished is kept.", True
        finally:
            workers.close()
        seconds = time.monotonic() - start
        found = self.log.candidates, self.log.failures
        return Study(self.family.name, *found, reason, interrupted, seconds, self.log.partial, self.log.pruned)

    def _search(self, workers: Workers, max_trials: int | None) -> str:
        while True:
            while self.log.unsettled in self.results:
                self._settle(self.log.unsettled)
            if reason := self._reason_to_stop(max_trials):
                return reason
            self._ask(workers, max_trials)
            if self.log.unsettled in self.results:
                continue
            if not self.running.keys() - self.results.keys():
                for number in sorted(self.results):  # of trials beyond one that was cut off
                    self._settle(number)
                return self.cut or self._too_late()
            result = workers.wait()
            self.results[result.number] = result
            if result.outcome == "cut":
                self.cut = "The budget ended during a trial that had nothing useful yet."

    def _reason_to_stop(self, max_trials: int | None) -> str:
        """Return why nothing more is settled, whatever is still being fitted."""
        if max_trials is not None and self.log.fits >= max_trials:
            return f"All {max_trials} trials are finished."
        errors = [_DIGITS.sub("#", text) for text in self.log.newest_errors]
        if len(errors) >= _SAME_ERRORS and len(set(errors[:_SAME_ERRORS])) == 1:
            return f"The same error came {_SAME_ERRORS} times in a row: {self.log.newest_errors[0]}"
        if self.log.repeats >= _SAME_CONFIGS:
            return f"The last {self.log.repeats} proposals had all been tried: the space is exhausted."
        return ""

    def _too_late(self) -> str:
        """Return why no further trial begins."""
        left = self.budget.left()
        if left <= 0:
            return "The budget is spent."
        usual = self.log.usual_seconds(self.proposals.share_of(self._next))
        if left < _USEFUL_PART * usual:
            return f"A trial takes about {usual:.1f} s and {left:.1f} s are left."
        return ""

    @property
    def _next(self) -> int:
        """The lowest number that is neither settled nor being tried."""
        return next(n for n in itertools.count() if n not in self.log.outcomes and n not in self.running)

    def _ask(self, workers: Workers, max_trials: int | None) -> None:
        """Hand out trials while workers are idle and the trials that a proposal rests on are settled."""
        while workers.idle and not self.cut and not self._too_late():
            number = self._next
            enough = max_trials is not None and self.log.fits + len(self.running) >= max_trials
            if enough or self.proposals.needed(number) > self.log.unsettled:
                return
            proposal = self.proposals.propose(number, self.log.study.get_trials(deepcopy=False))
            point, share = ({}, 1.0) if proposal is None else (proposal.point, proposal.share)
            trial = self.log.ask(number, point, share)
            if proposal is None:
                self._hold(trial, FitJob(number, {}, share), "skipped")
                return
            try:
                self._begin(workers, trial, number, share)
            except Exception as error:  # of the family's own space
                job = FitJob(number, {}, share)
                self.running[number] = trial, job
                self.results[number] = failed_fit(job, error, 0.0)
                return
            if number == 0:  # before the others: workers are forked with what it computed
                return

    def _begin(self, workers: Workers, trial: optuna.Trial, number: int, share: float) -> None:
        config, in_space = self._configure(trial, number)
        job, key = FitJob(number, config, share, self._bars(number, config)), canonical_json([config, share])
        if any(key == other for earlier, other in self.tried.items() if earlier < number):
            self._hold(trial, job, "repeat")
            return
        self.tried[number] = key
        trial.set_user_attr("tried", key)
        trial.set_user_attr("in_space", in_space)
        self.running[number] = trial, job
        self.emit(TrialStarted(self.family.name, number, config))
        workers.submit(job)

    def _bars(self, number: int, config: Config) -> tuple[float | None, ...]:
        """Return what a trial is pruned by; what comes before the sampler's proposals is not pruned."""
        length = training_length(self.family, config) if self.search.prunes else None
        if length is None or number < len(self.proposals.first):
            return ()
        earlier = [each for other, each in sorted(self.log.reached.items()) if other <= number - LAG]
        return bars_of(earlier, length.track)

    def _watched(self, job: FitJob) -> dict[str, Any]:
        """Return the argument that lets a fit be ended on the way; none where there is nothing to compare it with."""
        length = training_length(self.family, job.config) if any(each is not None for each in job.bars) else None
        if length is None:
            return {}
        metric, of_loss = self.problem.task.metric, length.loss_of == "stop"

        def shown(value: float) -> str:
            return f"a loss of {-value:.4g}" if of_loss else f"{metric.title} {metric.sign * value:.4g}"

        return {"watch": LengthWatch(length, job.bars, shown)}

    def _hold(self, trial: optuna.Trial, job: FitJob, outcome: str) -> None:
        """Keep the outcome of a trial that is not fitted until its turn comes."""
        self.running[job.number] = trial, job
        self.results[job.number] = FitResult(job.number, outcome, 0.0)

    def _configure(self, trial: optuna.Trial, number: int) -> tuple[Config, bool]:
        """Return the configuration of a trial, and whether its parameters describe it.

        The default is fitted as the family gives it. When it lies outside the space, what the space suggested
        in its place must not be credited with its score.
        """
        suggested = self.family.space(trial, self.problem)
        if number > 0:
            return suggested, True
        if not self.proposals.default_in_space:
            text = "the default configuration lies outside the search space; the sampler does not learn from it"
            self.emit(Notice("tuning", f"{self.family.name}: {text}"))
        return self.proposals.first[0], self.proposals.default_in_space

    def _fit(self, job: FitJob, emit: Emit | None = None) -> Candidate:
        """Fit a trial, and write its candidate to its place if it is one."""
        number, unfinished = job.number, self.log.unfinished(job.number)
        whole = job.share == 1
        candidate = cast("Watched", self.family).fit(
            self.problem,
            self.search.rows if whole else ThinnedRows(self.search.rows, job.share, self.search.seed),
            job.config,
            seed=derive_seed(self.search.seed, number),
            number=number,
            budget=self.budget,
            emit=self.emit if emit is None else emit,
            resume=unfinished,
            **self._watched(job),
        )
        if whole:
            with unwritable("workdir", self.log.home.parent, MORE_ROOM):
                save_candidate(self.family, candidate, self.log.place(number))
        shutil.rmtree(unfinished, ignore_errors=True)
        return candidate

    def _settle(self, number: int) -> None:
        """Write the outcome of a trial that has ended to the journal, and say it."""
        (trial, job), result = self.running.pop(number), self.results.pop(number)
        if result.outcome == "failed":
            self._settle_failure(trial, job, result)
        elif result.outcome == "pruned":
            self._settle_pruned(trial, job, result)
        elif result.outcome != "done":
            self.log.settle(trial, number, result.outcome, None)
        else:
            score = result.score if trial.user_attrs["in_space"] else None
            self.log.settle(trial, number, "done", score, seconds=result.seconds, **self._reached(job, result))
            self.log.keep(number, job.share, result.seconds, result.candidate)
            metric = self.problem.task.metric
            said = TrialFinished(self.family.name, number, result.score, result.seconds, metric.title, metric.sign)
            self.emit(said)

    def _settle_pruned(self, trial: optuna.Trial, job: FitJob, result: FitResult) -> None:
        facts = {"reason": result.reason, "config": job.config, "seconds": result.seconds}
        self.log.settle(trial, job.number, "pruned", None, **facts, **self._reached(job, result))
        shutil.rmtree(self.log.unfinished(job.number), ignore_errors=True)
        self.log.keep_pruned(Pruned(self.family.name, job.number, job.config, result.reason, result.seconds))
        self.emit(TrialPruned(self.family.name, job.number, result.reason, result.seconds))

    def _reached(self, job: FitJob, result: FitResult) -> dict[str, Any]:
        """Return what later trials are compared with, as facts of the journal."""
        if not self.search.prunes:
            return {}
        found = ReachedValues.of_trial(self.family, job.config, result.points, whole=result.whole)
        return {} if found is None else {"reached": found.to_json()}

    def _settle_failure(self, trial: optuna.Trial, job: FitJob, result: FitResult) -> None:
        # a full or lost disk is no fault of the configuration, whatever the library that met it raised
        check_writable("workdir", self.log.home.parent, folder=True, fix=MORE_ROOM)
        facts = {"error": result.error, "config": job.config, "traceback": result.traceback}
        self.log.settle(trial, job.number, "failed", None, seconds=result.seconds, **facts)
        # what failed would fail again from there
        shutil.rmtree(self.log.unfinished(job.number), ignore_errors=True)
        self.log.keep_failure(
            Failure(self.family.name, job.number, job.config, result.error, result.seconds, result.traceback)
        )
        self.emit(TrialFailed(self.family.name, job.number, result.error, result.traceback))

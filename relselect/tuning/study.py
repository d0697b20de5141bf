"""One family's study: ask, fit, save, tell, until the budget or the space ends.

A trial's *number* counts the trials that were settled before it. A trial that a kill, an interrupt or the end
of the budget cut off is told FAIL and its number goes to the next one, so that a resumed study repeats the
configuration that was lost and then continues as if nothing had happened. A family that keeps the state of an
unfinished fit in the folder it is given goes on from there.
"""

from __future__ import annotations

import math
import re
import shutil
import statistics
import time
import traceback
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relselect._version import __version__
from relselect.budget import Budget
from relselect.errors import BudgetExhausted, BundleError, ConfigError, UnwritableError
from relselect.events import (
    Emit,
    Notice,
    StageFinished,
    StageStarted,
    TrialFailed,
    TrialFinished,
    TrialStarted,
    silent,
)
from relselect.families.options import fixed_options
from relselect.families.protocol import Designed, Portfolio
from relselect.files import check_writable, unwritable
from relselect.hashing import fingerprint_json
from relselect.serialization import canonical_json
from relselect.tuning.journal import derive_seed, fresh_sampler, open_study
from relselect.tuning.nearest import nearest_point
from relselect.tuning.result import Failure, Study
from relselect.tuning.store import HEADER, load_candidate, read_header, save_candidate

if TYPE_CHECKING:
    import optuna

    from relselect.families.candidate import Candidate, Config
    from relselect.families.protocol import Family, RowSource
    from relselect.problem import Problem

__all__ = ["tune"]

_FORMAT = 2
_SAME_ERRORS = 3
_SAME_CONFIGS = 25
_DIGITS = re.compile(r"\d+")
_MORE_ROOM = "Give a folder on a disk with room that you may write to; what was finished is kept"
_USEFUL_PART = 0.5
"""A trial begins when this part of the usual duration is left: a fit that is cut returns its best so far."""


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
) -> Study:
    """Search the family's space on one problem; the default configuration comes first.

    Equal problem, seed and number of trials give the equal study, whether it ran at once or was resumed in
    `folder`. A trial that raises is recorded and the study goes on; the same error three times in a row ends
    it. A keyboard interrupt ends it too: it is *not* raised again, the study comes back with what was
    finished and `interrupted` set.

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

    Returns:
        The finished candidates, the failures and why the study ended.

    Raises:
        ConfigError: Neither budget nor `max_trials` bounds the study, or the folder holds another study.
        UnwritableError: The folder cannot be written; what was finished is kept.
    """
    if max_trials is None and math.isinf(budget.left()):
        fix = "Give a time budget or a number of trials"
        raise ConfigError("max_trials", max_trials, "must be given when the budget has no limit", fix)
    identity = {
        "format": _FORMAT,
        "relselect": __version__,
        "family": family.name,
        "seed": seed,
        "task": problem.task.fingerprint,
        "database": problem.database.fingerprint,
        "rows": [str(part) for part in rows.key],
    }
    if options := fixed_options(family):
        identity["options"] = options
    if isinstance(family, Designed):
        identity["space"] = fingerprint_json(family.design.to_json())
    stage = f"tuning {family.name}"
    emit(StageStarted(stage))
    with open_study(Path(folder), identity) as study:
        run = _StudyRun(family, problem, rows, budget, emit, seed, Path(folder) / "trials", study)
        result = run.go(max_trials)
    emit(StageFinished(stage, result.seconds, result.stopped))
    return result


class _StudyRun:
    """One opening of a study."""

    def __init__(
        self,
        family: Family,
        problem: Problem,
        rows: RowSource,
        budget: Budget,
        emit: Emit,
        seed: int,
        home: Path,
        study: optuna.Study,
    ) -> None:
        self.family, self.problem, self.rows, self.budget, self.emit = family, problem, rows, budget, emit
        self.seed, self.home, self.study = seed, home, study
        self.candidates: list[Candidate] = []
        self.failures: list[Failure] = []
        self.durations: list[float] = []
        self.seen: set[str] = set()
        self.settled = 0
        self.repeats = 0
        self.errors: list[str] = []
        self.cut = ""

    def go(self, max_trials: int | None) -> Study:
        start, interrupted = time.monotonic(), False
        self._recover()
        try:
            while not (reason := self._reason_to_stop(max_trials)):
                self._trial()
        except KeyboardInterrupt:
            reason, interrupted = "A keyboard interrupt ended the study; what was finished is kept.", True
        seconds = time.monotonic() - start
        by_number = sorted(self.candidates, key=lambda c: c.number)
        return Study(self.family.name, tuple(by_number), tuple(self.failures), reason, interrupted, seconds)

    def _reason_to_stop(self, max_trials: int | None) -> str:
        if self.cut:
            return self.cut
        if max_trials is not None and len(self.candidates) + len(self.failures) >= max_trials:
            return f"All {max_trials} trials are finished."
        if len(self.errors) >= _SAME_ERRORS and len(set(self.errors[-_SAME_ERRORS:])) == 1:
            return f"The same error came {_SAME_ERRORS} times in a row: {self.failures[-1].error}"
        if self.repeats >= _SAME_CONFIGS:
            return f"The last {self.repeats} proposals had all been tried: the space is exhausted."
        left = self.budget.left()
        if left <= 0:
            return "The budget is spent."
        usual = statistics.median(self.durations) if self.durations else 0.0
        if left < _USEFUL_PART * usual:
            return f"A trial takes about {usual:.1f} s and {left:.1f} s are left."
        return ""

    def _trial(self) -> None:
        number = self.settled
        trial = self._ask(number)
        config: Config = {}
        start = time.monotonic()
        try:
            config, in_space = self._configure(trial, number)
            if canonical_json(config) in self.seen:
                self._settle(trial, "repeat", None)
                self.repeats += 1
                return
            self.repeats = 0
            self.seen.add(canonical_json(config))
            trial.set_user_attr("in_space", in_space)
            candidate = self._fit(config, number)
            seconds = time.monotonic() - start
            self._settle(trial, "done", candidate.score if in_space else None, seconds=seconds)
        except BudgetExhausted:
            self._settle(trial, "cut", None)
            self.cut = "The budget ended during a trial that had nothing useful yet."
        except UnwritableError:
            raise
        except Exception as error:
            # a full or lost disk is no fault of the configuration, whatever the library that met it raised
            check_writable("workdir", self.home.parent, folder=True, fix=_MORE_ROOM)
            self._fail(trial, number, config, error, time.monotonic() - start)
        else:
            self.candidates.append(candidate)
            self.durations.append(seconds)
            self.errors.clear()
            metric = self.problem.task.metric
            self.emit(TrialFinished(self.family.name, number, candidate.score, seconds, metric.title, metric.sign))

    def _ask(self, number: int) -> optuna.Trial:
        from optuna.trial import TrialState

        self.study.sampler = fresh_sampler(self.seed, number)
        first = self._first
        with unwritable("workdir", self.home.parent, _MORE_ROOM):
            if number < len(first) and not self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
                point, _ = nearest_point(self.family, self.problem, first[number])
                self.study.enqueue_trial(point)
            trial = self.study.ask()
            trial.set_user_attr("number", number)
        return trial

    @cached_property
    def _first(self) -> list[Config]:
        """Return the configurations that are tried before the sampler proposes any."""
        default = self.family.default(self.problem)
        others = self.family.alternatives(self.problem) if isinstance(self.family, Portfolio) else ()
        return [default, *others]

    def _configure(self, trial: optuna.Trial, number: int) -> tuple[Config, bool]:
        """Return the configuration of a trial, and whether its parameters describe it.

        The default is fitted as the family gives it. When it lies outside the space, what the space suggested
        in its place must not be credited with its score.
        """
        suggested = self.family.space(trial, self.problem)
        if number > 0:
            return suggested, True
        default = self._first[0]
        _, inside = nearest_point(self.family, self.problem, default)
        if not inside:
            text = "the default configuration lies outside the search space; the sampler does not learn from it"
            self.emit(Notice("tuning", f"{self.family.name}: {text}"))
        return default, inside

    def _fit(self, config: Config, number: int) -> Candidate:
        self.emit(TrialStarted(self.family.name, number, config))
        seed = derive_seed(self.seed, number)
        candidate = self.family.fit(
            self.problem,
            self.rows,
            config,
            seed=seed,
            number=number,
            budget=self.budget,
            emit=self.emit,
            resume=self._unfinished(number),
        )
        with unwritable("workdir", self.home.parent, _MORE_ROOM):
            save_candidate(self.family, candidate, self._place(number))
        shutil.rmtree(self._unfinished(number), ignore_errors=True)
        return candidate

    def _fail(self, trial: optuna.Trial, number: int, config: Config, error: Exception, seconds: float) -> None:
        text, trace = f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error))
        self._settle(trial, "failed", None, seconds=seconds, error=text, config=config, traceback=trace)
        # what failed would fail again from there
        shutil.rmtree(self._unfinished(number), ignore_errors=True)
        self.failures.append(Failure(self.family.name, number, config, text, seconds, trace))
        self.errors.append(_DIGITS.sub("#", text))
        self.emit(TrialFailed(self.family.name, number, text, trace))

    def _settle(self, trial: optuna.Trial, outcome: str, score: float | None, **facts: Any) -> None:
        """Write the outcome of a trial to the journal, the facts first: nothing can be added to a trial that has ended.

        Raises:
            UnwritableError: The journal cannot be written.
        """
        from optuna.trial import TrialState

        with unwritable("workdir", self.home.parent, _MORE_ROOM):
            for key, value in facts.items():
                trial.set_user_attr(key, value)
            trial.set_user_attr("outcome", outcome)
            if score is None or not math.isfinite(score):
                self.study.tell(trial, state=TrialState.FAIL)
            else:
                self.study.tell(trial, score)
        self.settled += outcome != "cut"

    def _recover(self) -> None:
        """Take up what earlier runs of this study left: finished trials, failures, repeats, one that was cut off."""
        from optuna.trial import TrialState

        for trial in self.study.get_trials(deepcopy=False):
            facts, outcome = trial.user_attrs, trial.user_attrs.get("outcome", "cut")
            if trial.state == TrialState.RUNNING:
                outcome = self._recover_running(trial)
            elif trial.state != TrialState.WAITING:
                self.settled += outcome != "cut"
            if outcome == "done":
                self.repeats = 0
                self.errors.clear()
                self._reload(facts["number"], facts.get("seconds"))
            elif outcome == "failed":
                self._recover_failure(facts)
            elif outcome == "repeat":
                self.repeats += 1

    def _recover_failure(self, facts: dict[str, Any]) -> None:
        text, trace = facts["error"], facts.get("traceback", "")
        self.failures.append(Failure(self.family.name, facts["number"], facts["config"], text, facts["seconds"], trace))
        self.seen.add(canonical_json(facts["config"]))
        self.repeats = 0
        self.errors.append(_DIGITS.sub("#", text))

    def _recover_running(self, trial: optuna.trial.FrozenTrial) -> str:
        """Settle a trial left RUNNING by a kill or an interrupt: finished if it was saved, else cut off.

        The outcome is written to the journal before the state: a later opening reads it there, and a trial that was cut off
        stays one that gave its number to the next.
        """
        import optuna

        facts = trial.user_attrs
        outcome, score = facts.get("outcome", "cut"), None
        if outcome in ("cut", "done") and "in_space" in facts and (self._place(facts["number"]) / HEADER).exists():
            try:
                stored = read_header(self._place(facts["number"]))
            except BundleError:
                outcome = "cut"
            else:
                outcome, score = "done", stored.score if facts["in_space"] else None
        self._settle(optuna.Trial(self.study, trial._trial_id), outcome, score)
        return str(outcome)

    def _reload(self, number: int, seconds: float | None) -> None:
        try:
            candidate = load_candidate(self.family, self._place(number))
        except Exception as error:  # whatever a damaged file makes a library raise, the study goes on without it
            self.emit(Notice("tuning", f"{self.family.name} trial {number} cannot be read: {error}", "warning"))
            return
        self.candidates.append(candidate)
        self.seen.add(canonical_json(candidate.config))
        self.durations.append(candidate.seconds if seconds is None else seconds)

    def _place(self, number: int) -> Path:
        return self.home / str(number)

    def _unfinished(self, number: int) -> Path:
        """Return the folder of the state of a fit that has not ended."""
        return self.home / f"{number}.unfinished"

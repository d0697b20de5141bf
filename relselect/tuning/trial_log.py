"""The trials of a study as its journal and its folder have them: asked, settled, and taken up again after a kill."""

from __future__ import annotations

import itertools
import math
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relselect.errors import BundleError
from relselect.events import Emit, Notice
from relselect.files import unwritable
from relselect.tuning.journal import fresh_sampler
from relselect.tuning.pruning import ReachedValues
from relselect.tuning.result import Failure, Pruned
from relselect.tuning.store import HEADER, load_candidate, read_header

if TYPE_CHECKING:
    import optuna

    from relselect.families.candidate import Candidate
    from relselect.families.protocol import Family

__all__ = ["MORE_ROOM", "TrialLog"]

MORE_ROOM = "Give a folder on a disk with room that you may write to; what was finished is kept"


class TrialLog:
    """Settled trials, by number. A number is settled once; a trial that was cut off gives its number to another one.

    Args:
        study: The journal.
        family: The family.
        home: The folder of the finished trials.
        emit: Listener.
        seed: Seed of the study.
        prunes: Whether trials are compared on the way.
    """

    def __init__(
        self, study: optuna.Study, family: Family, home: Path, emit: Emit, seed: int, prunes: bool = False
    ) -> None:
        self.prunes = prunes
        self.study, self.family, self.home, self.emit, self.seed = study, family, home, emit, seed
        #: Number -> "done", "failed", "pruned", "repeat" or "skipped".
        self.outcomes: dict[int, str] = {}
        self._candidates: dict[int, Candidate] = {}
        self._failures: dict[int, Failure] = {}
        self._pruned: dict[int, Pruned] = {}
        #: Number -> what its learning curve had reached, in a study that prunes.
        self.reached: dict[int, ReachedValues] = {}
        self._seconds: dict[float, list[float]] = {}

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The candidates, by number: trials on all training rows."""
        return tuple(self._candidates[number] for number in sorted(self._candidates))

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The trials that raised, by number."""
        return tuple(self._failures[number] for number in sorted(self._failures))

    @property
    def pruned(self) -> tuple[Pruned, ...]:
        """The trials that were ended on the way, by number."""
        return tuple(self._pruned[number] for number in sorted(self._pruned))

    @property
    def fits(self) -> int:
        """Trials that were fitted, wholly or on the way to it, or failed."""
        return sum(each in ("done", "pruned", "failed") for each in self.outcomes.values())

    @property
    def partial(self) -> int:
        """Finished trials on a part of the training rows."""
        return sum(each == "done" for each in self.outcomes.values()) - len(self._seconds.get(1.0, []))

    @property
    def unsettled(self) -> int:
        """The lowest number that is not settled."""
        return next(number for number in itertools.count() if number not in self.outcomes)

    @property
    def repeats(self) -> int:
        """How many of the newest trials in a row proposed what had been tried."""
        newest = (self.outcomes[number] for number in sorted(self.outcomes, reverse=True))
        return sum(1 for _ in itertools.takewhile(lambda outcome: outcome in ("repeat", "skipped"), newest))

    @property
    def newest_errors(self) -> list[str]:
        """The errors of the newest trials in a row that failed, the newest first."""
        found = []
        for number in sorted(self.outcomes, reverse=True):
            if self.outcomes[number] in ("done", "pruned"):
                break
            if number in self._failures:
                found.append(self._failures[number].error)
        return found

    def usual_seconds(self, share: float) -> float:
        """Return the usual duration of a trial on a part of the training rows; 0 where nothing is known."""
        known = self._seconds.get(share)
        return statistics.median(known) if known else 0.0

    def ask(self, number: int, point: dict[str, Any], share: float) -> optuna.Trial:
        """Begin a trial at a point of the space."""
        with unwritable("workdir", self.home.parent, MORE_ROOM):
            self.study.sampler = fresh_sampler(self.seed, number)
            self.study.enqueue_trial(point)
            trial = self.study.ask()
            trial.set_user_attr("number", number)
            trial.set_user_attr("share", share)
        return trial

    def settle(self, trial: optuna.Trial, number: int, outcome: str, score: float | None, **facts: Any) -> None:
        """Write the outcome of a trial to the journal, the facts first: nothing can be added to a trial that has ended.

        Args:
            trial: The trial.
            number: Its number.
            outcome: "done", "failed", "pruned", "repeat", "skipped" or "cut".
            score: What the sampler may learn from it; None for nothing.
            **facts: What a later opening has to know.

        Raises:
            UnwritableError: The journal cannot be written.
        """
        from optuna.trial import TrialState

        learnt = None if score is None or not math.isfinite(score) else score
        with unwritable("workdir", self.home.parent, MORE_ROOM):
            for key, value in facts.items():
                trial.set_user_attr(key, value)
            if learnt is not None:
                trial.set_user_attr("credit", learnt)
            trial.set_user_attr("outcome", outcome)
            if outcome == "pruned":
                self.study.tell(trial, state=TrialState.PRUNED)
            elif learnt is None:
                self.study.tell(trial, state=TrialState.FAIL)
            elif trial.user_attrs["share"] < 1:
                trial.report(learnt, step=round(100 * trial.user_attrs["share"]))
                self.study.tell(trial, state=TrialState.PRUNED)
            else:
                self.study.tell(trial, learnt)
        if outcome != "cut":
            self.outcomes[number] = outcome
            self._keep_reached(number, facts)

    def keep(self, number: int, share: float, seconds: float, candidate: Candidate | None) -> None:
        """Keep a finished trial; a candidate of a part of the rows is none."""
        self._seconds.setdefault(share, []).append(seconds)
        if share < 1:
            return
        if candidate is None:
            candidate = self._loaded(number)
        if candidate is not None:
            self._candidates[number] = candidate

    def keep_pruned(self, pruned: Pruned) -> None:
        """Keep a trial that was ended on the way."""
        self._pruned[pruned.number] = pruned

    def _keep_reached(self, number: int, facts: dict[str, Any]) -> None:
        if "reached" in facts:
            self.reached[number] = ReachedValues.from_json(facts["reached"])

    def keep_failure(self, failure: Failure) -> None:
        """Keep a trial that raised."""
        self._failures[failure.number] = failure

    def place(self, number: int) -> Path:
        """Return the folder of a finished trial."""
        return self.home / str(number)

    def unfinished(self, number: int) -> Path:
        """Return the folder of the state of a fit that has not ended."""
        return self.home / f"{number}.unfinished"

    def recover(self) -> dict[int, str]:
        """Take up what earlier openings left, and return number -> configuration, as JSON, of what was tried."""
        from optuna.trial import TrialState

        tried: dict[int, str] = {}
        for trial in self.study.get_trials(deepcopy=False):
            if trial.state == TrialState.WAITING:
                self.settle(self._given_up(), -1, "cut", None)
            elif trial.state == TrialState.RUNNING:
                self._recover_running(trial)
        for trial in self.study.get_trials(deepcopy=False):
            facts, outcome = trial.user_attrs, trial.user_attrs.get("outcome", "cut")
            if outcome == "cut":
                continue
            number = int(facts["number"])
            self.outcomes[number] = outcome
            self._keep_reached(number, facts)
            if "tried" in facts:
                tried[number] = facts["tried"]
            if outcome == "done":
                self.keep(number, facts["share"], facts["seconds"], None)
            elif outcome == "pruned":
                self.keep_pruned(Pruned(self.family.name, number, facts["config"], facts["reason"], facts["seconds"]))
            elif outcome == "failed":
                text, trace = facts["error"], facts.get("traceback", "")
                self.keep_failure(Failure(self.family.name, number, facts["config"], text, facts["seconds"], trace))
        return tried

    def _given_up(self) -> optuna.Trial:
        """Return the trial that was enqueued and never begun."""
        trial = self.study.ask()
        trial.set_user_attr("share", 1.0)
        return trial

    def _recover_running(self, trial: optuna.trial.FrozenTrial) -> None:
        """Settle a trial left RUNNING by a kill or an interrupt: finished if it was saved, else cut off.

        The outcome is written to the journal before the state: a later opening reads it there, and a trial that was cut off
        stays one that gave its number to the next.
        """
        import optuna

        facts = trial.user_attrs
        number, outcome, score = int(facts.get("number", -1)), facts.get("outcome", "cut"), facts.get("credit")
        more: dict[str, Any] = {} if "share" in facts else {"share": 1.0}
        if outcome == "cut" and "in_space" in facts and facts["share"] == 1 and (self.place(number) / HEADER).exists():
            try:
                stored = read_header(self.place(number))
            except BundleError:
                pass
            else:
                outcome, score = "done", stored.score if facts["in_space"] else None
                more = {"seconds": facts.get("seconds", stored.seconds), **self._reached_by(stored)}
        self.settle(optuna.Trial(self.study, trial._trial_id), number, str(outcome), score, **more)

    def _reached_by(self, stored: Candidate) -> dict[str, Any]:
        """Return what a candidate had reached, as a fact of the journal; empty in a study that does not prune."""
        if not self.prunes or stored.curve is None:
            return {}
        points, whole = stored.curve.points, stored.finished
        found = ReachedValues.of_trial(self.family, stored.config, points, whole=whole)
        return {} if found is None else {"reached": found.to_json()}

    def _loaded(self, number: int) -> Candidate | None:
        try:
            return load_candidate(self.family, self.place(number))
        except Exception as error:  # whatever a damaged file makes a library raise, the study goes on without it
            self.emit(Notice("tuning", f"{self.family.name} trial {number} cannot be read: {error}", "warning"))
            return None

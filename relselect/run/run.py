"""One run, from a database and a task to a decision: leaks, profile, recommendation, studies, choice, refit, test scores, and
what the decision rests on.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from relselect._version import __version__
from relselect.blend import blend_candidates
from relselect.budget import Budget
from relselect.events import Emit, Notice, Refitted, TrialFailed
from relselect.explain.stage import RunExplanation, explain_run, explaining_budget, reserved_seconds
from relselect.families.candidate import Candidate
from relselect.families.options import adjusted_family, check_space
from relselect.families.protocol import Family, Portfolio
from relselect.families.registry import baselines, combination, family_of, info_of, trained_names
from relselect.families.space_files import read_space
from relselect.landscape import choose_checkpoint, load_choice
from relselect.leaks import LeakReport, check_leaks, leak_budget, with_gain
from relselect.problem import Problem
from relselect.problem.rows import fit_rows
from relselect.profile import Profile, ProfileCache, profile_task
from relselect.run.deciding import FamilyOdds, family_odds, final_weights
from relselect.run.facts import database_facts, environment_facts, task_facts
from relselect.run.log import RunLog
from relselect.run.optimism import tuning_gain
from relselect.run.outcome import run_outcome, run_outlook
from relselect.run.result import BudgetUse, Decision, RunResult, Score, ValidationUse
from relselect.run.scoring import TestScorer
from relselect.run.seeds import SeedStage
from relselect.run.settings import Settings
from relselect.run.studies import RunStudies, Tuned
from relselect.selector import Recommendation, TaughtSelector, recommend_from_profile
from relselect.selector.prior import MEASURES, numbers_of
from relselect.selector.shipped import shipped_selector

if TYPE_CHECKING:
    from relselect.landscape import FinalChoice
    from relselect.tasks.splits import Split

__all__ = ["measure", "run"]

#: Part of the budget that the profile may use.
_PROFILE_SHARE = 0.15
#: Seconds without which the outcome is measured on fewer rows.
_UNHURRIED = 2.0


def run(
    problem: Problem,
    settings: Settings,
    budget: Budget,
    listener: Emit | None = None,
    profiles: ProfileCache | None = None,
) -> RunResult:
    """Measure, recommend, tune, decide, refit and score.

    Args:
        problem: The database and the task.
        settings: What is asked for.
        budget: The clock of everything, already running.
        listener: Called with every event.
        profiles: Profiles of earlier runs, one of which may spare the measuring; None for none.

    Returns:
        The result; the models of its decision are kept, those of the other candidates are not.

    Raises:
        BudgetError: The budget ended before any candidate of any trained family was finished.
        RelSelectError: Every trial failed.
        KeyboardInterrupt: The user interrupted before any was finished; afterwards the run ends with what there is.
    """
    return _Run(problem, settings, budget, listener, profiles).result()


def measure(
    problem: Problem,
    settings: Settings,
    budget: Budget,
    listener: Emit | None = None,
    profiles: ProfileCache | None = None,
) -> RunResult:
    """Measure the task and recommend, without training anything but the baselines; arguments as for `run`."""
    return _Run(problem, settings, budget, listener, profiles).measured()


@dataclass(frozen=True)
class _Measured:
    """What is known before training."""

    baselines: tuple[Candidate, ...]
    profile: Profile
    recommendation: Recommendation


class _Run:
    """The inputs of one run, and its stages, each of which returns what it found."""

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        budget: Budget,
        listener: Emit | None,
        profiles: ProfileCache | None,
    ) -> None:
        self.problem, self.settings, self.budget, self.profiles = problem, settings, budget, profiles
        self.log = RunLog(listener)
        self.rows = fit_rows(problem, settings.validation, score_test=settings.evaluate_test)
        self.validation = self.rows.validation
        self.selector = shipped_selector()
        self._families: dict[str, Family] = {}

    def measured(self) -> RunResult:
        return self._assembled(self._measure())

    def result(self) -> RunResult:
        # an option or a space that a family does not have is refused before anything is measured
        for name in self.settings.options:
            self._family(name).default(self.problem)
        for name in self.settings.spaces:
            check_space(self._family(name), self.problem)
        found = self._measure()
        with _home(self.settings.workdir) as home:
            tuned = self._tune(found, home)
            decision = self._decide(found, tuned, home)
        found = self._with_gain(found, tuned, decision)
        scores: dict[str, dict[str, Score]] = {}
        scorer = TestScorer(self.problem, self._families, self.budget, self.log, self.settings.seed)
        seed, deployed, others = self.settings.seed, self._family(decision.deployed.family), _others(tuned, decision)
        tested = self.settings.evaluate_test and self.problem.task.has_test
        if tested:
            with self.log.stage("test scores"):
                scores["test"] = scorer.decided(decision, found.baselines)
        with self.log.stage("list of now"):
            ahead = run_outlook(
                self.problem, decision, deployed, self.budget, self.log.emit, seed=seed, kept=self._kept()
            )
        rivals = [each for each in (decision.candidate, *others) if each.id not in scorer.predicted]
        if tested and rivals:
            with self.log.stage("test scores of the others"):
                scores["test"] |= scorer.compared(rivals, self._kept())
        with self.log.stage("outcome"):
            outcome = run_outcome(
                self.problem, decision, [*found.baselines, *others], self.rows.select, scorer.predicted,
                self.log.emit, seed=seed, hurried=self.budget.left() < _UNHURRIED, ahead=ahead,
            )  # fmt: skip
        explanation = self._explain(decision, "test" if scores.get("test") else "val")
        return replace(self._assembled(found, tuned, decision, scores), explanation=explanation, outcome=outcome)

    def _measure(self) -> _Measured:
        self._note_inputs()
        leaks = check_leaks(self.problem, budget=leak_budget(self.budget), emit=self.log.emit, seed=self.settings.seed)
        with self.log.stage("baselines"):
            fitted = tuple(self._baselines())
        profile = self._profile(leaks)
        taught = None if self.selector is None else TaughtSelector(self.selector)
        return _Measured(fitted, profile, recommend_from_profile(profile, self.problem, taught))

    def _note_inputs(self) -> None:
        """Emit what the user should know of the task, of purged rows, of rows without a time and of the validation rows."""
        task = self.problem.task
        for note in task.notes:
            self.log.emit(Notice("task", note))
        for split, count in task.purged.items():
            if count:
                text = f"{count} {split} rows were left out: their label is known only after the next split begins."
                self.log.emit(Notice("purging", text))
        for table, count in self.problem.user_database.counts.null_times.items():
            if count:
                text = f"{count} rows of {table} have no time and are never visible."
                self.log.emit(Notice("time", text, "warning"))
        if self.validation.shared:
            self.log.emit(Notice("validation", self.validation.why, "warning"))

    def _baselines(self) -> Iterator[Candidate]:
        for name in baselines():
            family = self._family(name)
            others = family.alternatives(self.problem) if isinstance(family, Portfolio) else ()
            for number, config in enumerate((family.default(self.problem), *others)):
                yield family.fit(
                    self.problem,
                    self.rows,
                    config,
                    seed=self.settings.seed,
                    number=number,
                    budget=self.budget,
                    emit=self.log.emit,
                )

    def _profile(self, leaks: LeakReport) -> Profile:
        """Measure what the selector reads; where nothing is left to recommend, what costs next to nothing."""
        return profile_task(
            self.problem,
            budget=self.budget.share(_PROFILE_SHARE),
            emit=self.log.emit,
            seed=self.settings.seed,
            cache=self.profiles,
            leaks=leaks,
            only=MEASURES if self.settings.families is None else (),
        )

    def _tune(self, found: _Measured, home: Path) -> Tuned:
        wanted = found.recommendation.families
        if self.settings.families is not None:
            wanted = trained_names(self.settings.families)
        studies = RunStudies(
            self.problem, self.rows, self.settings, self.budget, self.log, self._family, home, self._kept(),
            found.recommendation.first_configs,
        )  # fmt: skip
        return studies.run(wanted, lambda best: self._odds(found, best), self._order(found, wanted))

    def _kept(self) -> float:
        """Return the seconds that are kept for the explanation."""
        return reserved_seconds(self.budget) if self.settings.explain else 0.0

    def _order(self, found: _Measured, wanted: Sequence[str]) -> list[str]:
        """Return the families by their expected margins, the best first; those without a margin keep their place."""
        margins = found.recommendation.margins
        return sorted(wanted, key=lambda name: -margins[name].value if name in margins else 0.0)

    def _odds(
        self,
        found: _Measured,
        best: Mapping[str, Candidate],
        *,
        as_they_are: bool = False,
        luck: Mapping[str, float] | None = None,
    ) -> FamilyOdds | None:
        if self.selector is None:
            return None
        values = {measure.name: measure.value for measure in found.profile.measures}
        numbers = numbers_of(values, regression=self.problem.task.kind == "regression")
        reference = found.baselines[0].score
        return family_odds(
            self.selector, numbers, self.problem, self.rows, best, reference, as_they_are=as_they_are, luck=luck
        )

    def _luck(self, found: _Measured, tuned: Tuned) -> dict[str, float]:
        """Say what tuning gave each family, and return how much of it is expected to be luck, in skill."""
        luck = {}
        for name in tuned.best:
            mine = [each for each in tuned.candidates if each.family == name]
            gain = tuning_gain(self.problem, self.rows, mine, found.baselines[0].score)
            if gain is not None:
                luck[name] = gain.luck
                self.log.emit(Notice("tuning", gain.sentence(self.problem.task.metric.title)))
        return luck

    def _decide(self, found: _Measured, tuned: Tuned, home: Path) -> Decision:
        """Choose what predicts: a baseline that no model beats on the select rows, one family, or a blend; and refit it."""
        unbeaten = _best_score(found.baselines) > _best_score(tuned.candidates)
        luck = self._luck(found, tuned)
        odds = None if unbeaten else self._odds(found, tuned.best, as_they_are=True, luck=luck)
        weights = None if unbeaten else final_weights(self.settings.final, odds, tuned.best)
        asked: Sequence[Candidate] = [*found.baselines, *tuned.candidates] if unbeaten else tuned.candidates
        if weights is not None:
            leader = next(iter(weights))
            asked = [each for each in asked if each.family == leader]
        choice = self._choice(asked, tuned.plan.choice())
        chosen = load_choice(choice, self.problem, self.rows, self._families)
        if odds is not None:
            choice = replace(choice, why=f"{odds.sentence} {choice.why}")
        chosen, said = self._combined(chosen, weights, tuned, home)
        choice = replace(choice, why=" ".join([choice.why, *said]))
        with self.log.stage("refit"):
            return self._refit(choice, chosen, tuned.plan.refitting(), home / "refit")

    def _choice(self, candidates: Sequence[Candidate], budget: Budget) -> FinalChoice:
        return choose_checkpoint(
            candidates,
            self.problem,
            self.rows,
            self._families,
            budget=budget,
            emit=self.log.emit,
            seed=self.settings.seed,
        )

    def _combined(
        self, chosen: Candidate, weights: Mapping[str, float] | None, tuned: Tuned, home: Path
    ) -> tuple[Candidate, list[str]]:
        """Return the chosen candidate, averaged over seeds where there is time and blended with other families' best ones where
        weights say so, and what is to be said of it.
        """
        weights = weights or {chosen.family: 1.0}
        members = [chosen if name == chosen.family else tuned.best[name] for name in weights]
        stage = SeedStage(self.problem, self.rows, self.settings, self.log, self._families, home)
        averaged = stage.averaged(members, tuned.plan.averaging(), tuned.plan.refit)
        said = [each.notes[-1] for each, member in zip(averaged, members, strict=True) if each is not member]
        if len(averaged) == 1:
            return averaged[0], said
        self._family(combination())
        blend = blend_candidates(averaged, list(weights.values()), self.problem, self.rows, seed=self.settings.seed)
        return blend, [*said, *blend.notes]

    def _with_gain(self, found: _Measured, tuned: Tuned, decision: Decision) -> _Measured:
        """Add what the importances of the trained models show to the report of the leak checks."""
        ranked = sorted(tuned.candidates, key=lambda c: (-_finite(c.score), c.number))
        models = [each.importances for each in (decision.candidate, *ranked) if each.importances is not None]
        leaks = with_gain(found.profile.leaks, self.problem, models)
        for finding in leaks.findings:
            if finding not in found.profile.leaks.findings and finding.accepted is None:
                self.log.emit(Notice("leaks", str(finding), "warning"))
        return replace(found, profile=replace(found.profile, leaks=leaks))

    def _refit(self, choice: FinalChoice, chosen: Candidate, budget: Budget, folder: Path) -> Decision:
        family, begun, deployed = self._family(chosen.family), time.monotonic(), None
        note = (
            "It predicts as it was validated: there was no time for a refit on validation rows, or none was asked for."
        )
        try:
            deployed = family.refit(
                chosen, self.problem, self.rows, budget=budget, emit=self.log.emit, resume=folder / chosen.id
            )
        except Exception as error:  # what was validated is worth keeping, whatever its refit raises
            note = f"It predicts as it was validated: its refit failed ({type(error).__name__}: {error})."
            trace = "".join(traceback.format_exception(error))
            self.log.emit(TrialFailed(chosen.family, chosen.number, f"refit: {error}", trace))
            self.log.emit(Notice("refit", note, "warning"))
        shutil.rmtree(folder, ignore_errors=True)
        if deployed is not None:
            note = "It predicts after a refit on training and validation rows; its scores are from before."
        self.log.emit(Refitted(chosen.family, chosen.number, deployed is not None, time.monotonic() - begun))
        return Decision(
            candidate=chosen,
            deployed=chosen if deployed is None else deployed,
            refitted=deployed is not None,
            refit_note=note,
            why=choice.why,
            near_ties=choice.near_ties,
            without_flatness=choice.without_flatness,
            standard_error=choice.standard_error,
            skipped=choice.skipped,
            landscape=choice.landscape,
        )

    def _explain(self, decision: Decision, split: Split) -> RunExplanation | None:
        """Measure what the decision rests on; whatever fails here costs no predictor."""
        if not self.settings.explain:
            return None
        with self.log.stage("explanation"):
            return self._explained(decision, split)

    def _explained(self, decision: Decision, split: Split) -> RunExplanation:
        try:
            return explain_run(
                self.problem,
                self._family(decision.candidate.family),
                decision.candidate,
                decision.deployed,
                self.rows.select,
                budget=explaining_budget(self.budget),
                seed=self.settings.seed,
                split=split,
            )
        except KeyboardInterrupt:
            why = "It was interrupted while what it rests on was measured: fitted.importance() and fitted.staleness() do it."
        except Exception as error:  # a predictor without an explanation is worth keeping
            why = f"What it rests on was not measured ({type(error).__name__}: {error})."
            self.log.emit(Notice("explanation", why, "warning"))
        return RunExplanation(why=why)

    def _assembled(
        self,
        found: _Measured,
        tuned: Tuned | None = None,
        decision: Decision | None = None,
        scores: dict[str, dict[str, Score]] | None = None,
    ) -> RunResult:
        candidates = [*found.baselines, *(() if tuned is None else tuned.candidates)]
        if decision is not None:
            candidates = [decision.candidate if each.id == decision.candidate.id else each for each in candidates]
            if decision.candidate.id not in {each.id for each in candidates}:
                candidates.append(decision.candidate)  # a blend, which no study made
        seconds = self.budget.seconds
        return RunResult(
            version=__version__,
            settings=self.settings,
            budget=BudgetUse(seconds if math.isfinite(seconds) else None, self.budget.elapsed()),
            database=database_facts(self.problem),
            task=task_facts(self.problem),
            environment=environment_facts(candidate.device for candidate in candidates),
            families=tuple(info_of(name).name for name in dict.fromkeys([*baselines(), *self._named(found, tuned)])),
            profile=found.profile,
            recommendation=found.recommendation,
            validation=ValidationUse(
                self.validation.way,
                len(self.rows.stop),
                len(self.rows.select),
                self.validation.shared,
                self.validation.why,
            ),
            candidates=tuple(candidate.bare() for candidate in candidates),
            failures=() if tuned is None else tuned.failures,
            unfinished=() if tuned is None else tuned.unfinished,
            pruned=() if tuned is None else tuned.pruned,
            decision=decision,
            scores=scores or {},
            stages=tuple(self.log.stages),
            notices=tuple(self.log.notices),
        )

    @staticmethod
    def _named(found: _Measured, tuned: Tuned | None) -> list[str]:
        """Return every family that the result names."""
        names = [*found.recommendation.families, *found.recommendation.margins]
        if tuned is not None:
            names += [each.family for each in tuned.candidates]
            names += [each.family for each in tuned.failures]
            names += [each.family for each in tuned.unfinished]
        return names

    def _family(self, name: str) -> Family:
        if name not in self._families:
            settings = self.settings
            space = read_space(settings.spaces[name]) if name in settings.spaces else None
            self._families[name] = adjusted_family(family_of(name), settings.options.get(name), settings.device, space)
        return self._families[name]


def _others(tuned: Tuned, decision: Decision) -> list[Candidate]:
    """Return the best candidate of each trained family but the decided one."""
    best: dict[str, Candidate] = {}
    for candidate in sorted(tuned.candidates, key=lambda c: (_finite(c.score), -c.number)):
        best[candidate.family] = candidate
    return [candidate for candidate in best.values() if candidate.id != decision.candidate.id]


def _best_score(candidates: Sequence[Candidate]) -> float:
    return max((_finite(candidate.score) for candidate in candidates), default=-math.inf)


def _finite(score: float) -> float:
    return score if math.isfinite(score) else -math.inf


@contextmanager
def _home(workdir: Path | None) -> Iterator[Path]:
    if workdir is not None:
        workdir.mkdir(parents=True, exist_ok=True)
        yield workdir
        return
    temporary = Path(tempfile.mkdtemp(prefix="relselect-"))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

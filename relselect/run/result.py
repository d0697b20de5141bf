"""The result of a run: frozen, typed, and the one source of record, report, leaderboard and bundle.

Everything in it but the models is JSON-able: `to_json` and `from_json` keep all facts and leave out models and predictions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from relselect.errors import BundleError
from relselect.events import Notice
from relselect.explain.stage import RunExplanation
from relselect.families.candidate import Candidate
from relselect.landscape.loss_slice import LossSlice
from relselect.landscape.ties import NearTie
from relselect.outcomes import Outcome
from relselect.problem.validation import ValidationWay
from relselect.profile import Profile
from relselect.run.facts import DatabaseFacts, EnvironmentFacts, TaskFacts
from relselect.run.settings import Settings
from relselect.selector import Recommendation
from relselect.serialization import jsonable, number_of
from relselect.tuning import Failure, Pruned
from relselect.untrusted import brief, check_fields

if TYPE_CHECKING:
    from relselect.leaks import Finding

__all__ = ["BudgetUse", "Decision", "RunResult", "Score", "StageTime", "Unfinished", "ValidationUse"]

#: The version of the JSON; the first had no number yet.
_FORMAT = 1
_AGAIN = "Save the predictor again, or correct the path"


@dataclass(frozen=True)
class Score:
    """A score (higher is better) with its 90 % bootstrap interval, clustered by entity; nan where undefined."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class StageTime:
    """A stage of a run and the seconds it took."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class BudgetUse:
    """Seconds that were granted (None: no limit) and that were spent."""

    seconds: float | None
    spent: float


@dataclass(frozen=True)
class Unfinished:
    """A family that yielded no candidate, and why."""

    family: str
    why: str


@dataclass(frozen=True)
class ValidationUse:
    """How the validation rows were used.

    Attributes:
        way: How they were divided; see `relselect.problem.validation`.
        stop_rows: Number of rows that ended training.
        select_rows: Number of rows that chose and that carry the reported score.
        shared: Whether the same rows did both.
        why: The reason in one sentence.
    """

    way: ValidationWay
    stop_rows: int
    select_rows: int
    shared: bool
    why: str


@dataclass(frozen=True)
class Decision:
    """What was decided.

    Attributes:
        candidate: What was validated, the chosen checkpoint loaded: it has seen no validation row.
        deployed: What predicts from now on: the candidate after its refit, or the candidate itself.
        refitted: Whether `deployed` was trained on validation rows too.
        refit_note: What was done about the refit, in one sentence.
        why: The reasons of the choice, in sentences.
        near_ties: Checkpoints within one standard error of the best, the chosen one marked.
        without_flatness: Family, number and checkpoint that the score alone would have chosen.
        standard_error: Of the best score on the select rows.
        skipped: What of the flatness was not measured, and why; "" if nothing.
        landscape: The loss around the chosen checkpoint and around others of its architecture; empty where it was not measured.
    """

    candidate: Candidate
    deployed: Candidate
    refitted: bool
    refit_note: str
    why: str
    near_ties: tuple[NearTie, ...]
    without_flatness: tuple[str, int, int | None]
    standard_error: float
    skipped: str
    landscape: tuple[LossSlice, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the decision as JSON-able values, without models."""
        return {
            "candidate": self.candidate.to_json(),
            "refitted": self.refitted,
            "refit_note": self.refit_note,
            "why": self.why,
            "near_ties": [tie.to_json() for tie in self.near_ties],
            "without_flatness": list(self.without_flatness),
            "standard_error": jsonable(self.standard_error),
            "skipped": self.skipped,
            "landscape": [each.to_json() for each in self.landscape],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Decision:
        """Return the decision that `to_json` wrote, its candidate without a model."""
        candidate = Candidate.from_json(stored["candidate"])
        family, number, checkpoint = stored["without_flatness"]
        return cls(
            candidate=candidate,
            deployed=candidate,
            refitted=stored["refitted"],
            refit_note=stored["refit_note"],
            why=stored["why"],
            near_ties=tuple(NearTie.from_json(each) for each in stored["near_ties"]),
            without_flatness=(family, number, checkpoint),
            standard_error=number_of(stored["standard_error"]),
            skipped=stored["skipped"],
            landscape=tuple(LossSlice.from_json(each) for each in stored.get("landscape", ())),
        )


@dataclass(frozen=True)
class RunResult:
    """Everything a run found.

    Attributes:
        version: The version of relselect.
        settings: What was asked for.
        budget: Seconds granted and spent.
        database: Facts of the database.
        task: Facts of the task.
        environment: Versions and devices.
        families: Names of the families that took part, baselines first.
        profile: The measurements; None where there was no time for any.
        recommendation: What the selector answered.
        validation: How the validation rows were used.
        candidates: All finished candidates, without models.
        failures: Trials that raised.
        unfinished: Families without a candidate.
        decision: What was decided; None for a recommendation, which trains nothing.
        explanation: What the decision rests on; None where nothing was decided, or it was not asked for.
        outcome: What the predictions of the evaluated rows are worth; None where nothing was decided, or it was not measured.
        scores: Split -> candidate id, or `DEPLOYED`, -> score; the test split, where it was scored.
        stages: Where the time went.
        notices: What a reader should know.
    """

    version: str
    settings: Settings
    budget: BudgetUse
    database: DatabaseFacts
    task: TaskFacts
    environment: EnvironmentFacts
    families: tuple[str, ...]
    profile: Profile | None
    recommendation: Recommendation
    validation: ValidationUse
    candidates: tuple[Candidate, ...]
    failures: tuple[Failure, ...] = ()
    unfinished: tuple[Unfinished, ...] = ()
    decision: Decision | None = None
    explanation: RunExplanation | None = None
    outcome: Outcome | None = None
    scores: Mapping[str, Mapping[str, Score]] = field(default_factory=dict)
    stages: tuple[StageTime, ...] = ()
    notices: tuple[Notice, ...] = ()
    pruned: tuple[Pruned, ...] = ()

    #: The key of the deployed model's score in `scores`.
    DEPLOYED = "deployed"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings of the leak checks."""
        return () if self.profile is None else self.profile.findings

    @property
    def ranked(self) -> tuple[Candidate, ...]:
        """All candidates, the best score on the select rows first; undefined scores last."""
        return tuple(sorted(self.candidates, key=lambda c: (math.isnan(c.score), -_zero(c.score), c.family, c.number)))

    def score_of(self, split: str, candidate: str) -> Score | None:
        """Return the score of a candidate, or of `DEPLOYED`, on a split; None where it was not scored."""
        return self.scores.get(split, {}).get(candidate)

    def to_json(self) -> dict[str, Any]:
        """Return all facts as JSON-able values, null for nan."""
        plain = {name: adapter.dump_python(getattr(self, name), mode="json") for name, adapter in _ADAPTERS.items()}
        return {
            **plain,
            "format": _FORMAT,
            "version": self.version,
            "profile": None if self.profile is None else self.profile.to_json(),
            "recommendation": self.recommendation.to_json(),
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "decision": None if self.decision is None else self.decision.to_json(),
            "explanation": None if self.explanation is None else self.explanation.to_json(),
            "outcome": None if self.outcome is None else self.outcome.to_json(),
            "scores": {
                split: {
                    name: [jsonable(each.value), jsonable(each.low), jsonable(each.high)]
                    for name, each in scores.items()
                }
                for split, scores in self.scores.items()
            },
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> RunResult:
        """Return the result that `to_json` wrote, its candidates without models and predictions.

        Raises:
            BundleError: It is of an unknown format, a key is missing, or a value is of another type or none of those known.
        """
        _check_format(stored)
        stored = {"pruned": [], **stored}  # results of earlier versions have none
        with _faults_named():
            plain: dict[str, Any] = {name: adapter.validate_python(stored[name]) for name, adapter in _ADAPTERS.items()}
            found = cls(
                **plain,
                version=stored["version"],
                profile=None if stored["profile"] is None else Profile.from_json(stored["profile"]),
                recommendation=Recommendation.from_json(stored["recommendation"]),
                candidates=tuple(Candidate.from_json(each) for each in stored["candidates"]),
                decision=None if stored["decision"] is None else Decision.from_json(stored["decision"]),
                explanation=_explanation(stored.get("explanation")),
                outcome=_outcome(stored.get("outcome")),
                scores={
                    split: {name: Score(*(number_of(number) for number in each)) for name, each in scores.items()}
                    for split, scores in stored["scores"].items()
                },
            )
            check_fields(found, "result")
        return found


def _explanation(stored: Mapping[str, Any] | None) -> RunExplanation | None:
    """Return the explanation of a result; results of earlier versions have none."""
    return None if stored is None else RunExplanation.from_json(stored)


def _outcome(stored: Mapping[str, Any] | None) -> Outcome | None:
    """Return the outcome of a result; results of earlier versions have none."""
    return None if stored is None else Outcome.from_json(stored)


def _check_format(stored: object) -> None:
    """Check that a value is a result in the format that this version reads.

    Raises:
        BundleError: It is not.
    """
    if not isinstance(stored, Mapping):
        raise BundleError("result", type(stored).__name__, "is no mapping, and so no result of a run", _AGAIN)
    found = stored.get("format", _FORMAT)
    if isinstance(found, bool) or found != _FORMAT:
        rule = f"is no format that this version of relselect reads; it reads {_FORMAT}"
        raise BundleError("result.format", found, rule, "Read it with the version of relselect that wrote it")


@contextmanager
def _faults_named() -> Iterator[None]:
    """Turn what the reading of other JSON raises into a BundleError."""
    try:
        yield
    except KeyError as error:
        raise BundleError("result", brief(error), "is missing", _AGAIN) from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        rule = f"holds something else than the result of a run ({type(error).__name__}: {brief(error)})"
        raise BundleError("result", "JSON", rule, _AGAIN) from error


_ADAPTERS: dict[str, TypeAdapter[Any]] = {
    "settings": TypeAdapter(Settings),
    "budget": TypeAdapter(BudgetUse),
    "database": TypeAdapter(DatabaseFacts),
    "task": TypeAdapter(TaskFacts),
    "environment": TypeAdapter(EnvironmentFacts),
    "families": TypeAdapter(tuple[str, ...]),
    "validation": TypeAdapter(ValidationUse),
    "failures": TypeAdapter(tuple[Failure, ...]),
    "unfinished": TypeAdapter(tuple[Unfinished, ...]),
    "stages": TypeAdapter(tuple[StageTime, ...]),
    "notices": TypeAdapter(tuple[Notice, ...]),
    "pruned": TypeAdapter(tuple[Pruned, ...]),
}


def _zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value

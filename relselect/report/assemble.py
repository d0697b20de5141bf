"""From the result of a run to its record: every key of the record from one attribute of the result.

Nothing is measured, predicted or read here, so a result that was saved and loaded gives the same record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, cast

from relselect.errors import ConfigError
from relselect.families.registry import info_of
from relselect.report.outcome_record import OutcomeRecord
from relselect.report.record import (
    RECORD_VERSION,
    AblationRecord,
    BudgetRecord,
    CandidateRecord,
    ChoiceRecord,
    CurvePointRecord,
    DatabaseRecord,
    DecayRecord,
    DelayRecord,
    DeployedRecord,
    FamilyRecord,
    FindingRecord,
    ImportanceRecord,
    ImportancesRecord,
    LeaderboardRecord,
    LearningCurveRecord,
    LossSliceRecord,
    MeasureRecord,
    PeriodRecord,
    ProfileRecord,
    RecommendationRecord,
    RestsOnRecord,
    RunRecord,
    SettingsRecord,
    StalenessRecord,
    TaskRecord,
    ValidationRecord,
)
from relselect.serialization import plain

if TYPE_CHECKING:
    from relselect.explain import AblationStudy, Staleness
    from relselect.explain.stage import RunExplanation
    from relselect.families.candidate import Candidate, LearningCurve
    from relselect.profile import Profile
    from relselect.run.result import Decision, RunResult

__all__ = ["profile_record", "record_of"]


def record_of(result: RunResult) -> RunRecord:
    """Returns everything that a report says about a run, as JSON-able values.

    Args:
        result: The result of a run, or of a measurement without training (its `decision` is None).
    """
    decision = result.decision
    record = RunRecord(
        version=RECORD_VERSION,
        relselect=result.version,
        kind="recommendation" if decision is None else "run",
        settings=_settings(result),
        families=[_family(name) for name in _named_families(result)],
        budget=_budget(result),
        environment={
            "python": result.environment.python,
            **result.environment.packages,
            "device": result.environment.device,
        },
        database=_database(result),
        task=_task(result),
        profile=None if result.profile is None else profile_record(result.profile),
        recommendation=_recommendation(result),
        validation=_validation(result),
        leaderboard=[_leader(result, rank, candidate) for rank, candidate in enumerate(_ranked(result), 1)],
        failures=[{"family": f.family, "number": f.number, "error": f.error} for f in result.failures],
        pruned=[{"family": each.family, "number": each.number, "reason": each.reason} for each in result.pruned],
        unfinished=[{"family": each.family, "why": each.why} for each in result.unfinished],
        choice=None if decision is None else _choice(result, decision),
        deployed=None if decision is None else _deployed(result, decision),
        rests_on=None if result.explanation is None else _rests_on(result.explanation),
        outcome=None if result.outcome is None else cast(OutcomeRecord, result.outcome.to_json()),
        candidates={candidate.id: _candidate(candidate) for candidate in _ranked(result)},
        notices=[{"level": n.level, "topic": n.topic, "message": n.message} for n in result.notices],
    )
    cleaned: RunRecord = plain(record)
    return cleaned


def profile_record(profile: Profile) -> ProfileRecord:
    """Returns the measures of a profile and what its leak checks found, as JSON-able values."""
    names = MeasureRecord.__annotations__
    record = ProfileRecord(
        measures=[cast(MeasureRecord, {name: getattr(each, name) for name in names}) for each in profile.measures],
        seconds=profile.seconds,
        findings=[cast(FindingRecord, finding.to_json()) for finding in profile.findings],
        unrun_checks=[{"check": each.check, "why": each.why} for each in profile.unrun_checks],
    )
    cleaned: ProfileRecord = plain(record)
    return cleaned


def _settings(result: RunResult) -> SettingsRecord:
    settings = result.settings
    weights = settings.class_weight
    return SettingsRecord(
        seed=settings.seed,
        families=None if settings.families is None else list(settings.families),
        time_budget=result.budget.seconds,
        max_trials=settings.max_trials,
        fidelity=settings.fidelity,
        average_seeds=settings.average_seeds,
        evaluate_test=settings.evaluate_test,
        final=settings.final,
        explain=settings.explain,
        options=settings.options,
        spaces=settings.spaces,
        device=settings.device,
        metric=settings.metric,
        class_weight=dict(weights) if isinstance(weights, Mapping) else "balanced" if weights else None,
        preset=settings.preset,
    )


def _named_families(result: RunResult) -> list[str]:
    """The families that took part, then those that are only recommended or expected something of."""
    advice = result.recommendation
    return list(
        dict.fromkeys((*result.families, *(c.family for c in result.candidates), *advice.families, *advice.margins))
    )


def _family(name: str) -> FamilyRecord:
    """The description of a family; one that is not registered here any more is called by its name."""
    try:
        known = info_of(name).to_json()
    except ConfigError:
        grey = {"colour_light": "#747b86", "colour_dark": "#98a0ab"}
        known = {"name": name, "title": name, "phrase": name, "short": name, "baseline": False, **grey}
    return cast(FamilyRecord, {key: known.get(key, "") for key in FamilyRecord.__annotations__})


def _budget(result: RunResult) -> BudgetRecord:
    return BudgetRecord(
        seconds=result.budget.seconds,
        spent=round(result.budget.spent, 2),
        by_stage=[{"stage": each.stage, "seconds": round(each.seconds, 2)} for each in result.stages],
    )


def _database(result: RunResult) -> DatabaseRecord:
    return cast(DatabaseRecord, asdict(result.database))


def _task(result: RunResult) -> TaskRecord:
    return cast(TaskRecord, asdict(result.task))


def _recommendation(result: RunResult) -> RecommendationRecord:
    advice = result.recommendation
    return RecommendationRecord(
        families=list(advice.families),
        margins={name: {"value": m.value, "low": m.low, "high": m.high} for name, m in advice.margins.items()},
        evidence=list(advice.evidence),
        taught_by=advice.taught_by,
        basis=advice.basis,
        neighbours=list(advice.neighbours),
    )


def _validation(result: RunResult) -> ValidationRecord:
    return cast(ValidationRecord, asdict(result.validation))


def _ranked(result: RunResult) -> Sequence[Candidate]:
    """The candidates by rank; the chosen one as it was decided, with its chosen checkpoint's scores."""
    chosen = None if result.decision is None else result.decision.candidate
    return [chosen if chosen is not None and each.id == chosen.id else each for each in result.ranked]


def _leader(result: RunResult, rank: int, candidate: Candidate) -> LeaderboardRecord:
    test = result.score_of("test", candidate.id)
    baseline = _family(candidate.family)["baseline"]
    return LeaderboardRecord(
        rank=rank,
        family=candidate.family,
        candidate=candidate.id,
        score=candidate.score,
        low=candidate.interval[0],
        high=candidate.interval[1],
        stop_score=candidate.stop_score,
        test_score=None if test is None else test.value,
        test_low=None if test is None else test.low,
        test_high=None if test is None else test.high,
        seconds=round(candidate.seconds, 3),
        peak_memory_mb=round(candidate.peak_memory_mb) if math.isfinite(candidate.peak_memory_mb) else None,
        device=candidate.device,
        config=dict(candidate.config),
        default=candidate.number == 0 and not baseline,
        chosen=result.decision is not None and candidate.id == result.decision.candidate.id,
        ended=candidate.ended,
        note=" ".join(candidate.notes),
    )


def _choice(result: RunResult, decision: Decision) -> ChoiceRecord:
    steps = {each.id: [point.step for point in each.checkpoints] for each in result.candidates}
    family, number, checkpoint = decision.without_flatness
    return ChoiceRecord(
        candidate=decision.candidate.id,
        family=decision.candidate.family,
        checkpoint=decision.candidate.checkpoint,
        step=_step(steps, decision.candidate.id, decision.candidate.checkpoint),
        why=decision.why,
        near_ties=[
            {
                "candidate": f"{tie.family}-{tie.number}",
                "checkpoint": tie.checkpoint,
                "step": _step(steps, f"{tie.family}-{tie.number}", tie.checkpoint),
                "score": tie.score,
                "slope": tie.flatness,
                "chosen": tie.chosen,
            }
            for tie in decision.near_ties
        ],
        without_flatness=f"{family}-{number}",
        without_flatness_checkpoint=checkpoint,
        landscape=[
            LossSliceRecord(
                candidate=f"{each.family}-{each.number}",
                checkpoint=each.checkpoint,
                direction=each.direction,
                steps=list(each.steps),
                losses=list(each.losses),
                chosen=each.chosen,
            )
            for each in decision.landscape
        ],
    )


def _step(steps: Mapping[str, Sequence[int]], candidate: str, checkpoint: int | None) -> int | None:
    """The training step of a checkpoint, None for a candidate without checkpoints."""
    known = steps.get(candidate, ())
    return known[checkpoint] if checkpoint is not None and checkpoint < len(known) else None


def _deployed(result: RunResult, decision: Decision) -> DeployedRecord:
    test = result.score_of("test", result.DEPLOYED)
    return DeployedRecord(
        candidate=decision.deployed.id,
        checkpoint=None if decision.refitted else decision.candidate.checkpoint,
        refitted=decision.refitted,
        why=decision.refit_note,
        test_score=None if test is None else test.value,
        test_low=None if test is None else test.low,
        test_high=None if test is None else test.high,
    )


def _rests_on(found: RunExplanation) -> RestsOnRecord:
    return RestsOnRecord(
        importance=None if found.importance is None else _importance(found.importance),
        staleness=None if found.staleness is None else _staleness(found.staleness),
        why=found.why,
    )


def _importance(study: AblationStudy) -> ImportanceRecord:
    names = AblationRecord.__annotations__
    rows = [cast(AblationRecord, {name: getattr(each, name) for name in names}) for each in study.ablations]
    return ImportanceRecord(
        candidate=study.candidate,
        rows=study.rows,
        score=study.score,
        ablations=rows,
        sentences=list(study.sentences),
    )


def _staleness(found: Staleness) -> StalenessRecord:
    delays = [
        DelayRecord(
            delay=each.delay, score=each.score, change=each.change, low=each.change_low, high=each.change_high,
            rows=each.rows, fallen=each.fallen,
        )
        for each in found.delays
    ]  # fmt: skip
    decay = None
    if found.decay is not None:
        names = PeriodRecord.__annotations__
        periods = [cast(PeriodRecord, {name: getattr(each, name) for name in names}) for each in found.decay.periods]
        known = {name: getattr(found.decay, name) for name in ("split", "slope", "low", "high")}
        decay = cast(DecayRecord, known | {"periods": periods})
    return StalenessRecord(delays=delays, decay=decay, sentences=list(found.sentences))


def _candidate(candidate: Candidate) -> CandidateRecord:
    curve, importances = candidate.curve, candidate.importances
    return CandidateRecord(
        learning_curve=None if curve is None else _curve(curve),
        importances=None if importances is None else cast(ImportancesRecord, importances.to_json()),
        facts=dict(candidate.facts),
    )


def _curve(curve: LearningCurve) -> LearningCurveRecord:
    names = CurvePointRecord.__annotations__
    points = [cast(CurvePointRecord, {name: getattr(point, name) for name in names}) for point in curve.points]
    return LearningCurveRecord(unit=curve.unit, loss_of=curve.loss_of, points=points)

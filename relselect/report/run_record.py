"""The record of a whole run, or of a recommendation alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relselect.report.assemble import (
    database_record,
    environment_record,
    leaderboard_record,
    profile_record,
    recommendation_record,
    task_record,
)
from relselect.report.record import RECORD_VERSION
from relselect.serialization import plain

if TYPE_CHECKING:
    from relselect.families.protocol import Candidate
    from relselect.landscape import FinalChoice
    from relselect.run.run import Outcome

__all__ = ["record_of"]


def record_of(outcome: Outcome) -> dict[str, Any]:
    """Return everything that a report says about a run, as JSON-able values."""
    import relselect

    chosen = None if outcome.chosen is None else outcome.chosen.id
    candidates = [outcome.chosen if outcome.chosen is not None and c.id == chosen else c for c in outcome.candidates]
    record: dict[str, Any] = {
        "version": RECORD_VERSION,
        "relselect": relselect.__version__,
        "kind": "recommendation" if outcome.chosen is None else "run",
        "seed": outcome.settings.seed,
        "budget": {
            "seconds": outcome.budget.seconds,
            "spent": round(outcome.budget.elapsed(), 2),
            "by_stage": [{"stage": stage, "seconds": round(seconds, 2)} for stage, seconds in outcome.stages],
        },
        "environment": environment_record([candidate.device for candidate in candidates]),
        "database": database_record(outcome.problem),
        "task": task_record(outcome.problem),
        "profile": None if outcome.profile is None else profile_record(outcome.profile),
        "recommendation": None if outcome.recommendation is None else recommendation_record(outcome.recommendation),
        "leaderboard": leaderboard_record(candidates, chosen, outcome.test_scores),
        "failures": [
            {"family": family, "number": number, "error": error} for family, number, error in outcome.failures
        ],
        "unfinished": [{"family": family, "why": why} for family, why in outcome.unfinished],
        "choice": None if outcome.choice is None else _choice(outcome.choice, candidates),
        "candidates": {candidate.id: {"details": candidate.details} for candidate in candidates},
        "notices": [{"level": n.level, "topic": n.topic, "message": n.message} for n in outcome.notices],
    }
    return dict(plain(record))


def _choice(choice: FinalChoice, candidates: list[Candidate]) -> dict[str, Any]:
    steps = {candidate.id: [point.step for point in candidate.checkpoints] for candidate in candidates}

    def step(candidate: str, checkpoint: int | None) -> int | None:
        known = steps.get(candidate, [])
        return known[checkpoint] if checkpoint is not None and checkpoint < len(known) else None

    family, number, checkpoint = choice.without_flatness
    return {
        "candidate": choice.candidate.id,
        "family": choice.candidate.family,
        "checkpoint": choice.checkpoint,
        "step": step(choice.candidate.id, choice.checkpoint),
        "why": choice.why,
        "without_flatness": f"{family}-{number}",
        "without_flatness_checkpoint": checkpoint,
        "near_ties": [
            {
                "candidate": f"{tie.family}-{tie.number}",
                "checkpoint": tie.checkpoint,
                "step": step(f"{tie.family}-{tie.number}", tie.checkpoint),
                "score": tie.score,
                "slope": tie.flatness,
                "chosen": tie.chosen,
            }
            for tie in choice.near_ties
        ],
    }

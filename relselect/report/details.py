"""Picks the candidate whose learning curve and whose feature importances a report shows."""

from __future__ import annotations

from relselect.report.record import FeatureRecord, ImportancesRecord, LearningCurveRecord, RunRecord

__all__ = ["curve_points", "importances", "learning_curve"]


def learning_curve(record: RunRecord) -> tuple[str, LearningCurveRecord] | None:
    """Returns the chosen candidate and its curve, else the best one whose curve has two points or more."""
    for candidate in _by_interest(record):
        curve = record["candidates"][candidate]["learning_curve"]
        if curve is not None and len(curve_points(curve)[1]) > 1:
            return candidate, curve
    return None


def curve_points(curve: LearningCurveRecord) -> tuple[bool, list[tuple[float, int, float]]]:
    """Returns what a curve is drawn from.

    Returns:
        Whether the values are scores of the stop rows (losses otherwise), and the points in order: epochs or rounds that are
        done, training step, value.
    """
    scored = sum(point["score"] is not None for point in curve["points"]) > 1
    found = []
    for point in curve["points"]:
        value = point["score"] if scored else point["loss"]
        place = point["step"] if curve["unit"] == "round" or point["epoch"] is None else point["epoch"] + 1
        if value is not None:
            found.append((float(place), point["step"], value))
    return scored, sorted(found)


def importances(record: RunRecord) -> tuple[str, ImportancesRecord] | None:
    """Returns the chosen candidate and its importances, else the best one that has any; the largest share first."""
    for candidate in _by_interest(record):
        found = record["candidates"][candidate]["importances"]
        kept = [] if found is None else [row for row in found["features"] if row["share"] > 0]
        if found is not None and kept:
            return candidate, ImportancesRecord(kind=found["kind"], features=sorted(kept, key=_order))
    return None


def _order(row: FeatureRecord) -> tuple[float, str]:
    return -row["share"], row["feature"]


def _by_interest(record: RunRecord) -> list[str]:
    """The described candidates: the chosen one, then in the order of the leaderboard."""
    choice = record["choice"]
    first = [] if choice is None else [choice["candidate"]]
    names = [*first, *(row["candidate"] for row in record["leaderboard"])]
    return [name for name in dict.fromkeys(names) if name in record["candidates"]]

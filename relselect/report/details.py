"""Reads what a family tells about a candidate: its learning curve and its feature importances.

Families write `details` freely; the shapes understood here are lists of dictionaries, dictionaries of lists, plain
dictionaries and pairs. Anything else is left out of the figures and stays in the JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from relselect.report.record import RunRecord

__all__ = ["Curve", "Importance", "Point", "importances", "learning_curve"]

_EPOCH = ("epoch", "iteration", "steps", "step")
_STEP = ("steps", "step", "epoch", "iteration")
_SCORE = ("score", "val_score", "validation", "val")
_LOSS = ("loss", "train_loss")
_FEATURE = ("feature", "name", "column")
_WEIGHT = ("importance", "gain", "value", "weight")


@dataclass(frozen=True, order=True)
class Point:
    """One point of a curve: its epoch, the training step it ended at, and the value."""

    epoch: float
    step: float
    value: float


@dataclass(frozen=True)
class Curve:
    """A learning curve.

    Attributes:
        candidate: Whose curve it is.
        points: In order of the epochs.
        scored: Whether the values are validation scores; training losses otherwise.
        unit: What is counted along it: "epoch" or "step".
    """

    candidate: str
    points: tuple[Point, ...]
    scored: bool
    unit: str


@dataclass(frozen=True)
class Importance:
    """One feature, its share of all weight and its description in words."""

    feature: str
    share: float
    description: str


def learning_curve(record: RunRecord) -> Curve | None:
    """The curve of the chosen candidate, else of the best one that has a curve of two points or more."""
    for candidate in _by_interest(record):
        rows = _rows(_details(record, candidate).get("learning_curve"))
        for keys, scored in ((_SCORE, True), (_LOSS, False)):
            points = [_point(row, index, keys) for index, row in enumerate(rows)]
            known = sorted(point for point in points if point is not None)
            if len(known) > 1:
                return Curve(candidate, tuple(known), scored, "epoch" if "epoch" in rows[0] else "step")
    return None


def importances(record: RunRecord) -> tuple[str, list[Importance]] | None:
    """The features of the chosen candidate, else of the best one that tells them, heaviest first."""
    for candidate in _by_interest(record):
        given = _details(record, candidate).get("feature_importances")
        found = [item for item in map(_importance, _pairs(given)) if item is not None and item.share > 0]
        if found:
            total = sum(item.share for item in found)
            whole = total if total > 1.001 else 1.0  # up to one they are shares already, of which only the top is told
            shares = [replace(item, share=item.share / whole) for item in found]
            return candidate, sorted(shares, key=lambda item: (-item.share, item.feature))
    return None


def _by_interest(record: RunRecord) -> list[str]:
    """Candidates with details: the chosen one, then in the order of the leaderboard, then the rest by name."""
    known = record["candidates"]
    first = [record["choice"]["candidate"], *(row["candidate"] for row in record["leaderboard"])]
    return list(dict.fromkeys(name for name in [*first, *sorted(known)] if name is not None and name in known))


def _details(record: RunRecord, candidate: str) -> dict[str, Any]:
    return record["candidates"][candidate]["details"]


def _rows(given: Any) -> list[Mapping[str, Any]]:
    """A list of dictionaries, made of a dictionary of lists or of plain numbers where needed."""
    if isinstance(given, Mapping):
        lists = {key: values for key, values in given.items() if isinstance(values, list)}
        length = max((len(values) for values in lists.values()), default=0)
        return [{key: values[i] for key, values in lists.items() if i < len(values)} for i in range(length)]
    if isinstance(given, list):
        return [row if isinstance(row, Mapping) else {"score": row} for row in given]
    return []


def _pairs(given: Any) -> list[Any]:
    """A list of entries, made of a dictionary where needed."""
    if isinstance(given, Mapping):
        return sorted(given.items())
    return given if isinstance(given, list) else []


def _point(row: Mapping[str, Any], index: int, keys: tuple[str, ...]) -> Point | None:
    value, epoch, step = (_number(_first(row, names)) for names in (keys, _EPOCH, _STEP))
    if value is None:
        return None
    return Point(float(index) if epoch is None else epoch, float(index) if step is None else step, value)


def _importance(entry: Any) -> Importance | None:
    if isinstance(entry, Mapping):
        name, weight = _first(entry, _FEATURE), _number(_first(entry, _WEIGHT))
        description = str(entry.get("description") or "")
    elif isinstance(entry, list | tuple) and len(entry) == 2:
        name, weight, description = entry[0], _number(entry[1]), ""
    else:
        return None
    return None if name is None or weight is None else Importance(str(name), weight, description)


def _first(row: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return next((row[key] for key in keys if row.get(key) is not None), None)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

"""The run record: everything that a report says, as one JSON-able dictionary.

The record is the only input of the report, so equal records render equal bytes. Its shape is the tree of typed
dictionaries below; every key may be missing, and `complete` fills what is. This file reads no database and no model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypedDict, cast, get_args, get_origin, get_type_hints, is_typeddict

from relselect.errors import ConfigError
from relselect.serialization import plain

__all__ = ["RECORD_VERSION", "RunRecord", "complete", "read_record"]

#: The newest record version that this code writes and reads.
RECORD_VERSION = 1


class StageRecord(TypedDict, total=False):
    """One stage of a run and the seconds it took."""

    stage: str | None
    seconds: float | None


class BudgetRecord(TypedDict, total=False):
    """The time that was granted (None: unlimited) and where it went."""

    seconds: float | None
    spent: float | None
    by_stage: list[StageRecord]


class EnvironmentRecord(TypedDict, total=False):
    """Versions and device; further keys are shown as they are."""

    python: str | None
    torch: str | None
    lightgbm: str | None
    optuna: str | None
    device: str | None


class ForeignKeyRecord(TypedDict, total=False):
    """One foreign key with the values that lead nowhere."""

    columns: list[str]
    table: str | None
    nulls: int | None
    dangling: int | None


class TableRecord(TypedDict, total=False):
    """One table of the database."""

    name: str | None
    rows: int | None
    columns: int | None
    primary_key: list[str]
    time: str | None
    foreign_keys: list[ForeignKeyRecord]
    null_times: int | None


class DatabaseRecord(TypedDict, total=False):
    """The database: its tables, size and fingerprint; `source` is what `relselect train` calls it, if it can."""

    name: str | None
    source: str | None
    fingerprint: str | None
    rows: int | None
    tables: list[TableRecord]


class SplitRecord(TypedDict, total=False):
    """One split: rows, first and last cutoff (ISO text or integers), mean label, rows purged at its end."""

    split: str | None
    rows: int | None
    first_cutoff: str | int | None
    last_cutoff: str | int | None
    label_mean: float | None
    purged: int | None


class TaskRecord(TypedDict, total=False):
    """The task; `horizon` and `delay` are texts made for people ("30 days")."""

    name: str | None
    entity: str | None
    kind: str | None
    target: str | None
    metric: str | None
    regime: str | None
    horizon: str | None
    classes: list[str]
    splits: list[SplitRecord]
    delay: str | None
    description: str | None


class MeasureRecord(TypedDict, total=False):
    """One number of the profile with its standard error and its reading in words."""

    name: str | None
    value: float | None
    stderr: float | None
    reading: str | None
    group: str | None
    seconds: float | None


class FindingRecord(TypedDict, total=False):
    """One finding of a leak check; `accepted` is the reason why somebody lets it stand."""

    check: str | None
    severity: str | None
    subject: str | None
    evidence: str | None
    fix: str | None
    accepted: str | None


class ProfileRecord(TypedDict, total=False):
    """The task embedding, measured before any training."""

    measures: list[MeasureRecord]
    seconds: float | None
    checked: bool | None
    findings: list[FindingRecord]


class RecommendationRecord(TypedDict, total=False):
    """What the profile suggests: `margin` is relative, above zero in favour of rdl."""

    family: str | None
    margin: float | None
    interval: list[float]
    evidence: list[str]
    taught_by: str | None
    neighbours: list[Any]


class LeaderboardRecord(TypedDict, total=False):
    """One candidate; scores are "higher is better", errors being negated."""

    rank: int | None
    family: str | None
    candidate: str | None
    score: float | None
    low: float | None
    high: float | None
    test_score: float | None
    seconds: float | None
    peak_memory_mb: float | None
    device: str | None
    config: dict[str, Any]
    default: bool | None
    chosen: bool | None
    note: str | None


class FailureRecord(TypedDict, total=False):
    """One trial that raised an error."""

    family: str | None
    number: int | None
    error: str | None


class UnfinishedRecord(TypedDict, total=False):
    """One family that yielded no candidate, and why."""

    family: str | None
    why: str | None


class NearTieRecord(TypedDict, total=False):
    """One checkpoint within one standard error of the best, with the steepness of the loss around it.

    `checkpoint` is its place among the kept ones, `step` the training step at which it was met.
    """

    candidate: str | None
    checkpoint: int | None
    step: int | None
    score: float | None
    slope: float | None
    chosen: bool | None


class ChoiceRecord(TypedDict, total=False):
    """The candidate and checkpoint that predict from now on."""

    candidate: str | None
    family: str | None
    checkpoint: int | None
    step: int | None
    why: str | None
    near_ties: list[NearTieRecord]
    without_flatness: str | None
    without_flatness_checkpoint: int | None


class CandidateRecord(TypedDict, total=False):
    """What a family tells about one candidate: `learning_curve`, `feature_importances`, anything JSON-able."""

    details: dict[str, Any]


class NoticeRecord(TypedDict, total=False):
    """One message of the run; `level` is "info" or "warning"."""

    level: str | None
    topic: str | None
    message: str | None


class RunRecord(TypedDict, total=False):
    """One run ("run") or one measurement without training ("recommendation")."""

    version: int | None
    relselect: str | None
    kind: str | None
    seed: int | None
    budget: BudgetRecord
    environment: EnvironmentRecord
    database: DatabaseRecord
    task: TaskRecord
    profile: ProfileRecord
    recommendation: RecommendationRecord
    leaderboard: list[LeaderboardRecord]
    failures: list[FailureRecord]
    unfinished: list[UnfinishedRecord]
    choice: ChoiceRecord
    candidates: dict[str, CandidateRecord]
    notices: list[NoticeRecord]


def complete(record: Mapping[str, Any]) -> RunRecord:
    """Fills what a record does not say: None for values, empty lists and dictionaries for the rest.

    Args:
        record: A run record, possibly partial. It is not changed.

    Returns:
        A plain record (see `relselect.serialization.plain`) with every key of `RunRecord`.

    Raises:
        ConfigError: When the record was written by a newer version of relselect.
    """
    version = record.get("version") or RECORD_VERSION
    if not isinstance(version, int) or version > RECORD_VERSION:
        raise ConfigError(
            "record.version",
            version,
            f"this relselect reads records up to version {RECORD_VERSION}",
            "Render it with the relselect that wrote it, or upgrade: pip install -U relselect",
        )
    return cast(RunRecord, _fill(plain(record), RunRecord))


def read_record(path: str | Path) -> RunRecord:
    """Reads a record from a JSON file.

    Raises:
        ConfigError: When the file is missing or holds no JSON object.
    """
    fix = "Point to the report.json of a run, or to the folder that `relselect train` wrote."
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError("record", str(path), f"cannot be read as JSON ({error})", fix) from error
    if not isinstance(record, dict):
        raise ConfigError("record", str(path), "must hold one JSON object", fix)
    return complete(record)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _fill(value: Any, hint: Any) -> Any:
    """Gives `value` the shape of `hint`; a value of another shape counts as missing."""
    if is_typeddict(hint):
        given = value if isinstance(value, dict) else {}
        known = {key: _fill(given.get(key), kind) for key, kind in _hints(hint).items()}
        return known | {key: item for key, item in sorted(given.items()) if key not in known}
    if get_origin(hint) is list:
        kind = get_args(hint)[0]
        items = [_fill(item, kind) for item in value] if isinstance(value, list) else []
        return [item for item in items if item is not None]
    if get_origin(hint) is dict:
        kind = get_args(hint)[1]
        return {key: _fill(item, kind) for key, item in sorted(value.items())} if isinstance(value, dict) else {}
    return _scalar(value, hint)


def _scalar(value: Any, hint: Any) -> Any:
    """A value of a wanted kind, text made of anything where text is wanted, None otherwise."""
    if hint is Any:
        return value
    kinds = [kind for kind in (get_args(hint) or (hint,)) if kind is not type(None)]
    if value is None:
        return None if get_args(hint) else "" if hint is str else None
    if isinstance(value, bool):
        return value if bool in kinds else None
    if any(isinstance(value, kind) for kind in kinds) or (float in kinds and isinstance(value, int)):
        return value
    if int in kinds and isinstance(value, float) and value.is_integer():
        return int(value)
    return str(value) if str in kinds else None

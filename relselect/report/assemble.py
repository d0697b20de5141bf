"""From the objects of a run to its record: the plain dictionary that every report is rendered from."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relselect.database.clock import DAY, format_time
from relselect.database.sources.uri import is_uri
from relselect.problem import Problem
from relselect.serialization import plain

if TYPE_CHECKING:
    from relselect.families.protocol import Candidate
    from relselect.profile import Profile
    from relselect.selector import Recommendation
    from relselect.tasks.splits import Split

__all__ = [
    "database_record",
    "environment_record",
    "leaderboard_record",
    "profile_record",
    "recommendation_record",
    "task_record",
]

_VERSIONS = ("relselect", "torch", "torch-geometric", "pytorch-frame", "lightgbm", "optuna", "numpy", "pyarrow")


def database_record(problem: Problem) -> dict[str, Any]:
    """Return the user's database: tables, keys, what was lived with."""
    database = problem.user_database
    counts = database.counts
    tables = [
        {
            "name": name,
            "rows": table.num_rows,
            "columns": len(table.columns),
            "primary_key": list(table.primary_key),
            "time": table.time,
            "null_times": counts.null_times.get(name, 0),
            "foreign_keys": [
                {
                    "columns": list(key.columns),
                    "table": key.table,
                    "nulls": counts.null_keys[name, key.name],
                    "dangling": counts.dangling_keys[name, key.name],
                }
                for key in table.foreign_keys
            ],
        }
        for name, table in database.tables.items()
    ]
    source = database.source
    if source is not None and not is_uri(source):
        source = Path(source).name  # a report tells no paths
    return {
        "name": database.name,
        "source": source,
        "fingerprint": database.fingerprint,
        "rows": database.num_rows,
        "tables": tables,
    }


def task_record(problem: Problem) -> dict[str, Any]:
    """Return the task: rules, splits, the delay of the evaluation rows."""
    task = problem.task
    return {
        "name": task.name,
        "entity": task.entity,
        "kind": task.kind,
        "target": task.target,
        "metric": task.metric.name,
        "regime": "static" if task.static else task.regime,
        "horizon": None if task.horizon is None else _length(task.horizon, task.time_kind),
        "classes": list(task.classes or ()),
        "splits": [_split(problem, split) for split in task.splits],
        "delay": _delay(problem),
        "description": task.description,
        "fingerprint": task.fingerprint,
    }


def _split(problem: Problem, split: Split) -> dict[str, Any]:
    task, frame = problem.task, problem.task.splits[split]
    return {
        "split": split,
        "rows": len(frame),
        "first_cutoff": None if task.static else format_time(int(frame.cutoff.min()), task.time_kind),
        "last_cutoff": None if task.static else format_time(int(frame.cutoff.max()), task.time_kind),
        "label_mean": None if task.kind == "multiclass" else float(frame.label.mean()),
        "purged": task.purged.get(split, 0),
    }


def _length(ticks: int, kind: str | None) -> str:
    if kind == "integer":
        return f"{ticks} units"
    days = ticks / DAY
    return f"{days:g} days" if days >= 1 else f"{ticks / 3_600_000_000:g} hours"


def _delay(problem: Problem) -> str:
    if problem.task.static:
        return "none: the task has no time"
    delays = problem.evaluation_delays()
    if not (delays > 0).any():
        return "none: every row sees the database as of its cutoff"
    middle = _length(int(np.median(delays)), problem.task.time_kind)
    longest = _length(int(delays.max()), problem.task.time_kind)
    return (
        f"evaluation rows see data that are {middle} old (median; at most {longest}); training rows are also shown so"
    )


def profile_record(profile: Profile) -> dict[str, Any]:
    """Return the profile's measures."""
    return dict(profile.to_json())


def recommendation_record(recommendation: Recommendation) -> dict[str, Any]:
    """Return the recommendation with its evidence."""
    return dict(recommendation.to_json())


def environment_record(devices: list[str]) -> dict[str, Any]:
    """Return versions and devices."""
    found: dict[str, Any] = {"python": platform.python_version()}
    for package in _VERSIONS:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    found["device"] = ", ".join(sorted(set(devices))) or "cpu"
    return found


def leaderboard_record(
    candidates: list[Candidate], chosen: str | None, test_scores: Mapping[str, tuple[float, float, float]]
) -> list[dict[str, Any]]:
    """Return all candidates, the best validation score first; undefined scores last."""
    ordered = sorted(candidates, key=lambda c: (np.isnan(c.val_score), -np.nan_to_num(c.val_score), c.family, c.number))
    return [
        plain(
            {
                "rank": rank,
                "family": candidate.family,
                "candidate": candidate.id,
                "score": candidate.val_score,
                "low": candidate.val_interval[0],
                "high": candidate.val_interval[1],
                "test_score": test_scores.get(candidate.id, (None,))[0],
                "test_interval": list(test_scores[candidate.id][1:]) if candidate.id in test_scores else [],
                "seconds": round(candidate.seconds, 3),
                "peak_memory_mb": round(candidate.peak_memory_mb),
                "device": candidate.device,
                "config": candidate.config,
                "default": candidate.number == 0 and candidate.family != "constants",
                "chosen": candidate.id == chosen,
                "note": " ".join(candidate.notes),
            }
        )
        for rank, candidate in enumerate(ordered, 1)
    ]

"""How large the task and its database are, as far as the end of training sees them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from relselect.problem import LABELS
from relselect.profile.measure import Measure

if TYPE_CHECKING:
    from relselect.problem import Problem
    from relselect.profile.view import View

__all__ = ["scale_measures"]

_GROUP = "scale"


def scale_measures(view: View) -> list[Measure]:
    """Return sizes, class balance and fan-out; none of them has a sampling error."""
    problem = view.problem
    tables = [name for name in problem.database.tables if name != LABELS]
    rows = sum(int(problem.visible(name, problem.fit_asof).sum()) for name in tables)
    entities = int(problem.visible(problem.entity, problem.fit_asof).sum())
    asked = len(np.unique(view.key))
    repeats = len(view) / asked if asked else math.nan
    columns = sum(
        len([c for c in problem.database[t].columns if c not in problem.database[t].structural]) for t in tables
    )
    balance, text = _balance(view)
    fan_out = _fan_out(problem, tables)
    facts = [
        (
            "log10_rows",
            _log(rows),
            f"The database holds {rows:,} rows that are visible at the end of training.",
        ),
        ("log10_train_rows", _log(view.rows), f"There are {view.rows:,} labelled training rows."),
        ("log10_entities", _log(entities), f"{problem.entity} has {entities:,} rows at the end of training."),
        (
            "rows_per_entity",
            repeats,
            f"An entity that is asked about has {repeats:.1f} training rows on average.",
        ),
        ("class_balance", balance, text),
        ("columns", float(columns), f"{columns} columns are neither keys nor times."),
        ("tables", float(len(tables)), f"The database has {len(tables)} tables."),
        ("mean_fan_out", fan_out, _fan_out_text(fan_out)),
    ]
    return [Measure(name, value, math.nan, _GROUP, reading) for name, value, reading in facts]


def _log(count: int) -> float:
    return math.log10(count) if count else math.nan


def _balance(view: View) -> tuple[float, str]:
    """Return the entropy of the classes relative to even classes: 1 when all are equally frequent."""
    if view.classes == 0:
        return math.nan, "A regression task has no classes."
    if len(view) == 0:
        return math.nan, "No training row belongs to a known entity."
    shares = np.bincount(view.label.astype(int), minlength=view.classes) / len(view)
    entropy = -float((shares[shares > 0] * np.log(shares[shares > 0])).sum()) / math.log(max(view.classes, 2))
    rarest = float(shares.min())
    return (
        entropy,
        f"Class balance {entropy:.2f} (1 is even); the rarest class has {rarest:.1%} of the training rows.",
    )


def _fan_out(problem: Problem, tables: list[str]) -> float:
    """Return the mean over foreign keys of visible children per visible parent."""
    ratios = []
    for name in tables:
        shown = problem.visible(name, problem.fit_asof)
        for key, parent in zip(problem.database[name].foreign_keys, problem.database.parents(name), strict=True):
            parents = problem.visible(key.table, problem.fit_asof)
            children = int((shown & (parent >= 0) & parents[np.maximum(parent, 0)]).sum()) if len(parents) else 0
            if parents.any():
                ratios.append(children / int(parents.sum()))
    return float(np.mean(ratios)) if ratios else math.nan


def _fan_out_text(fan_out: float) -> str:
    if math.isnan(fan_out):
        return "No table refers to another."
    return f"A referenced row has {fan_out:.1f} referring rows on average over the foreign keys."

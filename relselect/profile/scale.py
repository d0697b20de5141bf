"""Scale: numbers of rows, entities, columns and tables, class balance and fan-out.

Only rows that are visible at the end of training are counted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from relselect.problem import LABELS
from relselect.profile import readings
from relselect.profile.measure import Measure

if TYPE_CHECKING:
    from relselect.problem import Problem
    from relselect.profile.view import View

__all__ = ["scale_measures"]

_GROUP = "scale"


def scale_measures(view: View) -> list[Measure]:
    """Return the sizes of the database and the task, class balance and fan-out; none has a sampling error.

    * `log10_rows`, `log10_train_rows`, `log10_entities`: log10 of the number of visible rows of the database, of training
      rows, and of visible rows of the entity table;
    * `rows_per_entity`: training rows per entity that has any;
    * `class_balance`: H(p) / log C, with H(p) = -sum_c p_c log p_c the entropy of the class shares p and C the number of
      classes (the normalised entropy, Shannon 1948); 1 when all classes are equally frequent;
    * `columns`, `tables`: columns that are neither keys nor times, and tables;
    * `mean_fan_out`: visible children per visible parent, averaged over foreign keys.

    Args:
        view: The training rows.

    >>> import relselect
    >>> from relselect.problem import Problem
    >>> from relselect.profile.view import make_view
    >>> example = relselect.examples.synthetic(customers=50)
    >>> view = make_view(Problem(example.database, example.task("planted")), seed=0)
    >>> {each.name: each.value for each in scale_measures(view)}["tables"]
    4.0
    """
    problem = view.problem
    tables = [name for name in problem.database.tables if name != LABELS]
    rows = sum(int(problem.visible(name, problem.fit_asof).sum()) for name in tables)
    entities = int(problem.visible(problem.entity, problem.fit_asof).sum())
    keyed = len(np.unique(view.key))
    repeats = len(view) / keyed if keyed else math.nan
    columns = sum(
        len([c for c in problem.database[t].columns if c not in problem.database[t].structural]) for t in tables
    )
    balance, balance_reading = _balance(view)
    fan_out = _fan_out(problem, tables)
    facts = [
        ("log10_rows", _log(rows), readings.database_rows(rows)),
        ("log10_train_rows", _log(view.rows), readings.train_rows(view.rows)),
        ("log10_entities", _log(entities), readings.entity_rows(problem.entity, entities)),
        ("rows_per_entity", repeats, readings.rows_per_entity(repeats)),
        ("class_balance", balance, balance_reading),
        ("columns", float(columns), readings.column_count(columns)),
        ("tables", float(len(tables)), readings.table_count(len(tables))),
        ("mean_fan_out", fan_out, readings.fan_out(fan_out)),
    ]
    return [Measure(name, value, math.nan, _GROUP, reading) for name, value, reading in facts]


def _log(count: int) -> float:
    return math.log10(count) if count else math.nan


def _balance(view: View) -> tuple[float, str]:
    """Return the normalised entropy of the class shares, and its reading."""
    if view.classes == 0:
        return math.nan, readings.NO_CLASSES
    if len(view) == 0:
        return math.nan, readings.NO_KEYED_ROW
    shares = np.bincount(view.label.astype(int), minlength=view.classes) / len(view)
    entropy = -float((shares[shares > 0] * np.log(shares[shares > 0])).sum()) / math.log(max(view.classes, 2))
    return entropy, readings.class_balance(entropy, float(shares.min()))


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

"""Homophily by loops over rows, straight from the definition."""

from __future__ import annotations

from functools import cache

import numpy as np

from relselect.problem import LABELS, Problem
from relselect.profile.paths import Half, MetaPath


def homophily(problem: Problem, path: MetaPath) -> tuple[float, float, int]:
    """Return adjusted and raw homophily of a path and its number of pairs."""
    train = problem.rows("train")
    mine, theirs = [], []
    for row in range(len(train)):
        u, asof = int(train.entity[row]), int(train.asof[row])
        if u < 0:
            continue
        for v in sorted(neighbours(problem, path, u, asof)):
            known = _known(problem, v, asof)
            if known:
                mine.append(_side(problem, [train.label[row]]))
                theirs.append(_side(problem, known))
    if len(mine) < 2:
        return np.nan, np.nan, len(mine)
    p, q = np.array(mine), np.array(theirs)
    if problem.task.kind == "regression":
        r = float(np.corrcoef(p[:, 0], q[:, 0])[0, 1])
        return r, r, len(p)
    h, b = float((p * q).sum(axis=1).mean()), float(p.mean(axis=0) @ q.mean(axis=0))
    return (h - b) / (1 - b), h, len(p)


def neighbours(problem: Problem, path: MetaPath, u: int, asof: int) -> set[int]:
    database, entity = problem.database, problem.entity
    if path.link is not None:
        table, one, other = path.link.table, path.link.one, path.link.other
        found = set()
        for row, time in enumerate(database.times(table)):
            if time <= asof:
                a = row if one < 0 else int(database.parents(table)[one][row])
                b = int(database.parents(table)[other][row])
                found |= {b} if a == u else set()
                found |= {a} if b == u else set()
        return {v for v in found if v >= 0 and v != u and _seen(problem, entity, [u, v], asof)}
    one, other = path.halves
    everyone = range(database[entity].num_rows)
    found = set()
    for out, back in ((one, other), (other, one)):
        mine = _ends(problem, out, u, asof)
        found |= {v for v in everyone if v != u and mine & _ends(problem, back, v, asof)}
    return found


@cache
def _ends(problem: Problem, half: Half, u: int, asof: int) -> set[int]:
    database = problem.database
    if not _seen(problem, problem.entity, [u], asof):
        return set()
    if half.direct:
        ends = {int(database.parents(half.table)[half.to_end][u])}
    else:
        rows = np.flatnonzero(database.parents(half.table)[half.to_entity] == u)
        rows = rows[database.times(half.table)[rows] <= asof]
        ends = set(database.parents(half.table)[half.to_end][rows].tolist())
    return {x for x in ends if x >= 0 and _seen(problem, half.end, [x], asof)}


def _seen(problem: Problem, table: str, rows: list[int], asof: int) -> bool:
    return bool((problem.database.times(table)[rows] <= asof).all())


def _known(problem: Problem, v: int, asof: int) -> list[float]:
    database = problem.database
    rows = np.flatnonzero((database.parents(LABELS)[0] == v) & (database.times(LABELS) <= asof))
    values = database[LABELS].data["label"].to_pylist()
    classes = problem.task.classes or ()
    return [float(classes.index(values[r])) if problem.task.kind == "multiclass" else float(values[r]) for r in rows]


def _side(problem: Problem, values: list[float]) -> np.ndarray:
    if problem.task.kind == "regression":
        return np.array([np.mean(values)])
    classes = 2 if problem.task.kind == "binary" else len(problem.task.classes)
    return np.eye(classes)[np.array(values, dtype=int)].mean(axis=0)

"""Homophily by loops over rows, straight from the definition."""

from __future__ import annotations

from functools import cache

import numpy as np

from relselect.problem import LABELS, Problem
from relselect.profile.paths import HalfPath, MetaPath


def homophily(problem: Problem, path: MetaPath) -> tuple[float, float, float, float, int]:
    """Return adjusted, raw, class-insensitive and aggregated homophily of a path and its number of pairs."""
    train = problem.rows("train")
    mine, theirs, once, around = [], [], [], []
    for row in range(len(train)):
        u, asof = int(train.entity[row]), int(train.asof[row])
        if u < 0:
            continue
        here = []
        for v in sorted(neighbours(problem, path, u, asof)):
            known = _known(problem, v, asof)
            if known:
                mine.append(_side(problem, [train.label[row]]))
                theirs.append(_side(problem, known))
                here.append(theirs[-1])
        if here:
            once.append(_side(problem, [train.label[row]]))
            around.append(np.mean(here, axis=0))
    if len(mine) < 2:
        return np.nan, np.nan, np.nan, np.nan, len(mine)
    p, q, one, mean = np.array(mine), np.array(theirs), np.array(once), np.array(around)
    if problem.task.kind == "regression":
        r = float(np.corrcoef(p[:, 0], q[:, 0])[0, 1])
        return r, r, np.nan, float(np.corrcoef(one[:, 0], mean[:, 0])[0, 1]), len(p)
    classes = range(p.shape[1])
    of_class = [q[p[:, c] == 1, c].mean() - q[:, c].mean() if (p[:, c] == 1).any() else 0.0 for c in classes]
    even = sum(max(0.0, x) for x in of_class) / (len(classes) - 1)
    return _adjusted(p, q), float((p * q).sum(axis=1).mean()), even, _adjusted(one, mean), len(p)


def _adjusted(p: np.ndarray, q: np.ndarray) -> float:
    h, b = float((p * q).sum(axis=1).mean()), float(p.mean(axis=0) @ q.mean(axis=0))
    return (h - b) / (1 - b)


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
    if path.chain is not None:
        meets = _far(problem, path.chain, u, asof)
        return {v for v in range(database[entity].num_rows) if v != u and meets & _far(problem, path.chain, v, asof)}
    one, other = path.halves
    everyone = range(database[entity].num_rows)
    found = set()
    for out, back in ((one, other), (other, one)):
        mine = _ends(problem, out, u, asof)
        found |= {v for v in everyone if v != u and mine & _ends(problem, back, v, asof)}
    return found


@cache
def _ends(problem: Problem, half: HalfPath, u: int, asof: int) -> set[int]:
    return _steps(problem, problem.entity, half, u, asof)


def _far(problem: Problem, chain: tuple[HalfPath, HalfPath], u: int, asof: int) -> set[int]:
    first, second = chain
    return {x for middle in _ends(problem, first, u, asof) for x in _steps(problem, first.end, second, middle, asof)}


def _steps(problem: Problem, start: str, half: HalfPath, u: int, asof: int) -> set[int]:
    database = problem.database
    if not _seen(problem, start, [u], asof):
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

"""A shop in which only what a user paid lately decides the label, fits of every trained family on it, and blends of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pyarrow as pa

from relselect.blend import blend_candidates
from relselect.budget import Budget
from relselect.database import Database, ForeignKey, Table
from relselect.database.clock import DAY
from relselect.events import silent
from relselect.families import Candidate, Family, family_of
from relselect.families.registry import combination
from relselect.problem import Problem
from relselect.problem.rows import SplitRows, fit_rows
from relselect.tasks import Task
from tests.families.contract import trained as brief_fit
from tests.shop import days, shop_problem

#: Options under which a family learns this signal in a few seconds.
SMALL = {
    "dfs": {"rounds": 60, "bags": 1, "refit": False, "learning_rate": 0.1, "copies": 0},
    "rdl": {
        "channels": 16,
        "layers": 2,
        "fan_out": 16,
        "batch_size": 128,
        "epochs": 4,
        "learning_rate": 1e-2,
        "refit": "none",
    },
}
FAMILIES = (*SMALL, "blend")
USERS, CUTOFFS, EVERY = 180, 8, 30


def tables(seed: int = 0, integer: bool = False) -> dict[str, pa.Table]:
    """Users, what they pay, and what they visit; payments are made by one user and received by another."""
    draw = np.random.default_rng(seed)
    span, paid, visited = EVERY * (CUTOFFS + 2), 7_000, 2_000

    def times(size: int) -> pa.Array:
        day = np.sort(draw.random(size) * span)
        return pa.array((day * 10).astype(np.int64)) if integer else days(day)

    amount = draw.gamma(1.0, 10.0, paid).round(2)
    return {
        "users": pa.table({"id": np.arange(USERS) + 100, "age": draw.integers(18, 80, USERS)}),
        "payments": pa.table({
            "number": np.arange(paid),
            "payer": draw.integers(0, USERS, paid) + 100,
            "receiver": draw.integers(0, USERS, paid) + 100,
            "amount": amount,
            "cents": (amount * 100).round(),
            "channel": pa.array([f"c{each}" for each in draw.integers(0, 3, paid)]),
            "when": times(paid),
        }),
        "visits": pa.table({
            "user": draw.integers(0, USERS, visited) + 100, "length": draw.random(visited), "when": times(visited),
        }),
    }  # fmt: skip


def database(data: dict[str, pa.Table]) -> Database:
    user = [ForeignKey((name,), "users", ("id",)) for name in ("payer", "receiver", "user")]
    return Database([
        Table("users", data["users"], ("id",)),
        Table("payments", data["payments"], ("number",), "when", (user[0], user[1])),
        Table("visits", data["visits"], (), "when", (user[2],)),
    ], "payments")  # fmt: skip


def labels(data: dict[str, pa.Table], seed: int = 0, integer: bool = False) -> pa.Table:
    """Whether a user paid much in the 30 days before each cutoff, with noise."""
    draw, unit = np.random.default_rng(seed + 1), 10 if integer else DAY
    when = data["payments"]["when"].cast(pa.int64()).to_numpy()
    payer, amount = data["payments"]["payer"].to_numpy() - 100, data["payments"]["amount"].to_numpy()
    parts = []
    for cutoff in (np.arange(CUTOFFS) + 2) * EVERY * unit:
        inside = (when <= cutoff) & (when > cutoff - EVERY * unit)
        spent = np.bincount(payer[inside], amount[inside], USERS)
        odds = 4.0 * (spent - np.median(spent)) / spent.std()
        parts.append((np.full(USERS, cutoff), draw.random(USERS) < 1 / (1 + np.exp(-odds))))
    cutoff, label = (np.concatenate(each) for each in zip(*parts, strict=True))
    return pa.table({
        "id": np.tile(np.arange(USERS) + 100, CUTOFFS),
        "cutoff": pa.array(cutoff) if integer else pa.array(cutoff).cast(pa.timestamp("us")),
        "label": label,
    })  # fmt: skip


def planted_problem(integer: bool = False) -> Problem:
    data = tables(integer=integer)
    made, horizon = database(data), EVERY * 10 if integer else f"{EVERY}d"
    task = Task.from_labels(
        made, labels(data, integer=integer), name="pays", entity="users", kind="binary", time="cutoff", horizon=horizon,
        known_after=None,
    )  # fmt: skip
    return Problem(made, task)


@dataclass(frozen=True)
class Fit:
    """A family, its fit, and the rows of the fit."""

    family: Family
    problem: Problem
    rows: SplitRows
    candidate: Candidate

    def predict(self, problem: Problem | None = None, rows=None) -> np.ndarray:
        asked = self.rows.select if rows is None else rows
        return self.family.predict(self.candidate, problem or self.problem, asked.unlabelled())

    def score(self, problem: Problem | None = None) -> float:
        return self.problem.task.metric.score(self.rows.select.label, self.predict(problem))


def trained(problem: Problem, family: Family) -> Fit:
    rows = fit_rows(problem)
    config = {**family.default(problem), **SMALL[family.name]}
    made = family.fit(problem, rows, config, seed=0, number=0, budget=Budget(None), emit=silent)
    return Fit(family, problem, rows, made)


@cache
def fit_of(name: str, integer: bool = False) -> Fit:
    """Return the fit of a family on the planted problem, or the blend of all of them; made once."""
    if name == "blend":
        members = [fit_of(each, integer) for each in SMALL]
        first = members[0]
        blended = blend_candidates([each.candidate for each in members], (0.5, 0.5), first.problem, first.rows, seed=0)
        return replace(first, family=family_of(combination()), candidate=blended)
    if name == "dfs":
        return trained(planted_problem(integer), family_of(name))
    return trained(fit_of("dfs", integer).problem, family_of(name))


def changed(problem: Problem, data: dict[str, pa.Table]) -> Problem:
    """Return the problem over other tables, as a predictor reads them."""
    return Problem(database(data), problem.task, types=problem.types)


@cache
def shop_fit(name: str, kind: str) -> Fit:
    """Return a brief fit of a family on the small shop, "static" or of a kind of task; made once."""
    problem = shop_problem("binary", time=None) if kind == "static" else shop_problem(kind)
    rows, family = fit_rows(problem, "entities"), family_of(name)
    return Fit(family, problem, rows, brief_fit(family, problem, rows))

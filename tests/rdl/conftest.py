"""A random graph to sample from, and a small shop whose churn can be learnt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pytest

from relselect.database import Database
from relselect.database.clock import ALWAYS, DAY, NEVER
from relselect.problem import Problem
from relselect.rdl.graph.graph import ForeignKeyEdges, Graph, build_graph
from relselect.tasks import Task


@dataclass
class World:
    """Plain arrays of a small database: entities `a`, events `b` (of `a`, in `c`, after another `b`), lookups `c`."""

    times: dict[str, np.ndarray]
    identities: dict[str, np.ndarray]
    links: list[ForeignKeyEdges]
    shortcuts: bool = False
    graph: Graph = field(init=False)

    def __post_init__(self):
        self.graph = build_graph(self.times, self.identities, self.links, shortcuts=self.shortcuts)

    def permuted(self, order: dict[str, np.ndarray]) -> World:
        """Return the world with the rows of each table kept and ordered as `order` says; references to others are cut."""
        place = {}
        for name, rows in order.items():
            place[name] = np.full(len(self.times[name]) + 1, -1)
            place[name][rows] = np.arange(len(rows))
        links = [
            ForeignKeyEdges(x.source, x.name, x.target, place[x.target][x.parent[order[x.source]]]) for x in self.links
        ]
        times = {name: self.times[name][rows] for name, rows in order.items()}
        identities = {name: self.identities[name][rows] for name, rows in order.items()}
        return World(times, identities, links, self.shortcuts)


@pytest.fixture(scope="session")
def make_world() -> Callable[..., World]:
    def build(seed: int, shortcuts: bool = False) -> World:
        draw = np.random.default_rng(seed)
        sizes = {"a": draw.integers(1, 5), "b": draw.integers(0, 25), "c": draw.integers(0, 4)}
        times = {name: draw.integers(0, 8, size).astype(np.int64) for name, size in sizes.items()}
        times["c"][:] = ALWAYS
        times["b"][draw.random(sizes["b"]) < 0.1] = NEVER
        identities = {name: draw.choice(10**6, size, replace=False).astype(np.int64) for name, size in sizes.items()}

        def parent(table: str) -> np.ndarray:
            return draw.integers(-1, sizes[table], sizes["b"]).astype(np.int64)

        links = [
            ForeignKeyEdges("b", "of", "a", parent("a")),
            ForeignKeyEdges("b", "in", "c", parent("c")),
            ForeignKeyEdges("b", "after", "b", parent("b")),
        ]
        links.append(ForeignKeyEdges("b", "for", "a", parent("a")))
        # with shortcuts the events must be a bridge, to which nothing refers
        return World(times, identities, [x for x in links if not (shortcuts and x.target == "b")], shortcuts)

    return build


def _frames(seed: int) -> dict[str, pa.Table]:
    draw = np.random.default_rng(seed)
    users, orders = 120, 2400
    taste = draw.random(users)
    user = draw.integers(0, users, orders)
    day = np.sort(draw.integers(0, 300, orders))
    price = np.round(draw.gamma(2.0, 10.0, orders) * (0.5 + taste[user]), 2)
    state = np.where(draw.random(orders) < taste[user], "returned", "kept")
    return {
        "users": pa.table(
            {
                "id": pa.array(range(users)),
                "city": pa.array([f"c{i % 7}" for i in range(users)]),
                "born": pa.array(draw.integers(-9000, -5000, users) * DAY).cast(pa.timestamp("us")),
            }
        ),
        "orders": pa.table(
            {
                "order": pa.array(range(orders)),
                "user": pa.array(user),
                "shop": pa.array(draw.integers(0, 5, orders)),
                "price": pa.array(price),
                "when": pa.array(day * DAY).cast(pa.timestamp("us")),
                "closed": pa.array((day + draw.integers(1, 15, orders)) * DAY).cast(pa.timestamp("us")),
                "state": pa.array(state),
            }
        ),
        "shops": pa.table({"shop": pa.array(range(5))}),
        "taste": pa.table({"user": pa.array(range(users)), "value": pa.array(taste)}),
    }


@pytest.fixture(scope="session")
def shop_frames() -> dict[str, pa.Table]:
    return _frames(0)


@pytest.fixture(scope="session")
def make_shop() -> Callable[..., Database]:
    def build(frames: dict[str, pa.Table]) -> Database:
        return Database.from_dataframes(
            {name: frames[name] for name in ("users", "orders", "shops")},
            keys={"users": "id", "orders": "order", "shops": "shop"},
            times={"orders": "when"},
            foreign_keys={"orders": {"user": "users", "shop": "shops"}},
            known_at={"orders": {"closed": ["state"]}},
        )

    return build


@pytest.fixture(scope="session")
def make_problem(shop_frames, make_shop) -> Callable[..., Problem]:
    """Build the problem of a kind: whether, how often, or with what price class a user returns the next orders."""

    def build(kind: str = "binary", regime: str = "rolling", static: bool = False, features: bool = False) -> Problem:
        database = make_shop(shop_frames)
        draw = np.random.default_rng(1)
        taste = shop_frames["taste"]["value"].to_numpy()
        user = np.tile(np.arange(len(taste)), 1 if static else 8)
        day = np.repeat(np.arange(60, 300, 30), len(taste))[: len(user)]
        score = taste[user] + draw.normal(0, 0.1, len(user))
        grade = np.array(["low", "mid", "high"])[np.digitize(score, [0.3, 0.7])]
        label = {"binary": score > 0.5, "regression": score * 10 + 3, "multiclass": grade}[kind]
        rows = {"user": pa.array(user), "label": pa.array(label)}
        if not static:
            rows["date"] = pa.array(day * DAY).cast(pa.timestamp("us"))
        if features:
            rows["hint"] = pa.array(draw.normal(0, 1, len(user)))
            rows["channel"] = pa.array(np.array(["web", "app", "shop"])[draw.integers(0, 3, len(user))])
        task = Task.from_labels(
            database,
            pa.table(rows),
            name="returns",
            entity="users",
            kind=kind,
            time=None if static else "date",
            entity_columns="user",
            horizon=None if static else "30d",
            regime=regime,
            features=("hint", "channel") if features else (),
        )
        return Problem(database, task)

    return build


@pytest.fixture(scope="session")
def small() -> dict[str, object]:
    """A configuration that trains in about a second."""
    return {
        "channels": 16,
        "layers": 2,
        "fan_out": 8,
        "batch_size": 128,
        "epochs": 4,
        "learning_rate": 1e-2,
        "fewest_steps": 1,
        "refit": "none",
    }

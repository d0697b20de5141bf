"""Rows that a task row cannot see change no bit of its features."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relselect.database.clock import DAY
from relselect.dfs.plan.enumeration import default_plan
from relselect.dfs.prefix.encoding import Vocabulary
from relselect.dfs.prefix.matrix import compute
from relselect.problem import Problem
from tests.dfs import worlds
from tests.dfs.prefix.test_matrix import some_features

CLOCKS = {"shops": "opened", "orders": "at", "products": "listed", "lines": "seen"}


def rewritten(tables: dict[str, pd.DataFrame], asof: pd.Timestamp, seed: int) -> dict[str, pd.DataFrame]:
    """Another world that looks the same until `asof`: what is later is removed, invented or changed, and all is shuffled."""
    rng = np.random.default_rng(seed)
    other = {}
    for name, frame in tables.items():
        changed = frame.copy()
        if name in CLOCKS:
            hidden = ~(frame[CLOCKS[name]] <= asof)
            kept = frame[~hidden | (rng.random(len(frame)) < 0.5)].copy()
            late = ~(kept[CLOCKS[name]] <= asof)
            for column in kept.columns.difference([frame.columns[0], CLOCKS[name]]):
                kept.loc[late, column] = kept.loc[late, column].sample(frac=1, random_state=seed).to_numpy()
            extra = frame.sample(min(len(frame), 15), replace=True, random_state=seed).copy()
            extra[CLOCKS[name]] = asof + pd.to_timedelta(rng.integers(1, 50, len(extra)), "D")
            if frame.columns[0] in ("shop", "order", "product", "line") and not (
                name == "orders" and frame.columns[0] == "shop"
            ):
                extra[frame.columns[0]] = np.arange(1000, 1000 + len(extra))
            changed = pd.concat([kept, extra])
        if name == "orders":
            masked = ~(changed.closed <= asof)
            for column in ("outcome", "verdict"):
                changed.loc[masked, column] = (
                    changed.loc[masked, column].sample(frac=1, random_state=seed + 1).to_numpy()
                )
            changed.loc[masked, "closed"] = asof + pd.to_timedelta(rng.integers(1, 9, int(masked.sum())), "D")
        other[name] = changed.sample(frac=1, random_state=seed + 2).reset_index(drop=True)
    return other


@pytest.mark.parametrize("keyed", [True, False])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_what_is_hidden_changes_no_bit(keyed, seed):
    problem = worlds.problem(seed, keyed=keyed, kind="multiclass")
    plan = some_features(problem, seed, 500)
    vocabulary = Vocabulary.fit(problem, plan)
    rng = np.random.default_rng(seed)
    day = int(rng.integers(5, worlds.DAYS))
    asof = worlds.START + pd.Timedelta(days=day)
    shops = pd.DataFrame({"shop": np.arange(100, 100 + worlds.SHOPS + 1)})
    asked = (
        shops.to_dict("list"),
        np.full(len(shops), asof.value // 1000 + 3 * DAY),
        np.full(len(shops), asof.value // 1000),
    )

    def features(base: Problem) -> bytes:
        import pyarrow as pa

        return compute(base, plan, base.bind(pa.table(asked[0]), *asked[1:]), vocabulary).values.tobytes()

    other = worlds.database(rewritten(worlds.frames(seed, keyed=keyed), asof, seed))
    assert features(problem) == features(problem.rebind(other))
    assert features(problem) == features(problem.rebind(problem.user_database.censored(asof.value // 1000)))


@pytest.mark.parametrize("seed", range(20, 26))
def test_what_is_fitted_ignores_rows_after_training(seed):
    tables = worlds.frames(seed)
    task_of = worlds.problem(seed)
    asof = pd.Timestamp(task_of.fit_asof, unit="us")
    other = Problem(worlds.database(rewritten(tables, asof, 4)), task_of.task)
    assert default_plan(task_of) == default_plan(other)
    whole = {"cap": 3_000, "depth": 3, "rich": True, "where": True, "nested": True}
    assert default_plan(task_of, **whole) == default_plan(other, **whole)
    assert Vocabulary.fit(task_of, default_plan(task_of)) == Vocabulary.fit(other, default_plan(other))

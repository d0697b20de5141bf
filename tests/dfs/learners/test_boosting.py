"""A training that LightGBM ends by its failed check of a split is made anew with other draws; other errors are the caller's."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest

from relselect.budget import Budget
from relselect.dfs.learners.boosting import train_booster
from relselect.events import silent
from relselect.families.registry import family_of
from relselect.problem.rows import fit_rows
from tests.families.contract import SMALL, problem_of

PARAMS = {"objective": "l2", "seed": 5, "bagging_fraction": 0.5, "bagging_freq": 1, "verbosity": -1, "num_threads": 1}
FAULT = "Check failed: (best_split_info.left_count) > (0) at serial_tree_learner.cpp, line 860 ."


@pytest.fixture
def data() -> lightgbm.Dataset:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 3))
    return lightgbm.Dataset(values, values[:, 0] + rng.normal(size=200), params=PARAMS).construct()


def failing(monkeypatch: pytest.MonkeyPatch, times: int, text: str) -> list[int]:
    """Let the first trainings fail at round 3; return the seeds of all."""
    usual, seeds = lightgbm.Booster.update, []

    def train(params: dict[str, Any], *given: Any, **how: Any) -> Any:
        seeds.append(params["seed"])
        rounds = 0

        def update(self: Any, *words: Any, **named: Any) -> bool:
            nonlocal rounds
            rounds += 1
            if len(seeds) <= times and rounds == 3:
                raise lightgbm.basic.LightGBMError(text)
            return usual(self, *words, **named)

        monkeypatch.setattr(lightgbm.Booster, "update", update)
        return original(params, *given, **how)

    original = lightgbm.train
    monkeypatch.setattr(lightgbm, "train", train)
    return seeds


def test_other_draws_take_the_place_of_those_that_failed(
    monkeypatch: pytest.MonkeyPatch, data: lightgbm.Dataset
) -> None:
    heard: list[int] = []
    seeds = failing(monkeypatch, 2, FAULT)
    booster = train_booster(PARAMS, data, 5, callbacks=[lambda env: heard.append(env.iteration)])
    assert booster.num_trees() == 5
    assert heard == [0, 1, 0, 1, 0, 1, 2, 3, 4]
    assert seeds[0] == 5
    assert len(set(seeds)) == 3
    monkeypatch.undo()
    plain = lightgbm.train({**PARAMS, "seed": seeds[2]}, data, num_boost_round=5)
    assert booster.model_to_string() == plain.model_to_string()


@pytest.mark.parametrize(("text", "trainings"), [(FAULT, 4), ("another error", 1)])
def test_what_no_draw_mends_is_raised(
    monkeypatch: pytest.MonkeyPatch, data: lightgbm.Dataset, text: str, trainings: int
) -> None:
    seeds = failing(monkeypatch, 99, text)
    with pytest.raises(lightgbm.basic.LightGBMError, match=text[:12]):
        train_booster(PARAMS, data, 5)
    assert len(seeds) == trainings


def test_the_learning_curve_is_that_of_the_training_that_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    family, problem = family_of("dfs"), problem_of("binary")
    config = {**family.default(problem), **SMALL["dfs"], "bags": 1}
    seeds, seen = failing(monkeypatch, 1, FAULT), []

    def watch(points: Any) -> None:
        seen.append([point.step for point in points])

    rows, how = fit_rows(problem, "entities"), {"seed": 3, "number": 0, "budget": Budget(None), "emit": silent}
    family.fit(problem, rows, config, watch=watch, **how)  # type: ignore[call-arg]
    assert len(seeds) == 2
    assert [steps[0] for steps in seen[:2]] == [1, 1]
    assert all(steps == sorted(set(steps)) for steps in seen)

"""Runs that average what they chose over seeds: every state, file and number of theirs, and the time that is kept for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import relselect as rs
from relselect.blend import AVERAGED, average_seeds
from relselect.budget import Budget
from relselect.errors import ConfigError
from relselect.events import StageFinished
from relselect.families.registry import info_of, registered
from relselect.problem import Problem
from relselect.problem.rows import fit_rows
from relselect.report import render_html
from relselect.run import RunResult, Settings, run
from relselect.run.seeds import seconds_for_seeds, seeds_wanted
from relselect.tuning import plan_budget
from tests.shop import shop_task
from tests.tuning.cheap import Bowl, tiny_problem

pytestmark = pytest.mark.usefixtures("brief_networks")
SMALL = {"dfs": {"rounds": 30, "bags": 1, "learning_rate": 0.1}}


class Wide(Bowl):
    """A bowl whose predictions are those of its model, drawn by the seed, and whose refit adds 0.1 to them."""

    name = "wide"

    def fit(self, problem, rows, config, **how):
        found = super().fit(problem, rows, config, **how)
        level = 0.3 + 0.3 * np.random.default_rng(how["seed"]).random()
        predictions = np.full(len(rows.select), level)
        return replace(found, model=np.array([level]), predictions=predictions, score=found.score + 1.0)

    def predict(self, candidate, problem, rows):
        return np.full(len(rows), float(candidate.model[0]))

    def refit(self, candidate, problem, rows, **how):
        return replace(candidate, model=candidate.model + 0.1)


@pytest.fixture
def family():
    with registered(replace(info_of("dfs"), name="wide", make=Wide)):
        yield Wide


@pytest.fixture(scope="module")
def problem() -> Problem:
    return tiny_problem()


def ran(problem: Problem, budget: float | None = None, **how) -> RunResult:
    how = {"max_trials": 3, "average_seeds": 3, **how}
    return run(problem, Settings(families=("wide",), explain=False, **how), Budget(budget))


def test_the_decision_is_the_average_in_both_states(problem, family):
    found = ran(problem)
    decision = found.decision
    members = decision.candidate.model.members
    assert len(members) == len(set(decision.candidate.facts[AVERAGED])) == 3
    assert decision.candidate.family == "wide"
    levels = [float(each.model[0]) for each in members]
    assert np.allclose(decision.candidate.predictions, np.mean(levels))
    assert [float(each.model[0]) for each in decision.deployed.model.members] == pytest.approx(
        [x + 0.1 for x in levels]
    )
    assert decision.refitted
    # one row of the leaderboard for the trial, with what is deployed of it
    assert [each.id for each in found.candidates].count(decision.candidate.id) == 1
    assert next(each for each in found.candidates if each.id == decision.candidate.id).facts == decision.candidate.facts


def test_the_run_says_what_it_is_worth(problem, family):
    found = ran(problem)
    said = [notice.message for notice in found.notices if notice.topic == "seeds"]
    assert len(said) == 1
    assert "the average of 3 fits of this configuration with different seeds." in said[0]
    assert "than the chosen fit alone (90 % interval:" in said[0]
    assert said[0] in found.decision.why
    assert said[0] in found.decision.candidate.notes
    assert any(stage.stage == "seeds" for stage in found.stages)


def test_one_seed_is_the_run_without_averages(problem, family):
    found, usual = ran(problem, average_seeds=1), ran(problem, average_seeds=None)
    assert found.decision.candidate.facts == usual.decision.candidate.facts == {}
    assert not any(stage.stage == "seeds" for stage in found.stages)


def test_a_killed_run_ends_in_the_same_average(problem, family, tmp_path):
    whole = ran(problem, workdir=tmp_path / "whole")

    def kill(event):
        if isinstance(event, StageFinished) and event.stage == "seeds":
            raise RuntimeError("killed")

    settings = Settings(families=("wide",), explain=False, max_trials=3, average_seeds=3, workdir=tmp_path / "killed")
    with pytest.raises(RuntimeError, match="killed"):
        run(problem, settings, Budget(None), kill)
    again = run(problem, settings, Budget(None))
    assert again.decision.candidate.facts == whole.decision.candidate.facts
    assert np.array_equal(again.decision.candidate.predictions, whole.decision.candidate.predictions)
    assert again.decision.why == whole.decision.why


def test_without_time_the_fit_is_deployed_alone(problem, family):
    class Slow(Wide):
        name = "slow"

        def fit(self, *args, **how):
            return replace(super().fit(*args, **how), seconds=100.0)

    with registered(replace(info_of("dfs"), name="slow", make=Slow)):
        settings = Settings(families=("slow",), explain=False, max_trials=3, average_seeds=2)
        found = run(problem, settings, Budget(60))
    assert AVERAGED not in found.decision.candidate.facts
    assert any("is not averaged over seeds" in notice.message for notice in found.notices)


def test_a_family_says_how_many_are_averaged_where_nobody_asks(problem):
    class Single(Wide):
        """There is one configuration, so that the study ends before its time."""

        name = "single"

        def space(self, trial, problem):
            trial.suggest_categorical("x", [0.3])
            return {"x": 0.3, "kind": "a", "inner": {"depth": 3}}

        def default(self, problem):
            return {"x": 0.3, "kind": "a", "inner": {"depth": 3}}

    with registered(replace(info_of("dfs"), name="single", make=Single, seeds=3)):
        found = run(problem, Settings(families=("single",), explain=False), Budget(100))
        bounded = run(problem, Settings(families=("single",), explain=False, max_trials=1), Budget(100))
    assert len(found.decision.candidate.facts[AVERAGED]) == 3
    assert bounded.decision.candidate.facts == {}


def test_how_many_are_wanted():
    with registered(replace(info_of("dfs"), name="several", seeds=4)):
        assert seeds_wanted(Settings(), "several") == 4
        assert seeds_wanted(Settings(average_seeds=2), "several") == 2
        assert seeds_wanted(Settings(max_trials=5), "several") == 1
        assert seeds_wanted(Settings(max_trials=5, average_seeds=2), "several") == 2
    assert seeds_wanted(Settings(average_seeds=3), "constants") == 1
    for wrong in (0, 6, 1.5, True):
        with pytest.raises(ConfigError, match="average_seeds"):
            Settings(average_seeds=wrong)


def test_time_is_kept_for_them_before_the_search_goes_on(problem):
    fitted = Wide().fit(
        problem, fit_rows(problem), Wide().default(problem), seed=0, number=0, budget=Budget(None), emit=print
    )
    best = {"wide": replace(fitted, seconds=10.0)}
    settings, budget = Settings(average_seeds=3), Budget(300)
    with registered(replace(info_of("dfs"), name="wide", make=Wide)):
        kept = seconds_for_seeds(settings, {"wide": 1.0}, best, budget)
        assert 2 * 14 < kept < 2 * 20
        # at most a fifth of the budget, in whole fits
        assert seconds_for_seeds(settings, {"wide": 1.0}, {"wide": replace(fitted, seconds=100.0)}, budget) == 0
        assert seconds_for_seeds(Settings(), {"wide": 1.0}, best, budget) == 0
        assert seconds_for_seeds(settings, {"wide": 1.0}, best, Budget(None)) == 0
        assert seconds_for_seeds(settings, {"wide": 1.0}, {"wide": replace(fitted, ended="budget")}, budget) == 0
    plan = plan_budget(Budget(300), ["wide"])
    before = plan.further(1.0).seconds, plan.choice().seconds
    plan.seeds = kept
    after = plan.further(1.0).seconds, plan.choice().seconds
    assert np.allclose(np.array(before) - np.array(after), kept, atol=0.1)
    assert plan.averaging().seconds == pytest.approx(after[1] + kept, abs=0.1)


@pytest.mark.parametrize("families", ["dfs", "rdl"])
def test_a_real_predictor_is_saved_explained_and_calibrated(families, database, tables, tmp_path):
    task = shop_task(database, tables)
    fit = rs.select_and_train(
        database, task, "10min", families=families, max_trials=1, average_seeds=2, explain=False,
        options=SMALL if families == "dfs" else None,
    )  # fmt: skip
    assert len(fit.candidate.model.members) == 2
    assert fit.candidate.family == families
    loaded = rs.load(fit.save(tmp_path / "bundle"))
    for asked in ({"split": "test"}, {"split": "val"}, {"split": "test", "calibrated": True}, {"at": "1970-10-20"}):
        assert loaded.predict(**asked, database=database).equals(fit.predict(**asked)), asked
    assert loaded.leaderboard().equals(fit.leaderboard())
    assert "average of 2 fits" in render_html(loaded.record)
    assert loaded.record == fit.record
    assert fit.importance(time_budget="5s") is not None
    parts = loaded.explain(entity=3, at="1970-10-20", database=database)
    assert parts.to_json() == fit.explain(entity=3, at="1970-10-20", database=database).to_json()
    assert not any(path.suffix in (".pkl", ".pt") for path in (tmp_path / "bundle").rglob("*"))


def test_a_blend_holds_the_members_of_the_averages(database, tables, tmp_path):
    task = shop_task(database, tables)
    fit = rs.select_and_train(
        database,
        task,
        "10min",
        families="dfs,rdl",
        max_trials=1,
        average_seeds=2,
        final="blend",
        explain=False,
        options=SMALL,
    )
    assert fit.candidate.family == "blended"
    assert sorted(each.family for each in fit.candidate.model.members) == ["dfs", "dfs", "rdl", "rdl"]
    again = rs.load(fit.save(tmp_path / "blend"))
    assert again.predict(split="test", database=database).equals(fit.predict(split="test"))
    assert ", 2 seeds)" in fit.decision.why
    one = rs.select_and_train(
        database,
        task,
        "10min",
        families="dfs,rdl",
        max_trials=1,
        average_seeds=2,
        final="one",
        explain=False,
        options=SMALL,
    )
    assert one.candidate.family in ("dfs", "rdl")
    assert len(one.candidate.facts[AVERAGED]) == 2


def test_an_average_is_of_the_candidates_that_the_run_kept(problem, family):
    """The average that a run deploys is that of `average_seeds`, whose members predict the select rows as stored."""
    found, rows = ran(problem), fit_rows(problem)
    again = average_seeds(found.decision.candidate.model.members, problem, rows)
    assert again.score == found.decision.candidate.score
    assert np.array_equal(again.predictions, found.decision.candidate.predictions)

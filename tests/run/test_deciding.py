"""Odds between families, the time that follows from them, and what is deployed; then a run that ends in a blend."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import relselect as rs
from relselect.errors import BankError, ConfigError
from relselect.families import registered
from relselect.problem.rows import fit_rows
from relselect.run import Settings
from relselect.run.deciding import FamilyOdds, family_odds, final_weights, shares_of_time
from relselect.selector.normal import NormalMargin
from relselect.tasks.metrics import skill
from tests.families.contract import problem_of, trained
from tests.families.ridge import RIDGE
from tests.shop import shop_task


class Known:
    """Expects one margin, and believes the select rows with a shift of its own."""

    taught_by = "a test"

    def __init__(self, mean: float, sd: float = 0.1, omega: float = 0.1, small: bool = False) -> None:
        self.margin, self.omega, self.small = NormalMargin(mean, sd), omega, small
        self.observed = {}

    def prior(self, numbers):
        if self.small:
            raise BankError("bank", "0 tasks", "is too small", "Build more")
        return {"rdl": self.margin}

    def posterior(self, prior, observed, kind):
        self.observed = observed
        return {n: m.updated(observed[n][0], self.omega) if n in observed else m for n, m in prior.items()}

    def chances(self, margins):
        above = margins["rdl"].probability_above_zero
        return {"dfs": 1 - above, "rdl": above}

    def deployed_weights(self, margins):
        return {"dfs": 0.75, "rdl": 0.25}


@pytest.fixture(scope="module")
def pair():
    """A problem and two finished candidates, the second of which stands for the graph network."""
    problem = problem_of("binary")
    rows = fit_rows(problem, "entities")
    from relselect.families import family_of

    first = trained(family_of("dfs"), problem, rows)
    second = replace(first, family="rdl", predictions=np.sqrt(first.predictions) * 0.5 + 0.2)
    second = replace(second, score=problem.task.metric.score(rows.select.label, second.predictions) - 0.1)
    return problem, rows, {"dfs": first, "rdl": second}


def test_odds_join_what_was_expected_and_what_was_seen(pair):
    problem, rows, best = pair
    model = Known(0.05)
    odds = family_odds(model, {}, problem, rows, best, 0.5)
    metric = problem.task.metric
    seen = skill(metric, best["rdl"].score, 0.5) - skill(metric, best["dfs"].score, 0.5)
    assert model.observed["rdl"][0] == pytest.approx(seen)
    assert model.observed["rdl"][1] >= 0
    assert odds.margins["rdl"].mean == pytest.approx((0.05 + seen) / 2)
    assert odds.leader == "dfs"
    assert sum(odds.weights.values()) == pytest.approx(1)
    assert odds.mix == {"dfs": 0.75, "rdl": 0.25}
    assert "a lead of 0.050 of skill for a graph neural network was expected" in odds.sentence
    assert "feature synthesis is the better one with probability" in odds.sentence


def test_a_fit_that_was_cut_off_is_not_compared(pair):
    problem, rows, best = pair
    model = Known(0.05)
    cut = {**best, "rdl": replace(best["rdl"], ended="budget")}
    odds = family_odds(model, {}, problem, rows, cut, 0.5)
    assert model.observed == {}
    assert odds.margins["rdl"] == model.margin
    assert "were not both finished" in odds.sentence


def test_what_is_deployed_is_judged_as_it_is(pair):
    problem, rows, best = pair
    model = Known(0.05)
    cut = {**best, "rdl": replace(best["rdl"], ended="budget", score=0.4)}
    odds = family_odds(model, {}, problem, rows, cut, 0.5, as_they_are=True)
    assert model.observed["rdl"][0] < 0
    assert odds.weights["rdl"] < 0.2


def test_a_family_that_was_cut_off_gets_no_more_time_while_another_finished(pair):
    best = {**pair[2], "rdl": replace(pair[2]["rdl"], ended="budget")}
    assert shares_of_time(None, ["dfs", "rdl"], best) == {"dfs": 1.0}
    assert shares_of_time(odds_of(0.97), ["dfs", "rdl"], best) == {"dfs": 1.0}
    both = {name: replace(each, ended="budget") for name, each in best.items()}
    assert shares_of_time(None, ["dfs", "rdl"], both) == {"dfs": 0.5, "rdl": 0.5}


def test_expected_luck_is_subtracted(pair):
    problem, rows, best = pair
    plain, adjusted = Known(0.05), Known(0.05)
    family_odds(plain, {}, problem, rows, best, 0.5)
    family_odds(adjusted, {}, problem, rows, best, 0.5, luck={"rdl": 0.03})
    assert adjusted.observed["rdl"][0] == pytest.approx(plain.observed["rdl"][0] - 0.03)
    family_odds(adjusted, {}, problem, rows, best, 0.5, luck={"dfs": 0.01, "rdl": 0.03})
    assert adjusted.observed["rdl"][0] == pytest.approx(plain.observed["rdl"][0] - 0.02)
    assert adjusted.observed["rdl"][1] == plain.observed["rdl"][1]


def test_there_are_no_odds_without_two_families_or_a_bank(pair):
    problem, rows, best = pair
    assert family_odds(Known(0.0), {}, problem, rows, {"dfs": best["dfs"]}, 0.5) is None
    assert family_odds(Known(0.0), {}, problem, rows, {"rdl": best["rdl"]}, 0.5) is None
    assert family_odds(Known(0.0, small=True), {}, problem, rows, best, 0.5) is None


def odds_of(network: float) -> FamilyOdds:
    chances = {"dfs": 1 - network, "rdl": network}
    alone = {name: float(chance > 0.5) for name, chance in chances.items()}
    mix = alone if max(chances.values()) >= 0.95 else chances
    return FamilyOdds(chances, mix, {"rdl": NormalMargin(0.0, 1.0)}, "")


def test_time_follows_the_odds():
    assert shares_of_time(None, ["dfs", "rdl"]) == {"dfs": 0.5, "rdl": 0.5}
    assert shares_of_time(odds_of(0.3), ["dfs", "rdl"]) == {"dfs": 0.7, "rdl": pytest.approx(0.3)}
    assert list(shares_of_time(odds_of(0.8), ["dfs", "rdl"])) == ["rdl", "dfs"]
    assert shares_of_time(odds_of(0.97), ["dfs", "rdl"]) == {"rdl": 1.0}
    assert shares_of_time(odds_of(0.97), ["dfs", "other"]) == {"dfs": 0.5, "other": 0.5}


def test_what_is_deployed_follows_the_odds(pair):
    best = pair[2]
    assert final_weights("auto", odds_of(0.3), best) == {"dfs": 0.7, "rdl": pytest.approx(0.3)}
    assert final_weights("auto", odds_of(0.98), best) == {"rdl": 1.0}
    assert final_weights("one", odds_of(0.6), best) == {"rdl": 1.0}
    assert list(final_weights("blend", odds_of(0.98), best)) == ["rdl", "dfs"]
    assert final_weights("blend", None, best) == {"dfs": 0.5, "rdl": 0.5}
    assert final_weights("auto", None, best) is None
    small = FamilyOdds({"dfs": 0.9, "rdl": 0.1}, {"dfs": 0.97, "rdl": 0.03}, {"rdl": NormalMargin(-0.1, 0.1)}, "")
    assert final_weights("auto", small, best) == {"dfs": 1.0}
    assert final_weights("blend", small, best) == {"dfs": 0.97, "rdl": 0.03}
    assert final_weights("blend", odds_of(0.5), {"dfs": best["dfs"]}) is None


def test_another_final_model_is_refused():
    with pytest.raises(ConfigError, match=r"final=both.*'auto', 'one', 'blend'"):
        Settings(final="both")


@pytest.fixture(scope="module")
def ridge():
    with registered(RIDGE):
        yield


@pytest.fixture(scope="module")
def blended(database, tables, ridge):
    task = shop_task(database, tables)
    return rs.select_and_train(database, task, "120s", families=("dfs", "ridge"), max_trials=2, final="blend")


def test_a_blend_is_deployed_reported_saved_and_loaded(blended, database, tmp_path):
    assert blended.candidate.family == "blended"
    assert blended.candidate.config["weights"] == [0.5, 0.5]
    assert blended.candidate.id in {each.id for each in blended.result.candidates}
    board = blended.leaderboard()
    assert {"dfs", "ridge", "blended", "constants"} == set(board["family"])
    assert (board["family"] == "ridge").sum() == 2
    assert "weighted average" in blended.decision.why
    page = blended.report(tmp_path / "r.html").read_text(encoding="utf-8")
    record = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert record["choice"]["family"] == "blended"
    assert "lend of families" in page
    loaded = rs.load(blended.save(tmp_path / "bundle"))
    for asked in ({"split": "val"}, {"split": "test"}, {"at": "1970-10-20"}):
        assert loaded.predict(**asked, database=database).equals(blended.predict(**asked))


def test_every_family_gets_its_default_before_any_gets_a_second_trial(database, tables, ridge):
    order = []

    def listener(event):
        if isinstance(event, rs.events.TrialStarted):
            order.append((event.family, event.number))

    task = shop_task(database, tables)
    rs.select_and_train(
        database, task, "120s", families=("dfs", "ridge"), max_trials=2, on_event=listener, evaluate_test=False
    )
    assert sorted(order[:2]) == [("dfs", 0), ("ridge", 0)]
    assert sorted(order) == [(name, number) for name in ("dfs", "ridge") for number in range(2)]

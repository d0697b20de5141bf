from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from relselect.bank import PerformanceBank
from relselect.bank.pairs import BLEND_WEIGHTS
from relselect.errors import BankError
from relselect.families import registered
from relselect.profile import Measure, Profile
from relselect.selector import Margin, MetaSelector, TaughtSelector
from relselect.selector.advice import margin_sentence, margins_over_best
from relselect.selector.blending import BlendGain
from relselect.selector.evaluation import evaluate_policies, rank_correlations
from relselect.selector.normal import NormalMargin
from relselect.selector.prior import fit_prior, numbers_of
from relselect.selector.replay import POLICIES
from relselect.tasks.metrics import metric_named
from relselect.tasks.paired import paired_skill_error
from tests.families.ridge import RIDGE
from tests.selector.banks import FIRST, SECOND, planted_bank


def numbers(homophily: float) -> dict[str, float]:
    return numbers_of({"homophily_weighted_mean": homophily, "log10_train_rows": 4.0}, regression=False)


def problem_of(label: np.ndarray, metric: str = "roc_auc") -> SimpleNamespace:
    task = SimpleNamespace(kind=metric_named(metric).kind, metric=metric_named(metric))
    return SimpleNamespace(task=task, rows=lambda split: SimpleNamespace(label=label))


def profile_of(homophily: float) -> Profile:
    def measure(name: str, value: float) -> Measure:
        return Measure(name, value, 0.01, "homophily", "It is so.")

    return Profile((measure("homophily_weighted_mean", homophily), measure("log10_train_rows", 4.0)), 0.1)


def test_planted_margins_are_found():
    selector = MetaSelector(planted_bank(0.15))
    for homophily in (-0.8, 0.8):
        margin = selector.prior(numbers(homophily))[SECOND]
        assert margin.mean == pytest.approx(0.15 * homophily, abs=0.03)
        assert margin.sd < 0.05
        low, high = margin.interval
        assert (low > 0) == (homophily > 0)
        assert (high < 0) == (homophily < 0)
    pushes = selector.comparisons[SECOND].prior.pushes(numbers(0.8))
    assert next(iter(pushes)) == "homophily_weighted_mean"
    near = selector.nearest(numbers(0.8))
    assert len(near) == 5
    assert {row["better"] for row in near} == {SECOND}


def test_synthetic_tasks_are_named_as_such():
    real, made = planted_bank(0.15), planted_bank(0.15, seed=1)
    tasks = [
        replace(task, id=f"made-{task.id}", database=f"made-{task.database}", origin="synthetic") for task in made.tasks
    ]
    trials = [replace(trial, id=f"made-{trial.id}", task=f"made-{trial.task}") for trial in made.trials]
    bank = real.merge(PerformanceBank(tasks, trials))
    both = MetaSelector(bank, ("real", "synthetic"))
    assert "150 tasks, 75 of them synthetic, of 50 databases" in both.taught_by
    assert "synthetic" not in MetaSelector(real).taught_by
    names = [row["task"] for row in both.nearest(numbers(0.8))]
    assert all(name.startswith("made-") == name.endswith(" (synthetic)") for name in names)
    near = both.nearest(numbers(0.8), 20)
    assert 0 < sum(row["task"].endswith(" (synthetic)") for row in near) < 20
    # real tasks alone teach where there are enough of them
    assert MetaSelector(bank).bank.fingerprint == MetaSelector(real).bank.fingerprint
    few = bank.filter(databases=[*real.databases[:2], *(task.database for task in tasks)])
    assert len(MetaSelector(few).bank.databases) == 27


def test_noise_is_abstained_from():
    selector = MetaSelector(planted_bank(0.0, noise=0.05))
    comparison = selector.comparisons[SECOND]
    assert comparison.prior.penalty == math.inf
    for homophily in (-0.9, 0.0, 0.9):
        low, high = selector.prior(numbers(homophily))[SECOND].interval
        assert low < 0 < high


def test_ninety_percent_intervals_hold_nine_of_ten_margins_of_new_databases():
    selector, fresh = MetaSelector(planted_bank(0.1, seed=1)), planted_bank(0.1, seed=2)
    held = []
    for pair in fresh.evidence:
        measured = {m["name"]: m["value"] for m in fresh.task_of[pair.task].profile["measures"]}
        low, high = selector.prior(numbers_of(measured, regression=False))[SECOND].interval
        held.append(low <= pair.margin <= high)
    assert 0.82 < np.mean(held) <= 1.0


def test_the_width_is_that_of_similar_tasks():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 300)
    margins = rng.normal(0, np.where(x > 0, 0.1, 0.01))
    prior = fit_prior([numbers(value) for value in x], margins, np.arange(300) // 3)
    assert prior.margin(numbers(0.9)).sd > 1.5 * prior.margin(numbers(-0.9)).sd


def test_optimism_and_shift_are_learnt():
    pairs = planted_bank(0.0, databases=60, optimism=0.03, shift=0.05)
    shift = MetaSelector(pairs).comparisons[SECOND].shift
    assert shift.overall.beta == pytest.approx(0.03, abs=0.01)
    assert shift.overall.omega == pytest.approx(0.05, abs=0.01)
    assert set(shift.kinds) == {"binary"}


def test_the_posterior_is_the_precision_weighted_mean():
    prior = NormalMargin(-0.02, 0.04)
    found = prior.updated(0.06, 0.04)
    assert found.mean == pytest.approx(0.02)
    assert found.sd == pytest.approx(0.04 / math.sqrt(2))
    assert prior.updated(math.nan, 0.1) == prior == prior.updated(0.1, math.nan)
    selector = MetaSelector(planted_bank(0.0, optimism=0.05, databases=60))
    expected = selector.prior(numbers(0.0))
    seen = selector.posterior(expected, {SECOND: (0.05, 0.001)}, "binary")
    assert seen[SECOND].mean == pytest.approx(expected[SECOND].mean, abs=0.01)
    assert seen[SECOND].sd < expected[SECOND].sd
    assert selector.posterior(expected, {}, "binary") == expected


def test_chances_are_probabilities():
    selector = MetaSelector(planted_bank(0.1))
    weights = selector.chances({SECOND: NormalMargin(0.0, 0.1)})
    assert weights == {FIRST: 0.5, SECOND: 0.5}
    assert selector.chances({SECOND: NormalMargin(0.1, 0.1)})[SECOND] == pytest.approx(0.8413, abs=1e-3)
    three = selector.chances({SECOND: NormalMargin(0.5, 0.1), "third": NormalMargin(-0.5, 0.1)})
    assert three[SECOND] > 0.99
    assert sum(three.values()) == pytest.approx(1.0)


def test_what_is_deployed_has_the_best_expected_skill_and_one_family_where_that_is_clear():
    selector, gain = MetaSelector(planted_bank(0.1)), BlendGain(0.02, 0.5)
    selector.__dict__["comparisons"] = {name: replace(each, gain=gain) for name, each in selector.comparisons.items()}
    weights = selector.deployed_weights({SECOND: NormalMargin(0.01, 0.05)})
    assert weights[SECOND] == pytest.approx(0.5 + 0.01 / (2 * 0.025))
    assert sum(weights.values()) == pytest.approx(1.0)
    assert selector.deployed_weights({SECOND: NormalMargin(0.2, 0.05)}) == {FIRST: 0.0, SECOND: 1.0}
    assert selector.deployed_weights({SECOND: NormalMargin(-0.2, 0.05)}) == {FIRST: 1.0, SECOND: 0.0}


def test_without_averages_in_the_bank_the_odds_are_the_weights():
    selector = MetaSelector(planted_bank(0.1))  # it holds scores and no predictions
    assert [each.gain for each in selector.comparisons.values()] == [None]
    margins = {SECOND: NormalMargin(0.03, 0.05)}
    assert selector.deployed_weights(margins) == selector.chances(margins)


def test_small_and_odd_banks_give_clear_answers():
    with pytest.raises(BankError, match="on 1 databases, and 3 are needed"):
        _ = MetaSelector(planted_bank(0.1, databases=1)).comparisons
    with pytest.raises(BankError, match="on 0 databases"):
        _ = MetaSelector(planted_bank(0.1, families=(FIRST,))).comparisons
    with pytest.raises(BankError, match="on 0 databases"):
        _ = MetaSelector(PerformanceBank([], [])).comparisons
    constant = MetaSelector(planted_bank(0.1, constant=True))
    margin = constant.prior(numbers(0.9))[SECOND]
    assert abs(margin.mean) < 0.01
    assert constant.comparisons[SECOND].prior.penalty == math.inf


def test_a_recommendation_has_one_sign_and_says_who_taught_it():
    selector = TaughtSelector(MetaSelector(planted_bank(0.15)))
    label = np.array([0.0, 1.0] * 50)
    good = selector.recommend(profile_of(0.8), problem_of(label))
    assert good.family == SECOND
    assert good.margins[SECOND].value == pytest.approx(0.12, abs=0.03)
    assert good.margins[FIRST].value == -good.margins[SECOND].value
    assert good.evidence[0].startswith("Graph neural network is expected to be better by 0.0")
    assert "AUROC" in good.evidence[0]
    assert any("towards graph neural network" in text for text in good.evidence)
    assert any("2.0 minutes" in text for text in good.evidence)
    assert "75 tasks of 25 databases" in good.taught_by
    assert len(good.neighbours) == 5
    bad = selector.recommend(profile_of(-0.8), problem_of(label))
    assert bad.family == FIRST
    assert bad.evidence[0].startswith("Feature synthesis is expected to be better by 0.0")


def test_margins_are_said_in_the_metric_of_the_task():
    text = margin_sentence(FIRST, Margin(0.2, -0.1, 0.5), 3.0, "MAE")
    assert text == "Feature synthesis is expected to be better by 0.6 MAE (90 % interval: 0.3 worse to 1.5 better)."
    assert margins_over_best({SECOND: NormalMargin(-0.1, 0.0)})[FIRST] == Margin(0.1, 0.1, 0.1)


def test_replays_know_the_skill_of_every_policy():
    bank = planted_bank(0.15, databases=8, tasks=2)
    found = evaluate_policies(bank, minutes=(0.5, 1.5, math.inf))
    assert (found.tasks, found.databases) == (16, 8)
    whole = found.policies[math.inf]
    assert set(whole) == set(POLICIES)
    first = np.mean([pair.first_test for pair in bank.evidence])
    oracle = np.mean([max(pair.first_test, pair.second_test) for pair in bank.evidence])
    assert whole["always first"].skill == pytest.approx(first)
    assert whole["oracle family"].skill == pytest.approx(oracle)
    assert whole["oracle family"].regret == 0.0
    assert whole["validation"].skill == pytest.approx(oracle)
    assert whole["prior"].skill > whole["always first"].skill
    assert whole["half blend"].skill == pytest.approx(
        np.mean([(p.first_test + p.second_test) / 2 for p in bank.evidence])
    )
    # nothing ends within half a minute; one fit within one and a half
    assert {score.skill for score in found.policies[0.5].values()} == {0.0}
    assert found.policies[1.5]["validation"].skill == pytest.approx(first)
    assert found.policies[1.5]["always second"].skill == whole["always second"].skill
    assert found.to_json()["policies"]["none"]["validation"]["skill"] == whole["validation"].skill


def test_a_selector_never_saw_the_database_that_it_is_judged_on():
    """One database's margins are the reverse of what its profile says elsewhere: only a selector that saw it could know."""
    bank = planted_bank(0.2, databases=12, tasks=2, noise=0.001)
    odd = "db00"
    turned = [
        trial
        if bank.task_of[trial.task].database != odd
        else type(trial)(**{**vars(trial), "family": _other(trial.family)})
        for trial in bank.trials
    ]
    found = evaluate_policies(PerformanceBank(bank.tasks, turned), judged=PerformanceBank(bank.tasks[:2], turned))
    assert found.policies[math.inf]["prior"].regret > 0
    seen = planted_bank(0.2, databases=12, tasks=2, noise=0.001)
    usual = evaluate_policies(seen, judged=PerformanceBank(seen.tasks[:2], seen.trials))
    assert usual.policies[math.inf]["prior"].regret < found.policies[math.inf]["prior"].regret


def _other(family: str) -> str:
    return SECOND if family == FIRST else FIRST


def test_rank_correlations_are_corrected_for_looking_at_many():
    found = rank_correlations(planted_bank(0.1, seed=1))
    assert set(found) == {"homophily_weighted_mean", "log10_train_rows"}
    rho, low, high, p_value = found["homophily_weighted_mean"]
    assert low < rho < high
    assert rho > 0.7
    assert p_value < 1e-6
    assert found["log10_train_rows"][3] > 0.01


def test_the_paired_error_is_that_of_repeated_samples():
    rng, metric, found, errors = np.random.default_rng(0), metric_named("neg_mean_absolute_error"), [], []
    for draw in range(40):
        entity = np.repeat(np.arange(60), 4)
        common = rng.normal(size=60)[entity]
        label = common + rng.normal(size=240)
        one, other = label - 0.5 * common, label - 0.4 * common + 0.1 * rng.normal(size=240)
        found.append(metric.score(label, other) - metric.score(label, one))
        errors.append(paired_skill_error(metric, label, one, other, entity, -1.0, seed=draw))
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.35)
    assert math.isnan(paired_skill_error(metric, label[:4], one[:4], other[:4], entity[:4], -1.0))


def test_blends_are_kept_for_a_grid_of_weights():
    assert BLEND_WEIGHTS[0] == 0.0
    assert BLEND_WEIGHTS[-1] == 1.0
    assert len(BLEND_WEIGHTS) == 21


def test_a_family_that_the_bank_does_not_know_is_left_out() -> None:
    selector = MetaSelector(planted_bank(0.15))
    with registered(RIDGE):
        assert set(selector.comparisons) == {"rdl"}

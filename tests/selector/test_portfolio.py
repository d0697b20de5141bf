"""The first configurations are those that gained on test rows when they were chosen on select rows, the cheap ones first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from relselect.bank import BankTrial, PerformanceBank
from relselect.selector import MetaSelector
from relselect.selector.portfolio import first_configs, portfolio_gain
from tests.selector.banks import FIRST, planted_bank, trial_of

#: Number -> skill on select and on test rows over the default's, and the cost of a fit over the default's.
Planted = Mapping[int, tuple[float, float, float]]


def bank_with(
    planted: Planted, databases: int = 8, changes: Mapping[int, dict[str, object]] | None = None
) -> PerformanceBank:
    """Return a bank whose trees were fitted with further configurations, each with the same gains on every database."""
    bank = planted_bank(0.0, databases=databases, tasks=1, noise=0.0)
    trials: list[BankTrial] = []
    for task in bank.tasks:
        default = next(trial for trial in bank.trials_of[task.id] if trial.family == FIRST)
        base = replace(default, config={"leaves": 16, "rate": 0.1})
        trials += [each for each in bank.trials_of[task.id] if each.family != FIRST] + [base]
        level = 2 * base.select_score - 1
        for number, (select, test, cost) in planted.items():
            other = trial_of(task, FIRST, level + select, level + test)
            change = (changes or {}).get(number, {"leaves": 16 * (number + 1)})
            trials.append(
                replace(
                    other, id=f"{task.id}-{number}", number=number, role="space", config={**base.config, **change},
                    seconds_features=10.0 * cost, seconds_training=50.0 * cost,
                )
            )  # fmt: skip
    return PerformanceBank(bank.tasks, trials)


def test_what_gains_on_test_rows_comes_first_and_what_only_looks_better_is_left_out() -> None:
    found = first_configs(bank_with({1: (0.02, -0.03, 1.0), 2: (0.03, 0.05, 1.0), 3: (-0.1, 0.2, 1.0)}), FIRST)
    assert [dict(each.change) for each in found] == [{"leaves": 48}]
    assert found[0].gain == pytest.approx(0.05)
    assert (found[0].cost, found[0].databases) == (1.0, 8)


def test_gain_counts_by_its_cost() -> None:
    costly_first = {1: (0.02, 0.02, 10.0), 2: (0.01, 0.01, 1.0)}
    assert [each.cost for each in first_configs(bank_with(costly_first), FIRST)] == [1.0, 10.0]


def test_a_configuration_of_few_databases_is_not_named() -> None:
    assert first_configs(bank_with({1: (0.02, 0.02, 1.0)}, databases=4), FIRST) == ()
    assert len(first_configs(bank_with({1: (0.02, 0.02, 1.0)}, databases=5), FIRST)) == 1


def test_at_most_so_many_are_named() -> None:
    rising = {number: (0.01 * number, 0.01 * number, 1.0 + 10.0**number) for number in range(1, 7)}
    assert len(first_configs(bank_with(rising), FIRST)) == 4
    assert len(first_configs(bank_with(rising), FIRST, most=2)) == 2


def test_databases_that_taught_nothing_judge_the_order() -> None:
    found = portfolio_gain(bank_with({1: (0.0, 0.0, 1.0), 2: (0.03, 0.03, 1.0)}), FIRST, most=2)
    assert [each.trials for each in found] == [1, 2]
    assert found[0].taught == pytest.approx(0.03)
    assert found[0].in_order == pytest.approx(0.0)
    assert found[0].low == pytest.approx(0.03)
    assert found[1].taught == found[1].in_order == pytest.approx(0.03)
    assert portfolio_gain(bank_with({1: (0.0, 0.0, 1.0)}, databases=5), FIRST) == ()


def test_a_selector_knows_them_for_every_trained_family() -> None:
    found = MetaSelector(bank_with({1: (0.03, 0.05, 1.0)})).first_configs
    assert [dict(each.change) for each in found[FIRST]] == [{"leaves": 32}]
    assert found["rdl"] == ()


def test_a_gain_that_noise_could_be_is_not_named() -> None:
    """Half of the databases gain 0.05 by the configuration, half lose 0.04: +0.005 on average."""
    bank = bank_with({1: (0.02, 0.05, 1.0)})
    worse = {trial.id for place, trial in enumerate(t for t in bank.trials if t.role == "space") if place % 2}
    trials = [
        replace(trial, test_score=trial.test_score - 0.045) if trial.id in worse else trial for trial in bank.trials
    ]
    assert first_configs(PerformanceBank(bank.tasks, trials), FIRST) == ()
    assert len(first_configs(bank, FIRST)) == 1

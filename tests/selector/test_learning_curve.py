"""The learning curve over databases: more of them teach a planted margin better, and nothing is learnt from noise."""

from __future__ import annotations

import pytest

from relselect.errors import BankError
from relselect.selector.evaluation import evaluate_policies
from relselect.selector.learning_curve import learning_curve
from tests.selector.banks import planted_bank


def test_a_planted_margin_is_learnt_from_more_databases() -> None:
    curve = learning_curve(planted_bank(0.15, databases=16, tasks=2), policy="prior", sizes=[3, 15], draws=6)
    few, many = curve
    assert (few.databases, many.databases, few.draws, many.draws) == (3, 15, 6, 1)
    assert many.gain > few.gain + 2 * few.stderr
    assert many.gain > 0.02


def test_its_last_point_is_the_evaluation_leave_one_database_out() -> None:
    bank = planted_bank(0.15, databases=8, tasks=2)
    score = evaluate_policies(bank, minutes=[3.0]).policies[3.0]["posterior blend"]
    assert learning_curve(bank)[-1].gain == pytest.approx(score.gain)


def test_equal_seeds_give_equal_curves() -> None:
    bank = planted_bank(0.1, databases=7, tasks=1)
    assert learning_curve(bank, draws=2) == learning_curve(bank, draws=2)


def test_too_few_databases_are_said() -> None:
    with pytest.raises(BankError, match="too few for a learning curve"):
        learning_curve(planted_bank(0.1, databases=4, tasks=1))

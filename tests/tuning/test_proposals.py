"""What a trial tries depends on older trials alone, and rungs are asked when those before them are settled."""

from __future__ import annotations

import optuna
import pytest

from relselect.families.options import adjusted_family
from relselect.tuning.proposals import LAG, RUNGS, TrialProposals
from tests.tuning.cheap import Bowl, tiny_problem


@pytest.fixture(scope="module")
def proposals() -> TrialProposals:
    return TrialProposals(Bowl(), tiny_problem(), 3, RUNGS)


def done(number: int, x: float, credit: float, share: float) -> optuna.trial.FrozenTrial:
    spaces = {"x": optuna.distributions.FloatDistribution(0, 1)}
    facts = {"number": number, "outcome": "done", "credit": credit, "share": share}
    return optuna.trial.create_trial(params={"x": x}, distributions=spaces, value=credit, user_attrs=facts)


def test_a_generation_narrows_down(proposals: TrialProposals) -> None:
    shares = [proposals.share_of(number) for number in range(28)]
    generation = [1 / 9] * 9 + [1 / 3] * 3 + [1.0]
    assert shares == [1.0, *generation, *generation, 1 / 9]


def test_a_rung_needs_all_of_the_rung_before(proposals: TrialProposals) -> None:
    assert [proposals.needed(number) for number in (0, 3, 4, 9)] == [0, 0, 1, 9 - LAG + 1]
    assert [proposals.needed(number) for number in (10, 11, 12)] == [10, 10, 10]
    assert [proposals.needed(number) for number in (13, 14)] == [13, 11]


def test_the_best_of_a_rung_are_tried_again_the_earlier_of_equals_first(proposals: TrialProposals) -> None:
    scores = [0.1, 0.5, 0.2, 0.5, 0.3, 0.0, 0.0, 0.0, 0.0]
    trials = [done(number, number / 100, score, 1 / 9) for number, score in enumerate(scores, 1)]
    for number, best in ((10, 2), (11, 4), (12, 5)):
        proposal = proposals.propose(number, trials)
        assert proposal is not None
        assert (proposal.point, proposal.share) == ({"x": best / 100}, 1 / 3)
    assert proposals.propose(12, trials[:2]) is None  # the others failed
    again = proposals.propose(13, [*trials, done(10, 0.02, 0.1, 1 / 3), done(11, 0.04, 0.4, 1 / 3)])
    assert again is not None
    assert (again.point, again.share) == ({"x": 0.04}, 1.0)


def test_the_sampler_knows_older_trials_of_the_same_part_alone(proposals: TrialProposals) -> None:
    family, problem = Bowl(), tiny_problem()
    plain = TrialProposals(family, problem, 3)
    trials = [done(number, 0.3 + number / 100, -abs(number - 5), 1.0) for number in range(12)]
    later = [done(number, 0.9, 100.0, 1.0) for number in range(12 - LAG + 1, 12)]
    others = [done(number, 0.9, 100.0, 1 / 9) for number in range(3)]
    known = plain.propose(12, trials[: 12 - LAG + 1])
    assert known is not None
    assert known == plain.propose(12, [*trials[: 12 - LAG + 1], *later, *others])
    assert known != plain.propose(12, trials[:4])


def test_changes_of_the_default_are_tried_right_after_it() -> None:
    family, problem = Bowl(), tiny_problem()
    default = family.default(problem)
    known = TrialProposals(family, problem, 3, changes=[{"x": 0.75}, dict(default), {"no such option": 1}, {"x": 0.25}])
    assert known.first == [default, {**default, "x": 0.75}, {**default, "x": 0.25}]
    second = known.propose(1, [])
    assert second is not None
    assert second.point["x"] == 0.75


def test_an_option_that_the_caller_fixed_stays() -> None:
    problem = tiny_problem()
    fixed = adjusted_family(Bowl(), {"x": 0.5})
    assert TrialProposals(fixed, problem, 3, changes=[{"x": 0.75}]).first == [fixed.default(problem)]

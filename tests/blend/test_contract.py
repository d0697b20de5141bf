"""Averages over seeds follow the contract of their family, the law of time included."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relselect.blend import SeedAverage, average_seeds
from relselect.families import FamilyInfo, family_of, info_of
from relselect.problem.rows import fit_rows
from tests.families.contract import CASES, FamilyContract, Fit, problem_of, trained

_fits: dict[str, Fit] = {}


class Averaged(SeedAverage):
    """Feature synthesis whose every fit is the average of two."""

    def __init__(self) -> None:
        super().__init__(family_of("dfs"))

    def fit(self, problem, rows, config, *, seed, **how):
        found = [self.family.fit(problem, rows, config, seed=each, **how) for each in (seed, seed + 1)]
        return average_seeds(found, problem, rows)


class TestAverages(FamilyContract):
    @pytest.fixture
    def info(self) -> FamilyInfo:
        return replace(info_of("dfs"), make=Averaged)

    @pytest.fixture(params=CASES)
    def fit(self, family, request: pytest.FixtureRequest) -> Fit:
        if request.param not in _fits:  # apart from the fits of the family itself, which has the same name
            problem = problem_of(request.param)
            rows = fit_rows(problem, "entities")
            _fits[request.param] = Fit(family, problem, rows, trained(family, problem, rows))
        return _fits[request.param]

    def test_every_checkpoint_can_be_chosen(self, fit: Fit) -> None:
        """The checkpoints of an average are facts of its first member, and were chosen before."""
        assert all(each.state is None for each in fit.candidate.checkpoints)
        assert fit.family.choose(fit.candidate, 0) is fit.candidate

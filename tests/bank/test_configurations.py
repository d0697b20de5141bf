from __future__ import annotations

import numpy as np
import pytest

from relselect.bank.configurations import bank_configurations
from relselect.families.registry import family_of, trained
from tests.families.ridge import Ridge
from tests.tuning.cheap import Bowl, tiny_problem


def test_points_fill_the_space_and_do_not_depend_on_how_many_are_asked_for():
    family, problem = Bowl(), tiny_problem()
    found = bank_configurations(family, problem, 40)
    assert found[0] == (family.default(problem), "default")
    assert found[:7] == bank_configurations(family, problem, 6)
    places = np.sort([config["x"] for config, role in found if role == "space"])
    assert len(places) == 40
    assert np.diff([0.0, *places, 1.0]).max() < 0.1
    assert {config["kind"] for config, _ in found[1:4]} == {"a", "b"}
    assert {config["inner"]["depth"] for config, _ in found} == {1, 2, 3, 4, 5}


def test_logarithmic_ranges_are_filled_in_decades():
    found = [config["penalty"] for config, _ in bank_configurations(Ridge(), tiny_problem(), 12)[1:]]
    assert np.histogram(np.log10(found), bins=[-3, -1, 1, 3])[0].min() >= 3


def test_a_small_space_ends_early():
    class Two(Bowl):
        def space(self, trial, problem):
            return {"x": 0.5, "kind": trial.suggest_categorical("kind", ["a", "b"]), "inner": {"depth": 3}}

    assert len(bank_configurations(Two(), tiny_problem(), 10)) == 3


@pytest.mark.parametrize("name", trained())
def test_every_trained_family_has_distinct_configurations(name):
    found = bank_configurations(family_of(name), tiny_problem(), 6)
    assert len(found) == 7
    assert len({str(config) for config, _ in found}) == 7

"""Checkpoints of a learner with a gradient: kept by the candidate, loaded, saved, compared by flatness, refitted."""

from __future__ import annotations

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.dfs.family import DFS
from relselect.events import silent
from relselect.families.candidate import Candidate
from relselect.landscape import choose_checkpoint
from tests.dfs.learners.test_contract import SMALL
from tests.rows import shared_rows
from tests.shop import shop_problem


@pytest.fixture(scope="module")
def problem():
    return shop_problem("binary")


@pytest.fixture(scope="module")
def rows(problem):
    return shared_rows(problem)


@pytest.fixture(scope="module")
def candidate(problem, rows) -> Candidate:
    from relselect.dfs.learners import learner_of

    family = DFS()
    learner = learner_of("tabm").default(problem)
    features = {name: value for name, value in family.default(problem).items() if name in _FEATURES}
    config = {"learner": "tabm", **features, **learner, **SMALL["tabm"], "steps": 100}
    return family.fit(problem, rows, config, seed=0, number=1, budget=Budget(None), emit=silent)


_FEATURES = ("depth", "windows", "history", "nested", "conditions", "rich", "drift", "copies", "statistic", "refit")


def test_another_checkpoint_predicts_otherwise_and_back_again(candidate, problem, rows):
    family = DFS()
    assert candidate.checkpoint == 0
    assert len(candidate.checkpoints) == 4
    first = family.predict(candidate, problem, rows.select)
    other = family.choose(candidate, 2)
    assert other.checkpoint == 2
    assert np.abs(family.predict(other, problem, rows.select) - first).max() > 1e-4
    assert family.predict(family.choose(other, 0), problem, rows.select).tobytes() == first.tobytes()


def test_checkpoints_are_saved_and_loaded(candidate, problem, rows, tmp_path):
    family = DFS()
    family.save(candidate, tmp_path)
    loaded = family.load(tmp_path, candidate.bare())
    for place in range(len(candidate.checkpoints)):
        one, two = family.choose(candidate, place), family.choose(loaded, place)
        assert (
            family.predict(one, problem, rows.select).tobytes() == family.predict(two, problem, rows.select).tobytes()
        )


def test_flatness_measures_them(candidate, problem, rows):
    probe = DFS().probe(candidate, problem, rows)
    assert probe is not None
    losses = [float(probe.loss(probe.parameters(place))) for place in range(len(candidate.checkpoints))]
    assert len(set(losses)) == len(losses)
    choice = choose_checkpoint([candidate], problem, rows, {"dfs": DFS()}, budget=Budget(None))
    assert choice.checkpoint is not None
    assert choice.near_ties


def test_the_decided_checkpoint_is_refitted_for_its_own_steps(candidate, problem, rows):
    family = DFS()
    models = [
        family.refit(family.choose(candidate, place), problem, rows, budget=Budget(None), emit=silent)
        for place in (0, 1)
    ]
    assert None not in models
    found = [family.predict(each, problem, rows.select) for each in models if each is not None]
    assert np.abs(found[0] - found[1]).max() > 0

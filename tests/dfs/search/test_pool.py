from __future__ import annotations

from dataclasses import replace

import pytest

from relselect.dfs.plan.checks import plan_problems
from relselect.dfs.plan.enumeration import DEFAULT, RICH, default_plan
from relselect.dfs.plan.feature import Aggregate, Feature, Hop
from relselect.dfs.search.pool import POOL, PoolOptions, candidate_pool, reads_neighbours
from relselect.problem import LABELS
from tests.dfs import worlds

EVERYTHING = PoolOptions(most=20_000)


@pytest.fixture(scope="module")
def problem():
    return worlds.problem(1)


def test_the_fixed_plan_comes_first_and_every_candidate_is_right(problem):
    pool, fixed = candidate_pool(problem), default_plan(problem)
    assert pool.features[: len(fixed)] == fixed.features
    assert len(pool) == POOL == len(set(pool.names))
    assert not plan_problems(problem.entity, pool, pool.schema)
    assert type(pool).from_json(pool.to_json()) == pool


@pytest.mark.parametrize(
    ("change", "reads"),
    [
        ({"depth": 2}, lambda feature: feature.depth > 2),
        ({"ratios": False}, lambda feature: bool(feature.operands)),
        ({"conditions": False}, lambda feature: any(each.where is not None for each in feature.chain)),
        (
            {"rich": False},
            lambda feature: any(each.aggregate in RICH - DEFAULT for each in feature.chain) and not feature.operands,
        ),
        ({"neighbours": False}, reads_neighbours),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_is_not_asked_for_is_not_offered(problem, change, reads):
    fixed = set(default_plan(problem))
    more, less = (
        set(candidate_pool(problem, options)) - fixed for options in (EVERYTHING, replace(EVERYTHING, **change))
    )
    assert any(map(reads, more))
    assert not any(map(reads, less))
    if "depth" not in change:  # of two steps, past labels on the other side of a bridge are no candidates
        assert {feature for feature in more if not reads(feature)} <= less | fixed


def test_labels_of_neighbours_are_told_from_the_own_history():
    labels, boss = Hop(LABELS, "entity_0", True), Hop("shops", "boss", False)
    own = Feature(Aggregate.COUNT, (labels,))
    theirs = Feature(Aggregate.COUNT, (boss, labels))
    assert not reads_neighbours(own)
    assert reads_neighbours(theirs)
    assert reads_neighbours(Feature(Aggregate.DIFFERENCE, base=own, other=theirs))
    assert reads_neighbours(Feature(Aggregate.MEAN, (Hop("shops", "boss", True),), base=own))

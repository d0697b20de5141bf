"""Averages over seeds: what they predict, how they are refitted and stored, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from relselect.blend import AVERAGED, Blend, SeedAverage, average_seeds, blend_candidates, predictor_family
from relselect.budget import Budget
from relselect.errors import BundleError, ConfigError
from relselect.events import silent
from relselect.families import family_of
from relselect.problem.rows import fit_rows
from relselect.tuning import load_candidate, save_candidate
from tests.families.contract import problem_of, trained


@pytest.fixture(scope="module", params=["regression", "multiclass"])
def parts(request):
    problem = problem_of(request.param)
    rows = fit_rows(problem, "entities")
    return problem, rows, [trained(family_of("dfs"), problem, rows, seed) for seed in (3, 4, 5)]


def test_it_predicts_the_mean_and_is_scored_by_it(parts):
    problem, rows, members = parts
    found = average_seeds(members, problem, rows)
    mean = np.mean([each.predictions for each in members], axis=0)
    assert (found.id, found.config, found.seed) == (members[0].id, members[0].config, members[0].seed)
    assert found.facts[AVERAGED] == [3, 4, 5]
    assert np.allclose(found.predictions, mean)
    assert found.score == pytest.approx(problem.task.metric.score(rows.select.label, mean), abs=1e-12)
    family = predictor_family("dfs")
    assert np.allclose(family.predict(found, problem, rows.select.unlabelled()), mean)
    assert family.reads(found) == family_of("dfs").reads(members[0])
    assert family.probe(found, problem, rows) is None
    # a candidate that is no average is left to the family
    assert np.array_equal(family.predict(members[1], problem, rows.select.unlabelled()), members[1].predictions)


def test_members_of_two_configurations_or_one_seed_are_refused(parts):
    problem, rows, members = parts
    other = replace(members[1], config={**members[1].config, "rounds": 41})
    for wrong in (members[:1], [members[0], members[0]], [members[0], other]):
        with pytest.raises(ConfigError, match="different seeds"):
            average_seeds(wrong, problem, rows)


def test_every_member_is_refitted(parts):
    problem, rows, members = parts
    found = average_seeds(members, problem, rows)
    family, asked = predictor_family("dfs"), rows.select.unlabelled()
    again = family.refit(found, problem, rows, budget=Budget(None), emit=silent)
    assert again is not None
    alone = [family_of("dfs").refit(each, problem, rows, budget=Budget(None), emit=silent) for each in members]
    wanted = np.mean([family_of("dfs").predict(each, problem, asked) for each in alone], axis=0)
    assert np.allclose(family.predict(again, problem, asked), wanted)
    assert family.refit(found, problem, rows, budget=Budget(1e-9), emit=silent) is None


def test_members_share_the_time_of_their_refits(parts, monkeypatch):
    problem, rows, members = parts
    found = average_seeds(members, problem, rows)
    family, count, asked = type(family_of("dfs")), len(members), []

    def refit(self, candidate, *where, budget, **how):
        asked.append((candidate.seed, budget.left()))
        return candidate if budget.left() > needs else None

    monkeypatch.setattr(family, "refit", refit)
    needs = 100 / count / 2
    assert predictor_family("dfs").refit(found, problem, rows, budget=Budget(100), emit=silent) is not None
    assert [seed for seed, _ in asked] == [each.seed for each in members]
    assert [left for _, left in asked] == pytest.approx([100 / (count - place) for place in range(count)], rel=0.05)
    # where a share is too short for a refit, those that had one ask again for all that is left
    needs = 90
    asked.clear()
    predictor_family("dfs").refit(found, problem, rows, budget=Budget(100), emit=silent)
    assert [seed for seed, _ in asked] == [*(each.seed for each in members), *(each.seed for each in members[:-1])]
    assert [left for _, left in asked[count:]] == pytest.approx([100] * (count - 1), rel=0.05)


def test_it_is_stored_and_read(parts, tmp_path):
    problem, rows, members = parts
    found = average_seeds(members, problem, rows)
    family = predictor_family("dfs")
    save_candidate(family, found, tmp_path / "average")
    again = load_candidate(predictor_family("dfs"), tmp_path / "average")
    asked = rows.select.unlabelled()
    assert np.array_equal(family.predict(again, problem, asked), family.predict(found, problem, asked))
    assert again.to_json() == found.to_json()
    # a single candidate is stored as its family stores it, and read by it
    save_candidate(family, members[0], tmp_path / "one")
    one = load_candidate(family_of("dfs"), tmp_path / "one")
    assert np.array_equal(family_of("dfs").predict(one, problem, asked), members[0].predictions)


@pytest.mark.parametrize(
    "seeds", [[3, 4, 6], [3, 4], [3, 4, 5, 6], [3], "345", [3, 4, 4], [3, 4, True], list(range(99))]
)
def test_other_seeds_than_those_of_the_members_are_refused(parts, seeds, tmp_path):
    problem, rows, members = parts
    save_candidate(predictor_family("dfs"), average_seeds(members, problem, rows), tmp_path / "average")
    header = tmp_path / "average" / "candidate.json"
    stored = json.loads(header.read_text())
    stored["facts"][AVERAGED] = seeds
    header.write_text(json.dumps(stored))
    with pytest.raises(BundleError):
        load_candidate(predictor_family("dfs"), tmp_path / "average")


def test_a_blend_takes_it_apart(parts):
    problem, rows, members = parts
    constant = trained(family_of("constants"), problem, rows)
    found = blend_candidates([average_seeds(members, problem, rows), constant], (0.6, 0.4), problem, rows)
    assert found.config["members"] == ["dfs-0", "dfs-0", "dfs-0", "constants-0"]
    assert np.allclose(found.config["weights"], [0.2, 0.2, 0.2, 0.4])
    assert "60% feature synthesis (trial 0, 3 seeds)" in found.notes[0]
    mean = np.mean([each.predictions for each in members], axis=0)
    assert np.allclose(found.predictions, 0.6 * mean + 0.4 * constant.predictions)
    asked = rows.select.unlabelled()
    assert np.allclose(Blend().predict(found, problem, asked), found.predictions)
    assert np.allclose(SeedAverage(Blend()).predict(found, problem, asked), found.predictions)


def test_a_stored_blend_with_it_is_read(parts, tmp_path):
    problem, rows, members = parts
    constant = trained(family_of("constants"), problem, rows)
    found = blend_candidates([average_seeds(members, problem, rows), constant], (0.6, 0.4), problem, rows)
    family = predictor_family("blended")
    save_candidate(family, found, tmp_path / "blend")
    again = load_candidate(family, tmp_path / "blend")
    asked = rows.select.unlabelled()
    assert np.array_equal(family.predict(again, problem, asked), family.predict(found, problem, asked))

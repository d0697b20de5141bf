"""The blend: values of the average, weights that are refused, members that are refitted and stored."""

from __future__ import annotations

import json

import numpy as np
import pytest

from relselect.blend import Blend, BlendModel, blend_candidates, blend_predictions
from relselect.budget import Budget
from relselect.errors import BundleError, ConfigError
from relselect.events import silent
from relselect.families import family_infos, family_of, info_of
from relselect.problem.rows import fit_rows
from relselect.tuning import load_candidate, save_candidate
from tests.families.contract import problem_of, trained


@pytest.fixture(scope="module")
def parts():
    problem = problem_of("regression")
    rows = fit_rows(problem, "entities")
    return problem, rows, [trained(family_of(name), problem, rows) for name in ("dfs", "constants")]


def test_the_average_is_weighted():
    found = blend_predictions([np.array([[0.2, 0.8]]), np.array([[0.6, 0.4]])], (0.25, 0.75))
    assert np.allclose(found, [[0.5, 0.5]])


@pytest.mark.parametrize("weights", [(0.5,), (0.5, 0.4), (1.5, -0.5), (float("nan"), 1.0), (0.5, 0.25, 0.25)])
def test_weights_that_are_no_average_are_refused(weights):
    with pytest.raises(ConfigError, match="weights"):
        blend_predictions([np.zeros(2), np.ones(2)], weights)


def test_its_score_is_that_of_the_average(parts):
    problem, rows, members = parts
    found = blend_candidates(members, (0.25, 0.75), problem, rows)
    wanted = 0.25 * members[0].predictions + 0.75 * members[1].predictions
    assert np.allclose(found.predictions, wanted)
    assert found.score == problem.task.metric.score(rows.select.label, wanted)
    assert found.config == {"members": ["dfs-0", "constants-0"], "weights": [0.25, 0.75]}
    assert "25% feature synthesis" in found.notes[0]
    # the absolute error is convex: the average is not worse than the average of the errors
    assert found.score >= 0.25 * members[0].score + 0.75 * members[1].score - 1e-12


def test_a_blend_of_a_blend_is_refused(parts):
    problem, rows, members = parts
    one = blend_candidates(members, (0.5, 0.5), problem, rows)
    for wrong in ([one, members[0]], members[:1]):
        with pytest.raises(ConfigError, match="members"):
            blend_candidates(wrong, [1.0 / len(wrong)] * len(wrong), problem, rows)


def test_it_is_never_trained():
    assert [info.name for info in family_infos() if info.combines] == [Blend.name]
    problem = problem_of("regression")
    with pytest.raises(ConfigError, match="is not trained itself"):
        Blend().fit(problem, fit_rows(problem), {}, seed=0, number=0, budget=Budget(None), emit=silent)


def test_members_are_refitted_by_their_families(parts):
    problem, rows, members = parts
    one = blend_candidates(members, (0.5, 0.5), problem, rows)
    again = Blend().refit(one, problem, rows, budget=Budget(None), emit=silent)
    assert again is not None
    for before, after in zip(one.model.members, again.model.members, strict=True):
        wanted = family_of(before.family).refit(before, problem, rows, budget=Budget(None), emit=silent)
        select = rows.select.unlabelled()
        found = family_of(after.family).predict(after, problem, select)
        assert np.array_equal(found, family_of(wanted.family).predict(wanted, problem, select))
    # without time the trees stay as they were validated, and the constant is refitted all the same
    short = Blend().refit(one, problem, rows, budget=Budget(1e-9), emit=silent)
    assert short.model.members[0].model is members[0].model


def test_a_member_without_weight_is_not_asked(parts):
    problem, rows, members = parts
    one = blend_candidates(members, (1.0, 0.0), problem, rows)
    broken = BlendModel((members[0], members[1].bare()), (1.0, 0.0))
    found = Blend().predict(type(one)(**{**vars(one), "model": broken}), problem, rows.select.unlabelled())
    assert np.allclose(found, members[0].predictions)


def test_it_reads_what_its_members_read(parts):
    problem, rows, members = parts
    one = blend_candidates(members, (0.5, 0.5), problem, rows)
    assert Blend().reads(one) == family_of("dfs").reads(members[0])


@pytest.mark.parametrize(
    "change",
    [
        {"members": ["dfs-0"], "weights": [1.0]},
        {"members": ["dfs-0", "constants-1"], "weights": [0.5, 0.5]},
        {"members": ["dfs-0", "constants-0"], "weights": [0.5, 0.6]},
        {"members": ["dfs-0", "constants-0", "rdl-0"], "weights": [0.5, 0.25, 0.25]},
        {"members": 2, "weights": [0.5, 0.5]},
        {"weights": [0.5, 0.5]},
    ],
)
def test_a_changed_configuration_is_refused(parts, change, tmp_path):
    problem, rows, members = parts
    save_candidate(Blend(), blend_candidates(members, (0.5, 0.5), problem, rows), tmp_path / "blend")
    header = tmp_path / "blend" / "candidate.json"
    stored = json.loads(header.read_text())
    stored["config"] = change
    header.write_text(json.dumps(stored))
    with pytest.raises(BundleError):
        load_candidate(Blend(), tmp_path / "blend")


def test_a_stored_blend_inside_a_blend_is_refused(parts, tmp_path):
    problem, rows, members = parts
    one = blend_candidates(members, (0.5, 0.5), problem, rows)
    save_candidate(Blend(), one, tmp_path / "blend")
    save_candidate(Blend(), one, tmp_path / "blend" / "member1")
    with pytest.raises(BundleError, match="blend"):
        load_candidate(Blend(), tmp_path / "blend")
    assert info_of(Blend.name).combines

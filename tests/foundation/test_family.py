"""The family answers in seconds, says what it lacks, and is trained only where it is named; the contract tests the rest."""

from __future__ import annotations

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.errors import BundleError, ConfigError
from relselect.events import silent
from relselect.families import info_of
from relselect.families.registry import trained
from relselect.foundation import Foundation
from relselect.rdl.training.pretrained import read_pretrained
from relselect.tuning import load_candidate, save_candidate
from tests.rdl.conftest import make_problem, make_shop, shop_frames
from tests.rows import shared_rows

__all__ = ["make_problem", "make_shop", "shop_frames"]


def fit(problem, **options):
    family = Foundation("cpu")
    config = family.adjusted(problem, options)
    return family.fit(problem, shared_rows(problem), config, seed=0, number=0, budget=Budget(None), emit=silent)


@pytest.mark.parametrize("kind", ["binary", "regression", "multiclass"])
def test_it_finds_what_past_labels_and_neighbours_say(make_problem, at_hand, kind):
    candidate = fit(make_problem(kind))
    if kind == "binary":
        assert candidate.score > 0.8
    assert np.isfinite(candidate.score)
    assert candidate.facts["pretrained"] == read_pretrained(str(at_hand)).identity
    assert candidate.facts["penalty"] > 0


def test_a_fixed_penalty_is_kept(make_problem, at_hand):
    assert fit(make_problem(), penalty=0.5).facts["penalty"] == 0.5


def test_it_is_optional():
    assert info_of("foundation").optional
    assert "foundation" not in trained()


def test_without_weights_the_way_out_is_said(make_problem, installed):
    with pytest.raises(ConfigError, match="relselect pretrain"):
        fit(make_problem())


@pytest.mark.parametrize("options", [{"fan_out": 0}, {"penalty": -1}, {"weights": 3}, {"penalty": True}])
def test_bad_options_are_refused(make_problem, at_hand, options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        fit(make_problem(), **options)


def test_a_damaged_head_is_refused(make_problem, at_hand, tmp_path):
    save_candidate(Foundation("cpu"), fit(make_problem()), tmp_path / "saved")
    path = next((tmp_path / "saved").rglob("head.safetensors"))
    path.write_bytes(path.read_bytes()[:-16])
    with pytest.raises(BundleError, match="head"):
        load_candidate(Foundation("cpu"), tmp_path / "saved")

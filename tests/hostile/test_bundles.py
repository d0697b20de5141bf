"""Bundles from strangers: whatever a sealed bundle holds, loading ends in a BundleError or in a predictor that works."""

from __future__ import annotations

import shutil
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import relselect as rs
from relselect.errors import BundleError
from tests.hostile.bundles import NETWORK, PLACES, SHARED, TREES, seal

pytestmark = pytest.mark.usefixtures("brief_networks")

#: Seconds after which a load counts as hanging.
LIMIT = 20
#: Changes that leave a bundle as good as it was: the value is free, or the same.
HARMLESS = (
    "result.json: settings is mapping",
    "result.json: profile is null",
    "result.json: stages is list",
    "fitted.json: source is null",
    "task/task.json: horizon is large",
    "model/candidate.json: checkpoint is null",
    "model/candidate.json: seed is minus",
    "model/candidate.json: facts is mapping",
    "trees: a parameter of another type",
    "model/network.json: task_row is mapping",
    "model/network.json: checkpoints is list",
)


@pytest.fixture(scope="module")
def sealed(trained, tmp_path_factory):
    """A small bundle of each family; the trees are cut to a few, so that each load takes a moment."""
    from relselect.dfs.learners.trees import Trees

    folder = tmp_path_factory.mktemp("sealed")
    network = trained("rdl")[0].save(folder / "network")
    fit = rs.load(trained("dfs")[0].save(folder / "whole"))
    decision = fit.decision

    def cut(candidate):
        learned = candidate.model.learned
        texts = [booster.model_to_string(num_iteration=3) for booster in learned.boosters[:1]]
        small = Trees(texts, learned.constant, learned.scale, learned.shift)
        return replace(candidate, model=replace(candidate.model, learned=small))

    fit.result = replace(
        fit.result, decision=replace(decision, candidate=cut(decision.candidate), deployed=cut(decision.deployed))
    )
    return {"trees": fit.save(folder / "trees"), "network": network}


class Hanging(BaseException):
    """Raised after `LIMIT` seconds; no `except Exception` catches it."""


@pytest.fixture
def limited():
    """End a test that hangs."""

    def late(number, frame):
        raise Hanging(f"longer than {LIMIT} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def outcome(folder: Path, database) -> str:
    """Load a bundle and use it; anything but a BundleError or a working predictor is raised."""
    try:
        fit = rs.load(folder)
        found = pd.concat([fit.predict(split=split, database=database) for split in ("val", "test")])
    except BundleError as error:
        text = str(error)
        assert len(text) < 1000
        assert text.isprintable()
        return "refused"
    repr(fit)
    assert np.isfinite(found["probability"]).all()
    assert found["probability"].between(0, 1).all()
    return "works"


CASES = [
    *(("trees", name, damage) for name, damage in {**SHARED, **TREES}.items()),
    *(("network", name, damage) for name, damage in NETWORK.items()),
]


@pytest.mark.parametrize(("kind", "name", "damage"), CASES, ids=[f"{kind}-{name}" for kind, name, _ in CASES])
def test_a_damaged_bundle_is_refused(sealed, database, tmp_path, limited, kind, name, damage):
    folder = Path(shutil.copytree(sealed[kind], tmp_path / "copy"))
    damage(folder)
    seal(folder)
    found = outcome(folder, database)
    assert found == "refused" or name in HARMLESS


@pytest.mark.parametrize("name", PLACES)
def test_a_manifest_names_regular_files_inside_the_folder(sealed, database, tmp_path, limited, name):
    folder = Path(shutil.copytree(sealed["trees"], tmp_path / "copy"))
    PLACES[name](folder)
    assert outcome(folder, database) == "refused"


def test_there_are_enough_cases():
    assert len(CASES) + len(PLACES) >= 200


@pytest.mark.parametrize("kind", ["trees", "network"])
def test_an_undamaged_bundle_that_is_sealed_again_works(sealed, database, tmp_path, limited, kind):
    folder = Path(shutil.copytree(sealed[kind], tmp_path / "copy"))
    (folder / "model" / ".DS_Store").write_text("of a file browser")
    before = rs.load(folder).predict(split="test", database=database)
    (folder / "model" / ".DS_Store").unlink()
    seal(folder)
    assert rs.load(folder).predict(split="test", database=database).equals(before)

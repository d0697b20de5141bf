"""Bundles: written whole or not at all, without pickle, loadable anywhere, the same bit for bit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import relselect as rs
from relselect.errors import BundleError, TaskError, UnwritableError
from tests.shop import shop

pytestmark = pytest.mark.usefixtures("brief_networks")


@pytest.fixture(scope="module", params=["dfs", "rdl"])
def saved(request, trained, tmp_path_factory):
    fit, _ = trained(request.param)
    return fit, fit.save(tmp_path_factory.mktemp(request.param) / "bundle")


@pytest.fixture
def copy(saved, tmp_path):
    """A bundle that a test may damage."""
    return Path(shutil.copytree(saved[1], tmp_path / "copy"))


def test_a_loaded_predictor_is_the_same_bit_for_bit(saved, database):
    fit, folder = saved
    loaded = rs.load(folder)
    for asked in ({"split": "test"}, {"split": "val"}, {"at": "1970-10-20"}):
        assert loaded.predict(**asked, database=database).equals(fit.predict(**asked))
    assert loaded.record == json.loads(json.dumps(fit.record))
    assert loaded.leaderboard().equals(fit.leaderboard())
    assert loaded.recommendation == fit.recommendation
    assert loaded.task.fingerprint == fit.task.fingerprint
    assert list(loaded.task.splits) == ["train", "val", "test"]
    assert repr(loaded) == repr(fit)
    for name in (
        "regime",
        "horizon",
        "classes",
        "static",
        "key_columns",
        "population",
        "starts",
        "purged",
        "notes",
        "metric",
    ):
        assert getattr(loaded.task, name) == getattr(fit.task, name)


def test_a_fresh_process_in_another_folder_predicts_the_same(saved, copy, tmp_path):
    fit, _ = saved
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import numpy as np, relselect
from tests.shop import shop
fit = relselect.load({str(copy)!r})
np.save("probability.npy", fit.predict_proba(split="test", database=shop()))
slow = {{"torch_geometric", "torch_frame", "transformers", "optuna", "featuretools"}} & set(sys.modules)
assert not slow, f"predicting imports {{slow}}"
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=120)
    assert np.array_equal(np.load(tmp_path / "probability.npy"), fit.predict_proba(split="test"))


def test_saving_what_was_loaded_changes_no_file(saved, tmp_path):
    _, folder = saved
    again = rs.load(folder).save(tmp_path / "again")
    for path in sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file()):
        if path.suffix != ".parquet" and path.name != "manifest.json":
            assert (again / path).read_bytes() == (folder / path).read_bytes(), path


def test_nothing_in_a_bundle_can_run_code(saved):
    _, folder = saved
    kinds = {path.suffix for path in folder.rglob("*") if path.is_file()}
    assert kinds <= {".json", ".parquet", ".safetensors", ".txt", ".npy"}
    for path in folder.rglob("*.npy"):
        np.load(path, allow_pickle=False)
    text = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.json"))
    assert str(folder) not in text
    assert str(Path.home()) not in text
    assert not [path for path in folder.rglob("*") if path.name.startswith(".")]


def test_saving_twice_replaces_the_bundle_and_nothing_else(saved, tmp_path):
    fit, _ = saved
    (tmp_path / "mine.txt").write_text("kept")
    fit.save(tmp_path)
    (tmp_path / "model" / "stale.txt").write_text("gone")
    fit.save(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "kept"
    assert not (tmp_path / "model" / "stale.txt").exists()
    rs.load(tmp_path)


@pytest.mark.parametrize("step", range(6))
def test_a_save_that_is_cut_short_leaves_a_whole_bundle_or_none(saved, copy, monkeypatch, step):
    fit, folder = saved
    done = []

    def replace(source, target):
        if len(done) == step:
            raise OSError("no space left on device")
        done.append(target)
        shutil.move(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(UnwritableError, match="no space"):
        fit.save(copy)
    monkeypatch.undo()
    try:
        rs.load(copy)
    except BundleError as error:
        told = str(error)
    else:
        told = "no complete bundle"
        assert (copy / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()
    assert "no complete bundle" in told
    fit.save(copy)
    assert rs.load(copy).task.fingerprint == fit.task.fingerprint


def truncate(folder: Path) -> None:
    largest = max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-10])


def flip(folder: Path) -> None:
    path = next((folder / "model").iterdir())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def rewrite(**changes):
    def change(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


DAMAGE = {
    "truncated": (truncate, "missing or changed"),
    "one bit": (flip, "missing or changed"),
    "a missing split": (
        lambda folder: (folder / "task" / "val.parquet").unlink(),
        "missing or changed: task/val.parquet",
    ),
    "a missing model": (lambda folder: shutil.rmtree(folder / "model"), "missing or changed: model"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "no complete bundle"),
    "a manifest that is no JSON": (lambda folder: (folder / "manifest.json").write_text("{"), "cannot be read"),
    "a manifest that is a list": (lambda folder: (folder / "manifest.json").write_text("[]"), "none of a bundle"),
    "an empty manifest": (lambda folder: (folder / "manifest.json").write_text("{}"), "none of a bundle"),
    "a manifest in another encoding": (
        lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe{"),
        "cannot be read",
    ),
    "a later format": (
        rewrite(format=99),
        "format=99: this relselect reads format 2. Load it with the relselect that wrote it",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_recognised(copy, case):
    damage, text = DAMAGE[case]
    damage(copy)
    with pytest.raises(BundleError, match=text):
        rs.load(copy)


def test_places_that_hold_no_bundle(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "nowhere", tmp_path, tmp_path / "file"):
        with pytest.raises(BundleError, match=place.name):
            rs.load(place)


def test_a_loaded_predictor_asks_for_its_database(saved, tables):
    loaded = rs.load(saved[1])
    with pytest.raises(TaskError, match=r"needs a database to read. Pass database="):
        loaded.predict(split="test")
    bare = shop({**tables, "users": tables["users"].drop_columns(["age"])})
    with pytest.raises(TaskError, match=r"(?s)database=.*users.age.*Add them"):
        loaded.predict(split="test", database=bare)


def test_a_folder_is_remembered_relative_to_the_bundle(tmp_path):
    from relselect.bundle import _relative, _resolved

    data, bundle = tmp_path / "data", tmp_path / "out" / "predictor"
    data.mkdir()
    bundle.mkdir(parents=True)
    stored = _relative(str(data), bundle)
    assert stored == "../../data"
    assert _resolved(stored, bundle) == str(data)
    assert _relative("rel-f1", bundle) == _resolved("rel-f1", bundle) == "rel-f1"
    assert _relative(None, bundle) is None

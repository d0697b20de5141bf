"""Predictions: where a bundle says its data are is not where we connect, and no cell of a CSV file is a formula."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from relselect.cli.main import app
from relselect.display.escaping import without_formulas

pytestmark = pytest.mark.usefixtures("brief_networks")


@pytest.fixture(scope="module")
def bundle(trained, tmp_path_factory):
    return trained("dfs")[0].save(tmp_path_factory.mktemp("own") / "dfs")


def naming(bundle: Path, place: Path, source: str) -> Path:
    """A copy of the bundle that names a source, sealed."""
    copy = Path(shutil.copytree(bundle, place))
    facts = json.loads((copy / "fitted.json").read_text())
    (copy / "fitted.json").write_text(json.dumps({**facts, "source": source}))
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["fitted.json"] = hashlib.sha256((copy / "fitted.json").read_bytes()).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return copy


@pytest.mark.parametrize(
    "source",
    [
        "postgresql://127.0.0.1:1/${PGUSER}", "postgresql://127.0.0.1:1/db", "${DATABASE_URL}", "sqlite:///x.db",
        "//host/share", "data", "data/database.yaml",
    ],
)  # fmt: skip
def test_an_address_of_the_bundle_itself_needs_consent(bundle, tmp_path, monkeypatch, source):
    monkeypatch.setenv("PGUSER", "hunter2")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "database.yaml").write_text("name: x\nuri: postgresql://127.0.0.1:1/db\n")
    copy = naming(bundle, tmp_path / "copy", f"../{source}" if source.startswith("data") else source)
    result = CliRunner().invoke(app, ["predict", str(copy)])
    assert result.exit_code == 2
    assert "--trust-source" in result.stderr
    assert "hunter2" not in result.output
    consented = CliRunner().invoke(app, ["predict", str(copy), "--trust-source"])
    assert "--trust-source" not in consented.stderr
    assert consented.exit_code == 2


def test_consent_allows_no_other_variable(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", "hunter2")
    copy = naming(bundle, tmp_path / "copy", "postgresql://127.0.0.1:1/${GITHUB_TOKEN}")
    result = CliRunner().invoke(app, ["predict", str(copy), "--trust-source"])
    assert (result.exit_code, "names the variable GITHUB_TOKEN" in result.stderr) == (2, True)


def test_writing_where_the_bundle_says_needs_consent(bundle, tmp_path):
    copy = naming(bundle, tmp_path / "copy", "../shop.sqlite")
    result = CliRunner().invoke(app, ["predict", str(copy), "--write-to", "scores"])
    assert (result.exit_code, "--trust-source" in result.stderr) == (2, True)


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "=cmd|' /C calc'!A0", "+1-2", "@SUM(1)"])
def test_text_that_begins_as_a_formula_is_without_formulas(begin):
    frame = pd.DataFrame({begin: ["a"], "id": [f"{begin}x"], "prediction": [-1.5], "n": [-3], "free": ["a=b"]})
    found = without_formulas(frame)
    assert found.columns.tolist() == [f"'{begin}", "id", "prediction", "n", "free"]
    assert found.iloc[0].tolist() == ["a", f"'{begin}x", -1.5, -3, "a=b"]
    assert frame["id"].tolist() == [f"{begin}x"]

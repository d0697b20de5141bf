"""The library of the documentation, on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from relselect.cli.main import app

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="session")
def library(postgres) -> str:
    """The address of the library: twelve tables in two schemas, with a public schema that is empty."""
    return postgres.create("library", (DOCS / "databases" / "library.sql").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def manifest(library, tmp_path_factory) -> Path:
    """What `relselect init ADDRESS` writes, and what it shows beside it as `init.txt`."""
    place = tmp_path_factory.mktemp("library") / "database.yaml"
    done = CliRunner().invoke(app, ["init", library, "--out", str(place)])
    assert done.exit_code == 0, done.stderr
    (place.parent / "init.txt").write_text(done.stdout)
    (place.parent / "init.err").write_text(done.stderr)
    return place

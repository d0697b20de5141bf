"""The library of the documentation, on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="session")
def library(postgres) -> str:
    """The address of the library: twelve tables in two schemas, with a public schema that is empty."""
    return postgres.create("library", (DOCS / "databases" / "library.sql").read_text(encoding="utf-8"))

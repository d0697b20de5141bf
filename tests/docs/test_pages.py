"""The pages as a whole: what is generated is fresh, every page is in the navigation, and notebooks run."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest
import yaml

from tests.docs.conftest import DOCS

ROOT = DOCS.parent


def test_pages_that_follow_from_the_code_are_fresh() -> None:
    written = runpy.run_path(str(DOCS / "generate.py"))["PAGES"]
    assert set(written) == {"manifest.md", "errors.md"}
    for name, write in written.items():
        assert (DOCS / name).read_text(encoding="utf-8") == write(), f"python docs/generate.py writes another {name}"


def test_every_page_is_in_the_navigation_once() -> None:
    def pages(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        parts = entry.values() if isinstance(entry, dict) else entry
        return [page for part in parts for page in pages(part)]

    listed = pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    assert sorted(listed) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", sorted((DOCS / "notebooks").glob("*.ipynb")), ids=lambda page: page.stem)
def test_notebooks_are_stored_without_outputs(page: Path) -> None:
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    assert cells
    assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")]


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted((DOCS / "notebooks").glob("*.ipynb")), ids=lambda page: page.stem)
def test_notebooks_run(page: Path, tmp_path: Path) -> None:
    """In a process of its own; an assertion of the notebook that fails is a failure here."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install 'relselect[docs]'")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(page, as_version=4)
    done = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in done.cells for output in cell.get("outputs", ())]
    assert any("text/html" in output.get("data", {}) for output in shown)
    assert not [output for output in shown if output["output_type"] == "error"]

"""No family is named in the rooms that show results: all of their words come from the record."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import relselect
from relselect.families.registry import family_infos

ROOMS = ("report", "display", "cli")


@pytest.mark.parametrize("room", ROOMS)
def test_no_family_is_named(room: str) -> None:
    names = {info.name for info in family_infos()}
    found = [
        f"{path.name}:{node.lineno}"
        for path in (Path(relselect.__file__).parent / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert not found
    style = Path(relselect.__file__).parent / "report" / "templates"
    assert not [path for path in style.iterdir() if any(f"--{name}" in path.read_text() for name in names)]

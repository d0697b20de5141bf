"""The structure of the package: no circles of modules, families known by their registry alone, short files and functions."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from relselect.families.registry import family_infos

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "relselect").rglob("*.py"))
#: Where a family may be called by its name: in its own room, and where families are registered.
FAMILY_ROOMS = ("dfs", "rdl", "families", "hybrid", "foundation", "blend")


@cache
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}


@pytest.mark.parametrize("exclude_type_checking", [True, False], ids=["at run time", "with type checking"])
def test_no_modules_import_each_other_in_a_circle(exclude_type_checking):
    graph = grimp.build_graph("relselect", exclude_type_checking_imports=exclude_type_checking, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    try:
        order = list(TopologicalSorter(imports).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
    assert len(order) > 200


def test_no_family_is_named_outside_its_room():
    names = {info.name for info in family_infos()}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.value!r}"
        for path, tree in trees().items()
        if path.relative_to(ROOT / "relselect").parts[0] not in FAMILY_ROOMS
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert not found
    for path in (ROOT / "relselect" / "report" / "templates").iterdir():
        words = set(path.read_text(encoding="utf-8").replace(".", " ").replace("-", " ").split())
        assert not names & words, path


def test_no_two_rooms_have_a_public_class_of_one_name():
    where = defaultdict(list)
    for path, tree in trees().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(str(path.relative_to(ROOT)))
    assert not {name: places for name, places in where.items() if len(places) > 1}


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function without its docstring, which has to be as long as it needs to be."""
    docstring = ast.get_docstring(function, clean=False)
    return (function.end_lineno or 0) - function.lineno + 1 - (docstring.count("\n") + 1 if docstring else 0)


def test_no_file_is_longer_than_500_lines_and_no_function_than_60():
    files = {str(p.relative_to(ROOT)): p.read_text(encoding="utf-8").count("\n") for p in SOURCES}
    assert not {name: lines for name, lines in files.items() if lines > 500}
    functions = {
        f"{path.relative_to(ROOT)}:{node.name}": lines_of(node)
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not {name: lines for name, lines in functions.items() if lines > 60}

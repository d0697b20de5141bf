"""The README and the page on the architecture: code blocks run, commands and options exist, named places exist."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from relselect.cli.main import app
from tests.conftest import few_steps

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def frames() -> dict[str, pd.DataFrame]:
    """Customers and the orders of two years; who ordered often orders again."""
    draw = np.random.default_rng(0)
    taste = draw.random(60)
    day = pd.Timestamp("2023-01-01")
    orders = pd.DataFrame({"id": range(3000), "customer_id": draw.choice(60, 3000, p=taste / taste.sum())})
    orders["date"] = day + pd.to_timedelta(np.sort(draw.integers(0, 730, 3000)), "D")
    orders["total"] = draw.gamma(2.0, 10.0, 3000).round(2)
    orders["refunded"] = draw.random(3000) < 0.1
    customers = pd.DataFrame({"id": range(60), "age": draw.integers(18, 80, 60), "joined": day})
    return {"customers": customers, "orders": orders}


def brief(code: str) -> str:
    """The code with a small budget in the place of its own."""
    assert 'time_budget="5min", seed=0' in code
    return code.replace('time_budget="5min", seed=0', 'time_budget="40s", seed=0, max_trials=1')


def test_every_code_block_is_python() -> None:
    for page in [README, *(page.read_text(encoding="utf-8") for page in PAGES)]:
        for code in blocks("python", page):
            compile(code, "README.md", "exec")


@pytest.mark.slow
def test_the_example_with_data_frames_runs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    with few_steps():
        exec(brief(blocks("python")[0]), frames())
    assert {"churn", "churn.html", "churn.json"} <= {path.name for path in tmp_path.iterdir()}
    assert "prediction" in capsys.readouterr().out


@pytest.mark.slow
def test_the_example_of_features_runs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec("import relselect as rs\n" + blocks("python")[1], names)
    assert len(names["X"]) == len(names["y"])
    assert names["X"].shape[1] == 600
    assert list(names["fresh"].plan.names) == list(names["found"].plan.names)
    assert (tmp_path / "plan.json").exists()


@pytest.mark.slow
def test_the_example_of_a_folder_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "shop"
    folder.mkdir()
    for name, frame in frames().items():
        frame.to_parquet(folder / f"{name}.parquet")
    draw = np.random.default_rng(1)
    for split, dates in {"train": ("2023-06-01", 10), "val": ("2024-05-01", 4), "test": ("2024-10-01", 2)}.items():
        cutoffs = pd.date_range(dates[0], periods=dates[1], freq="30D")
        rows = pd.MultiIndex.from_product([range(60), cutoffs], names=["id", "cutoff"]).to_frame(index=False)
        rows.assign(churned=draw.random(len(rows)) < 0.3).to_parquet(folder / f"{split}.parquet")
    (declared,) = (text for text in blocks("yaml") if yaml.safe_load(text)["name"] == "shop")
    (folder / "database.yaml").write_text(declared)
    commands = next(text for text in blocks("console") if "recommend shop/" in text)
    for line in commands.strip().splitlines():
        words = line.removeprefix("$ relselect ").replace("10min", "40s").split()
        more = ["--max-trials", "1"] if words[0] == "train" else []
        with few_steps():
            done = CliRunner().invoke(app, [*words, *more])
        assert done.exit_code == 0, done.stderr
    assert (tmp_path / "churn" / "report.html").exists()
    for split in ("val", "test"):
        assert CliRunner().invoke(app, ["predict", "churn", "--split", split]).exit_code == 0


def test_every_command_and_option_exists() -> None:
    commands = get_command(app).commands
    text = README + "".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = re.findall(r"(?:`|\$ )relselect ([a-z]+)([^`\n]*)", text)
    assert {name for name, _ in shown} == set(commands)
    for name, rest in shown:
        command = commands[name]
        if hasattr(command, "commands"):  # a group: its options are those of the command that follows
            command = command.commands[rest.split()[0]]
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
        named = set(re.findall(r"--[a-z][a-z-]*", rest.partition("#")[0]))
        assert named <= known | {"--help"}, (name, named - known)
    rows = re.findall(r"^\| `relselect ([a-z]+)[^|]*\|([^|]*)\|", README, flags=re.MULTILINE)
    assert {name for name, _ in rows} == set(commands)
    for name, told in rows:
        known = {option for each in commands[name].params for option in each.opts}
        assert set(re.findall(r"--[a-z][a-z-]*", told)) <= known, name


def test_every_place_exists() -> None:
    for page in [ROOT / "README.md", *PAGES]:
        for place in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / place).exists(), (page.name, place)
    named = set(re.findall(r"`([a-z_/]+(?:/|\.py|\.md|\.toml))`", README + ARCHITECTURE))
    rooms = [ROOT, ROOT / "relselect", *(path for path in (ROOT / "relselect").rglob("*") if path.is_dir())]
    assert not [name for name in named if not any((room / name).exists() for room in rooms)]


def test_every_name_of_the_package_exists() -> None:
    for page in [ROOT / "README.md", *PAGES]:
        for name in set(re.findall(r"\brelselect(?:\.[A-Za-z_]+)+", page.read_text(encoding="utf-8"))):
            assert pkgutil.resolve_name(name) is not None, (page.name, name)


def test_the_page_on_the_architecture_lists_every_room() -> None:
    rooms = {
        path.name + ("/" if path.is_dir() else "")
        for path in (ROOT / "relselect").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    missing = [room for room in rooms if not room.startswith("_") and f"`{room}`" not in ARCHITECTURE]
    assert not missing


def test_every_way_to_add_something_takes_five_lines_at_most() -> None:
    ways = re.findall(r"^\*\*An? .*?(?=\n\n|\Z)", ARCHITECTURE, flags=re.DOTALL | re.MULTILINE)
    assert len(ways) == 6
    assert max(way.count("\n") + 1 for way in ways) <= 5

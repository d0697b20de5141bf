"""`relselect bank`: the same as the Python calls, for people and as JSON."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from relselect.bank import PerformanceBank
from relselect.cli.main import app
from relselect.families.registry import registered
from tests.bank.worlds import manifest
from tests.families.ridge import RIDGE


def run(*words: str) -> dict:
    done = CliRunner().invoke(app, ["bank", *words, "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_bank_is_built_shown_and_merged(tmp_path):
    place = tmp_path / "plan.yaml"
    place.write_text(json.dumps(manifest(seeds=[0], configurations=0).model_dump()))
    with registered(RIDGE):
        built = run("build", str(place), str(tmp_path / "b"), "--only", "b")
        again = run("build", str(place), str(tmp_path / "b"), "--only", "b")
        run("build", str(place), str(tmp_path / "a"), "--only", "a")
    assert (built["tasks"], built["trials"], built["added"], built["refused"]) == (1, 2, 2, [])
    assert again["added"] == 0
    shown = run("show", str(tmp_path / "b"))
    assert shown["databases"][0]["ridge"] == 1
    assert shown["failures"] == []
    merged = run("merge", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "both"))
    assert (merged["tasks"], merged["trials"]) == (3, 6)
    assert PerformanceBank.open(tmp_path / "both").databases == ("a", "b")


def test_unknown_databases_and_missing_banks_are_bad_input(tmp_path):
    place = tmp_path / "plan.yaml"
    place.write_text(json.dumps(manifest().model_dump()))
    for words in (["build", str(place), str(tmp_path / "b"), "--only", "c"], ["show", str(tmp_path)]):
        done = CliRunner().invoke(app, ["bank", *words])
        assert done.exit_code == 2


def test_policies_are_replayed(tmp_path):
    from tests.selector.banks import planted_bank

    planted_bank(0.15, databases=6, tasks=2).save(tmp_path / "bank")
    found = run("evaluate", str(tmp_path / "bank"), "--out", str(tmp_path / "page.md"))
    scores = found["parts"]["real tasks"]["policies"]["none"]
    assert scores["oracle family"]["skill"] >= scores["prior"]["skill"] > scores["always first"]["skill"]
    page = (tmp_path / "page.md").read_text()
    assert "| always DFS |" in page
    assert "| oracle family |" in page
    assert "## Real tasks: 12 of 6 databases" in page


def test_a_bank_has_a_page(tmp_path):
    from tests.selector.banks import planted_bank

    planted_bank(0.15, databases=6, tasks=2).save(tmp_path / "bank")
    found = run("report", str(tmp_path / "bank"), "--out", str(tmp_path / "bank.html"))
    assert found["page"] == str(tmp_path / "bank.html")
    assert "12 real tasks of 6 databases" in (tmp_path / "bank.html").read_text()
    for words in (["--out", str(tmp_path)], ["--out", str(tmp_path / "x.html"), "--minutes", "4"]):
        done = CliRunner().invoke(app, ["bank", "report", str(tmp_path / "bank"), *words])
        assert done.exit_code == 2, done.output
    assert not (tmp_path / "x.html").exists()

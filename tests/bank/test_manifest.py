from __future__ import annotations

import pytest

from relselect.bank import BankManifest, read_bank_manifest
from relselect.bank.sources import databases_of, licence_of, task_names
from relselect.configs import config_path, known_databases
from relselect.errors import ConfigError
from relselect.examples import synthetic_specs


def test_the_known_bank_takes_every_task_of_every_known_database():
    plan = read_bank_manifest(config_path("bank", "known.yaml"))
    assert sorted(plan.databases) == known_databases()
    assert plan.seeds == [0, 1, 2]
    assert plan.configurations >= 6
    tasks = [(name, task) for name in plan.databases for task in task_names(plan, "", name)]
    assert len(tasks) == len(set(tasks)) >= 85
    for name, source in plan.databases.items():
        licence = licence_of(plan, name)
        assert licence
        if any(
            word in licence.lower() for word in ("non-commercial", "-nc", "none stated", "not stated", "not checked")
        ):
            assert not source.shares_rows, (name, licence)


def test_the_generated_bank_is_the_shipped_grid():
    plan = read_bank_manifest(config_path("bank", "generated.yaml"))
    assert plan.origin == "synthetic"
    assert list(databases_of(plan)) == list(synthetic_specs())
    assert len(databases_of(plan)) >= 60


def test_what_a_manifest_must_not_say(tmp_path):
    good = "name: x\ndatabases: {scotus: }\n"
    cases = {
        "name: x\n": "databases",
        good + "cap: soon\n": "cap",
        good + "seeds: []\n": "seeds",
        good + "colour: red\n": "colour",
        good + "origin: synthetic\n": "generator",
        good + "generator: nowhere\n": "generator",
        "- a\n- b\n": "mapping",
        "name: [\n": "cannot be read",
    }
    place = tmp_path / "plan.yaml"
    for text, part in cases.items():
        place.write_text(text)
        with pytest.raises(ConfigError, match=part):
            read_bank_manifest(place)
    place.write_text(good)
    assert read_bank_manifest(place).databases["scotus"].shares_rows
    with pytest.raises(ConfigError, match="cannot be read"):
        read_bank_manifest(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be imported"):
        databases_of(BankManifest(name="x", origin="synthetic", generator="no_module:Thing"))

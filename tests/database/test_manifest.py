"""The manifest model, the shipped manifests and the published schema."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from relselect.configs import config_path, known_databases, open_database
from relselect.database import SemanticType
from relselect.database.manifest import Manifest, load_manifest, parse_manifest, resolve_root
from relselect.errors import ConfigError, DataNotFound, SchemaError

SMALL = {
    "name": "shop",
    "tables": {
        "customers": {"primary_key": "id"},
        "orders": {"foreign_keys": [{"columns": "customer", "table": "customers"}]},
    },
}
TASK = {"entity": "customers", "kind": "binary", "target": "y", "files": {"train": "a.parquet", "val": "b.parquet"}}

needs_data = pytest.mark.skipif(not os.environ.get("RELSELECT_DATA"), reason="RELSELECT_DATA is not set")


def with_task(**changes: object) -> dict[str, object]:
    return {**SMALL, "tasks": {"churn": {**TASK, **changes}}}


def test_published_schema_is_the_models() -> None:
    published = json.loads(config_path("database.schema.json").read_text(encoding="utf-8"))
    assert published == Manifest.model_json_schema()


def test_every_field_is_described() -> None:
    schema = Manifest.model_json_schema()
    for model in (schema, *schema["$defs"].values()):
        for name, field in model["properties"].items():
            assert field.get("description"), (model["title"], name)


def test_thirty_manifests_with_87_tasks_are_shipped() -> None:
    manifests = [load_manifest(config_path("databases", f"{name}.yaml")) for name in known_databases()]
    assert len(manifests) == 30
    assert sum(len(manifest.tasks) for manifest in manifests) == 87


@pytest.mark.parametrize("name", known_databases())
def test_shipped_manifest_parses(name: str) -> None:
    manifest = load_manifest(config_path("databases", f"{name}.yaml"))
    assert manifest.name == name
    assert manifest.description
    assert manifest.licence
    assert manifest.source
    assert manifest.root == f"${{RELSELECT_DATA}}/{name}"
    for task in manifest.tasks.values():
        assert task.description
        assert task.population is None or "cutoffs" in task.population


@needs_data
@pytest.mark.parametrize("name", known_databases())
def test_shipped_manifest_fits_its_data(name: str) -> None:
    database = open_database(name)
    assert database.source == name
    manifest = load_manifest(config_path("databases", f"{name}.yaml"))
    for table in database.tables.values():
        assert not set(table.columns) & set(manifest.tables[table.name].drop)
    for task in database.tasks.values():
        for path in (task.folds, *(task.files.model_dump().values() if task.files else ())):
            assert path is None or (database.data_folder / path).is_file()


@needs_data
def test_rel_f1_has_relbench_sizes() -> None:
    database = open_database("rel-f1")
    assert database.num_rows == 97_606
    assert database.tasks["driver-dnf"].test_start == "2010-01-01"
    assert database["results"].types["statusId"] == SemanticType.CATEGORICAL


def test_rel_f1_populations_have_both_bounds() -> None:
    manifest = load_manifest(config_path("databases", "rel-f1.yaml"))
    for task in manifest.tasks.values():
        assert "<= c.cutoff" in (task.population or "")
        assert "> c.cutoff - INTERVAL 1 YEAR" in (task.population or "")


def test_known_after_defaults_to_the_horizon_and_null_stays_null() -> None:
    assert parse_manifest(with_task(time="at", horizon="30d")).tasks["churn"].known_after == "30d"
    assert parse_manifest(with_task(time="at", horizon="30d", known_after=None)).tasks["churn"].known_after is None
    assert parse_manifest(with_task()).tasks["churn"].known_after is None


def test_dates_are_kept_as_text() -> None:
    text = yaml.safe_load("2005-01-01")
    assert parse_manifest(with_task(time="at", val_start=text)).tasks["churn"].val_start == "2005-01-01"


def test_all_problems_of_a_manifest_come_at_once() -> None:
    broken = {
        "name": "shop",
        "colour": "red",
        "tables": {
            "orders": {"primary_key": 3, "pk": "id", "types": {"a": "number"}, "foreign_keys": [{"columns": "c"}]}
        },
        "tasks": {"churn": {"entity": "orders", "kind": "yes/no", "files": {"train": "a", "val": "b", "holdout": "c"}}},
    }
    with pytest.raises(SchemaError) as caught:
        parse_manifest(broken)
    places = {(problem.table, problem.column) for problem in caught.value.problems}
    assert places == {
        ("manifest", "colour"),
        ("manifest: tables.orders", "primary_key"),
        ("manifest: tables.orders", "pk"),
        ("manifest: tables.orders.types", "a"),
        ("manifest: tables.orders.foreign_keys.0", "table"),
        ("manifest: tasks.churn", "kind"),
        ("manifest: tasks.churn", "target"),
        ("manifest: tasks.churn.files", "holdout"),
    }
    assert "primary_key, time" in str(caught.value)


def test_names_that_refer_to_nothing_are_problems() -> None:
    broken = {
        "name": "shop",
        "tables": {
            "orders": {
                "time": "at",
                "drop": ["at"],
                "foreign_keys": [{"columns": "c", "table": "clients"}],
                "known_at": {"x": ["x"]},
            }
        },
        "tasks": {"churn": {**TASK, "entity": "clients"}},
    }
    with pytest.raises(SchemaError) as caught:
        parse_manifest(broken)
    assert [problem.value for problem in caught.value.problems] == ["clients", "x", "drop", "clients"]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"files": None}, "exactly one"),
        ({"folds": "f.parquet", "fold_column": "fold"}, "exactly one"),
        ({"files": None, "label": "SELECT 1"}, "needs population"),
        ({"files": None, "folds": "f.parquet"}, "go together"),
        ({"features": ["y"]}, "target"),
        ({"features": ["a"], "drop_columns": ["a"]}, "keep each in one"),
    ],
)
def test_contradictions_in_a_task_are_refused(changes: dict[str, object], rule: str) -> None:
    with pytest.raises(SchemaError, match=rule):
        parse_manifest(with_task(**changes))


def test_yaml_that_reads_a_word_as_a_boolean_says_so(tmp_path: Path) -> None:
    path = tmp_path / "database.yaml"
    path.write_text("name: shop\ntables:\n  orders:\n    time: on\n")
    with pytest.raises(SchemaError, match="quotes"):
        load_manifest(path)


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "database.yaml"
    path.write_text("name: shop\ntables:\n  orders: {}\n  orders: {}\n")
    with pytest.raises(ConfigError, match="given twice"):
        load_manifest(path)


@pytest.mark.parametrize(
    ("content", "rule"), [(b"- a\n", "no mapping"), (b"name: [\n", "YAML"), (b"name: \xff\n", "byte 6")]
)
def test_files_that_are_no_manifest_are_refused(tmp_path: Path, content: bytes, rule: str) -> None:
    path = tmp_path / "database.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rule):
        load_manifest(path)


def test_root_needs_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = parse_manifest({**SMALL, "root": "${RELSELECT_DATA}/shop"})
    monkeypatch.delenv("RELSELECT_DATA", raising=False)
    with pytest.raises(DataNotFound, match=r"export RELSELECT_DATA=") as caught:
        resolve_root(manifest, tmp_path)
    assert "shop/" in caught.value.fix
    monkeypatch.setenv("RELSELECT_DATA", str(tmp_path))
    with pytest.raises(DataNotFound, match="no such folder"):
        resolve_root(manifest, tmp_path)
    (tmp_path / "shop").mkdir()
    assert resolve_root(manifest, Path("elsewhere")) == tmp_path / "shop"


def test_root_reads_no_other_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="HOME"):
        resolve_root(parse_manifest({**SMALL, "root": "$HOME/shop"}), tmp_path)


def test_open_database_lists_what_is_known() -> None:
    with pytest.raises(DataNotFound, match="rel-f1"):
        open_database("no-such-database")


def test_unknown_config_is_named() -> None:
    with pytest.raises(ConfigError, match="not shipped"):
        config_path("databases", "no-such.yaml")

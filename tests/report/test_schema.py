"""The record's schema: the committed file is current, records validate against it, and nothing else is read."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from relselect.errors import ConfigError
from relselect.report import read_record, render_html
from relselect.report.record import RECORD_VERSION
from relselect.report.schema import check_record, record_schema, schema_text

from .records import advice_record, ahead, run_record, three_families

COMMITTED = Path(__file__).parents[2] / "configs" / "report.schema.json"


def keys(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every key of the typed dictionaries of a record; lists are followed into their first entry."""
    if isinstance(value, list):
        return keys(value[0], (*path, 0)) if value else []
    if not isinstance(value, dict) or path[-1:] in {("config",), ("environment",), ("facts",)}:
        return []
    own = [] if path in {("candidates",), ("recommendation", "margins")} else [(*path, key) for key in value]
    return [*own, *(deeper for key, item in value.items() for deeper in keys(item, (*path, key)))]


def place(record: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        record = record[key]
    return record


def test_the_committed_schema_is_current() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == schema_text(), (
        "write it again: python -m relselect.report.schema > configs/report.schema.json"
    )


def test_the_schema_is_a_valid_one() -> None:
    jsonschema.Draft202012Validator.check_schema(record_schema())


@pytest.mark.parametrize("make", [run_record, advice_record, three_families])
def test_records_validate(make: Any) -> None:
    jsonschema.validate(json.loads(json.dumps(check_record(make()))), json.loads(COMMITTED.read_text(encoding="utf-8")))


def test_every_key_is_required_and_no_other_is_read() -> None:
    whole, schema = run_record(), record_schema()
    paths = keys(whole)
    assert len(paths) > 120
    for path in paths:
        record = copy.deepcopy(whole)
        del place(record, path[:-1])[path[-1]]
        assert not jsonschema.Draft202012Validator(schema).is_valid(record), path
        with pytest.raises(ConfigError):
            check_record(record)
        record = copy.deepcopy(whole)
        place(record, path[:-1])["no such key"] = 1
        assert not jsonschema.Draft202012Validator(schema).is_valid(record), path
        with pytest.raises(ConfigError, match="no such key"):
            check_record(record)


def test_a_value_of_another_type_is_refused_with_its_place() -> None:
    record = run_record()
    record["leaderboard"][0]["score"] = "high"
    with pytest.raises(ConfigError, match=r"leaderboard\.0\.score"):
        render_html(record)


@pytest.mark.parametrize(
    ("version", "way_out"),
    [
        (3, "Train again"),
        (RECORD_VERSION + 1, "Upgrade"),
        (None, "Train again"),
        (True, "Train again"),
    ],
)
def test_records_of_other_versions_are_refused(tmp_path: Path, version: int | None, way_out: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(run_record() | {"version": version}))
    with pytest.raises(ConfigError, match=f"reads records of version {RECORD_VERSION}.*{way_out}"):
        read_record(path)
    with pytest.raises(ConfigError, match=way_out):
        render_html({"version": version})


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("make", [run_record, advice_record])
def test_a_record_of_an_earlier_version_is_read_and_says_what_is_absent(make: Any, version: int) -> None:
    older = make() | {"version": version}
    del older["outcome"]
    if older["choice"] is not None:
        del older["choice"]["landscape"]
    for name in ("spaces", "fidelity", "class_weight", "average_seeds"):
        del older["settings"][name]
    if version == 4:
        for name in ("options", "device", "metric", "preset"):
            del older["settings"][name]
    kept = copy.deepcopy(older)
    found = check_record(older)
    assert (found["version"], found["outcome"], found["settings"]["device"]) == (RECORD_VERSION, None, None)
    assert older == kept
    page = render_html(older)
    assert ("gain, calibration and errors by segment are absent" in page) == (older["choice"] is not None)
    assert "What can be done" not in page
    del older["leaderboard"]
    with pytest.raises(ConfigError, match="leaderboard"):
        check_record(older)


def test_a_record_of_the_version_before_averaged_no_seeds() -> None:
    older = run_record() | {"version": 7}
    del older["settings"]["average_seeds"]
    assert check_record(older)["settings"]["average_seeds"] == 1


def test_a_record_of_version_8_pruned_nothing() -> None:
    older = run_record() | {"version": 8}
    del older["pruned"]
    assert check_record(older) == check_record(run_record() | {"pruned": []})


def test_a_record_without_spaces_and_coverage_is_one_that_asked_for_none() -> None:
    older = run_record() | {"version": 6}
    for name in ("spaces", "fidelity", "average_seeds"):
        del older["settings"][name]
    del older["outcome"]["coverage"]
    del older["settings"]["class_weight"]
    found = check_record(older)
    assert (found["settings"]["spaces"], found["settings"]["fidelity"]) == ({}, "full")
    assert found["outcome"] == run_record()["outcome"]


def test_a_record_of_version_7_asked_for_no_weights_and_lists_the_highest_predictions() -> None:
    older = run_record() | {"version": 7}
    older["outcome"]["ahead"] = ahead()
    del older["settings"]["class_weight"], older["outcome"]["ahead"]["lowest_first"]
    found = check_record(older)
    assert found["settings"]["class_weight"] is None
    assert found["outcome"]["ahead"] == ahead()

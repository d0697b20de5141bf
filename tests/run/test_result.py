"""The JSON of a result: what to_json wrote comes back, and everything else is refused with its place."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from relselect.budget import Budget
from relselect.errors import BundleError
from relselect.families.registry import info_of, registered
from relselect.run import RunResult, Settings, run
from tests.tuning.cheap import Bowl, tiny_problem


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    with registered(replace(info_of("dfs"), name="bowl", make=Bowl)):
        found = run(tiny_problem(), Settings(families=("bowl",), max_trials=2), Budget(300))
    return json.loads(json.dumps(found.to_json()))


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of all values that hold no others."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield place
        return
    for key, item in items:
        yield from leaves(item, (*place, key))


def with_value(stored: dict[str, Any], place: tuple[Any, ...], value: object) -> dict[str, Any]:
    changed = copy.deepcopy(stored)
    home: Any = changed
    for key in place[:-1]:
        home = home[key]
    home[place[-1]] = value
    return changed


@pytest.mark.parametrize("version", [0, 2, 1.5, "1", None, True, [1], {}])
def test_other_formats_are_refused(stored, version):
    with pytest.raises(BundleError, match=r"result\.format=.*version of relselect that wrote it"):
        RunResult.from_json({**stored, "format": version})


def test_a_result_from_before_formats_had_a_number_is_read(stored):
    older = {name: value for name, value in stored.items() if name != "format"}
    assert RunResult.from_json(older).to_json() == stored


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_what_is_no_mapping_is_refused(value):
    with pytest.raises(BundleError, match="is no mapping"):
        RunResult.from_json(value)


def test_every_key_is_needed(stored):
    for name in set(stored) - {"format", "explanation", "outcome", "pruned"}:  # results of earlier versions lack these
        with pytest.raises(BundleError, match=f"{name}.*is missing"):
            RunResult.from_json({key: value for key, value in stored.items() if key != name})


@pytest.mark.parametrize("wrong", [{"a": [1]}, [[None]]], ids=["a mapping", "a list"])
def test_a_value_of_another_type_is_refused_or_was_free(stored, wrong):
    """Configurations, facts of a family and neighbours may hold anything, and what is derived is not read."""
    free = {"config", "facts", "first_configs", "neighbours", "checked"}
    places = [place for place in leaves(stored) if not free & set(place)]
    assert len(places) > 300
    for place in places:
        with pytest.raises(BundleError, match=r"Save the predictor again|version of relselect"):
            RunResult.from_json(with_value(stored, place, wrong))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("version",), None),
        (("decision", "refitted"), "yes"),
        (("decision", "why"), 3),
        (("decision", "near_ties", 0, "chosen"), 1),
        (("recommendation", "families"), "dfs"),
        (("recommendation", "taught_by"), None),
        (("profile", "measures", 0, "reading"), 7),
        (("candidates", 0, "number"), "0"),
        (("settings", "seed"), -1),
    ],
)
def test_a_wrong_value_is_refused(stored, place, value):
    with pytest.raises(BundleError):
        RunResult.from_json(with_value(stored, place, value))

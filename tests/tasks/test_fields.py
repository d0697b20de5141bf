"""The fields of a task: saved, identified and declared by one description."""

from __future__ import annotations

import inspect
import json
from dataclasses import fields

import numpy as np
import pyarrow as pa
import pytest

from relselect.database.task_spec import TaskSpec
from relselect.errors import TaskError
from relselect.tasks import Task
from relselect.tasks.fields import TaskFields
from relselect.tasks.labels import LabelFrame
from relselect.tasks.options import TaskOptions
from tests.shop import labels, shop_task

#: Arguments of the constructors, and fields of a manifest's tasks, that are no options of a task.
NOT_OPTIONS = {"cls", "database", "labels", "query", "column", "time_budget"}
MANIFEST_ONLY = {"query", "files", "folds", "completes", "drop_columns", "hide", "sql", "accept", "quality"}
#: Of the same task in earlier versions: profiles, studies and bundles are stored under it.
FINGERPRINT = "bbd982a55e53093d8570e8da9b89013bb6041f4b96efccc14a272f2e6dcbf676"


def frame_columns(tables):
    frame = labels(tables)
    return frame.append_column("hint", pa.array(np.arange(len(frame))))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kind": "multiclass"},
        {"time": None},
        {"regime": "frozen", "known_after": None, "description": "What?"},
        {"features": ("hint",)},
    ],
)
def test_a_task_is_read_as_it_was_saved(database, tables, options):
    frame = frame_columns(tables) if "features" in options else None
    task = shop_task(database, tables, **({"labels": frame} if frame else {}), **options)
    rules = json.loads(json.dumps(task.to_json()))
    splits = {
        split: LabelFrame.from_arrow(frame.to_arrow(), task.key_columns, task.feature_columns)
        for split, frame in task.splits.items()
    }
    again = Task.from_json(rules, splits)
    assert type(again) is Task
    assert again.fingerprint == task.fingerprint
    for each in fields(TaskFields):
        if each.name != "splits":
            assert getattr(again, each.name) == getattr(task, each.name), each.name
    for split, frame in task.splits.items():
        assert again.splits[split].keys.equals(frame.keys)
        assert np.array_equal(again.splits[split].known_at, frame.known_at)


def test_the_fingerprint_stays_what_it_was(database, tables):
    assert shop_task(database, tables).fingerprint == FINGERPRINT


def test_rules_of_another_version_are_refused(database, tables):
    task = shop_task(database, tables)
    with pytest.raises(TaskError, match=r"task=\['weight'\].*version of relselect that wrote it"):
        Task.from_json({**task.to_json(), "weight": 1}, task.splits)
    rules = task.to_json()
    del rules["entity"]
    with pytest.raises(TaskError, match=r"task=\['entity'\]"):
        Task.from_json(rules, task.splits)
    del rules["notes"]
    assert Task.from_json({**rules, "entity": "users"}, task.splits).notes == ()


def test_every_field_is_saved_but_the_labelled_rows():
    assert {each.name for each in fields(TaskFields) if not each.metadata.get("saved")} == {"splits", "later"}


@pytest.mark.parametrize("constructor", [Task.from_labels, Task.from_sql, Task.from_query, Task.completing])
def test_arguments_of_the_constructors_are_options(constructor):
    options = {each.name: each for each in fields(TaskOptions)}
    parameters = {
        name: each for name, each in inspect.signature(constructor).parameters.items() if name not in NOT_OPTIONS
    }
    assert set(parameters) <= set(options)
    for name, parameter in parameters.items():
        if parameter.default is not inspect.Parameter.empty and name not in ("name", "target", "known_after"):
            assert parameter.default == options[name].default, name


def test_what_a_manifest_declares_is_an_option():
    assert set(TaskSpec.model_fields) - MANIFEST_ONLY <= {each.name for each in fields(TaskOptions)}

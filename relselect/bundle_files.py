"""Checks the files of a bundle before any is read: names, kinds, sizes, hashes and structure.

A bundle may come from a stranger. Deliberately not here: what the models of a family hold, which the family checks.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from relselect.database.contents import SourceFacts
from relselect.database.table import SemanticType
from relselect.errors import BundleError
from relselect.hashing import sha256_of_file
from relselect.problem import LABELS
from relselect.tasks import Task
from relselect.tasks.fields import TaskFields
from relselect.tasks.labels import LabelFrame
from relselect.tasks.splits import SPLITS
from relselect.untrusted import brief, check_relative_name, read_strict_json, regular_size

__all__ = ["FORMAT", "MANIFEST", "FittedFacts", "check_files", "check_reads", "read_facts", "read_task"]

FORMAT = 2
MANIFEST = "manifest.json"
#: Files without which there is no bundle.
_REQUIRED = (
    "fitted.json", "result.json", "task/task.json", "task/train.parquet", "task/val.parquet", "model/candidate.json",
)  # fmt: skip
#: Folders whose files are all listed; hidden ones, such as those of a file browser, are never read.
_FOLDERS = ("model", "deployed", "task")
#: Bytes of the largest file, by its suffix.
_LARGEST = {".json": 1 << 28, ".npy": 1 << 32, ".parquet": 1 << 33, ".safetensors": 1 << 34, ".txt": 1 << 31}
_MANIFEST_SIZE = 1 << 24
#: Labelled rows of a split at most.
_MOST_ROWS = 1 << 31
_AGAIN = "Save the predictor again, or correct the path"


@dataclass(frozen=True)
class _TableShape:
    """The declarations of one table of the snapshot."""

    columns: list[tuple[str, str]]
    primary_key: list[str]
    time: str | None
    foreign_keys: list[tuple[list[str], str, list[str]]]
    known_at: dict[str, list[str]]
    types: dict[str, SemanticType]
    formats: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _TableFacts:
    """What the snapshot says of one table."""

    shape: _TableShape
    rows: int
    nulls: dict[str, int]
    values: dict[str, list[str]]


@dataclass(frozen=True)
class FittedFacts:
    """The content of `fitted.json`, with the JSON of the snapshot."""

    types: dict[str, dict[str, SemanticType]]
    schema: dict[str, list[str]]
    family: str
    database: str
    source: str | None
    declared: dict[str, list[str]] | None = None
    snapshot: dict[str, Any] | None = None
    facts: SourceFacts = field(default_factory=SourceFacts)


def check_files(folder: Path) -> None:
    """Check the manifest of a bundle and every file that it lists.

    Raises:
        BundleError: The bundle is incomplete, damaged or of another format, or holds what is no file of a bundle.
    """
    try:
        regular_size(folder / MANIFEST)
        manifest = read_strict_json(folder / MANIFEST, _MANIFEST_SIZE)
    except FileNotFoundError:
        raise BundleError("path", str(folder), f"holds no complete bundle ({MANIFEST} is missing)", _AGAIN) from None
    except (OSError, ValueError) as error:
        raise BundleError("path", str(folder), f"its {MANIFEST} cannot be read ({brief(error)})", _AGAIN) from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise BundleError("path", str(folder), f"its {MANIFEST} is none of a bundle", _AGAIN)
    if manifest.get("format") != FORMAT or isinstance(manifest["format"], bool):
        raise BundleError(
            "format",
            manifest.get("format"),
            f"this relselect reads format {FORMAT}",
            "Load it with the relselect that wrote it",
        )
    missing = [name for name in _REQUIRED if name not in manifest["files"]]
    if missing:
        raise BundleError("path", str(folder), f"its {MANIFEST} does not list {', '.join(missing)}", _AGAIN)
    damaged = [problem for name, digest in manifest["files"].items() if (problem := _problem(folder, name, digest))]
    if damaged:
        raise BundleError("path", str(folder), f"files are missing or changed: {', '.join(damaged[:5])}", _AGAIN)
    further = sorted(_found(folder) - set(manifest["files"]))
    if further:
        raise BundleError("path", str(folder), f"holds files that are not listed: {', '.join(further[:5])}", _AGAIN)


def _problem(folder: Path, name: Any, digest: Any) -> str | None:
    """Return the name of a file that is not as the manifest says, with the reason; None for one that is."""
    try:
        path = folder / check_relative_name(name)
        for parent in list(path.relative_to(folder).parents)[:-1]:
            if (folder / parent).is_symlink():
                raise ValueError(f"{parent.as_posix()} is a link")
        most = _LARGEST.get(path.suffix)
        if most is None or regular_size(path) > most:
            return f"{name} (too large, or of no kind that a bundle holds)"
        return None if isinstance(digest, str) and sha256_of_file(path) == digest else name
    except FileNotFoundError:
        return str(name)
    except (OSError, ValueError) as error:
        return f"{str(name)[:80]!a} ({brief(error)})"


def _found(folder: Path) -> set[str]:
    """Return the files below the folders of a bundle, links to folders included."""
    found = set()
    for part in _FOLDERS:
        for place, folders, files in os.walk(folder / part):
            names = [*files, *(name for name in folders if Path(place, name).is_symlink())]
            found |= {Path(place, name).relative_to(folder).as_posix() for name in names if not name.startswith(".")}
    return found


def read_facts(folder: Path) -> FittedFacts:
    """Return what `fitted.json` holds, every type checked.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged.
    """
    facts: FittedFacts = _typed(TypeAdapter(FittedFacts), read_strict_json(folder / "fitted.json"))
    for table, kinds in facts.types.items():
        if table != LABELS and not set(kinds) <= set(facts.schema.get(table, ())):
            raise ValueError(f"types are given for columns of {table} that training did not see")
    if facts.snapshot is not None:
        snapshot = _typed(TypeAdapter(dict[str, _TableFacts]), facts.snapshot)
        for table, each in snapshot.items():
            _check_shape(table, each)
    return facts


def _check_shape(table: str, each: _TableFacts) -> None:
    shape = each.shape
    columns = {name for name, _ in shape.columns}
    own = [*shape.primary_key, *(column for key, _, _ in shape.foreign_keys for column in key), *shape.known_at]
    own += [shape.time] if shape.time is not None else []
    own += [column for masked in shape.known_at.values() for column in masked]
    if not {*own, *shape.types, *shape.formats, *each.nulls, *each.values} <= columns:
        raise ValueError(f"the snapshot of {table} names columns that it does not list")
    if each.rows < 0 or any(not 0 <= count <= each.rows for count in each.nulls.values()):
        raise ValueError(f"the snapshot of {table} counts more nulls than rows")


def read_task(folder: Path) -> Task:
    """Return the task in a folder, every type and every label checked.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file is damaged.
    """
    rules = read_strict_json(folder / "task.json")
    if not isinstance(rules, dict):
        raise ValueError("task.json holds no task")
    typed = {name: _typed(kind, rules[name]) for name, kind in _task_types().items() if name in rules}
    columns = [*rules.get("key_columns", ()), *rules.get("feature_columns", ())]
    if not typed.get("key_columns") or len(set(columns)) < len(columns) or not typed.get("entity"):
        raise ValueError("task.json names no key, or a column twice")
    if not {"train", "val"} <= set(typed.get("starts", ())):
        raise ValueError("task.json has no training or validation split")
    frames = {
        split: _labels(folder / f"{split}.parquet", typed["key_columns"], typed.get("feature_columns", ()))
        for split in SPLITS
        if split in typed["starts"]
    }
    task = Task.from_json(rules, frames)
    _check_rules(task)
    return task


@cache
def _task_types() -> dict[str, TypeAdapter[Any]]:
    """Return saved field -> its type; the metric is checked by its name."""
    hints = get_type_hints(TaskFields)
    saved = [name for name, each in TaskFields.__dataclass_fields__.items() if each.metadata.get("saved")]
    return {name: TypeAdapter(str if name == "metric" else hints[name]) for name in saved}


def _check_rules(task: Task) -> None:
    if task.static != (task.time_kind is None):
        raise ValueError("the task is static with a time, or has none without being static")
    for name in ("horizon", "known_after", "every"):
        if (getattr(task, name) or 0) < 0:
            raise ValueError(f"{name} is negative")
    classes = task.classes or ()
    fits = {"regression": not classes, "binary": len(classes) == 2, "multiclass": len(classes) >= 2}[task.kind]
    if not fits or len(set(classes)) < len(classes):
        raise ValueError(f"the classes of the task fit no {task.kind} task")
    if isinstance(task.class_weight, Mapping) and (
        set(task.class_weight) != set(classes) or not all(0 < each < math.inf for each in task.class_weight.values())
    ):
        raise ValueError("the weights of the classes are not one number above 0 for each")
    for split, frame in task.splits.items():
        label = frame.label
        if frame.weight is not None and not ((frame.weight > 0) & (frame.weight < math.inf)).all():
            raise ValueError(f"the {split} split holds weights that are no finite numbers above 0")
        known = np.isfinite(label).all()
        if classes:
            known = known and ((label >= 0) & (label < len(classes)) & (label == np.floor(label))).all()
        if not known or not len(label):
            raise ValueError(f"the {split} split holds no labels, or labels that are no {task.kind} labels")


def _labels(path: Path, keys: tuple[str, ...], features: tuple[str, ...]) -> LabelFrame:
    regular_size(path)
    with pq.ParquetFile(path) as file:
        if not 0 <= file.metadata.num_rows <= _MOST_ROWS:
            raise ValueError(f"{path.name} holds too many rows")
        plain = {"cutoff": pa.int64(), "known_at": pa.int64(), "label": pa.float64()}
        named = [f"key_{number}" for number in range(len(keys))] + [f"feature_{name}" for name in features]
        schema = file.schema_arrow
        if "weight" in schema.names:
            plain["weight"] = pa.float64()
        if sorted(schema.names) != sorted([*plain, *named]) or any(
            schema.field(name).type != kind for name, kind in plain.items()
        ):
            raise ValueError(f"{path.name} holds other columns than those of labels")
        table = file.read()
    table.validate(full=True)
    if any(table[name].null_count for name in plain):
        raise ValueError(f"{path.name} lacks labels or times")
    return LabelFrame.from_arrow(table, keys, features)


def _typed(adapter: TypeAdapter[Any], value: Any) -> Any:
    """Return a value of JSON in its type, without conversions such as text to number."""
    return adapter.validate_json(json.dumps(value), strict=True)


def check_reads(reads: Mapping[str, set[str]], schema: Mapping[str, list[str]]) -> None:
    """Check that a model reads only what training saw.

    Args:
        reads: Table -> columns that the model reads.
        schema: Table -> columns that training saw; it does not list the table of past labels.

    Raises:
        ValueError: It reads another table or column.
    """
    for table, columns in reads.items():
        if table != LABELS and table not in schema:
            raise ValueError(f"{table:.80} is read, a table that training did not see")
        if table != LABELS and not columns <= set(schema.get(table, ())):
            raise ValueError(f"columns of {table} are read that training did not see")

"""Reads RelBench datasets that are on this machine, in the layouts of versions 1, 2 and 3; nothing is downloaded.

Versions 1 and 2 keep keys, times and foreign keys in the Parquet metadata of `db/<table>.parquet`, and those of labels in
`tasks/<task>/<split>.parquet`; version 3 keeps both in `manifest.yaml` files. Rows after the test timestamp are read too;
the frozen regime of the tasks hides them from test rows. The relbench package is not needed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from relselect.database.clock import ticks_of
from relselect.database.contents import DatabaseContents
from relselect.database.sources.files import read_file
from relselect.database.sources.frames import unknown_drops
from relselect.database.table import ForeignKey, Table
from relselect.database.task_spec import LabelFiles, TaskSpec
from relselect.database.validation import find_problems
from relselect.errors import ConfigError, DataNotFound, SchemaError, SchemaProblem

__all__ = ["read_relbench", "task_spec"]

_MANIFEST = "manifest.yaml"
_METADATA = ("fkey_col_to_pkey_table", "pkey_col", "time_col")
_KINDS = {
    "binary_classification": "binary",
    "multiclass_classification": "multiclass",
    "regression": "regression",
}
_SPLITS = ("train", "val", "test")
#: Whole-number labels with more distinct values than this are regression targets.
_CLASSES = 50


def read_relbench(
    name_or_path: str | Path, cache: str | Path | None, drop: Mapping[str, Sequence[str]]
) -> DatabaseContents:
    """Read a dataset; see `Database.from_relbench`, also for the errors."""
    folder = _locate(name_or_path, None if cache is None else Path(cache))
    described = _described(folder)
    tables: list[Table] = []
    problems = [
        SchemaProblem(name, None, "drop", "is named in drop but is no table", f"Use one of: {', '.join(described)}")
        for name in drop
        if name not in described
    ]
    for name, meta in described.items():
        data = read_file(folder / "db" / f"{name}.parquet", name)
        if isinstance(data, list):
            problems += data
            continue
        problems += unknown_drops(name, drop.get(name, ()), data.column_names)
        data = data.drop_columns([column for column in drop.get(name, ()) if column in data.column_names])
        tables.append(_table(name, data, meta, described))
    if problems:
        raise SchemaError(problems)
    problems = find_problems(tables)
    if problems:
        raise SchemaError(problems)
    tasks, notes = _tasks(folder, {table.name: table for table in tables})
    return DatabaseContents(tables, folder.name, str(folder), tasks, folder, notes=notes)


def task_spec(folder: Path, tables: Mapping[str, Table], prefix: str = "") -> tuple[TaskSpec | None, str]:
    """Return the declaration of the task whose label files are in a folder, or None and the reason.

    Args:
        folder: The task's folder.
        tables: The tables of the dataset by name.
        prefix: The path of the folder relative to the database's data folder, with a slash at its end; or "".
    """
    files = {split: f"{prefix}{split}.parquet" for split in _SPLITS if (folder / f"{split}.parquet").is_file()}
    if not {"train", "val"} <= set(files):
        return None, "lacks train.parquet or val.parquet"
    try:
        declared = _of_manifest(folder, tables) if (folder / _MANIFEST).is_file() else _of_labels(folder, tables)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        return None, f"is not understood ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"
    if isinstance(declared, str):
        return None, declared
    if "test" in files and not _has_labels(folder / "test.parquet", declared["target"]):
        del files["test"]
    return TaskSpec(**declared, files=LabelFiles(**files), regime="frozen"), ""


def _locate(name_or_path: str | Path, cache: Path | None) -> Path:
    """Return the folder of a dataset."""
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        return path
    name = str(name_or_path).strip("/")
    candidates = [cache / name] if cache is not None else [*_caches(name), *_hub(name)]
    found = next((each for each in candidates if (each / _MANIFEST).is_file() or (each / "db").is_dir()), None)
    if found is None:
        looked = ", ".join(dict.fromkeys(str(each.parent) for each in candidates))
        fix = "Pass its folder, or download it with the relbench package; nothing is downloaded here"
        raise DataNotFound("relbench", name, f"is not on this machine (looked in {looked})", fix)
    return found


def _caches(name: str) -> list[Path]:
    """Return the folders in which RelBench 1 and 2 keep a dataset."""
    named, shared = os.environ.get("RELBENCH_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")
    roots = [Path(named)] if named else []
    roots.append((Path(shared) if shared else Path.home() / ".cache") / "relbench")
    return [root / name for root in roots]


def _hub(name: str) -> list[Path]:
    """Return the folders in which the Hugging Face cache keeps a dataset of RelBench 3.

    Its name is `name`, or `organisation/repository[/folder]`.
    """
    hub, home = os.environ.get("HF_HUB_CACHE"), os.environ.get("HF_HOME")
    root = Path(hub) if hub else (Path(home) if home else Path.home() / ".cache" / "huggingface") / "hub"
    organisation, _, rest = name.partition("/")
    repository, _, folder = rest.partition("/")
    pattern = f"datasets--{organisation}--{repository}" if rest else "datasets--*"
    snapshots = sorted(root.glob(f"{pattern}/snapshots/*"), key=lambda each: each.stat().st_mtime, reverse=True)
    return [snapshot / (folder if rest else name) for snapshot in snapshots]


def _described(folder: Path) -> dict[str, dict[str, Any]]:
    """Return table -> key, time and foreign keys, under the names that the Parquet metadata use."""
    if (folder / _MANIFEST).is_file():
        tables = _yaml(folder / _MANIFEST).get("tables") or {}
        found = {name: {"pkey_col": spec.get("pkey"), "time_col": spec.get("time_col"),
                        "fkey_col_to_pkey_table": spec.get("fkeys") or {}} for name, spec in tables.items()}  # fmt: skip
    else:
        files = sorted((folder / "db").glob("*.parquet"))
        found = {path.stem: _metadata(path) for path in files}
    if not found:
        raise DataNotFound(
            "relbench", str(folder), "holds no tables", f"Pass a folder with db/*.parquet or {_MANIFEST}"
        )
    return found


def _metadata(path: Path) -> dict[str, Any]:
    import pyarrow.parquet as pq

    try:
        raw = pq.read_schema(path, memory_map=True).metadata or {}
        found = {key: json.loads(raw[key.encode()]) for key in _METADATA}
    except (pa.ArrowException, OSError, KeyError, ValueError):
        rule = "has no key, time and references in its metadata, as RelBench writes them"
        raise ConfigError("relbench", str(path), rule, "Pass a dataset's folder, or use Database.from_folder") from None
    return found


def _yaml(path: Path) -> dict[str, Any]:
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            "relbench", str(path), f"is not readable ({type(error).__name__})", "Download it again"
        ) from None
    if not isinstance(read, dict):
        raise ConfigError("relbench", str(path), "holds no mapping", "Download it again")
    return read


def _table(name: str, data: pa.Table, meta: Mapping[str, Any], described: Mapping[str, Any]) -> Table:
    key = meta["pkey_col"]
    return Table(
        name=name,
        data=data,
        primary_key=(key,) if key else (),
        time=meta["time_col"],
        foreign_keys=tuple(
            ForeignKey((column,), parent, (described[parent]["pkey_col"],) if parent in described else ())
            for column, parent in meta["fkey_col_to_pkey_table"].items()
        ),
    )


def _tasks(folder: Path, tables: Mapping[str, Table]) -> tuple[dict[str, TaskSpec], list[str]]:
    tasks, notes = {}, []
    root = folder / "tasks"
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        if path.is_dir():
            spec, why = task_spec(path, tables, f"tasks/{path.name}/")
            if spec is None:
                notes.append(f"task {path.name} {why}")
            else:
                tasks[path.name] = spec
    return tasks, notes


def _of_manifest(folder: Path, tables: Mapping[str, Table]) -> dict[str, Any] | str:
    """Return the fields of a `TaskSpec` from a task's manifest, or why the task is not supported."""
    import pandas as pd

    declared = _yaml(folder / _MANIFEST)
    kind = _KINDS.get(declared["task_type"])
    entity = declared.get("entity_table")
    if kind is None or entity is None:
        return f"is a task of type {declared['task_type']}, which is not supported"
    hidden = {tuple(pair) for pair in declared.get("remove_columns") or ()}
    if declared["kind"] == "autocomplete":
        hidden.add((entity, declared["target_col"]))
    elsewhere = sorted(
        f"{table}.{column}" for table, column in hidden if table != entity and _has(tables, table, column)
    )
    if entity not in tables:
        return f"is about {entity}, which is no table of the dataset"
    if elsewhere:
        return f"needs {', '.join(elsewhere)} left out: pass drop= to Database.from_relbench"
    table = tables[entity]
    window = declared.get("timedelta") if declared["kind"] != "autocomplete" else None
    return {
        "description": declared.get("description") or "",
        "entity": entity,
        "entity_columns": declared.get("entity_col") or "+".join(table.primary_key),
        "kind": kind,
        "target": declared["target_col"],
        "time": declared.get("time_col") or table.time,
        "horizon": None if window is None else f"{int(pd.Timedelta(window).total_seconds())}s",
        "hide": sorted(column for where, column in hidden if where == entity and _has(tables, where, column)),
        "sql": declared.get("sql"),
    }


def _of_labels(folder: Path, tables: Mapping[str, Table]) -> dict[str, Any] | str:
    """Return the fields of a `TaskSpec` from the training labels and their metadata, or why the task is not supported."""
    import pyarrow.parquet as pq

    path = folder / "train.parquet"
    meta = _metadata(path)
    references = meta["fkey_col_to_pkey_table"]
    schema = pq.read_schema(path, memory_map=True)
    names = [name for name in schema.names if name not in {*references, meta["time_col"]} and not name.startswith("__")]
    if len(references) != 1 or len(names) != 1 or pa.types.is_nested(schema.field(names[0]).type):
        return "is a recommendation or has several labels, which is not supported"
    ((column, entity),) = references.items()
    rows = pq.read_table(path, columns=[names[0], *([meta["time_col"]] if meta["time_col"] else [])])
    # a label that is a column of the table was taken from there: it has no window
    taken = _has(tables, entity, names[0])
    return {
        "entity": entity,
        "entity_columns": column,
        "kind": _kind(rows[names[0]]),
        "target": names[0],
        "time": meta["time_col"],
        "horizon": None if taken or not meta["time_col"] else _spacing(rows[meta["time_col"]]),
        "hide": [names[0]] if taken else [],
    }


def _has(tables: Mapping[str, Table], table: str, column: str) -> bool:
    return table in tables and column in tables[table].columns


def _kind(labels: pa.ChunkedArray) -> str:
    """Return the task kind of a label column: binary or multiclass for booleans, text and few whole numbers."""
    dtype = labels.type
    if pa.types.is_boolean(dtype):
        return "binary"
    distinct: Iterable[Any] = pc.unique(labels.drop_null()).to_pylist()
    values = set(distinct)
    if values <= {0, 1}:
        return "binary"
    text = pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_dictionary(dtype)
    whole = pa.types.is_integer(dtype) and len(values) <= _CLASSES
    return "multiclass" if text or whole else "regression"


def _spacing(cutoffs: pa.ChunkedArray) -> str | None:
    """Return the smallest distance of the training cutoffs: RelBench sets them one label window apart."""
    moments = np.unique(ticks_of(cutoffs.drop_null()))
    return f"{int(np.diff(moments).min())}us" if len(moments) > 1 else None


def _has_labels(path: Path, target: str) -> bool:
    import pyarrow.parquet as pq

    return target in pq.read_schema(path, memory_map=True).names

"""RelBench datasets that are on this machine, in the layouts of its versions 1, 2 and 3, without the package.

Versions 1 and 2 keep keys, times and references in the metadata of `db/<table>.parquet`, and of the label files
`tasks/<task>/<split>.parquet` what they are about; version 3 keeps both in `manifest.yaml` files. All rows are read, those
after the test timestamp too: the frozen regime of the tasks shows test rows nothing of them.
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
from relselect.database.database import Database
from relselect.database.sources.files import read_file
from relselect.database.sources.frames import unknown_drops
from relselect.database.table import ForeignKey, Table
from relselect.database.task_spec import LabelFiles, TaskSpec
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
#: Whole-number labels with more values than this are amounts rather than classes.
_CLASSES = 50


def read_relbench(name_or_path: str | Path, cache: str | Path | None, drop: Mapping[str, Sequence[str]]) -> Database:
    """Read a dataset; see `Database.from_relbench`."""
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
    bare = Database(tables, folder.name, source=None, data_folder=folder)
    tasks, notes = _tasks(folder, bare)
    return Database(tables, folder.name, source=str(folder), tasks=tasks, data_folder=folder, notes=notes)


def task_spec(folder: Path, database: Database, prefix: str = "") -> tuple[TaskSpec | None, str]:
    """Return the declaration of the task whose label files lie in a folder, or None and why not.

    Args:
        folder: The task's folder.
        database: The dataset.
        prefix: Where the folder is, as seen from where files are looked for; "" or a path with a slash at its end.
    """
    files = {split: f"{prefix}{split}.parquet" for split in _SPLITS if (folder / f"{split}.parquet").is_file()}
    if not {"train", "val"} <= set(files):
        return None, "lacks train.parquet or val.parquet"
    try:
        declared = _of_manifest(folder, database) if (folder / _MANIFEST).is_file() else _of_labels(folder, database)
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
    """Where RelBench 1 and 2 keep a dataset."""
    named, shared = os.environ.get("RELBENCH_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")
    roots = [Path(named)] if named else []
    roots.append((Path(shared) if shared else Path.home() / ".cache") / "relbench")
    return [root / name for root in roots]


def _hub(name: str) -> list[Path]:
    """Where the Hugging Face hub keeps a dataset of RelBench 3: `name`, or `organisation/repository[/folder]`."""
    hub, home = os.environ.get("HF_HUB_CACHE"), os.environ.get("HF_HOME")
    root = Path(hub) if hub else (Path(home) if home else Path.home() / ".cache" / "huggingface") / "hub"
    organisation, _, rest = name.partition("/")
    repository, _, folder = rest.partition("/")
    pattern = f"datasets--{organisation}--{repository}" if rest else "datasets--*"
    snapshots = sorted(root.glob(f"{pattern}/snapshots/*"), key=lambda each: each.stat().st_mtime, reverse=True)
    return [snapshot / (folder if rest else name) for snapshot in snapshots]


def _described(folder: Path) -> dict[str, dict[str, Any]]:
    """Return table -> key, time and references, in the words of the Parquet metadata."""
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


def _tasks(folder: Path, database: Database) -> tuple[dict[str, TaskSpec], list[str]]:
    tasks, notes = {}, []
    root = folder / "tasks"
    for path in sorted(root.iterdir()) if root.is_dir() else []:
        if path.is_dir():
            spec, why = task_spec(path, database, f"tasks/{path.name}/")
            if spec is None:
                notes.append(f"task {path.name} {why}")
            else:
                tasks[path.name] = spec
    return tasks, notes


def _of_manifest(folder: Path, database: Database) -> dict[str, Any] | str:
    """What a task's manifest says, as fields of a `TaskSpec`, or why it cannot be asked."""
    import pandas as pd

    told = _yaml(folder / _MANIFEST)
    kind = _KINDS.get(told["task_type"])
    entity = told.get("entity_table")
    if kind is None or entity is None:
        return f"is a task of type {told['task_type']}, which is not asked"
    hidden = {tuple(pair) for pair in told.get("remove_columns") or ()}
    if told["kind"] == "autocomplete":
        hidden.add((entity, told["target_col"]))
    elsewhere = sorted(
        f"{table}.{column}" for table, column in hidden if table != entity and _has(database, table, column)
    )
    if elsewhere:
        return f"needs {', '.join(elsewhere)} left out: pass drop= to Database.from_relbench"
    table = database[entity]
    window = told.get("timedelta") if told["kind"] != "autocomplete" else None
    return {
        "description": told.get("description") or "",
        "entity": entity,
        "entity_columns": told.get("entity_col") or "+".join(table.primary_key),
        "kind": kind,
        "target": told["target_col"],
        "time": told.get("time_col") or table.time,
        "horizon": None if window is None else f"{int(pd.Timedelta(window).total_seconds())}s",
        "hide": sorted(column for where, column in hidden if where == entity and _has(database, where, column)),
        "sql": told.get("sql"),
    }


def _of_labels(folder: Path, database: Database) -> dict[str, Any] | str:
    """What the metadata and the rows of the training labels say, as fields of a `TaskSpec`."""
    import pyarrow.parquet as pq

    path = folder / "train.parquet"
    meta = _metadata(path)
    references = meta["fkey_col_to_pkey_table"]
    schema = pq.read_schema(path, memory_map=True)
    names = [name for name in schema.names if name not in {*references, meta["time_col"]} and not name.startswith("__")]
    if len(references) != 1 or len(names) != 1 or pa.types.is_nested(schema.field(names[0]).type):
        return "is a recommendation or has several labels, which is not asked"
    ((column, entity),) = references.items()
    rows = pq.read_table(path, columns=[names[0], *([meta["time_col"]] if meta["time_col"] else [])])
    # a label that is a column of the table was taken from there: it has no window
    taken = _has(database, entity, names[0])
    return {
        "entity": entity,
        "entity_columns": column,
        "kind": _kind(rows[names[0]]),
        "target": names[0],
        "time": meta["time_col"],
        "horizon": None if taken or not meta["time_col"] else _spacing(rows[meta["time_col"]]),
        "hide": [names[0]] if taken else [],
    }


def _has(database: Database, table: str, column: str) -> bool:
    return table in database.tables and column in database[table].columns


def _kind(labels: pa.ChunkedArray) -> str:
    """Return what kind of label a column holds: classes are few, and whole numbers, booleans or text."""
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

"""A predictor on disk: JSON, Parquet, safetensors and LightGBM text; no pickle.

Nothing that loading reads is an absolute path; the report's record keeps the data path as the user wrote it. The
manifest is written last and carries the sha256 of every file, so a half-written or damaged bundle is recognised.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from relselect.configs import known_databases
from relselect.database.sources.uri import is_uri, redact
from relselect.database.table import SemanticType
from relselect.drift import TrainingSnapshot
from relselect.errors import BundleError
from relselect.families.registry import family_of
from relselect.tasks import Task
from relselect.tasks.labels import LabelFrame
from relselect.tasks.splits import SPLITS
from relselect.tuning import load_candidate, save_candidate

if TYPE_CHECKING:
    from relselect.fitted import Fitted

__all__ = ["LEFTOVERS", "load_bundle", "save_bundle"]

_FORMAT = 1
_MANIFEST = "manifest.json"
_PARTS = ("model", "task", "record.json", "fitted.json")
#: What a kill during `save_bundle` may leave before the manifest is written.
LEFTOVERS = (".partial", f".{_MANIFEST}", *_PARTS)


def save_bundle(fitted: Fitted, folder: Path) -> Path:
    """Write a bundle; an earlier one in the same folder is replaced, other files there are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / ".partial"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    save_candidate(fitted.family, fitted.candidate, draft / "model")
    _save_task(fitted.task, draft / "task")
    _write_json(draft / "record.json", fitted.record)
    facts = {
        "types": {
            table: {column: str(kind) for column, kind in kinds.items()} for table, kinds in fitted.types.items()
        },
        "schema": fitted.schema,
        "declared": fitted.declared,
        "family": fitted.family.name,
        "database": fitted.record["database"]["name"],
        "source": _relative(fitted.source, folder),
        "recommendation": fitted.recommendation.to_json(),
        "snapshot": None if fitted.snapshot is None else fitted.snapshot.to_json(),
    }
    _write_json(draft / "fitted.json", facts)
    manifest = {"format": _FORMAT, "relselect": fitted.record["relselect"], "files": _hashes(draft)}
    (folder / _MANIFEST).unlink(missing_ok=True)
    for part in _PARTS:
        target = folder / part
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(draft / part, target)
    draft.rmdir()
    partial = folder / f".{_MANIFEST}"
    _write_json(partial, manifest)
    os.replace(partial, folder / _MANIFEST)
    return folder


def load_bundle(folder: Path) -> dict[str, Any]:
    """Read a bundle into the arguments of `Fitted`, all but the database.

    Raises:
        BundleError: Something is missing, damaged or of another format.
    """
    from relselect.selector import Recommendation

    _check(folder)
    facts = json.loads((folder / "fitted.json").read_text(encoding="utf-8"))
    family = family_of(facts["family"])
    types = {
        table: {column: SemanticType(kind) for column, kind in kinds.items()} for table, kinds in facts["types"].items()
    }
    return {
        "task": _load_task(folder / "task"),
        "types": types,
        "schema": facts["schema"],
        "declared": facts.get("declared"),
        "family": family,
        "candidate": load_candidate(family, folder / "model"),
        "record": json.loads((folder / "record.json").read_text(encoding="utf-8")),
        "recommendation": Recommendation.from_json(facts["recommendation"]),
        "source": _resolved(facts["source"], folder),
        "snapshot": None if facts.get("snapshot") is None else TrainingSnapshot.from_json(facts["snapshot"]),
    }


def _relative(source: str | None, folder: Path) -> str | None:
    """Return where the database is, as seen from the bundle; a known name and an address, without password, stay."""
    if source is None or source in known_databases():
        return source
    if is_uri(source):
        return redact(source)
    return Path(os.path.relpath(Path(source).resolve(), folder.resolve())).as_posix()


def _resolved(source: str | None, folder: Path) -> str | None:
    if source is None or source in known_databases() or is_uri(source):
        return source
    return os.path.normpath(folder / source)


def _check(folder: Path) -> None:
    again = "Save the predictor again, or correct the path"
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError("path", str(folder), f"holds no complete bundle ({_MANIFEST} is missing)", again) from None
    except (OSError, ValueError) as error:
        raise BundleError("path", str(folder), f"its {_MANIFEST} cannot be read ({error})", again) from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise BundleError("path", str(folder), f"its {_MANIFEST} is none of a bundle", again)
    if manifest.get("format") != _FORMAT:
        raise BundleError(
            "format",
            manifest.get("format"),
            f"this relselect reads format {_FORMAT}",
            "Load it with the relselect that wrote it",
        )
    damaged = [
        name
        for name, digest in manifest["files"].items()
        if not (folder / name).exists() or _hash(folder / name) != digest
    ]
    if damaged:
        raise BundleError("path", str(folder), f"files are missing or changed: {', '.join(damaged[:5])}", again)


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _hash(path) for path in files}


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _save_task(task: Task, folder: Path) -> None:
    folder.mkdir()
    _write_json(folder / "task.json", task.to_json())
    for split, frame in task.splits.items():
        pq.write_table(frame.to_arrow(), folder / f"{split}.parquet", compression="zstd")


def _load_task(folder: Path) -> Task:
    rules = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    columns = rules["key_columns"], rules["feature_columns"]
    tables = {split: pq.read_table(folder / f"{split}.parquet") for split in SPLITS if split in rules["starts"]}
    return Task.from_json(rules, {split: LabelFrame.from_arrow(table, *columns) for split, table in tables.items()})

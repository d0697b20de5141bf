"""A predictor on disk: JSON, Parquet, safetensors and LightGBM text; no pickle.

Nothing that loading reads is an absolute path. The manifest is written last and carries the sha256 of every file, so that a
half-written or damaged bundle is recognised.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from relselect.configs import known_databases
from relselect.database.sources.uri import is_uri, redact
from relselect.database.table import SemanticType
from relselect.drift import TrainingSnapshot
from relselect.errors import BundleError
from relselect.families.registry import family_of
from relselect.files import write_json
from relselect.hashing import sha256_of_file
from relselect.run import Decision, RunResult
from relselect.tasks import Task
from relselect.tasks.labels import LabelFrame
from relselect.tasks.splits import SPLITS
from relselect.tuning import load_candidate, save_candidate

if TYPE_CHECKING:
    from relselect.families.protocol import Family
    from relselect.fitted import Fitted

__all__ = ["LEFTOVERS", "load_bundle", "read_result", "save_bundle"]

_FORMAT = 2
_MANIFEST = "manifest.json"
#: The validated model, the deployed one where it is another, the task, the result and what else `Fitted` needs.
_PARTS = ("model", "deployed", "task", "result.json", "fitted.json")
#: What a kill during `save_bundle` may leave before the manifest is written.
LEFTOVERS = (".partial", f".{_MANIFEST}.partial", *_PARTS)


def save_bundle(fitted: Fitted, folder: Path) -> Path:
    """Write a bundle; an earlier one in the same folder is replaced, other files there are left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / ".partial"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    save_candidate(fitted.family, fitted.candidate, draft / "model")
    if fitted.decision.refitted:
        save_candidate(fitted.family, replace(fitted.deployed, checkpoints=(), checkpoint=None), draft / "deployed")
    _save_task(fitted.task, draft / "task")
    _write_json(draft / "result.json", fitted.result.to_json())
    facts = {
        "types": {
            table: {column: str(kind) for column, kind in kinds.items()} for table, kinds in fitted.types.items()
        },
        "schema": fitted.schema,
        "declared": fitted.declared,
        "family": fitted.family.name,
        "database": fitted.result.database.name,
        "source": _relative(fitted.source, folder),
        "snapshot": None if fitted.snapshot is None else fitted.snapshot.to_json(),
    }
    _write_json(draft / "fitted.json", facts)
    manifest = {"format": _FORMAT, "relselect": fitted.result.version, "files": _hashes(draft)}
    (folder / _MANIFEST).unlink(missing_ok=True)
    for part in _PARTS:
        target = folder / part
        if target.is_dir():
            shutil.rmtree(target)
        if (draft / part).exists():
            os.replace(draft / part, target)
    draft.rmdir()
    _write_json(folder / _MANIFEST, manifest)
    return folder


def load_bundle(folder: Path) -> dict[str, Any]:
    """Read a bundle into the arguments of `Fitted`, all but the database.

    Raises:
        BundleError: Something is missing, damaged or of another format.
    """
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
        "result": _load_result(folder, family),
        "source": _resolved(facts["source"], folder),
        "snapshot": None if facts.get("snapshot") is None else TrainingSnapshot.from_json(facts["snapshot"]),
    }


def read_result(folder: Path) -> RunResult:
    """Read the result of a bundle, without its models and predictions.

    Raises:
        BundleError: The bundle is incomplete, damaged, of another format, or holds no decision.
    """
    _check(folder)
    return _stored_result(folder)[0]


def _stored_result(folder: Path) -> tuple[RunResult, Decision]:
    again = "Save the predictor again"
    try:
        result = RunResult.from_json(json.loads((folder / "result.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError("path", str(folder), f"its result.json cannot be read ({error})", again) from None
    if result.decision is None:
        raise BundleError("path", str(folder), "its result.json holds no decision", again)
    return result, result.decision


def _load_result(folder: Path, family: Family) -> RunResult:
    """Return the result with the models of its decision.

    Raises:
        BundleError: It cannot be read, or holds no decision.
    """
    result, decision = _stored_result(folder)
    candidate = load_candidate(family, folder / "model")
    deployed = load_candidate(family, folder / "deployed") if decision.refitted else candidate
    return replace(result, decision=replace(decision, candidate=candidate, deployed=deployed))


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
        if not (folder / name).exists() or sha256_of_file(folder / name) != digest
    ]
    if damaged:
        raise BundleError("path", str(folder), f"files are missing or changed: {', '.join(damaged[:5])}", again)


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of_file(path) for path in files}


def _write_json(path: Path, value: Any) -> None:
    write_json(path, value, sort_keys=True, sole_writer=True)


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

"""A predictor on disk: JSON, Parquet, safetensors and LightGBM text; no pickle.

Nothing that loading reads is an absolute path. The manifest carries the sha256 of every file, so that a damaged bundle is
recognised. A process that is killed while it replaces a bundle leaves the former one or the new one.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from relselect.configs import known_databases
from relselect.database.sources.uri import is_uri, redact
from relselect.database.table import SemanticType
from relselect.drift import TrainingSnapshot
from relselect.errors import BundleError
from relselect.families.registry import family_of
from relselect.files import current_parts, replacing_parts, unwritable, write_json
from relselect.hashing import sha256_of_file
from relselect.run import Decision, RunResult
from relselect.tasks import Task
from relselect.tasks.labels import LabelFrame
from relselect.tasks.splits import SPLITS
from relselect.tuning import load_candidate, save_candidate

if TYPE_CHECKING:
    from relselect.families.protocol import Family
    from relselect.problem import Types

__all__ = ["LEFTOVERS", "BundleContents", "load_bundle", "read_result", "save_bundle"]

_FORMAT = 2
_MANIFEST = "manifest.json"
#: The validated model, the deployed one where it is another, the task, the result and what else `Fitted` needs.
_PARTS = ("model", "deployed", "task", "result.json", "fitted.json")
#: What a kill during `save_bundle` may leave.
LEFTOVERS = (".partial", ".ready", _MANIFEST, *_PARTS)


@dataclass(frozen=True)
class BundleContents:
    """What a bundle holds.

    Attributes:
        task: The task.
        types: Column types that training resolved.
        schema: Table -> columns that training saw.
        family: The family of the decision.
        result: The result, with the models of its decision.
        source: The known name, address or folder of the database, if it came from one.
        declared: Table -> keys and times as they were declared.
        snapshot: What training read.
    """

    task: Task
    types: Types
    schema: dict[str, list[str]]
    family: Family
    result: RunResult
    source: str | None
    declared: dict[str, list[str]] | None
    snapshot: TrainingSnapshot | None


def save_bundle(contents: BundleContents, folder: Path) -> Path:
    """Write a bundle; an earlier one in the same folder is replaced, other files there are left alone.

    Args:
        contents: What to write.
        folder: Its place.

    Raises:
        BundleError: The result holds no decision.
        UnwritableError: The folder cannot be written.
    """
    decision = contents.result.decision
    if decision is None:
        raise BundleError("result", contents.task.name, "holds no decision", "Save the result of a run that trained")
    with unwritable("path", folder), replacing_parts(folder, _PARTS, _MANIFEST) as draft:
        save_candidate(contents.family, decision.candidate, draft / "model")
        if decision.refitted:
            deployed = replace(decision.deployed, checkpoints=(), checkpoint=None)
            save_candidate(contents.family, deployed, draft / "deployed")
        _save_task(contents.task, draft / "task")
        _write_json(draft / "result.json", contents.result.to_json())
        _write_json(draft / "fitted.json", _facts(contents, folder))
        manifest = {"format": _FORMAT, "relselect": contents.result.version, "files": _hashes(draft)}
        _write_json(draft / _MANIFEST, manifest)
    return folder


def _facts(contents: BundleContents, folder: Path) -> dict[str, Any]:
    types = {table: {column: str(kind) for column, kind in kinds.items()} for table, kinds in contents.types.items()}
    return {
        "types": types,
        "schema": contents.schema,
        "declared": contents.declared,
        "family": contents.family.name,
        "database": contents.result.database.name,
        "source": _relative(contents.source, folder),
        "snapshot": None if contents.snapshot is None else contents.snapshot.to_json(),
    }


def load_bundle(folder: Path) -> BundleContents:
    """Read a bundle.

    Raises:
        BundleError: Something is missing, damaged or of another format.
    """
    home = current_parts(folder, _MANIFEST)
    _check(home)
    facts = json.loads((home / "fitted.json").read_text(encoding="utf-8"))
    family = family_of(facts["family"])
    types = {
        table: {column: SemanticType(kind) for column, kind in kinds.items()} for table, kinds in facts["types"].items()
    }
    return BundleContents(
        task=_load_task(home / "task"),
        types=types,
        schema=facts["schema"],
        family=family,
        result=_load_result(home, family),
        source=_resolved(facts["source"], folder),
        declared=facts.get("declared"),
        snapshot=None if facts.get("snapshot") is None else TrainingSnapshot.from_json(facts["snapshot"]),
    )


def read_result(folder: Path) -> RunResult:
    """Read the result of a bundle, without its models and predictions.

    Raises:
        BundleError: The bundle is incomplete, damaged, of another format, or holds no decision.
    """
    home = current_parts(folder, _MANIFEST)
    _check(home)
    return _stored_result(home)[0]


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
    deployed = candidate
    if decision.refitted:
        model = load_candidate(family, folder / "deployed").model
        deployed = replace(candidate, model=model)
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

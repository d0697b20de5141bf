"""A predictor on disk: JSON, Parquet, safetensors and LightGBM text; no pickle.

Nothing that loading reads is an absolute path. The manifest carries the sha256 of every file, so that a damaged bundle is
recognised; hashes do not say who wrote a bundle, so what they cover is checked again while it is read
(`relselect.bundle_files`, and each family for its models). A process that is killed while it replaces a bundle leaves the
former one or the new one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from relselect.blend.seeds import predictor_family
from relselect.bundle_files import FORMAT, MANIFEST, check_files, check_reads, read_facts, read_task
from relselect.configs import known_databases
from relselect.database.contents import SourceFacts
from relselect.database.sources.uri import is_uri, redact
from relselect.drift import TrainingSnapshot
from relselect.errors import BundleError, MissingExtra
from relselect.families.candidate import Candidate
from relselect.families.protocol import columns_read
from relselect.files import current_parts, replacing_parts, unwritable, write_json
from relselect.hashing import sha256_of_file
from relselect.run import Decision, RunResult
from relselect.tasks import Task
from relselect.tuning import load_candidate, save_candidate
from relselect.untrusted import brief, read_strict_json

if TYPE_CHECKING:
    from relselect.families.protocol import Family
    from relselect.problem import Types

__all__ = ["LEFTOVERS", "BundleContents", "load_bundle", "read_result", "save_bundle"]

#: The validated model, the deployed one where it is another, the task, the result and what else `Fitted` needs.
_PARTS = ("model", "deployed", "task", "result.json", "fitted.json")
#: What a kill during `save_bundle` may leave.
LEFTOVERS = (".partial", ".ready", MANIFEST, *_PARTS)


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
        facts: The schemas that training read, and the tables that it passed over.
    """

    task: Task
    types: Types
    schema: dict[str, list[str]]
    family: Family
    result: RunResult
    source: str | None
    declared: dict[str, list[str]] | None
    snapshot: TrainingSnapshot | None
    facts: SourceFacts = field(default_factory=SourceFacts)


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
    with unwritable("path", folder), replacing_parts(folder, _PARTS, MANIFEST) as draft:
        save_candidate(contents.family, decision.candidate, draft / "model")
        if decision.refitted:
            deployed = replace(decision.deployed, checkpoints=(), checkpoint=None)
            save_candidate(contents.family, deployed, draft / "deployed")
        _save_task(contents.task, draft / "task")
        _write_json(draft / "result.json", contents.result.to_json())
        _write_json(draft / "fitted.json", _facts(contents, folder))
        manifest = {"format": FORMAT, "relselect": contents.result.version, "files": _hashes(draft)}
        _write_json(draft / MANIFEST, manifest)
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
        "facts": asdict(contents.facts),
    }


def load_bundle(folder: Path) -> BundleContents:
    """Read a bundle; nothing in it is trusted before it is checked.

    Raises:
        BundleError: Something is missing, damaged or of another format.
        MissingExtra: Its model needs an optional package.
    """
    with _damage_told(folder):
        home = current_parts(folder, MANIFEST)
        check_files(home)
        facts = read_facts(home)
        family = predictor_family(facts.family)
        task = read_task(home / "task")
        check_reads({task.entity: set(task.hidden_columns)}, facts.schema)
        result, decision = _load_result(home, family)
        for candidate in (decision.candidate, decision.deployed):
            _check_predictions(task, candidate)
            known = columns_read(family, candidate)
            if known is not None:
                check_reads(known, facts.schema)
        return BundleContents(
            task=task,
            types=facts.types,
            schema=facts.schema,
            family=family,
            result=result,
            source=_resolved(facts.source, folder),
            declared=facts.declared,
            snapshot=None if facts.snapshot is None else TrainingSnapshot.from_json(facts.snapshot),
            facts=facts.facts,
        )


def read_result(folder: Path) -> RunResult:
    """Read the result of a bundle, without its models and predictions.

    Raises:
        BundleError: The bundle is incomplete, damaged, of another format, or holds no decision.
    """
    with _damage_told(folder):
        home = current_parts(folder, MANIFEST)
        check_files(home)
        return _stored_result(home)[0]


@contextmanager
def _damage_told(folder: Path) -> Iterator[None]:
    """Turn whatever the reading of damaged or hostile files raises into a BundleError."""
    try:
        yield
    except (BundleError, MissingExtra):
        raise
    except Exception as error:
        rule = f"is damaged or no bundle ({type(error).__name__}: {brief(error)})"
        raise BundleError("path", str(folder), rule, "Save the predictor again, or correct the path") from error


def _stored_result(folder: Path) -> tuple[RunResult, Decision]:
    result = RunResult.from_json(read_strict_json(folder / "result.json"))
    if result.decision is None:
        rule = "its result.json holds no decision"
        raise BundleError("path", str(folder), rule, "Save the predictor again")
    return result, result.decision


def _load_result(folder: Path, family: Family) -> tuple[RunResult, Decision]:
    """Return the result with the models of its decision.

    Raises:
        BundleError: It cannot be read, or holds no decision.
    """
    result, decision = _stored_result(folder)
    candidate = load_candidate(family, folder / "model")
    if candidate.id != decision.candidate.id or candidate.id not in {each.id for each in result.candidates}:
        raise ValueError("result.json speaks of another model than the folder model holds")
    deployed = candidate
    if decision.refitted:
        model = load_candidate(family, folder / "deployed").model
        deployed = replace(candidate, model=model)
    decision = replace(decision, candidate=candidate, deployed=deployed)
    return replace(result, decision=decision), decision


def _check_predictions(task: Task, candidate: Candidate) -> None:
    """Check that the predictions of the select rows are finite, and probabilities where there are classes.

    Raises:
        ValueError: They are not.
    """
    found = candidate.predictions
    shape = (len(task.classes or ()),) if task.kind == "multiclass" else ()
    if found.shape[1:] != shape or not np.isfinite(found).all():
        raise ValueError(f"predictions of shape {found.shape} fit no {task.kind} task, or are not finite")
    if task.classes and ((found < 0) | (found > 1)).any():
        raise ValueError("predictions of classes are no probabilities")


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

"""Writes a manifest for a database that has none: `relselect init`.

The tables are read and the example tasks built before anything is written; the database itself is never written to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relselect.database.confined import PATHS_VARIABLE, allowed_outside
from relselect.database.manifest import MANIFEST_NAME, load_manifest
from relselect.database.sources.uri import HIDDEN
from relselect.errors import ConfigError
from relselect.events import Emit, silent
from relselect.files import check_writable, replacing, unwritable
from relselect.proposal import Origin, Proposal, propose, read_facts
from relselect.proposal.example_tasks import built_examples
from relselect.proposal.proposed_line import DECLARED
from relselect.tasks import Task

__all__ = ["InitResult", "default_place", "init_manifest"]

_OTHER_PLACE = "Give another file with --out"


@dataclass(frozen=True)
class InitResult:
    """A written manifest and what it was made from.

    Attributes:
        proposal: What the manifest declares, with its example tasks.
        tasks: The example tasks, built.
        notes: One sentence per thing that was passed over or failed.
        path: The file of the manifest.
        text: The text of the manifest.
    """

    proposal: Proposal
    tasks: tuple[Task, ...]
    notes: tuple[str, ...]
    path: Path
    text: str

    @property
    def messages(self) -> list[str]:
        """The notes, the file and one line per example task, for the terminal."""
        declared = sum(line.origin == DECLARED for line in self.proposal.lines)
        taken = [f"{declared} keys and references are taken as the database declares them."] if declared else []
        messages = [*taken, *self.notes, f"Manifest: {self.path}"]
        for task in self.tasks:
            rows = ", ".join(f"{len(frame):,} {split}" for split, frame in task.splits.items())
            messages.append(
                f"Example {task.name} ({task.kind}; {rows}): relselect recommend {self.path} --task {task.name}"
            )
        return messages

    def to_json(self) -> dict[str, Any]:
        """Return the file, the proposed lines, the example tasks and the notes as a JSON-able dictionary."""
        tasks = [
            {"name": task.name, "kind": task.kind, "rows": {name: len(frame) for name, frame in task.splits.items()}}
            for task in self.tasks
        ]
        lines = [line.to_json() for line in self.proposal.lines]
        return {"out": str(self.path), "proposals": lines, "tasks": tasks, "notes": list(self.notes)}


def init_manifest(
    uri: str | Path,
    out: str | Path | None = None,
    *,
    schema: str | Sequence[str] | None = None,
    tables: Sequence[str] | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
    on_event: Emit = silent,
) -> InitResult:
    """Propose what a schema does not declare, find two example tasks that can be built, and write the manifest.

    Args:
        uri: The database; see `Database.from_uri`.
        out: The file of the manifest; `default_place` if None.
        schema: The schema to read, or several.
        tables: The tables to read; all if None.
        overrides: Lines that replace proposals; see `relselect.proposal.overrides`.
        force: Whether an existing file is replaced.
        on_event: Called with every event.

    Raises:
        ConfigError: The file exists or cannot be written; where possible this is checked before anything is read.
        SchemaError: With every override that does not parse, or every problem of the tables under the proposal.
        UserError: The database cannot be read.
    """
    place = Path(out) if out is not None else default_place(uri)
    _refuse(place, force)
    facts, origin = read_facts(uri, schema=schema, tables=tables, on_event=on_event)
    proposal = propose(facts, overrides)
    database = proposal.to_database()
    examples, tasks, notes = built_examples(database)
    proposal = proposal.with_tasks(dict(examples))
    text = proposal.to_manifest(origin, place.parent)
    _write(place, text)
    return InitResult(proposal, tuple(tasks), (*facts.notes, *_needed(origin, place), *notes), place, text)


def default_place(uri: str | Path) -> Path:
    """Return the default file of a manifest: in the folder of the data files, else in the current folder."""
    path = Path(uri)
    return path / MANIFEST_NAME if path.is_dir() else Path(MANIFEST_NAME)


def _refuse(place: Path, force: bool) -> None:
    if place.is_dir():
        raise ConfigError("--out", str(place), "is a folder", f"Name a file in it, such as {place / MANIFEST_NAME}")
    if place.suffix not in (".yaml", ".yml"):
        raise ConfigError("--out", str(place), "must end in .yaml", f"Write e.g. --out {MANIFEST_NAME}")
    if place.exists() and not force:
        raise ConfigError("--out", str(place), "is there already", "Give another file, or --force to replace it")
    if not place.parent.is_dir():
        raise ConfigError("--out", str(place), "lies in a folder that does not exist", "Make the folder first")
    check_writable("--out", place, fix=_OTHER_PLACE)


def _needed(origin: Origin, place: Path) -> Iterable[str]:
    """Yield notes on the environment variables that replace a password, and that allow data outside the manifest's folder."""
    if HIDDEN in origin.address.shown:
        yield "The password is not in the manifest: set PGPASSWORD before it is opened."
    path = origin.folder or origin.address.path
    if path is not None and not allowed_outside() and not path.resolve().is_relative_to(place.parent.resolve()):
        yield f"The data lie outside the manifest's folder: `export {PATHS_VARIABLE}=1` before it is opened, or move it there."


def _write(place: Path, text: str) -> None:
    """Check the text and write the file atomically."""
    with unwritable("--out", place, _OTHER_PLACE), replacing(place) as draft:
        draft.write_text(text, encoding="utf-8")
        load_manifest(draft)

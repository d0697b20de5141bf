"""From an address to a manifest: what `relselect init` does. Everything in it has been read, and its tasks built."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from relselect.database import Database
from relselect.database.manifest import MANIFEST_NAME, load_manifest
from relselect.database.sources.uri import HIDDEN
from relselect.errors import ConfigError, UserError
from relselect.events import Emit, silent
from relselect.proposal import Origin, Proposal, propose, read_facts
from relselect.proposal.examples import Example, gap_examples, timed_examples
from relselect.tasks import Task

__all__ = ["Started", "default_place", "start"]

#: Examples that are tried before none is found.
_TRIES = 6


@dataclass(frozen=True)
class Started:
    """A manifest with what it is made of.

    Attributes:
        proposal: What it declares, with its example tasks.
        tasks: The example tasks, built.
        notes: What was passed over and what did not work, in words.
        path: Where it was written.
        text: The manifest.
    """

    proposal: Proposal
    tasks: tuple[Task, ...]
    notes: tuple[str, ...]
    path: Path
    text: str

    @property
    def sentences(self) -> list[str]:
        """What happened, for a person."""
        told = [*self.notes, f"Manifest: {self.path}"]
        for task in self.tasks:
            rows = ", ".join(f"{len(frame):,} {split}" for split, frame in task.splits.items())
            told.append(
                f"Example {task.name} ({task.kind}; {rows}): relselect recommend {self.path} --task {task.name}"
            )
        return told

    def to_json(self) -> dict[str, Any]:
        """Return the proposals, the examples and the place as plain values."""
        tasks = [
            {"name": task.name, "kind": task.kind, "rows": {name: len(frame) for name, frame in task.splits.items()}}
            for task in self.tasks
        ]
        findings = [finding.to_json() for finding in self.proposal.findings]
        return {"out": str(self.path), "proposals": findings, "tasks": tasks, "notes": list(self.notes)}


def start(
    uri: str | Path,
    out: str | Path | None = None,
    *,
    schema: str | Sequence[str] | None = None,
    tables: Sequence[str] | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
    on_event: Emit = silent,
) -> Started:
    """Propose what a schema does not say, find two example tasks that run, and write the manifest.

    Args:
        uri: The database; see `Database.from_uri`.
        out: The manifest's file; `default_place` if None.
        schema: The schema to read, or several.
        tables: The tables to read; all if None.
        overrides: What goes before the proposals, one line each; see `relselect.proposal.given`.
        force: Whether a file that is there is replaced.
        on_event: Called with what happens.

    Raises:
        ConfigError: The file is there already or cannot be written; before anything is read where that can be told.
        SchemaError: With every override that is not understood, and every problem of the tables as proposed.
        UserError: The database cannot be read.
    """
    place = Path(out) if out is not None else default_place(uri)
    _refuse(place, force)
    facts, origin = read_facts(uri, schema=schema, tables=tables, on_event=on_event)
    proposal = propose(facts, overrides)
    database = proposal.to_database()
    examples, tasks, notes = _examples(database)
    proposal = proposal.with_tasks(dict(examples))
    text = proposal.to_manifest(origin, place.parent)
    _write(place, text)
    return Started(proposal, tuple(tasks), (*facts.notes, *_needed(origin), *notes), place, text)


def default_place(uri: str | Path) -> Path:
    """Return where a manifest goes when nobody says: beside the files of a folder, else into the present folder."""
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


def _examples(database: Database) -> tuple[list[Example], list[Task], list[str]]:
    """Return one task of classes and one of numbers that can be built, and what was tried in vain."""
    notes: list[str] = []
    for pair in islice(timed_examples(database), _TRIES):
        built = [(example, task) for example in pair if (task := _built(database, example, notes)) is not None]
        if built:
            return [example for example, _ in built], [task for _, task in built], notes
    if database.time_kind is not None:
        notes.append("No example asks about the future: no timed table has enough that comes again all over its time.")
    examples, tasks = [], []
    for candidates in gap_examples(database):
        for example in candidates[:_TRIES]:
            task = _built(database, example, notes)
            if task is not None:
                examples.append(example)
                tasks.append(task)
                break
    if not examples:
        notes.append("No example task was found: too few rows, or nothing that comes again. Write one under `tasks:`.")
    return examples, tasks, notes


def _built(database: Database, example: Example, notes: list[str]) -> Task | None:
    """Return the task, if it can be built and has something to tell apart in every split."""
    name, spec = example
    try:
        task = Task.from_spec(database, spec, name)
    except UserError as error:
        notes.append(f"The example {name} was left out: {error}")
        return None
    flat = [split for split, frame in task.splits.items() if len(np.unique(frame.label)) < 2]
    if flat or not task.has_test:
        notes.append(f"The example {name} was left out: its labels are all the same in {', '.join(flat) or 'no test'}.")
        return None
    return task


def _needed(origin: Origin) -> Iterable[str]:
    """Say which environment variables the manifest reads, where the address had a password itself."""
    if HIDDEN in origin.address.shown:
        yield "The password is not in the manifest: set PGPASSWORD before it is opened."


def _write(place: Path, text: str) -> None:
    """Put a manifest in its place, whole and checked, or not at all."""
    draft = None
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=place.parent, suffix=".yaml", delete=False) as file:
            draft = Path(file.name)
            file.write(text)
        load_manifest(draft)
        umask = os.umask(0)
        os.umask(umask)
        draft.chmod(0o666 & ~umask)
        draft.replace(place)
    except OSError as error:
        rule = f"cannot be written ({error.strerror})"
        raise ConfigError("--out", str(place), rule, "Give another file with --out") from None
    finally:
        if draft is not None:
            with suppress(OSError):
                draft.unlink(missing_ok=True)

"""Opens the databases of a bank manifest, known or generated, and their tasks; keeps the last one per process.

A worker fits many trials of one task after another; reading its database once is enough.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from relselect.bank.manifest import BankManifest, BankSource, read_bank_manifest
from relselect.configs import config_path, declared_licence, known_databases, open_database
from relselect.database.yaml_loader import load_yaml
from relselect.errors import ConfigError
from relselect.tasks import Task

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.tasks.splits import Split

__all__ = [
    "DatabaseGenerator",
    "GeneratedDatabase",
    "OpenedSource",
    "databases_of",
    "licence_of",
    "opened",
    "task_names",
]


class GeneratedDatabase(Protocol):
    """What a generator makes, such as a `relselect.examples.Example`."""

    @property
    def database(self) -> Database:
        """The database."""
        ...

    @property
    def tasks(self) -> Mapping[str, Task]:
        """Task name -> task."""
        ...

    @property
    def bayes(self) -> Mapping[str, Mapping[Split, float]]:
        """Task name -> split -> the best possible score; empty where it is not known."""
        ...


class DatabaseGenerator(Protocol):
    """Makes databases by name; a class without arguments."""

    def names(self) -> Sequence[str]:
        """Return the names of the databases that it makes when a manifest lists none."""
        ...

    def facts(self, name: str, **parameters: Any) -> Mapping[str, Any]:
        """Return what is known of the structure of a database, JSON-able."""
        ...

    def make(self, name: str, **parameters: Any) -> GeneratedDatabase:
        """Return a database; equal names and parameters give equal databases."""
        ...


@dataclass
class OpenedSource:
    """A database of a bank, and its tasks as they are asked for.

    Attributes:
        database: The database.
        tasks: Name -> task, where they are made with the database; else they are built when asked for.
        bayes: Task name -> split -> score of the best possible prediction, where it is known.
        facts: JSON-able facts of the generation.
    """

    database: Database
    tasks: Mapping[str, Task] | None = None
    bayes: Mapping[str, Mapping[Split, float]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of the tasks."""
        return sorted(self.database.tasks if self.tasks is None else self.tasks)

    def task(self, name: str) -> Task:
        """Return a task by its name.

        Raises:
            ConfigError: There is no task of that name.
            TaskError: Its declaration does not fit the database.
        """
        if name not in self.names:
            raise ConfigError("task", name, f"is no task of {self.database.name}", f"Use one of: {self.names}")
        if self.tasks is not None:
            return self.tasks[name]
        return Task.from_spec(self.database, self.database.tasks[name], name)


@lru_cache(maxsize=1)
def opened(manifest: str, name: str) -> OpenedSource:
    """Return a database of the manifest in a file, opened; the last one of this process is kept.

    Args:
        manifest: Path of the manifest.
        name: Name of the database in it.

    Raises:
        RelSelectError: The database cannot be opened or generated.
    """
    plan = read_bank_manifest(manifest)
    source = plan.databases.get(name, BankSource())
    if plan.generator is None:
        return OpenedSource(open_database(source.place or name))
    generator = _generator(plan.generator)
    made = generator.make(name, **source.parameters)
    return OpenedSource(made.database, made.tasks, made.bayes, generator.facts(name, **source.parameters))


def databases_of(manifest: BankManifest) -> dict[str, BankSource]:
    """Return the databases of a manifest by name, those of its generator where it lists none.

    Raises:
        ConfigError: The generator cannot be imported.
    """
    if manifest.databases or manifest.generator is None:
        return dict(manifest.databases)
    return {name: BankSource() for name in _generator(manifest.generator).names()}


def task_names(manifest: BankManifest, path: str, name: str) -> list[str]:
    """Return the tasks of a database that a manifest takes, without reading its rows where its own manifest lists them.

    Raises:
        RelSelectError: The database cannot be opened or generated.
    """
    source = manifest.databases.get(name, BankSource())
    if source.tasks is not None:
        return list(source.tasks)
    place = source.place or name
    if manifest.generator is None and place in known_databases():
        return sorted(_declared(place).get("tasks", {}))
    return opened(path, name).names


def licence_of(manifest: BankManifest, name: str) -> str:
    """Return the licence of a database: the manifest's words, else those of a known database's own manifest."""
    source = manifest.databases.get(name, BankSource())
    if source.licence is not None:
        return source.licence
    return declared_licence(source.place or name)


def _declared(name: str) -> dict[str, Any]:
    found: dict[str, Any] = load_yaml(config_path("databases", f"{name}.yaml"))
    return found


def _generator(dotted: str) -> DatabaseGenerator:
    module, _, name = dotted.partition(":")
    try:
        made: DatabaseGenerator = getattr(importlib.import_module(module), name)()
        return made
    except (ImportError, AttributeError) as error:
        rule = f"cannot be imported ({error})"
        raise ConfigError("generator", dotted, rule, "Name a class of an installed module: module:Class") from error

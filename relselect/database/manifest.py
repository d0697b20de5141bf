"""Parses manifests (`database.yaml`), which declare keys, times, masks and tasks of a database.

`configs/database.schema.json` is generated from the models here. The files or the database that a manifest names are
read in `relselect.database.sources`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from relselect.database.confined import PATHS_VARIABLE, allowed_outside, check_confined, leaves_folder
from relselect.database.schema import TableSchema, as_columns, declared_types
from relselect.database.sources.uri import redact, redact_all
from relselect.database.table import ForeignKey
from relselect.database.task_spec import LabelFiles, TaskSpec
from relselect.database.validation import LISTED_CLOCK
from relselect.database.yaml_loader import load_yaml
from relselect.errors import ConfigError, DataNotFound, SchemaError, SchemaProblem

__all__ = [
    "DATA_VARIABLE",
    "MANIFEST_NAME",
    "ForeignKeySpec",
    "Manifest",
    "TableSpec",
    "is_confined",
    "load_manifest",
    "parse_manifest",
    "resolve_root",
    "schema_of",
]

#: The one environment variable that a manifest's `root` may name.
DATA_VARIABLE = "RELSELECT_DATA"

#: The file name of a manifest beside its data.
MANIFEST_NAME = "database.yaml"

TypeName = Literal["numerical", "categorical", "boolean", "timestamp", "text", "ignored"]


class ForeignKeySpec(BaseModel):
    """Columns that hold the primary key of a table."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    columns: str | list[str] = Field(description="The referring column, or columns in the order of the primary key.")
    table: str = Field(description="The table referred to; always by its primary key.")


class TableSpec(BaseModel):
    """One table: its file, primary key, time, foreign keys, and the treatment of single columns."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    description: str = Field(default="", description="What a row is, in words.")
    file: str | None = Field(
        default=None,
        description="Parquet or CSV file, or a glob of files with the same columns, relative to the root; "
        "<table>.parquet or <table>.csv when left out.",
    )
    where: str | None = Field(
        default=None,
        description="SQL predicate, in the database's dialect, on the rows that are read; trusted. Only with `uri`.",
    )
    primary_key: str | list[str] | None = Field(
        default=None,
        description="The column or columns that identify a row; null for none. With `uri`, the database's own when left out.",
    )
    time: str | None = Field(
        default=None,
        description="The column that says when a row became known, or the path to the time of its parent: a foreign key, a dot, "
        "and a column of the parent, such as order_id.placed_at. Null for a table that is always visible.",
    )
    foreign_keys: list[ForeignKeySpec] = Field(
        default_factory=list,
        description="References to other tables; [] for none. With `uri`, the database's own when left out.",
    )
    types: dict[str, TypeName] = Field(
        default_factory=dict, description="Semantic types of columns where inference would be wrong."
    )
    drop: list[str] = Field(
        default_factory=list, description="Columns that are not read, such as those written after the row."
    )
    known_at: dict[str, list[str]] = Field(
        default_factory=dict,
        description="Clock column to columns whose values are known only from that time on, [] for none; the "
        "clock itself is masked too.",
    )
    formats: dict[str, str] = Field(
        default_factory=dict,
        description="Column to how its texts or whole numbers are to be read: a picture of a time (DD.MM.YYYY hh:mm), ISO 8601, "
        "seconds or milliseconds since 1970, or an example of a number (1.234,56 or 1,234.56 EUR).",
    )


class Manifest(BaseModel):
    """A database: the place of its files or tables, their declarations, and its tasks."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str = Field(description="The name of the database.")
    description: str = Field(default="", description="What the database holds, in words.")
    licence: str = Field(default="", description="The licence of the data.")
    source: str = Field(default="", description="Where the data come from.")
    root: str | None = Field(
        default=None,
        description="The folder with the data: below the folder of this file, or ${RELSELECT_DATA}/... Others only where "
        "RELSELECT_ALLOW_PATHS is 1. Left out: the folder of this file.",
    )
    uri: str | None = Field(
        default=None,
        description="The database to read instead of files: postgresql://${PGUSER}@host/db, sqlite:///file, "
        "duckdb:///file. ${VARIABLE} is read from the environment; no password is allowed here.",
    )
    schemas: str | list[str] | None = Field(
        default=None,
        alias="schema",
        description="The schema to read, or a list; the database's default schema when left out. Only with `uri`.",
    )
    tables: dict[str, TableSpec] = Field(
        default_factory=dict, description="The tables by name; with `uri` they may be left out: all tables are read."
    )
    tasks: dict[str, TaskSpec] = Field(default_factory=dict, description="The tasks by name.")

    @model_validator(mode="after")
    def _one_origin(self) -> Manifest:
        if self.uri is not None and self.root is not None:
            raise ValueError("root and uri exclude each other: files or a database")
        if self.uri is None and self.schemas is not None:
            raise ValueError("schema goes with uri")
        if self.uri is None and not self.tables:
            raise ValueError("needs tables: at least one, or uri")
        return self


def load_manifest(path: str | Path) -> Manifest:
    """Read a manifest file.

    Args:
        path: A YAML file.

    Raises:
        DataNotFound: There is no such file.
        ConfigError: The file is not UTF-8, or no YAML mapping.
        SchemaError: With every entry that is unknown, missing or of the wrong kind.
    """
    path = Path(path)
    if not path.is_file():
        raise DataNotFound("manifest", str(path), "there is no such file", "Pass the path of a database.yaml")
    try:
        data = load_yaml(path)
    except UnicodeDecodeError as error:
        raise ConfigError(
            "manifest", str(path), f"is not UTF-8 at byte {error.start}", "Save the file as UTF-8"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(
            "manifest", str(path), f"is not readable as YAML: {redact_all(str(error))}", "Correct that line"
        ) from None
    if not isinstance(data, dict):
        raise ConfigError("manifest", str(path), "holds no mapping", "Start with `name:` and `tables:`")
    return parse_manifest(data, path.name)


def parse_manifest(data: Mapping[str, Any], where: str = "manifest") -> Manifest:
    """Check a manifest given as a mapping.

    Args:
        data: The mapping, as YAML or JSON gives it.
        where: The name of the manifest in errors.

    Raises:
        SchemaError: With every entry that is unknown, missing or of the wrong kind.
    """
    try:
        manifest = Manifest.model_validate(data)
    except ValidationError as error:
        raise SchemaError(_problems(error, where)) from None
    problems = list(_references(manifest, where))
    if problems:
        raise SchemaError(problems)
    return manifest


def schema_of(specs: Mapping[str, TableSpec], name: str, columns: Mapping[str, str]) -> TableSchema:
    """Return the declarations of a table as a table without rows; dropped columns are left out.

    Args:
        specs: The declarations of all tables by name; foreign keys refer to their primary keys.
        name: The table.
        columns: Column -> name of its Arrow type, before any column is dropped.
    """
    spec = specs[name]
    return TableSchema(
        name=name,
        columns={column: dtype for column, dtype in columns.items() if column not in spec.drop},
        primary_key=as_columns(spec.primary_key),
        time=spec.time,
        foreign_keys=tuple(
            ForeignKey(as_columns(key.columns), key.table, as_columns(specs[key.table].primary_key))
            for key in spec.foreign_keys
        ),
        known_at={clock: tuple(masked) for clock, masked in spec.known_at.items()},
        types=declared_types(spec.types),
        formats=dict(spec.formats),
    )


def is_confined(manifest: Manifest) -> bool:
    """Whether the data lie in the manifest's own folder, so that links there may be a stranger's."""
    return manifest.root is None or DATA_VARIABLE not in manifest.root


def resolve_root(manifest: Manifest, folder: Path) -> Path:
    """Return the folder with the data of a manifest in `folder`.

    Raises:
        ConfigError: The root names another environment variable than RELSELECT_DATA, or lies outside `folder` or the folder
            that this variable names.
        DataNotFound: RELSELECT_DATA is not set, or the folder does not exist.
    """
    if manifest.root is None:
        return folder
    names = re.findall(r"\$\{?(\w+)\}?", manifest.root)
    others = [name for name in names if name != DATA_VARIABLE]
    if others:
        raise ConfigError(
            "root",
            redact(manifest.root),
            f"names {others[0]}, and only {DATA_VARIABLE} is read from the environment",
            f"Write ${{{DATA_VARIABLE}}}/... or a path",
        )
    value = os.environ.get(DATA_VARIABLE, "")
    if names and not value:
        wanted = manifest.root.replace(f"${{{DATA_VARIABLE}}}", "").replace(f"${DATA_VARIABLE}", "").strip("/")
        raise DataNotFound(
            "root",
            manifest.root,
            f"the environment variable {DATA_VARIABLE} is not set",
            f"Set it to the folder that holds {wanted}/, e.g. `export {DATA_VARIABLE}=/data`",
        )
    root = folder / manifest.root.replace(f"${{{DATA_VARIABLE}}}", value).replace(f"${DATA_VARIABLE}", value)
    if not root.is_dir():
        fix = (
            f"Correct {DATA_VARIABLE} (now {value}) or put the data there"
            if names
            else "Correct `root` in the manifest"
        )
        raise DataNotFound("root", redact(str(root)), "there is no such folder", fix)
    if not names:
        check_confined("root", manifest.root, root, folder)
    elif ".." in Path(manifest.root).parts:
        check_confined("root", manifest.root, root, Path(value))
    return root


def _references(manifest: Manifest, where: str) -> Iterable[SchemaProblem]:
    known = ", ".join(sorted(manifest.tables))
    for name, table in manifest.tables.items():
        place = f"{where}: tables.{name}"
        if table.where is not None and manifest.uri is None:
            rule = "restricts what is read of a database, and there is no uri"
            yield SchemaProblem(place, "where", table.where, rule, "Leave it out, or name the database as `uri`")
        yield from _outside(place, "file", table.file)
        for key in table.foreign_keys:
            if key.table not in manifest.tables:
                yield SchemaProblem(
                    place, "foreign_keys", key.table, "refers to a table that is not declared", f"Use one of: {known}"
                )
        for clock, masked in table.known_at.items():
            if clock in masked:
                yield SchemaProblem(place, "known_at", clock, *LISTED_CLOCK)
        for column in sorted(_used(table).intersection(table.drop)):
            yield SchemaProblem(
                place,
                column,
                "drop",
                "is dropped and also used by the declaration",
                "Keep it, or declare nothing about it",
            )
    for name, task in manifest.tasks.items():
        files = {} if task.files is None else task.files.model_dump()
        for field, path in (*((f"files.{split}", path) for split, path in files.items()), ("folds", task.folds)):
            yield from _outside(f"{where}: tasks.{name}", field, path)
        if manifest.tables and task.entity is not None and task.entity not in manifest.tables:
            yield SchemaProblem(
                f"{where}: tasks.{name}", "entity", task.entity, "is no declared table", f"Use one of: {known}"
            )


def _outside(place: str, field: str, path: str | None) -> Iterable[SchemaProblem]:
    """Yield a problem for a path that leaves the folder of the data, unless the caller allows such paths."""
    if path is not None and leaves_folder(path) and not allowed_outside():
        rule = "leaves the folder of the data, and a manifest names files in it alone"
        yield SchemaProblem(place, field, path, rule, f"Put the file there, or allow it: `export {PATHS_VARIABLE}=1`")


def _used(table: TableSpec) -> set[str]:
    keys = [table.primary_key or [], *(key.columns for key in table.foreign_keys)]
    used = {column for key in keys for column in ([key] if isinstance(key, str) else key)}
    used |= {
        *table.types,
        *table.formats,
        *table.known_at,
        *(column for masked in table.known_at.values() for column in masked),
    }
    return used | ({table.time} if table.time else set())


def _problems(error: ValidationError, where: str) -> list[SchemaProblem]:
    found: dict[tuple[Any, ...], SchemaProblem] = {}
    for details in error.errors(include_url=False):
        # pydantic reports a union once per member, with the member's name at the end of the path.
        path = tuple(part for part in details["loc"] if part not in ("str", "int", "list[str]"))
        problem = _problem(dict(details), path or ("",), where)
        earlier = found.get(path)
        found[path] = problem if earlier is None else replace(earlier, rule=f"{earlier.rule}, or {problem.rule}")
    return list(found.values())


def _problem(details: dict[str, Any], loc: tuple[Any, ...], where: str) -> SchemaProblem:
    *path, last = loc
    place = f"{where}: {'.'.join(map(str, path))}" if path else where
    shown = "{...}" if isinstance(details["input"], dict) else redact_all(str(details["input"]))
    if details["type"] == "extra_forbidden":
        return SchemaProblem(place, str(last), shown, "is not understood here", f"Use one of: {_fields(path)}")
    if details["type"] == "missing":
        return SchemaProblem(place, str(last), "missing", "is required", f"Add `{last}:`")
    message = details["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if isinstance(details["input"], bool):
        return SchemaProblem(place, str(last), shown, message, "Put quotes around yes, no, on, off, true or false")
    return SchemaProblem(
        place, str(last) or None, shown, message, "Correct it; configs/database.schema.json has the rules"
    )


def _fields(path: list[Any]) -> str:
    model: type[BaseModel] = Manifest
    if path and path[0] == "tables":
        model = ForeignKeySpec if "foreign_keys" in path else TableSpec
    elif path and path[0] == "tasks":
        model = LabelFiles if "files" in path else TaskSpec
    return ", ".join(field.alias or name for name, field in model.model_fields.items())

"""Paths of the shipped `configs/` and `bank/`, in a checkout or an installed package; opening databases.

Nothing here writes files or checks what they hold.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from relselect.errors import ConfigError, DataNotFound

if TYPE_CHECKING:
    from relselect.database import Database

__all__ = ["bank_path", "config_path", "declared_licence", "known_databases", "open_database", "place_of"]

_PACKAGE = Path(__file__).resolve().parent


def config_path(*parts: str) -> Path:
    """Return the path of a shipped configuration file or folder.

    Args:
        *parts: Its path below `configs/`.

    Raises:
        ConfigError: There is no such file.

    >>> config_path("databases").is_dir()
    True
    """
    return _shipped("configs", *parts)


def bank_path(*parts: str) -> Path:
    """Return the path of the shipped performance bank, or of a file in it.

    Args:
        *parts: Its path below `bank/`.

    Raises:
        ConfigError: There is no such file.
    """
    return _shipped("bank", *parts)


def known_databases() -> list[str]:
    """Return the names of the databases whose manifests are shipped, sorted; their data are not.

    >>> "rel-f1" in known_databases()
    True
    """
    return sorted(path.stem for path in config_path("databases").glob("*.yaml"))


def declared_licence(name: str) -> str:
    """Return the licence that the manifest of a known database names; empty for other databases."""
    from relselect.database.yaml_loader import load_yaml

    if name not in known_databases():
        return ""
    return str(load_yaml(config_path("databases", f"{name}.yaml")).get("licence", "")).strip()


def open_database(name_or_path: str | Path) -> Database:
    """Open a database by its name, path or address.

    Args:
        name_or_path: One of `known_databases()`, whose data are in the folder of that name in the folder that the environment
            variable RELSELECT_DATA names; else a folder, a manifest file, or an address as for `Database.from_uri`.

    Raises:
        DataNotFound: It is neither a known name nor a path, or RELSELECT_DATA is not set.
        SchemaError: With every problem of the manifest, the files and the tables.
        SourceError: A database cannot be read.
    """
    from relselect.database import Database
    from relselect.database.sources.folder import read_folder
    from relselect.database.sources.reading import read_uri
    from relselect.database.sources.uri import exists, is_uri, redact

    text = str(name_or_path)
    if text in known_databases():
        return Database.of(read_folder(config_path("databases", f"{text}.yaml"), source=text))
    if is_uri(text):
        return Database.of(read_uri(text))
    path = Path(name_or_path)
    if not exists(path) and not any(sign in text for sign in "*?["):
        known = ", ".join(known_databases())
        raise DataNotFound(
            "database",
            redact(text),
            "is neither a path, an address nor a known database",
            f"Pass postgresql://..., a folder with database.yaml, or one of: {known}",
        )
    return Database.of(read_folder(path) if path.is_dir() or path.suffix in (".yaml", ".yml") else read_uri(path))


def place_of(name_or_path: str) -> str | Path:
    """Return the path of a known database's manifest, else the address or path itself."""
    known = name_or_path in known_databases()
    return config_path("databases", f"{name_or_path}.yaml") if known else name_or_path


def _shipped(*parts: str) -> Path:
    for root in (_PACKAGE / "_data", _PACKAGE.parent):
        if (root / parts[0]).is_dir():
            path = root.joinpath(*parts)
            if path.exists():
                return path
            there = (
                ", ".join(sorted(entry.name for entry in path.parent.iterdir())) if path.parent.is_dir() else "nothing"
            )
            raise ConfigError("file", "/".join(parts), "is not shipped with relselect", f"There is: {there}")
    raise ConfigError("folder", parts[0], "is missing from this installation", "Install relselect again")

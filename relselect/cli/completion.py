"""What the shell completes: known databases, and the tasks of the manifest that a command names. It reads no data.

`relselect --install-completion` teaches the shell. Whatever fails completes nothing: a traceback has no place in a prompt.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import typer

__all__ = ["complete_database", "complete_task"]


def complete_database(incomplete: str) -> list[str]:
    """Returns the known databases; files are completed by the shell itself."""
    from relselect.configs import known_databases

    return [name for name in known_databases() if name.startswith(incomplete)]


def complete_task(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Returns the tasks of the manifest that the command names, with what each asks."""
    with suppress(Exception):
        from relselect.configs import config_path, known_databases
        from relselect.database.manifest import MANIFEST_NAME, load_manifest

        # an option that still waits for its value keeps the parser from naming the arguments before it
        source = str(context.params.get("source") or next(iter(context.args), ""))
        path = config_path("databases", f"{source}.yaml") if source in known_databases() else Path(source)
        manifest = load_manifest(path / MANIFEST_NAME if path.is_dir() else path)
        return [(name, spec.description) for name, spec in manifest.tasks.items() if name.startswith(incomplete)]
    return []

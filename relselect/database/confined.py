"""Keeps the paths that a manifest names inside its folder, links followed, unless the caller allows others.

The caller's own paths and the folder that RELSELECT_DATA names are not confined.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from relselect.errors import ConfigError

__all__ = ["PATHS_VARIABLE", "allowed_outside", "check_confined", "leaves_folder"]

#: The environment variable that allows a manifest, where it is 1, to name files outside its folder.
PATHS_VARIABLE = "RELSELECT_ALLOW_PATHS"


def allowed_outside() -> bool:
    """Whether the caller allows manifests to name files outside their folder."""
    return os.environ.get(PATHS_VARIABLE) == "1"


def leaves_folder(path: str) -> bool:
    """Whether the text of a path leads out of the folder that it starts from; links are not looked at.

    >>> [leaves_folder(path) for path in ("a/b.csv", "../b.csv", "/etc/b.csv", "C:/b.csv", "~/b.csv")]
    [False, True, True, True, True]
    """
    parts = re.split(r"[/\\]", path)
    return ".." in parts or parts[0] in ("", "~") or ":" in parts[0] or "\x00" in path


def check_confined(argument: str, written: str, path: Path, folder: Path) -> None:
    """Refuse a path that lies outside a folder, links followed, unless the caller allows it.

    Args:
        argument: What names the path, for the message.
        written: The path as it is written.
        path: The path.
        folder: The folder of the manifest or of its data.

    Raises:
        ConfigError: It lies outside.
    """
    if allowed_outside() or path.resolve().is_relative_to(folder.resolve()):
        return
    rule = f"leads out of {folder}, and a manifest names files in its folder alone, links followed"
    raise ConfigError(argument, written, rule, f"Put the data there, or allow it: `export {PATHS_VARIABLE}=1`")

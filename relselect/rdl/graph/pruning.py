"""Which folders of arrays a store deletes before it writes another one: those that nothing has opened for long."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from contextlib import suppress
from pathlib import Path

__all__ = ["KEPT_SECONDS", "SHARE_OF_DISK", "note_use", "prune"]

#: A folder that was not opened for so long is deleted: 30 days.
KEPT_SECONDS = 30 * 86_400.0
#: All folders together take at most this share of their disk; those opened least recently go first.
SHARE_OF_DISK = 0.25
#: A folder opened within the last hour stays, whatever the others take: a process may be about to read it.
_IN_USE = 3_600.0


def note_use(seal: Path) -> None:
    """Remember that a folder was opened: the time of its last file is set to now, where that is allowed."""
    with suppress(OSError):
        os.utime(seal)


def prune(root: Path, seal: str, most_bytes: float | None = None) -> list[Path]:
    """Delete folders that were not opened for 30 days, then the least recently opened ones beyond a quarter of the disk.

    A folder whose arrays a process has mapped may be deleted: on POSIX systems the process keeps them, and where a system refuses
    the folder stays.

    Args:
        root: The folder of the folders; may be missing.
        seal: The file that every complete folder holds, whose time is that of its last use; other folders stay.
        most_bytes: Bytes that all may take together; None for a quarter of the disk.

    Returns:
        The deleted folders.
    """
    if not root.is_dir():
        return []
    now = time.time()
    limit = SHARE_OF_DISK * shutil.disk_usage(root).total if most_bytes is None else most_bytes
    deleted, taken = [], 0
    for used, size, folder in sorted(_folders(root, seal), reverse=True):
        taken += size
        age = now - used
        if age > KEPT_SECONDS or (taken > limit and age > _IN_USE):
            removed = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.removed")
            with suppress(OSError):  # another process did it, or the system refuses while the arrays are mapped
                folder.rename(removed)  # in one step: no reader finds half a folder
                shutil.rmtree(removed, ignore_errors=True)
                deleted.append(folder)
    return deleted


def _folders(root: Path, seal: str) -> list[tuple[float, int, Path]]:
    """Return the time of the last use, the bytes and the path of every complete folder."""
    found = []
    for folder in root.iterdir():
        with suppress(OSError):  # another process may delete it at the same time
            used = (folder / seal).stat().st_mtime
            found.append((used, sum(file.stat().st_size for file in folder.iterdir()), folder))
    return found

"""Holds tables in memory up to a limit and further ones in memory-mapped Arrow files.

The files are temporary and have no name, so that a process leaves none behind, however it ends, and a later run finds no
stale one. Their space is freed with the last table that uses them. Nothing is cached between runs.
"""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from relselect.database.byte_sizes import parse_bytes
from relselect.errors import SourceError
from relselect.files import cache_path

__all__ = ["Spool", "free_memory"]

#: The share of the free memory that tables may fill before further ones go to files.
SHARE = 0.25


class Spool:
    """Collects the tables of one database, in memory up to a limit and in files beyond it.

    Args:
        memory: Bytes that the tables may fill in memory, or a text such as "4GB" (see `parse_bytes`); 0 puts every table
            into a file; a quarter of the free memory if None.
        folder: The folder of the files; if None, `$RELSELECT_CACHE`, `$XDG_CACHE_HOME/relselect` or
            `~/.cache/relselect`, and the system's folder for temporary files if that cannot be written to.

    Attributes:
        sizes: Table -> bytes in files.
    """

    def __init__(self, memory: int | str | None = None, folder: str | Path | None = None) -> None:
        self.limit = int(free_memory() * SHARE) if memory is None else parse_bytes(memory, zero=True)
        self.sizes: dict[str, int] = {}
        self._given = None if folder is None else Path(folder)
        self._used = 0

    def collect(self, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Table:
        """Return the batches as one table.

        Args:
            name: The table's name.
            schema: The schema of every batch.
            batches: The rows; read once. At most one batch beyond the limit is held in memory.

        Raises:
            SourceError: The files cannot be written.
        """
        held: list[pa.RecordBatch] = []
        size = 0
        rest = iter(batches)
        for batch in rest:
            held.append(batch)
            size += batch.nbytes
            if self._used + size > self.limit:
                return self._file(name, schema, held, rest)
        self._used += size
        return pa.Table.from_batches(held, schema)

    def _file(
        self, name: str, schema: pa.Schema, held: list[pa.RecordBatch], rest: Iterator[pa.RecordBatch]
    ) -> pa.Table:
        try:
            with _opened(self._given) as file:
                with pa.ipc.new_file(pa.PythonFile(file, mode="w"), schema) as writer:
                    while held:
                        writer.write_batch(held.pop(0))
                    for batch in rest:
                        writer.write_batch(batch)
                file.flush()
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            raise _unwritable(self._given or cache_path(), f"has no room left for {name}") from None
        self.sizes[name] = len(mapped)
        return pa.ipc.open_file(pa.BufferReader(pa.py_buffer(mapped))).read_all()


def free_memory() -> int:
    """Return the free memory of the machine, or of its container where that has less, in bytes."""
    found = [value for value in (_of_machine(), _of_container()) if value is not None]
    return max(min(found), 0) if found else 2**31


def _of_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _of_container() -> int | None:
    root = Path("/sys/fs/cgroup")
    try:
        limit = (root / "memory.max").read_text(encoding="ascii").strip()
        return None if limit == "max" else int(limit) - int((root / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _opened(given: Path | None) -> IO[bytes]:
    """Open a file without a name in the given folder, else in the default one or the system's."""
    try:
        folder = given or cache_path()
        folder.mkdir(parents=True, exist_ok=True)
        return _temporary(folder)
    except OSError as error:
        if given is not None:
            raise _unwritable(given, f"cannot be written ({error.strerror})") from None
        return _temporary(None)


def _temporary(folder: Path | None) -> Any:
    return tempfile.TemporaryFile(prefix="relselect-", dir=folder)


def _unwritable(folder: Path, rule: str) -> SourceError:
    fix = "Pass cache= with a folder on a larger disk, or read fewer rows or columns (where=, columns=, limit=)"
    return SourceError("cache", str(folder), rule, fix)

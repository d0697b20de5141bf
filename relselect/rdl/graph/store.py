"""Arrays in files: folders of arrays that are written once, in blocks, and read as memory maps.

A folder is named after a hash of what its arrays are computed from, so that equal content is written once and found again by
later processes; it appears under its name only when it is complete. Arrays are mapped read-only, so that the system counts no
memory for them and may drop their pages.

What the arrays are is decided in `relselect.rdl.graph.stored_graph` and `relselect.rdl.graph.stored_features`.
"""

from __future__ import annotations

import json
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from relselect.errors import ConfigError
from relselect.files import adding_folder, unwritable, write_json
from relselect.hashing import fingerprint_json
from relselect.rdl.graph.pruning import note_use, prune

__all__ = ["BLOCK", "ArrayFile", "ArrayFolder", "ArrayStore", "ArrayWriter", "blocks"]

#: Rows or edges that are computed at once.
BLOCK = 1 << 20
_FORMAT, _MANIFEST = 1, "manifest.json"
_DAMAGED = "Delete the folder: it is written anew"
_ROOM = "Set RELSELECT_CACHE to a folder that has room and may be written to, or use store=memory"


class ArrayFile:
    """An array that is written block by block and may be read once it is closed.

    Args:
        path: The file, which is created.
        dtype: The type of its numbers.
        width: Columns; None for an array of one dimension.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any], width: int | None) -> None:
        self.path, self.dtype, self.width, self.count = path, dtype, width, 0
        self._file: BinaryIO | None = path.open("xb")

    def append(self, block: NDArray[Any]) -> None:
        """Write further rows, (n,) or (n, width)."""
        if self._file is None:
            raise ValueError(f"{self.path.name} is closed")
        rows = np.ascontiguousarray(block, dtype=self.dtype)
        self._file.write(rows.data if rows.size else b"")
        self.count += len(rows)

    def close(self) -> None:
        """Write what is buffered; no row can follow."""
        if self._file is not None:
            self._file.close()
        self._file = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows,) or (rows, width)."""
        return (self.count,) if self.width is None else (self.count, self.width)

    def read(self) -> NDArray[Any]:
        """Close the file and return the array, mapped."""
        self.close()
        return _mapped(self.path, self.dtype, self.shape)


class ArrayWriter:
    """Writes the arrays of one folder.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict[str, Any] = {}
        self._files: dict[str, ArrayFile] = {}

    def file(self, name: str, dtype: Any, width: int | None = None) -> ArrayFile:
        """Begin an array; files are numbered, because a table's name may be no name of a file."""
        self._files[name] = ArrayFile(self.folder / f"{len(self._files)}.bin", np.dtype(dtype), width)
        return self._files[name]

    def whole(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        """Write an array and return it mapped."""
        file = self.file(name, array.dtype, array.shape[1] if array.ndim > 1 else None)
        file.append(array)
        return file.read()

    def close(self) -> None:
        """Close all files without a manifest."""
        for file in self._files.values():
            file.close()

    def seal(self, identity: str) -> None:
        """Write the manifest, without which nothing is read."""
        self.close()
        arrays = {
            name: {"file": each.path.name, "dtype": each.dtype.str, "shape": list(each.shape)}
            for name, each in self._files.items()
        }
        manifest = {"format": _FORMAT, "identity": identity, "arrays": arrays, "facts": self.facts}
        write_json(self.folder / _MANIFEST, manifest, sole_writer=True)


@dataclass(frozen=True)
class ArrayFolder:
    """The arrays of a complete folder, mapped.

    Attributes:
        folder: The folder.
        arrays: By name.
        facts: What was noted beside them, JSON-able.
        nbytes: 0, the memory that the arrays take of their own: the system drops their pages when it needs room.
    """

    folder: Path
    arrays: dict[str, NDArray[Any]]
    facts: dict[str, Any]
    nbytes: int = 0

    def tensor(self, name: str) -> torch.Tensor:
        """Return an array as a tensor over the same memory, which must not be written to."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
            return torch.from_numpy(self.arrays[name])


class ArrayStore:
    """Folders of arrays under one root.

    Args:
        root: The root, which is created when the first folder is written.
        temporary: Whether the folders go into one of their own below the root, which is deleted with this object.
    """

    def __init__(self, root: Path, *, temporary: bool = False) -> None:
        self._kept = None
        if temporary:
            with unwritable("store", root, _ROOM):
                root.mkdir(parents=True, exist_ok=True)
                self._kept = tempfile.TemporaryDirectory(prefix="copy-", dir=root, ignore_cleanup_errors=True)
            root = Path(self._kept.name)
        self.root = root

    def get(self, kind: str, content: Any, build: Callable[[ArrayWriter], None]) -> ArrayFolder:
        """Return the folder of a content, written first where it is not there.

        Args:
            kind: What the arrays are, which begins the folder's name.
            content: JSON-able: everything that the arrays follow from.
            build: Writes the arrays.

        Raises:
            UnwritableError: The folder cannot be written: no right to, or no room left.
            ConfigError: The folder is damaged.
        """
        identity = fingerprint_json([_FORMAT, kind, content])
        folder = self.root / f"{kind}-{identity[:32]}"
        if not folder.exists():
            if self._kept is None:
                prune(self.root, _MANIFEST)
            with unwritable("store", folder, _ROOM), adding_folder(folder) as draft, _writing(draft) as writer:
                build(writer)
                writer.seal(identity)
        return _opened(folder, identity)


@contextmanager
def _writing(draft: Path) -> Iterator[ArrayWriter]:
    writer = ArrayWriter(draft)
    try:
        yield writer
    finally:
        writer.close()


def _opened(folder: Path, identity: str) -> ArrayFolder:
    """Map the arrays of a folder.

    Raises:
        ConfigError: A file is missing, of another size than its manifest says, or the manifest cannot be read.
    """
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != _FORMAT or manifest["identity"] != identity:
            raise ValueError(f"{_MANIFEST} is of another content")
        arrays = {
            name: _mapped(folder / each["file"], np.dtype(each["dtype"]), tuple(each["shape"]))
            for name, each in manifest["arrays"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{error.strerror}: {error.filename}" if isinstance(error, OSError) else str(error)
        raise ConfigError("store", str(folder), f"is damaged ({reason})", _DAMAGED) from error
    note_use(folder / _MANIFEST)
    return ArrayFolder(folder, arrays, manifest["facts"])


def _mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    size, wanted = path.stat().st_size, math.prod(shape) * dtype.itemsize
    if size != wanted:
        raise ValueError(f"{path.name} has {size:,} bytes and should have {wanted:,}")
    if not wanted:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype, mode="r", shape=shape).view(np.ndarray)


def blocks(count: int, size: int = 0) -> Iterator[tuple[int, int]]:
    """Yield the bounds of consecutive blocks of `count` rows, `BLOCK` rows each unless another size is asked for."""
    step = size or BLOCK
    for begin in range(0, count, step):
        yield begin, min(begin + step, count)

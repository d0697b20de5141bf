"""The type of an example (a database with tasks), and readers of data files inside installed packages."""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from relselect.database import Database
from relselect.errors import ConfigError, DataNotFound, MissingExtra
from relselect.tasks import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.tasks.splits import Split

__all__ = ["Example", "column", "package_folder", "parse_csv", "read_member"]

#: Block size in bytes. Types are inferred from the first block, so it must reach the first values of sparse columns.
_BLOCK = 1 << 23


@dataclass(frozen=True)
class Example:
    """A database with tasks.

    Attributes:
        database: The database.
        tasks: Task name -> task.
        bayes: Task name -> split -> the best possible score in the task's metric, higher is better; empty where it is not known.
    """

    database: Database
    tasks: Mapping[str, Task]
    bayes: Mapping[str, Mapping[Split, float]] = field(default_factory=dict)

    def task(self, name: str) -> Task:
        """Return a task by its name.

        Raises:
            ConfigError: There is no task of that name.
        """
        if name not in self.tasks:
            known = ", ".join(sorted(self.tasks))
            raise ConfigError("task", name, f"is no task of {self.database.name}", f"Use one of: {known}")
        return self.tasks[name]


def package_folder(package: str) -> Path:
    """Return the `data` folder of an installed package without importing it, because importing it may print or write files.

    Raises:
        MissingExtra: The package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingExtra(package, "examples")
    return Path(spec.origin).parent / "data"


def read_member(archive: Path, ending: str) -> bytes:
    """Return the bytes of the file in a zip archive whose path ends in `ending`.

    Raises:
        DataNotFound: The archive or the file in it does not exist.
    """
    try:
        with zipfile.ZipFile(archive) as files:
            return files.read(next(name for name in files.namelist() if name.endswith(ending)))
    except (OSError, StopIteration, zipfile.BadZipFile):
        place = f"{archive.name}/{ending}"
        raise DataNotFound("file", place, "is not in the installed package", "Install the package again") from None


def parse_csv(content: bytes, missing: str) -> pa.Table:
    """Return a CSV file as a table; empty values and values equal to `missing` are NULL, in text columns too."""
    from pyarrow import csv

    convert = csv.ConvertOptions(null_values=["", missing], strings_can_be_null=True)
    read = csv.ReadOptions(block_size=_BLOCK)
    return csv.read_csv(pa.BufferReader(content), read, convert_options=convert)


def column(table: pa.Table, name: str) -> NDArray[np.float64]:
    """Return a column of numbers as float64 of shape (rows,); NULL is nan."""
    return np.asarray(table[name].cast(pa.float64()).to_numpy(), dtype=np.float64)

"""A candidate on disk: the family's model files, a JSON header and the predictions of the select rows.

The folder appears whole or not at all: it is written beside its place and moved there. Nothing is pickled.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from relselect.errors import BundleError
from relselect.families.candidate import Candidate
from relselect.files import replacing_folder, write_json
from relselect.untrusted import brief, open_regular, read_strict_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from relselect.families.protocol import Family

__all__ = ["HEADER", "load_candidate", "save_candidate"]

HEADER = "candidate.json"
_PREDICTIONS = "select_predictions.npy"
_FORMAT = 2


def save_candidate(family: Family, candidate: Candidate, folder: Path) -> None:
    """Write `candidate` into `folder`, replacing what was there.

    Args:
        family: The family that fitted it; its `save` writes the model files.
        candidate: What to write.
        folder: Its place; appears complete or not at all.
    """
    with replacing_folder(folder) as draft:
        family.save(candidate, draft)
        np.save(draft / _PREDICTIONS, np.asarray(candidate.predictions, dtype=np.float64), allow_pickle=False)
        write_json(draft / HEADER, {"format": _FORMAT, **candidate.to_json()}, sort_keys=True)


def load_candidate(family: Family, folder: Path) -> Candidate:
    """Read a candidate that `save_candidate` wrote.

    Args:
        family: The family that fitted it; its `load` reads the model files.
        folder: Where it stands.

    Raises:
        BundleError: A file is missing or not understood, or another family wrote it.
    """
    header = read_header(folder)
    if header.family != family.name:
        fix = f"Load it with the family {header.family!r}"
        raise BundleError("folder", str(folder), f"holds a candidate of {header.family!r}, not {family.name!r}", fix)
    return family.load(folder, header)


def read_header(folder: Path) -> Candidate:
    """Return the candidate in `folder` without its model and without the states of its checkpoints.

    Raises:
        BundleError: A file is missing or not understood.
    """
    try:
        stored = read_strict_json(folder / HEADER)
        predictions = _read_predictions(folder / _PREDICTIONS)
        if stored["format"] != _FORMAT:
            raise ValueError(f"format {stored['format']}, this relselect reads {_FORMAT}")
        return Candidate.from_json(stored, predictions)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise BundleError(
            "folder", str(folder), f"holds no readable candidate ({brief(error)})", "Fit it again"
        ) from error


def _read_predictions(path: Path) -> NDArray[np.float64]:
    """Return an array of float64 whose header says as many bytes as the file holds: a larger one would be allocated first.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no such array.
    """
    with os.fdopen(open_regular(path), "rb") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{path.name} is of another format")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        count = math.prod(shape)
        size = os.fstat(file.fileno()).st_size - file.tell()
        if dtype != np.float64 or not 1 <= len(shape) <= 2 or min(shape) < 0 or 8 * count != size:
            raise ValueError(f"{path.name} holds no predictions")
        file.seek(0)
        return np.load(file, allow_pickle=False)

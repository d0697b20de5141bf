"""Profiles kept between processes, by what they were measured on.

The key is the content of database and task, the version of the measures and of the package, the seed and the options:
what differs in any of them is measured again. A profile that the clock cut short is not kept, and one that cannot be
read, or was half written by a killed process, counts as not there.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from relselect._version import __version__
from relselect.files import write_json
from relselect.hashing import fingerprint_json
from relselect.profile.feature_affinity import tabpfn_weights
from relselect.profile.measure import VERSION, Profile

if TYPE_CHECKING:
    from relselect.problem import Problem

__all__ = ["ProfileCache"]


class ProfileCache:
    """Profiles in a folder, one JSON file each.

    Args:
        folder: Where they are kept; created when the first one is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, problem: Problem, seed: int, hops: int) -> Path:
        """Return the file that a profile would be kept in."""
        weights = tabpfn_weights(problem.task.kind)
        parts = {
            "database": problem.user_database.fingerprint,
            "task": problem.task.fingerprint,
            "types": {table: dict(types) for table, types in problem.types.items()},
            "measures": VERSION,
            "relselect": __version__,
            "seed": seed,
            "hops": hops,
            "tabpfn": None if weights is None else weights.name,
        }
        return self.folder / f"{fingerprint_json(parts)[:32]}.json"

    def read(self, place: Path) -> Profile | None:
        """Return the profile kept in a file, None where there is none that can be read."""
        try:
            return Profile.from_json(json.loads(place.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, place: Path, profile: Profile) -> None:
        """Keep a profile; a folder that cannot be written to is no error, the profile is then measured again."""
        with contextlib.suppress(OSError):
            write_json(place, profile.to_json())

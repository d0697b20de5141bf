"""Profiles stored in a folder, one JSON file each, under a hash of everything that they depend on.

The hash covers the content of the database and the task, the versions of the measures and of the package, the seed and the
options. A profile that the budget cut short is not stored, and a file that cannot be read counts as absent. Old files are never
deleted.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from relselect._version import __version__
from relselect.files import write_json
from relselect.hashing import fingerprint_json
from relselect.leaks import LEAK_CHECKS, spec_of
from relselect.profile.feature_affinity import tabpfn_weights
from relselect.profile.measure import VERSION, Profile

if TYPE_CHECKING:
    from collections.abc import Collection

    from relselect.problem import Problem

__all__ = ["ProfileCache"]


class ProfileCache:
    """A folder of profiles.

    Args:
        folder: The folder; created when the first profile is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, problem: Problem, seed: int, hops: int, only: Collection[str] | None = None) -> Path:
        """Return the path of the file of a profile, or of those measures of it that `only` names, whether it exists or not."""
        weights = tabpfn_weights(problem.task.kind)
        spec = spec_of(problem)
        parts = {
            "database": problem.user_database.fingerprint,
            "task": problem.task.fingerprint,
            "types": {table: dict(types) for table, types in problem.types.items()},
            "measures": VERSION,
            "relselect": __version__,
            "seed": seed,
            "hops": hops,
            "leak_checks": [name for check in LEAK_CHECKS for name in check.names],
            "accepted": {} if spec is None else dict(spec.accept),
            "tabpfn": None if weights is None else weights.name,
            "only": None if only is None else sorted(only),
        }
        return self.folder / f"{fingerprint_json(parts)[:32]}.json"

    def read(self, place: Path) -> Profile | None:
        """Return the profile stored in a file; None where the file is absent or cannot be read."""
        try:
            return Profile.from_json(json.loads(place.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, place: Path, profile: Profile) -> None:
        """Store a profile; a folder that cannot be written to is no error, because the profile can be measured again."""
        with contextlib.suppress(OSError):
            write_json(place, profile.to_json())

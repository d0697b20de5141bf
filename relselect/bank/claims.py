"""Claims: which trial which process is fitting now, so that two builders of one bank share the work.

A claim is a small file. It decides nothing about what is finished; a claim whose process is gone is taken over. A worker that
the system killed, for lack of memory as a rule, would be killed again by the same trial: its deaths are counted.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from relselect.files import write_json

__all__ = ["MOST_DEATHS", "Claims"]

#: Deaths of workers at one trial, after which it counts as failed.
MOST_DEATHS = 2


class Claims:
    """The claims of one bank.

    Args:
        folder: Where they lie.
        stale: Seconds after which the claim of a process on another machine is taken over.
    """

    def __init__(self, folder: Path, stale: float) -> None:
        self.folder, self.stale = folder, stale

    @contextmanager
    def claim(self, trial: str) -> Iterator[bool]:
        """Claim a trial within a `with` block; yields False where another process is fitting it now."""
        place = self.folder / f"{trial}.json"
        found = self._read(place)
        if found is not None and self._held(found):
            yield False
            return
        deaths = 0 if found is None else int(found.get("deaths", 0))
        mine = {"pid": os.getpid(), "host": platform.node(), "since": time.time(), "deaths": deaths}
        write_json(place, mine)
        yield True
        place.unlink(missing_ok=True)  # not after an exception that ends the process: the claim says what it was at

    def deaths(self, trial: str) -> int:
        """Return how many workers died while they were fitting a trial."""
        found = self._read(self.folder / f"{trial}.json")
        return 0 if found is None else int(found.get("deaths", 0))

    def count_deaths(self) -> None:
        """Add a death to each claim of this machine whose process is gone: called when workers of a pool were lost."""
        for place in self.folder.glob("*.json"):
            found = self._read(place)
            if found is not None and found["host"] == platform.node() and not _alive(int(found["pid"])):
                write_json(place, {**found, "deaths": int(found.get("deaths", 0)) + 1})

    def _held(self, found: dict[str, Any]) -> bool:
        if found["host"] != platform.node():
            return time.time() - float(found["since"]) < self.stale
        return int(found["pid"]) != os.getpid() and _alive(int(found["pid"]))

    @staticmethod
    def _read(place: Path) -> dict[str, Any] | None:
        with suppress(OSError, ValueError):
            found = json.loads(place.read_text(encoding="utf-8"))
            if isinstance(found, dict) and {"pid", "host", "since"} <= set(found):
                return found
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to somebody else
        return True
    return True

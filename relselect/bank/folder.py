"""A bank on disk: packed Parquet tables, and loose files of what was added since, one per row, each written atomically.

    manifest.json             format, sources, counts, sha256 of the packed files
    tasks.parquet             one row per task, its profile included
    trials.parquet            one row per trial
    labels/<task>.parquet     labels of select and test rows
    predictions/<task>.parquet  float32 predictions of the trials of a task on these rows
    evidence.parquet          comparisons of the defaults, where they were computed
    loose/tasks, loose/trials   rows added since, one JSON file each
    loose/predictions           their predictions, one Parquet file per trial

A row is there as soon as its loose file is. Writers need no lock: a file is named by its row's id and moved into place, so that
two builders that do the same work write the same file. Packing takes a lock that ends with its process. What the rows mean is
no concern of this module.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from relselect._version import __version__
from relselect.bank.arrays import Part, read_labels, read_predictions, write_labels, write_predictions
from relselect.bank.pairs import PairEvidence
from relselect.bank.rows import BankRow, BankTask, BankTrial
from relselect.bank.tables import read_rows, write_rows
from relselect.errors import BankError
from relselect.files import check_writable, replacing, unwritable, write_json
from relselect.hashing import sha256_of_file
from relselect.untrusted import brief, read_strict_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from relselect.bank.arrays import LabelledPart

__all__ = ["FORMAT", "BankFolder", "best_of_each"]

#: Raised when the layout of the folder or the meaning of a field changes.
FORMAT = 1
_MANIFEST = "manifest.json"
_FIX = "Give a folder on a disk with room that you may write to; what was finished is kept"
_AGAIN = "Restore the file from a copy, or delete it and build what it held again"

RowT = TypeVar("RowT", bound=BankRow)


class BankFolder:
    """The files of a bank.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def existing(cls, path: Path) -> BankFolder:
        """Return the folder of a bank that is there.

        Raises:
            BankError: It is none, of another format, or its manifest cannot be read.
        """
        folder = cls(path)
        folder.manifest()
        return folder

    @classmethod
    def made(cls, path: Path) -> BankFolder:
        """Return the folder of a bank, begun where there is none.

        Raises:
            BankError: It holds something else, or a bank of another format.
            UnwritableError: It cannot be written.
        """
        folder = cls(path)
        check_writable("bank", path, folder=True, fix=_FIX)
        if not (path / _MANIFEST).exists():
            if path.is_dir() and any(path.iterdir()):
                raise BankError("bank", str(path), "holds files but no manifest.json", "Give a new or an empty folder")
            with unwritable("bank", path, _FIX):
                write_json(path / _MANIFEST, {"format": FORMAT, "relselect": __version__, "files": {}})
        folder.manifest()
        return folder

    def manifest(self) -> dict[str, Any]:
        """Return the manifest.

        Raises:
            BankError: It is missing, unreadable or of another format.
        """
        place = self.path / _MANIFEST
        if not place.is_file():
            raise BankError("bank", str(self.path), "holds no manifest.json", "Give the folder of a bank")
        with _readable(place):
            found = read_strict_json(place)
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            stored = found.get("format") if isinstance(found, dict) else None
            rule = f"has format {stored}, and this version reads format {FORMAT}"
            raise BankError("bank", str(self.path), rule, "Use the version of relselect that wrote it")
        return found

    def tasks(self) -> list[BankTask]:
        """Return all tasks, by id.

        Raises:
            BankError: A file cannot be read.
        """
        return self._rows(BankTask, "tasks")

    def trials(self) -> list[BankTrial]:
        """Return all trials, by id; of two rows with one id the one that comes first in `BankTrial.rank`.

        Raises:
            BankError: A file cannot be read.
        """
        return self._rows(BankTrial, "trials")

    def _rows(self, kind: type[RowT], name: str) -> list[RowT]:
        found: list[RowT] = []
        loose = sorted((self.path / "loose" / name).glob("*.json"))  # first: packing moves rows the other way
        for place in loose:
            with contextlib.suppress(FileNotFoundError), _readable(place):
                found.append(kind.from_json(read_strict_json(place)))
        packed = self.path / f"{name}.parquet"
        if packed.exists():
            with _readable(packed):
                found += read_rows(packed, kind)
        return best_of_each(found)

    def evidence(self) -> list[PairEvidence]:
        """Return the comparisons that were stored; see `relselect.bank.evidence`.

        Raises:
            BankError: The file cannot be read.
        """
        place = self.path / "evidence.parquet"
        if not place.exists():
            return []
        with _readable(place):
            return read_rows(place, PairEvidence)

    def write_evidence(self, rows: Sequence[PairEvidence]) -> None:
        """Store comparisons in the place of those that were there.

        Raises:
            UnwritableError: The disk is full, or the folder cannot be written.
        """
        with unwritable("bank", self.path, _FIX), replacing(self.path / "evidence.parquet") as draft:
            write_rows(draft, PairEvidence, rows)

    def labels(self, task: str) -> dict[Part, LabelledPart] | None:
        """Return the labels of a task; None where they are not kept.

        Raises:
            BankError: The file cannot be read.
        """
        place = self._labels(task)
        if not place.exists():
            return None
        with _readable(place):
            return read_labels(place)

    def predictions(self, task: str, trials: Sequence[str]) -> dict[str, dict[Part, NDArray[np.float32]]]:
        """Return the predictions of trials of one task, by trial id; trials without predictions are left out.

        Raises:
            BankError: A file cannot be read.
        """
        wanted = set(trials)
        found: dict[str, dict[Part, NDArray[np.float32]]] = {}
        for place in [*(self._loose_predictions(each) for each in trials), self._predictions(task)]:
            if place.exists():
                with contextlib.suppress(FileNotFoundError), _readable(place):
                    found |= read_predictions(place)
        return {trial: parts for trial, parts in found.items() if trial in wanted}

    def add_task(self, task: BankTask, labels: Mapping[Part, LabelledPart] | None) -> None:
        """Add a task; one that is there already is replaced by itself.

        Raises:
            UnwritableError: The disk is full, or the folder cannot be written.
        """
        with unwritable("bank", self.path, _FIX):
            if labels is not None:
                with replacing(self._labels(task.id)) as draft:
                    write_labels(draft, labels)
            write_json(self.path / "loose" / "tasks" / f"{task.id}.json", task.to_json())

    def add_trial(self, trial: BankTrial, predictions: Mapping[Part, NDArray[np.float32]] | None) -> None:
        """Add a trial; its predictions are written first, so that a row that is there is whole.

        Raises:
            UnwritableError: The disk is full, or the folder cannot be written.
        """
        with unwritable("bank", self.path, _FIX):
            if predictions is not None:
                with replacing(self._loose_predictions(trial.id)) as draft:
                    write_predictions(draft, {trial.id: predictions})
            write_json(self.path / "loose" / "trials" / f"{trial.id}.json", trial.to_json())

    def pack(self) -> None:
        """Move all loose rows into the Parquet tables; a process that is killed meanwhile loses nothing.

        Raises:
            BankError: A file cannot be read, or another process is packing.
            UnwritableError: The disk is full, or the folder cannot be written.
        """
        with unwritable("bank", self.path, _FIX), self._sole_packer():
            loose = {name: sorted((self.path / "loose" / name).glob("*.json")) for name in ("tasks", "trials")}
            tasks, trials = self.tasks(), self.trials()
            packed = self._pack_predictions(trials)
            for name, kind, rows in (("tasks", BankTask, tasks), ("trials", BankTrial, trials)):
                with replacing(self.path / f"{name}.parquet") as draft:
                    write_rows(draft, kind, rows)
            self._write_manifest(tasks, trials)
            for place in [*loose["tasks"], *loose["trials"], *packed]:
                place.unlink(missing_ok=True)

    def _pack_predictions(self, trials: Sequence[BankTrial]) -> list[Path]:
        """Move loose predictions to the files of their tasks and return their former places, which may be deleted later."""
        by_task: dict[str, list[str]] = {}
        for trial in trials:
            if self._loose_predictions(trial.id).exists():
                by_task.setdefault(trial.task, []).append(trial.id)
        for task in by_task:
            found = self.predictions(task, [trial.id for trial in trials if trial.task == task])
            with replacing(self._predictions(task)) as draft:
                write_predictions(draft, found)
        return [self._loose_predictions(trial) for added in by_task.values() for trial in added]

    def _write_manifest(self, tasks: Sequence[BankTask], trials: Sequence[BankTrial]) -> None:
        single = ("tasks.parquet", "trials.parquet", "evidence.parquet")
        packed = [self.path / name for name in single if (self.path / name).exists()]
        packed += sorted((self.path / "labels").glob("*.parquet")) + sorted(
            (self.path / "predictions").glob("*.parquet")
        )
        sources = {
            task.database: {"fingerprint": task.database_fingerprint, "origin": task.origin, "licence": task.licence}
            for task in sorted(tasks, key=lambda each: each.title)
        }
        value = {
            **self.manifest(),
            "relselect": __version__,
            "sources": sources,
            "protocols": sorted({(task.regime, task.validation) for task in tasks}),
            "generations": sorted({(trial.family, trial.generation) for trial in trials}),
            "counts": {"tasks": len(tasks), "trials": len(trials), "failed": sum(each.failed for each in trials)},
            "files": {place.relative_to(self.path).as_posix(): sha256_of_file(place) for place in packed},
        }
        write_json(self.path / _MANIFEST, value)

    @contextlib.contextmanager
    def _sole_packer(self) -> Iterator[None]:
        with (self.path / ".pack.lock").open("w", encoding="utf-8") as handle:
            try:
                import fcntl
            except ImportError:  # Windows has no advisory locks of this kind
                yield
                return
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                rule = "is being packed by another process"
                raise BankError("bank", str(self.path), rule, "Wait for it to end, and pack again") from None
            yield

    def _labels(self, task: str) -> Path:
        return self.path / "labels" / f"{task}.parquet"

    def _predictions(self, task: str) -> Path:
        return self.path / "predictions" / f"{task}.parquet"

    def _loose_predictions(self, trial: str) -> Path:
        return self.path / "loose" / "predictions" / f"{trial}.parquet"


def best_of_each(rows: Sequence[RowT]) -> list[RowT]:
    """Return one row per id, by id: of trials the first in `BankTrial.rank`, of tasks the one whose JSON comes first.

    The choice does not depend on the order of the rows, so that merging banks is associative and commutative.
    """
    found: dict[str, RowT] = {}
    for row in rows:
        other = found.get(row.id)
        if other is None or row.rank < other.rank:
            found[row.id] = row
    return [found[each] for each in sorted(found)]


@contextlib.contextmanager
def _readable(place: Path) -> Iterator[None]:
    """Turn what reading a file raises into a BankError that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BankError("file", str(place), f"cannot be read ({brief(error)})", _AGAIN) from error

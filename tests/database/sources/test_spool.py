"""Tables in memory-mapped files: the same tables, sizes told, nothing left behind."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow as pa
import pytest

from relselect.database.sources import spool as module
from relselect.database.sources.spool import Spool, free_memory
from relselect.errors import ConfigError, SourceError

SCHEMA = pa.schema([("x", pa.int64()), ("w", pa.string())])


def batches(number: int = 10, rows: int = 1000):
    for _ in range(number):
        yield pa.RecordBatch.from_pydict({"x": list(range(rows)), "w": ["é"] * (rows - 1) + [None]}, SCHEMA)


def test_large_tables_go_to_files_and_are_the_same(tmp_path):
    spool = Spool(memory=100_000, folder=tmp_path)
    small = spool.collect("small", SCHEMA, batches(1))
    before = pa.total_allocated_bytes()
    large = spool.collect("large", SCHEMA, batches(100))
    assert pa.total_allocated_bytes() - before < 10_000  # the rows lie in the file
    assert set(spool.sizes) == {"large"}
    assert spool.sizes["large"] >= large.nbytes
    assert large.equals(Spool(memory="1GB").collect("x", SCHEMA, batches(100)))
    assert small.num_rows == 1000
    assert list(tmp_path.iterdir()) == []


def test_what_tables_fill_together_counts(tmp_path):
    spool = Spool(memory=40_000, folder=tmp_path)
    for name in "abc":
        spool.collect(name, SCHEMA, batches(1))
    assert set(spool.sizes) == {"c"}


def test_empty_tables(tmp_path):
    assert Spool(0, tmp_path).collect("a", SCHEMA, iter(())).schema == SCHEMA
    empty = pa.RecordBatch.from_pydict({"x": [], "w": []}, SCHEMA)
    assert Spool(0, tmp_path).collect("a", SCHEMA, iter([empty])).num_rows == 0


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks at Linux's list of open files")
def test_space_is_given_back_with_the_last_table(tmp_path):
    def mapped() -> int:
        return Path("/proc/self/maps").read_text().count(str(tmp_path))

    table = Spool(0, tmp_path).collect("a", SCHEMA, batches())
    part = table.slice(3, 1)
    assert mapped() == 1
    del table
    gc.collect()
    assert mapped() == 1
    assert part["x"].to_pylist() == [3]
    del part
    gc.collect()
    assert mapped() == 0


def test_a_read_that_breaks_leaves_nothing(tmp_path):
    def broken():
        yield from batches(2)
        raise SourceError("uri", "x", "is lost", "Run it again")

    with pytest.raises(SourceError):
        Spool(0, tmp_path).collect("a", SCHEMA, broken())
    assert list(tmp_path.iterdir()) == []


def test_a_kill_leaves_nothing(tmp_path):
    script = f"""
        import os, signal, pyarrow as pa
        from relselect.database.sources.spool import Spool
        schema = pa.schema([("x", pa.int64())])
        def batches():
            for _ in range(3):
                yield pa.RecordBatch.from_pydict({{"x": list(range(100_000))}}, schema)
            os.kill(os.getpid(), signal.SIGKILL)
        Spool(0, {str(tmp_path)!r}).collect("a", schema, batches())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -9
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_written(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(SourceError, match="cache"):
        Spool(0, file).collect("a", SCHEMA, batches(1))
    monkeypatch.setenv("RELSELECT_CACHE", str(file))
    assert Spool(0).collect("a", SCHEMA, batches(1)).num_rows == 1000  # the folder for temporary files does


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_temporary", lambda folder: Path("/dev/full").open("wb"))  # noqa: SIM115
    with pytest.raises(SourceError, match="no room left for a"):
        Spool(0, tmp_path).collect("a", SCHEMA, batches(20))


def test_the_limit_is_a_size_or_a_share_of_the_free_memory():
    assert free_memory() > 0
    assert Spool("1.5 kB").limit == 1500
    assert 0 < Spool().limit <= free_memory()
    for wrong in ("much", -1, True, "5 apples"):
        with pytest.raises(ConfigError, match="memory_limit"):
            Spool(wrong)

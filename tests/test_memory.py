"""Peak memory, on this platform and on the others."""

from __future__ import annotations

import ast
import ctypes
import math
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import relselect
from relselect.memory import memory_ceiling, peak_memory_mb


def test_the_peak_grows_by_what_was_allocated_and_stays() -> None:
    before = peak_memory_mb()
    assert 10 < before < 2**20
    block = np.ones(int(before + 64) * 2**17)
    del block
    assert peak_memory_mb() >= before + 64


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the limit")
def test_a_ceiling_holds_within_its_block_and_in_every_thread() -> None:
    import resource

    def taken(size: int) -> bool:
        try:
            return len(bytearray(size)) == size
        except MemoryError:
            return False

    before, large = resource.getrlimit(resource.RLIMIT_DATA), 256 << 20
    with memory_ceiling(64 << 20):
        found: list[bool] = []
        thread = threading.Thread(target=lambda: found.append(taken(large)))
        thread.start()
        thread.join()
        assert found == [False]
        assert taken(1 << 20)
        with memory_ceiling(1 << 40):
            assert not taken(large)
        assert not taken(large)
    assert taken(large)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the limit")
def test_ceilings_that_overlap_are_lifted_with_the_last() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    one, other = memory_ceiling(1 << 32), memory_ceiling(1 << 31)
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] < 1 << 40
    other.__exit__(None, None, None)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_other_platforms_have_no_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "resource", None)
    with memory_ceiling(1):
        assert len(bytearray(1 << 24)) == 1 << 24


@pytest.mark.parametrize(("platform", "unit"), [("linux", 2**10), ("freebsd14", 2**10), ("darwin", 2**20)])
def test_the_unit_is_the_platforms(platform: str, unit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: SimpleNamespace(ru_maxrss=300 * unit))
    monkeypatch.setitem(sys.modules, "resource", fake)
    monkeypatch.setattr(sys, "platform", platform)
    assert peak_memory_mb() == 300


def test_windows_asks_for_the_peak_working_set(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(process, counters, size) -> int:
        assert process == 2**40 - 1
        assert size == ctypes.sizeof(counters._obj)
        counters._obj.PeakWorkingSetSize = 300 * 2**20
        return 1

    def library(**functions):
        return SimpleNamespace(**{name: _Function(function) for name, function in functions.items()})

    libraries = SimpleNamespace(
        kernel32=library(GetCurrentProcess=lambda: 2**40 - 1), psapi=library(GetProcessMemoryInfo=read)
    )
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr(ctypes, "windll", libraries, raising=False)
    assert peak_memory_mb() == 300
    libraries.psapi.GetProcessMemoryInfo.function = lambda *arguments: 0
    assert math.isnan(peak_memory_mb())


def test_a_platform_that_does_not_say_is_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert math.isnan(peak_memory_mb())
    monkeypatch.setattr(sys, "platform", "win32")
    assert math.isnan(peak_memory_mb())


def test_no_module_imports_resource_at_its_top() -> None:
    """The module `resource` is missing on Windows."""
    for path in Path(relselect.__file__).parent.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert "resource" not in names, path


class _Function:
    """A foreign function: callable, and it takes declarations of its types."""

    def __init__(self, function) -> None:
        self.function = function

    def __call__(self, *arguments):
        return self.function(*arguments)

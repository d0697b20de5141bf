"""The artefact cache: keys, one build per key, sizes and the memory bound."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pytest

from relselect.database import Database, Table
from relselect.dfs.plan.column_facts import top_values
from relselect.problem import Problem
from relselect.problem.cache import ArtefactCache, default_bound, size_of
from relselect.tasks import Task


def test_names_with_slashes_do_not_collide():
    """Table `a` with column `b/c` and table `a/b` with column `c` once had the same key."""
    n = 40
    database = Database(
        [
            Table("users", pa.table({"id": range(n)}), ("id",)),
            Table("a", pa.table({"b/c": ["x", "y"] * n}), types={"b/c": "categorical"}),
            Table("a/b", pa.table({"c": ["p", "q", "q", "q"] * n}), types={"c": "categorical"}),
        ]
    )
    labels = pa.table({"id": range(n), "label": [0, 1] * (n // 2)})
    problem = Problem(database, Task.from_labels(database, labels, name="t", entity="users", kind="binary"))
    assert top_values(problem, "a", "b/c") == [("x", 0.5), ("y", 0.5)]
    assert top_values(problem, "a/b", "c") == [("q", 0.75), ("p", 0.25)]


def test_text_is_no_key():
    cache = ArtefactCache()
    with pytest.raises(TypeError, match="must be a tuple"):
        cache.get("dfs/codes/a/b", lambda: 1)
    assert len(cache) == 0


def test_one_thread_builds_and_the_others_wait():
    cache, built, all_started = ArtefactCache(), [], threading.Barrier(8)

    def build(number):
        built.append(number)
        return object()

    found = []

    def ask(number):
        all_started.wait()
        found.append(cache.get(("x",), partial(build, number)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert len({id(each) for each in found}) == 1


def test_a_build_may_ask_for_other_artefacts_and_fail():
    cache = ArtefactCache()
    assert cache.get(("outer",), lambda: cache.get(("inner",), lambda: 1) + 1) == 2
    with pytest.raises(ZeroDivisionError):
        cache.get(("failing",), lambda: 1 // 0)
    assert ("failing",) not in cache
    assert cache.get(("failing",), lambda: 3) == 3


def test_the_least_recently_used_artefact_goes_first():
    cache = ArtefactCache(bound=3_000)
    for name in "abc":
        cache.get((name,), lambda: np.zeros(1_000, dtype=np.uint8))
    assert cache.nbytes == 3_000
    cache.get(("a",), lambda: pytest.fail("was dropped"))
    cache.get(("d",), lambda: np.zeros(500, dtype=np.uint8))
    assert [(name,) in cache for name in "abcd"] == [True, False, True, True]
    assert cache.nbytes == 2_500
    assert cache.get(("b",), lambda: "again") == "again"


def test_the_newest_artefact_stays_even_if_it_exceeds_the_bound():
    cache = ArtefactCache(bound=10)
    for _ in range(2):
        cache.get(("small",), lambda: np.zeros(5, dtype=np.uint8))
        assert len(cache.get(("large",), lambda: np.zeros(1_000, dtype=np.uint8))) == 1_000
        assert ("small",) not in cache
        assert ("large",) in cache
    assert cache.nbytes == 1_000


@dataclass
class Matrix:
    values: np.ndarray
    names: list[str]


class Tensor:
    """Like a PyTorch tensor."""

    nbytes = 4_000


class Holder:
    def __init__(self, problem=None):
        self.array, self.problem = np.zeros(100), problem


@pytest.mark.parametrize(
    ("artefact", "least", "most"),
    [
        (np.zeros((10, 10)), 800, 800),
        (pa.table({"x": np.arange(100)}), 800, 800),
        (Tensor(), 4_000, 4_000),
        (Matrix(np.zeros(1_000), ["x"] * 3), 8_000, 8_600),
        ({"a": Tensor(), "b": (Tensor(), None, True)}, 8_000, 8_700),
        ([np.zeros(10)] * 5, 80, 300),
        ([str(number) * 10 for number in range(100_000)], 9_000_000, 12_000_000),
        (Holder(), 800, 1_100),
        (range(10**12), 1, 100),
        (lambda: 1, 0, 0),
        (None, 0, 0),
    ],
)
def test_sizes(artefact, least, most):
    assert least <= size_of(artefact) <= most


def test_a_data_frame_has_a_size():
    pandas = pytest.importorskip("pandas")
    assert size_of({"frame": pandas.DataFrame({"x": np.zeros(1_000)})}) >= 8_000


def test_a_database_is_not_counted():
    database = Database([Table("t", pa.table({"x": np.arange(100_000)}))])
    assert size_of(Holder(database)) < 1_100


def test_the_default_bound_is_a_share_of_the_free_memory(monkeypatch):
    monkeypatch.setattr("relselect.problem.cache.free_memory", lambda: 64 * 2**30)
    assert ArtefactCache().bound == default_bound() == 32 * 2**30
    monkeypatch.setattr("relselect.problem.cache.free_memory", lambda: 1_000)
    assert default_bound() == 2**30

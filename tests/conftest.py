"""What all rooms of the test house share."""

from __future__ import annotations

import itertools
import os
import sys
from contextlib import contextmanager
from functools import partial

# Read once, when OpenMP is loaded: without it threads that wait take the cores from whatever else runs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Test processes that run side by side share the cores: threads of one would only wait for those of the other.
if (_WORKERS := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _WORKERS)))
# Where Python is told to keep no bytecode, every process that a test starts would compile the whole package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import pytest
from hypothesis import HealthCheck, settings

from relselect.memory import collect_seldom
from tests.postgres import postgres
from tests.shop import shop, shop_problem, shop_tables, shop_task

__all__ = ["postgres"]

# The property tests draw the same examples on every run; a found counterexample is written into a test of its own.
settings.register_profile(
    "fixed",
    derandomize=True,
    deadline=None,
    print_blob=False,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
settings.register_profile("search", parent=settings.get_profile("fixed"), derandomize=False, max_examples=500)
sys.dont_write_bytecode = False
_CACHES = itertools.count()
collect_seldom()
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    """A cache that no other test and no earlier run has filled."""
    monkeypatch.setenv("RELSELECT_CACHE", str(tmp_path_factory.getbasetemp() / f"cache-{next(_CACHES)}"))


@pytest.fixture(scope="session")
def tables():
    """Arrow tables of the small shop; never changed."""
    return shop_tables()


@pytest.fixture(scope="session")
def database(tables):
    """The small shop as a database."""
    return shop(tables)


@pytest.fixture(scope="session")
def problem():
    """Whether a user orders again: binary, rolling, with label history."""
    return shop_problem()


@contextmanager
def few_steps():
    """Train graph networks for a few steps only, and measure the loss around their checkpoints at a few points."""
    from relselect.landscape import choose, loss_slice
    from relselect.rdl import RDL

    usual = RDL.default
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RDL, "default", lambda self, problem: {**usual(self, problem), "epochs": 3, "fewest_steps": 4})
        patch.setattr(choose, "SlopeCriterion", partial(choose.SlopeCriterion, pairs=2))
        patch.setattr(loss_slice, "_SIDE", 1)
        yield


@pytest.fixture(scope="module")
def brief_networks():
    """The default of the graph network with few steps, for tests that ask for anything but how well it learns."""
    with few_steps():
        yield


@pytest.fixture(scope="session")
def trained(database, tables):
    """Train once per choice of families: a function from "dfs", "rdl" or "dfs,rdl" to (predictor, events)."""
    import relselect

    done: dict[str, tuple[object, list[object]]] = {}

    def train(families: str):
        if families not in done:
            events: list[object] = []
            asked = shop_task(database, tables)
            with few_steps():
                fit = relselect.select_and_train(
                    database, asked, "10min", families=families, max_trials=1, on_event=events.append
                )
            done[families] = (fit, events)
        return done[families]

    return train

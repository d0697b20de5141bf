"""Batches that are built ahead come in their order, once each, and end with the first error or when nobody asks any more."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from relselect.rdl.family import blueprint_of
from relselect.rdl.settings import NetworkSettings
from relselect.rdl.training.fitted import batcher_of, row_tensors
from relselect.rdl.training.prefetch import _AHEAD, _Ahead, prefetched
from relselect.rdl.training.stepping import ShuffledBatches

CPU = torch.device("cpu")


@pytest.fixture
def pool():
    with ThreadPoolExecutor(1) as pool:
        yield pool


def indices(count):
    return (torch.tensor([number]) for number in range(count))


@pytest.mark.parametrize("count", [0, 1, _AHEAD, 4 * _AHEAD])
def test_every_batch_comes_once_in_order(pool, count):
    assert list(_Ahead(pool, int, indices(count))) == list(range(count))


def test_no_more_than_a_few_are_built_ahead(pool):
    built = []
    ahead = iter(_Ahead(pool, built.append, (torch.tensor(number) for number in itertools.count())))
    for taken in range(5):
        next(ahead)
        time.sleep(0.02)
        assert len(built) <= taken + 1 + _AHEAD


def test_an_error_reaches_the_one_who_asks(pool):
    def fail(index):
        if index == 2:
            raise ValueError("batch 2")
        return int(index)

    ahead, found = iter(_Ahead(pool, fail, indices(9))), []
    with pytest.raises(ValueError, match="batch 2"):
        found.extend(ahead)
    assert found == [0, 1]
    assert next(ahead, None) is None


def test_stopping_begins_nothing_new(pool):
    begun, go_on = [], threading.Event()

    def build(index):
        begun.append(int(index))
        go_on.wait(30)

    ahead = _Ahead(pool, build, indices(9))
    while not begun:
        time.sleep(0.001)
    ahead.stop()
    go_on.set()
    pool.shutdown()
    assert begun == [0]


def test_on_a_cpu_the_batches_are_those_of_the_batcher(make_problem):
    problem = make_problem()
    blueprint = blueprint_of(problem, NetworkSettings(layers=2))
    batcher = batcher_of(blueprint, problem, CPU)
    rows = row_tensors(blueprint, problem.rows("val"), batcher.device)
    parts = torch.split(torch.arange(len(rows)), 100)
    with prefetched(batcher, rows, parts, CPU) as batches:
        for index, batch in zip(parts, batches, strict=True):
            wanted = batcher.batch(rows, index)
            assert torch.equal(batch.context, wanted.context)
            assert all(torch.equal(each, wanted.trees.rows[name]) for name, each in batch.trees.rows.items())


def test_rows_of_coming_steps_are_those_that_next_gives():
    order = ShuffledBatches(10, 3, seed=1, position=2)
    coming = [each.tolist() for each in itertools.islice(order.coming(), 7)]
    assert order.position == 2
    assert coming == [order.next().tolist() for _ in range(7)]

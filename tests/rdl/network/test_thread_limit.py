"""A limit of PyTorch's threads affects its own Python thread alone, also where several threads overlap."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from relselect.budget import Budget
from relselect.events import silent
from relselect.rdl import RDL
from relselect.rdl.family import blueprint_of
from relselect.rdl.network.ensemble import NetworkEnsemble, ParallelMembers
from relselect.rdl.network.thread_limit import one_thread_if_small
from relselect.rdl.settings import NetworkSettings
from relselect.torch_threads import one_thread
from tests.rows import shared_rows


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def in_new_thread(call: Callable[[], int]) -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


class Worker:
    """A thread that enters the context and leaves it when it is told to."""

    def __init__(self, *, used_before: bool) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._leave = threading.Event()
        if used_before:
            self._pool.submit(torch.get_num_threads).result()

    def enter(self) -> None:
        entered = threading.Event()

        def work() -> tuple[int, int]:
            with one_thread():
                within = torch.get_num_threads()
                entered.set()
                assert self._leave.wait(30)
            return within, torch.get_num_threads()

        self._found = self._pool.submit(work)
        assert entered.wait(30)

    def leave(self) -> tuple[int, int]:
        """Return the thread's number of PyTorch threads within the context and after it."""
        self._leave.set()
        found = self._found.result(30)
        self._pool.shutdown()
        return found


@pytest.mark.parametrize("used_before", [False, True])
@pytest.mark.parametrize("first_to_leave", [0, 1])
def test_overlapping_threads_leave_every_thread_as_it_was(first_to_leave: int, used_before: bool) -> None:
    workers = [Worker(used_before=used_before) for _ in range(2)]
    for worker in workers:
        worker.enter()
        assert torch.get_num_threads() == 2
        assert in_new_thread(torch.get_num_threads) == 2
    for worker in (workers[first_to_leave], workers[1 - first_to_leave]):
        assert worker.leave() == (1, 2)
        assert torch.get_num_threads() == 2
        assert in_new_thread(torch.get_num_threads) == 2


def test_contexts_nest_and_an_error_leaves_them() -> None:
    def fail() -> None:
        with one_thread():
            with one_thread():
                assert torch.get_num_threads() == 1
            assert torch.get_num_threads() == 1
            raise ValueError("within")

    with pytest.raises(ValueError, match="within"):
        fail()
    assert torch.get_num_threads() == 2


def test_threads_of_members_are_not_those_of_later_threads(make_problem) -> None:
    blueprint = blueprint_of(make_problem(), NetworkSettings(members=2, channels=8))
    members = ParallelMembers(NetworkEnsemble(blueprint), torch.device("cpu"))
    assert members.map(lambda member: torch.get_num_threads()) == [1, 1]
    assert in_new_thread(torch.get_num_threads) == 2


def test_small_networks_keep_to_one_thread(make_problem, small):
    cpu, seen = torch.device("cpu"), {}
    for name, settings in {
        "small": NetworkSettings(),
        "large": NetworkSettings(fan_out=64, batch_size=1024),
        "members": NetworkSettings(members=2),
    }.items():
        with one_thread_if_small(settings, cpu):
            seen[name] = torch.get_num_threads()
        assert torch.get_num_threads() == 2
    assert seen == {"small": 1, "large": 2, "members": 2}
    RDL("cpu").fit(
        problem := make_problem(), shared_rows(problem), small, seed=0, number=0, budget=Budget(None), emit=silent
    )
    assert torch.get_num_threads() == 2

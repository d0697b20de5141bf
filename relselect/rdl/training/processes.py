"""Several processes that train one network together: who they are, and what they tell each other.

The processes are started by `torchrun`, or by anything that sets the variables RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, and
talk through PyTorch's backend gloo. Each holds the whole network and computes its share of every batch; the gradients are summed.
Whatever depends on a clock or on a file is decided by process 0 and told to the others, so that all take the same steps. What the
processes do together is decided in `relselect.rdl.distributed`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist

from relselect.budget import Budget
from relselect.errors import BudgetExhausted, ConfigError, ProcessLost

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter

__all__ = ["ALONE", "AgreedBudget", "Processes", "current_processes", "joined_processes", "launched"]

T = TypeVar("T")

#: How long a process waits for all others to start, and for the next message of one that lives.
_START, _WAIT = timedelta(minutes=30), timedelta(days=7)
_FIX = "Read the first error that another process wrote, then start all of them again: the training goes on from its last state"


class Processes:
    """The processes that train together, as one of them sees it.

    Every method but `shares`, `budget` and `leave` must be called by all of them, in the same order.

    Args:
        rank: The number of this process, from 0.
        count: The number of processes.
        group: How they talk; None for a process that is alone.

    Attributes:
        lost: The error by which another process was found to have ended.
        process: The system's number of this process.
    """

    def __init__(self, rank: int = 0, count: int = 1, group: dist.ProcessGroup | None = None) -> None:
        self.rank, self.count, self._group = rank, count, group
        self.lost: ProcessLost | None = None
        self.process = os.getpid()

    @property
    def first(self) -> bool:
        """Whether this is process 0, which decides and alone writes files."""
        return self.rank == 0

    def shares(self, index: Tensor, parts: int) -> list[tuple[int, Tensor]]:
        """Return this process's parts of a batch, each with its number; empty parts are left out.

        Args:
            index: int64 (b,), the rows of the batch, equal in all processes.
            parts: Number of parts of about equal size; part p is of process p modulo the number of processes.
        """
        every = enumerate(torch.tensor_split(index, parts))
        return [(number, part) for number, part in every if number % self.count == self.rank and len(part)]

    def told(self, value: T) -> T:
        """Return the value of process 0.

        Raises:
            ProcessLost: Another process has ended.
        """
        if self.count == 1:
            return value
        held: list[Any] = [value if self.first else None]
        with self._heard():
            dist.broadcast_object_list(held, src=0, group=self._group)
        return held[0]  # type: ignore[no-any-return]

    def sum_gradients(self, parameters: Sequence[Parameter], loss: Tensor) -> Tensor:
        """Sum the gradients of the processes in place and return the sum of their losses.

        A parameter that got a gradient in no process keeps None.

        Raises:
            ProcessLost: Another process has ended.
        """
        if self.count == 1:
            return loss
        has = torch.tensor([float(each.grad is not None) for each in parameters], device=loss.device)
        grads = [torch.zeros_like(each) if each.grad is None else each.grad for each in parameters]
        flat = self.summed(torch.cat([loss.reshape(1), has, *(each.flatten() for each in grads)]))
        begin = 1 + len(grads)
        for parameter, grad, wanted in zip(parameters, grads, flat[1:begin].tolist(), strict=True):
            if wanted:
                parameter.grad = flat[begin : begin + grad.numel()].view_as(grad)
            begin += grad.numel()
        return flat[0]

    def summed(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes.

        Raises:
            ProcessLost: Another process has ended.
        """
        if self.count == 1:
            return values
        total = values.detach().cpu().contiguous().clone()
        with self._heard():
            dist.all_reduce(total, group=self._group)
        return total.to(values.device)

    def copy_state(self, module: torch.nn.Module) -> None:
        """Give a module the weights that it has in process 0."""
        if self.count > 1:
            state = self.told({name: each.detach().cpu() for name, each in module.state_dict().items()})
            module.load_state_dict(state)

    def budget(self, budget: Budget) -> Budget:
        """Return a budget that all processes may ask together: that of process 0."""
        return budget if self.count == 1 else AgreedBudget(budget, self)

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let process 0 run the block first and the others after it, for work whose result process 0 leaves on disk.

        Raises:
            BudgetExhausted: The budget of process 0 ended in the block.
            ProcessLost: Process 0 failed in the block.
        """
        if self.count > 1 and not self.first:
            failure = self.told("")
            if failure.startswith(BudgetExhausted.__name__):
                raise BudgetExhausted(failure)
            if failure:
                raise ProcessLost(f"process {self.rank}", f"follows process 0, which failed: {failure}", _FIX)
        try:
            yield
        except Exception as error:
            if self.first:
                self.told(f"{type(error).__name__}: {error}")
            raise
        if self.first:
            self.told("")

    def leave(self) -> None:
        """End the connections, by which the others learn that this process takes no further part."""
        if self.count > 1 and dist.is_initialized():
            dist.destroy_process_group()

    @contextmanager
    def _heard(self) -> Iterator[None]:
        if self.lost is not None:
            raise self.lost
        try:
            yield
        except (RuntimeError, ValueError) as error:  # gloo's errors; a ValueError where the group is gone
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            rule = f"lost another of the {self.count} processes that train together ({reason})"
            self.lost = ProcessLost(f"process {self.rank}", rule, _FIX)
            raise self.lost from error


#: A process that trains alone.
ALONE = Processes()
_JOINED: list[Processes] = []


def launched() -> bool:
    """Return whether this process was started as one of several, such as by `torchrun --nproc-per-node 2`."""
    return os.environ.get("WORLD_SIZE", "1") not in ("", "1") and "RANK" in os.environ


def current_processes() -> Processes:
    """Return the processes that this one has joined, or `ALONE`; a process that was forked from one of them has joined none."""
    joined = _JOINED[-1] if _JOINED else ALONE
    return joined if joined.process == os.getpid() else ALONE


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """Join the processes that the environment names while the block runs; without such variables, or with one process, `ALONE`.

    Raises:
        ConfigError: The variables are not understood, or the processes do not meet.
    """
    if not launched():
        yield ALONE
        return
    processes = _meet()
    _JOINED.append(processes)
    try:
        yield processes
    finally:
        _JOINED.remove(processes)
        processes.leave()


def _meet() -> Processes:
    fix = "Start them by torchrun, e.g. torchrun --nproc-per-node 2 -m relselect train ..."
    try:
        rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        dist.init_process_group("gloo", rank=rank, world_size=count, timeout=_START)
        # once they have met, processes may wait long for each other's work, and learn at once of one that has ended
        group = dist.new_group(backend="gloo", timeout=_WAIT)
        if torch.cuda.is_available():  # the processes of one machine take its GPUs in turn
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", rank)) % torch.cuda.device_count())
    except (RuntimeError, ValueError, KeyError) as error:
        names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
        value = {name: os.environ.get(name) for name in names}
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError("processes", value, f"cannot meet ({reason})", fix) from error
    return Processes(rank, count, group)


class AgreedBudget(Budget):
    """The budget of process 0: whatever is asked of it is asked of process 0, by all processes together.

    Args:
        budget: The budget of this process; only that of process 0 is read.
        processes: The processes.
    """

    def __init__(self, budget: Budget, processes: Processes) -> None:
        super().__init__(None)
        self._budget, self._processes = budget, processes
        self.seconds = budget.seconds

    def left(self) -> float:
        """Return the seconds left on the clock of process 0."""
        return self._processes.told(self._budget.left())

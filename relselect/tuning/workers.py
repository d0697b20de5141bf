"""Where trials are fitted: in this process, or in several processes that were forked from it.

A worker has everything that the parent had computed when it was forked, such as the features of the training rows. It writes the
candidate to its place in the study's folder and sends back a few facts; models travel by disk. What happens during a fit comes
back as events while it happens; where the parent does not take them in time, events are lost and no fit waits.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Protocol

from relselect.errors import BudgetExhausted, FitPruned, UnwritableError
from relselect.events import Emit, Event, silent
from relselect.threads import limit_threads_after_fork

if TYPE_CHECKING:
    from relselect.families.candidate import Candidate, CurvePoint

__all__ = ["FitJob", "FitResult", "ForkedWorkers", "LocalWorker", "Workers", "failed_fit"]


@dataclass(frozen=True)
class FitJob:
    """A trial to be fitted.

    Attributes:
        number: Its number.
        config: Its configuration.
        share: The part of the training rows.
        bars: Below these values of its learning curve the fit is ended; empty for never. See `relselect.tuning.pruning`.
    """

    number: int
    config: dict[str, Any]
    share: float
    bars: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class FitResult:
    """How a fit ended.

    Attributes:
        number: The trial's number.
        outcome: "done", "failed", "pruned", "cut" (the budget ended before there was anything useful), or for a job that was not
            fitted "repeat" or "skipped".
        seconds: Wall-clock of the fit.
        score: Its score on the select rows where it is done.
        error: Class and message of the exception where it failed.
        traceback: Its traceback.
        reason: When and why it was pruned.
        points: Its learning curve, where there is one.
        whole: Whether the training ended by itself.
        candidate: The candidate, where it was fitted in this process.
    """

    number: int
    outcome: str
    seconds: float
    score: float = float("nan")
    error: str = ""
    traceback: str = ""
    reason: str = ""
    points: tuple[CurvePoint, ...] = ()
    whole: bool = False
    candidate: Candidate | None = None


#: Linux: the signal that a process gets when its parent dies.
_PR_SET_PDEATHSIG = 1

#: Events of a worker that wait to be sent, at most; further ones are lost.
_MOST_WAITING = 1_000

Fit = Callable[[FitJob], "Candidate"]
FitElsewhere = Callable[[FitJob, Emit], "Candidate"]


class Workers(Protocol):
    """Fits jobs, several at once or one."""

    @property
    def idle(self) -> int:
        """How many jobs could be taken now."""
        ...

    def submit(self, job: FitJob) -> None:
        """Take a job."""
        ...

    def wait(self) -> FitResult:
        """Return the next result."""
        ...

    def close(self) -> None:
        """End what is still being fitted."""
        ...


class LocalWorker:
    """Fits one job at a time in this process.

    Args:
        fit: Fits a job.
    """

    def __init__(self, fit: Fit) -> None:
        self._fit = fit
        self._job: FitJob | None = None

    @property
    def idle(self) -> int:
        """1 while there is no job, else 0."""
        return int(self._job is None)

    def submit(self, job: FitJob) -> None:
        """Take a job, which is fitted by `wait`."""
        self._job = job

    def wait(self) -> FitResult:
        """Fit the job.

        Raises:
            UnwritableError: The candidate could not be written.
        """
        if self._job is None:
            raise RuntimeError("there is no job to wait for")
        job, self._job = self._job, None
        return _fitted(self._fit, job)

    def close(self) -> None:
        """Do nothing: no fit outlives `wait`."""


class ForkedWorkers:
    """Fits jobs in processes that are forked when they are first needed.

    The job number 0, the default of a study, is fitted in this process: what it computes of the rows is then in every worker.

    Args:
        fit_here: Fits a job in this process.
        fit_there: Fits a job in a worker, says what happens to the listener that it is given, and writes its candidate to disk.
        count: Workers at most; none where the first job was trained on a GPU, which no forked process can use.
        emit: Listener in this process; hears what workers say while `wait` waits, those of one job in their order and before
            its result is returned.
    """

    def __init__(self, fit_here: Fit, fit_there: FitElsewhere, count: int, emit: Emit = silent) -> None:
        self._here, self._fit, self._count, self._emit = LocalWorker(fit_here), fit_there, count, emit
        self._workers: dict[Connection, _Worker] = {}

    @property
    def idle(self) -> int:
        """How many jobs could be taken now."""
        if not self._here.idle or not self._count:
            return self._here.idle
        return self._count - sum(worker.job is not None for worker in self._workers.values())

    def submit(self, job: FitJob) -> None:
        """Give a job to an idle worker, a new one if there is none."""
        if job.number == 0 or not self._count:
            self._here.submit(job)
            return
        free = [pipe for pipe, worker in self._workers.items() if worker.job is None]
        pipe = free[0] if free else self._forked()
        self._workers[pipe].job = job
        with contextlib.suppress(ConnectionError):  # of a worker that died meanwhile, as `wait` finds
            pipe.send(job)

    def wait(self) -> FitResult:
        """Return the result of the job that ends next; a worker that died while it fitted has failed.

        Raises:
            UnwritableError: A candidate that was fitted in this process could not be written.
        """
        if not self._here.idle:
            here = self._here.wait()
            if here.candidate is not None and here.candidate.device != "cpu":
                self._count = 0
            return here
        while True:
            pipe = next(each for each in wait(list(self._workers)) if isinstance(each, Connection))
            worker = self._workers[pipe]
            try:
                said = pipe.recv()
            except (EOFError, ConnectionError):
                del self._workers[pipe]
                pipe.close()
                lost = worker.died()
                if lost is not None:
                    return lost
                continue
            if isinstance(said, Event):
                self._emit(said)
                continue
            worker.job = None
            result: FitResult = said
            return result

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for pipe, worker in self._workers.items():
            pipe.close()
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.process, signal.SIGKILL)
            os.waitpid(worker.process, 0)
        self._workers.clear()

    def _forked(self) -> Connection:
        mine, theirs = Pipe()
        process = os.fork()
        if process == 0:
            _serve(theirs, [mine, *self._workers], self._fit)
        theirs.close()
        self._workers[mine] = _Worker(process)
        return mine


@dataclass
class _Worker:
    """A forked process, and what it is fitting."""

    process: int
    job: FitJob | None = None

    def died(self) -> FitResult | None:
        """Return the result of the job of a process that is gone; None where it had no job."""
        _, status = os.waitpid(self.process, 0)
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"
        if self.job is None:
            return None
        hint = ", as where memory runs out" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL else ""
        return FitResult(self.job.number, "failed", 0.0, error=f"the worker ended with {how}{hint}")


class _Outbox:
    """Sends events and results into a pipe from a thread of its own, in their order.

    Args:
        pipe: The pipe; nothing else may send into it.
    """

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._waiting: queue.Queue[Event | FitResult] = queue.Queue(_MOST_WAITING)
        threading.Thread(target=self._send, name="events", daemon=True).start()

    def say(self, event: Event) -> None:
        """Send an event soon, or lose it where too many wait; never wait."""
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(event)

    def answer(self, result: FitResult) -> None:
        """Send a result after the events before it; wait where too many do."""
        self._waiting.put(result)

    def _send(self) -> None:
        while True:
            said = self._waiting.get()
            try:
                self._pipe.send(said)
            except OSError:  # the parent is gone, which ends this process
                return
            except Exception:  # of what cannot be pickled: an event is lost, a job without a result has failed
                if isinstance(said, FitResult):
                    os._exit(1)


def _serve(pipe: Connection, inherited: Sequence[Connection], fit: FitElsewhere) -> None:
    """Fit what comes until the parent is gone; never return.

    Args:
        pipe: Jobs come from it, and results go into it.
        inherited: The parent's ends of all pipes; while they are open here, other workers do not see that the parent is gone.
        fit: Fits a job.
    """
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its workers
        for each in inherited:
            each.close()
        if sys.platform == "linux":  # elsewhere an orphan ends with its fit, and holds the study's lock until then
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        limit_threads_after_fork()
        outbox = _Outbox(pipe)
        while True:
            job, begun = pipe.recv(), time.monotonic()
            try:
                result = _fitted(lambda asked: fit(asked, outbox.say), job)
            except UnwritableError as error:  # the parent meets the disk itself where it is still full
                result = failed_fit(job, error, time.monotonic() - begun)
            outbox.answer(replace(result, candidate=None))
    except (EOFError, OSError):
        pass
    finally:
        os._exit(0)  # nothing of the parent's is flushed or closed twice


def _fitted(fit: Fit, job: FitJob) -> FitResult:
    """Return how the fit of a job ends.

    Raises:
        UnwritableError: The candidate could not be written.
    """
    begun = time.monotonic()
    try:
        candidate = fit(job)
    except BudgetExhausted:
        return FitResult(job.number, "cut", time.monotonic() - begun)
    except FitPruned as error:
        return FitResult(
            job.number, "pruned", time.monotonic() - begun, reason=error.reason, points=tuple(error.points)
        )
    except UnwritableError:
        raise
    except Exception as error:
        return failed_fit(job, error, time.monotonic() - begun)
    points = () if candidate.curve is None else candidate.curve.points
    return FitResult(
        job.number,
        "done",
        time.monotonic() - begun,
        score=candidate.score,
        points=points,
        whole=candidate.finished,
        candidate=candidate,
    )


def failed_fit(job: FitJob, error: Exception, seconds: float) -> FitResult:
    """Return the result of a job that raised."""
    text, trace = f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error))
    return FitResult(job.number, "failed", seconds, error=text, traceback=trace)

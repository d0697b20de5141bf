"""Workers hand back how a fit ended, whatever ends it; a worker that dies costs its own job at most."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from relselect.budget import Budget
from relselect.errors import UnwritableError
from relselect.events import Emit, EpochDone, Event, Notice, TrialFinished, TrialStarted
from relselect.families.candidate import Candidate
from relselect.problem.rows import fit_rows
from relselect.tuning import tune
from relselect.tuning.workers import FitJob, ForkedWorkers
from tests.tuning.cheap import Bowl, tiny_problem

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")


def fit(job: FitJob) -> Candidate:
    if job.config.get("full"):
        raise UnwritableError("workdir", "here", "cannot be written (No space left on device)", "Make room")
    pid = job.config.get("note")
    if pid is not None:
        Path(pid).write_text(str(os.getpid()))
    return Candidate("bowl", job.config, 0, job.number, None, np.empty(0), float(job.number), (0.0, 1.0))


def there(job: FitJob, emit: Emit) -> Candidate:
    return fit(job)


@pytest.fixture
def workers():
    found = ForkedWorkers(fit, there, 1)
    yield found
    found.close()


def test_a_disk_that_is_full_for_a_worker_is_said(workers: ForkedWorkers) -> None:
    workers.submit(FitJob(1, {"full": True}, 1.0))
    result = workers.wait()
    assert (result.number, result.outcome) == (1, "failed")
    assert "No space left on device" in result.error
    assert "UnwritableError" in result.traceback
    workers.submit(FitJob(2, {}, 1.0))  # the same worker goes on
    assert workers.wait().score == 2.0


def test_an_idle_worker_that_dies_costs_its_next_job_alone(workers: ForkedWorkers, tmp_path: Path) -> None:
    workers.submit(FitJob(1, {"note": str(tmp_path / "pid")}, 1.0))
    assert workers.wait().outcome == "done"
    process = int((tmp_path / "pid").read_text())
    os.kill(process, signal.SIGKILL)
    os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
    workers.submit(FitJob(2, {}, 1.0))
    result = workers.wait()
    assert (result.number, result.outcome) == (2, "failed")
    assert "signal 9" in result.error
    workers.submit(FitJob(3, {}, 1.0))
    assert workers.wait().score == 3.0


def test_an_idle_worker_that_dies_beside_a_busy_one_costs_nothing(tmp_path: Path) -> None:
    workers = ForkedWorkers(fit, there, 2)
    try:
        for number in (1, 2):
            workers.submit(FitJob(number, {"note": str(tmp_path / str(number))}, 1.0))
        assert {workers.wait().number, workers.wait().number} == {1, 2}
        os.kill(int((tmp_path / "2").read_text()), signal.SIGKILL)
        os.waitid(os.P_PID, int((tmp_path / "2").read_text()), os.WEXITED | os.WNOWAIT)
        workers.submit(FitJob(3, {}, 1.0))
        assert (workers.wait().score, workers.idle) == (3.0, 2)
    finally:
        workers.close()


def talking(job: FitJob, emit: Emit) -> Candidate:
    for epoch in range(int(job.config.get("epochs", 0))):
        emit(EpochDone("bowl", job.number, epoch, 0.5, 0.5, 0.0))
        if "heard" in job.config:
            await_file(Path(job.config["heard"]))
    return fit(job)


def await_file(path: Path) -> None:
    late = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < late, f"{path} was never written"
        time.sleep(0.01)


def test_events_of_workers_come_in_order_and_before_the_result(tmp_path: Path) -> None:
    said: list[Event] = []

    def listener(event: Event) -> None:
        said.append(event)
        if isinstance(event, EpochDone):
            (tmp_path / str(event.number)).touch()

    workers = ForkedWorkers(fit, talking, 2, listener)
    try:
        for number in (1, 2):  # each fit goes on when its first event was heard here
            workers.submit(FitJob(number, {"epochs": 20, "heard": str(tmp_path / str(number))}, 1.0))
        ended: list[int] = []
        seen: dict[int, int] = {}
        for _ in range(2):
            number = workers.wait().number
            ended.append(number)
            seen[number] = sum(isinstance(each, EpochDone) and each.number == number for each in said)
        assert sorted(ended) == [1, 2]
        assert seen == {1: 20, 2: 20}
        for number in (1, 2):
            assert [each.epoch for each in said if isinstance(each, EpochDone) and each.number == number] == list(
                range(20)
            )
    finally:
        workers.close()


def test_a_worker_waits_for_nobody_who_does_not_listen(tmp_path: Path) -> None:
    said: list[Event] = []
    workers = ForkedWorkers(fit, talking, 1, said.append)
    try:
        workers.submit(FitJob(1, {"epochs": 50_000, "note": str(tmp_path / "done")}, 1.0))
        await_file(tmp_path / "done")  # written when the fit is over, though nothing was received meanwhile
        assert workers.wait().score == 1.0
        epochs = [each.epoch for each in said if isinstance(each, EpochDone)]
        assert epochs == sorted(epochs)
        assert 1_000 <= len(epochs) < 50_000  # what a full queue could not take is lost
    finally:
        workers.close()


def test_an_event_that_cannot_be_sent_is_lost_alone() -> None:
    def odd(job: FitJob, emit: Emit) -> Candidate:
        emit(Notice("odd", lambda: None))  # type: ignore[arg-type]
        emit(EpochDone("bowl", job.number, 7, 0.5, 0.5, 0.0))
        return fit(job)

    said: list[Event] = []
    workers = ForkedWorkers(fit, odd, 1, said.append)
    try:
        workers.submit(FitJob(1, {}, 1.0))
        assert workers.wait().outcome == "done"
        assert [type(each) for each in said] == [EpochDone]
    finally:
        workers.close()


class Epochs(Bowl):
    """A bowl that says its epochs."""

    def fit(self, problem, rows, config, *, emit, number, **how):
        for epoch in range(3):
            emit(EpochDone(self.name, number, epoch, 0.5, 0.5, 0.0))
        return super().fit(problem, rows, config, emit=emit, number=number, **how)


def test_a_study_with_workers_tells_the_epochs_of_every_trial(tmp_path: Path) -> None:
    problem, said = tiny_problem(), []
    how = {"budget": Budget(None), "emit": said.append, "max_trials": 6, "jobs": 2}
    study = tune(Epochs(), problem, fit_rows(problem), folder=tmp_path, **how)
    assert len(study.candidates) == 6
    for each in study.candidates:
        mine = [type(event) for event in said if getattr(event, "number", None) == each.number]
        assert mine == [TrialStarted, EpochDone, EpochDone, EpochDone, TrialFinished], each.number
        epochs = [event.epoch for event in said if isinstance(event, EpochDone) and event.number == each.number]
        assert epochs == [0, 1, 2]


def test_a_result_that_cannot_be_sent_is_a_failed_job() -> None:
    class Odd(float):
        def __reduce__(self):
            raise TypeError("cannot be pickled")

    def odd(job: FitJob, emit: Emit) -> Candidate:
        return replace(fit(job), score=Odd(1.0))

    workers = ForkedWorkers(fit, odd, 1)
    try:
        workers.submit(FitJob(1, {}, 1.0))
        result = workers.wait()
        assert (result.outcome, result.error) == ("failed", "the worker ended with exit code 1")
    finally:
        workers.close()

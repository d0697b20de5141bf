"""Workers hand back how a fit ended, whatever ends it; a worker that dies costs its own job at most."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from relselect.errors import UnwritableError
from relselect.families.candidate import Candidate
from relselect.tuning.workers import FitJob, ForkedWorkers

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes cannot be forked here")


def fit(job: FitJob) -> Candidate:
    if job.config.get("full"):
        raise UnwritableError("workdir", "here", "cannot be written (No space left on device)", "Make room")
    pid = job.config.get("note")
    if pid is not None:
        Path(pid).write_text(str(os.getpid()))
    return Candidate("bowl", job.config, 0, job.number, None, np.empty(0), float(job.number), (0.0, 1.0))


@pytest.fixture
def workers():
    found = ForkedWorkers(fit, fit, 1)
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
    workers = ForkedWorkers(fit, fit, 2)
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

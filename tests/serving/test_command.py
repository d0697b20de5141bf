"""`relselect serve` as a process: SIGTERM loses no request that was accepted; consent; exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest
from typer.testing import CliRunner

from relselect.cli.main import app
from tests.serving.conftest import AT, USER, command

ASKED = {"entities": [{"id": USER}], "at": AT}


@pytest.mark.slow
def test_sigterm_loses_no_accepted_request(saved, place):
    with command(saved, "--uri", place) as (client, process, lines):
        found: Counter[str] = Counter()
        lost: list[BaseException] = []
        begun = threading.Barrier(21)

        def work() -> None:
            begun.wait()
            while True:
                try:
                    status, _, _ = client.predict(ASKED)
                except ConnectionRefusedError:
                    found["refused"] += 1  # the port is closed: nothing was accepted
                    return
                except BaseException as error:
                    lost.append(error)
                    return
                found[str(status)] += 1

        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        begun.wait()
        time.sleep(1.0)
        process.send_signal(signal.SIGTERM)
        health: list[tuple[int, str]] = []
        while True:
            try:
                status, told, _ = client.ask("GET", "/health")
                health.append((status, told["status"]))
            except OSError:
                break
        for thread in threads:
            thread.join(30)
        out, _ = process.communicate(timeout=30)
        assert not lost, (lost[:3], lines)
        assert found["refused"] == 20
        assert set(found) == {"200", "refused"}
        assert found["200"] > 20
        assert process.returncode == 0
        result = json.loads(out)
        assert result["command"] == "serve"
        assert result["requests"] >= found["200"]
        assert (503, "stopping") in health
        assert "Traceback" not in "".join(lines)


def run(*words):
    return CliRunner().invoke(app, ["serve", *map(str, words)])


def test_bad_input_is_told_before_anything_is_served(saved, place, tmp_path):
    for words, told in (
        ((tmp_path / "none",), "path="),
        ((saved,), "knows no place to read"),
        ((saved, "--uri", place, "--port", 70000), "--port"),
        ((saved, "--uri", place, "--timeout", "soon"), "--timeout"),
        ((saved, "--uri", tmp_path / "none.sqlite"), "none.sqlite"),
    ):
        result = run(*words)
        assert result.exit_code == 2, result.output
        assert told in result.stderr


@pytest.mark.slow
def test_a_port_in_use_is_told_and_ctrl_c_ends_a_server(saved, place):
    with command(saved, "--uri", place) as (client, process, _):
        result = run(saved, "--uri", place, "--port", client.port)
        assert result.exit_code == 2, result.output
        assert "cannot be opened" in result.stderr
        assert client.predict(ASKED)[0] == 200
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0


def test_an_address_of_the_predictor_needs_consent(trained, tmp_path):
    from copy import copy

    fitted = copy(trained("dfs")[0])
    fitted.source = "postgresql://ann@db.example/shop"
    folder = fitted.save(tmp_path / "bundle")
    result = run(folder)
    assert result.exit_code == 2
    assert "--trust-source" in result.stderr


def test_without_the_extra_the_command_says_what_to_install(saved):
    code = (
        "import sys\n"
        "sys.modules['uvicorn'] = None\n"
        "from relselect.cli.main import app\n"
        f"app(['serve', {str(saved)!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180)
    assert done.returncode == 2
    assert "pip install 'relselect[serve]'" in done.stderr

"""A bundle that is replaced while requests come: none fails, the new one answers; a broken one is refused."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter

import pytest

from relselect.serving.settings import ServerSettings
from tests.serving.conftest import AT, USER, serving

ASKED = {"entities": [{"id": USER + 7 * number} for number in range(3)], "at": AT}


def until(condition, seconds: float = 20.0) -> bool:
    ends = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends:
        time.sleep(0.05)
    return condition()


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "bundle")


def test_fifty_clients_while_the_bundle_is_swapped(folder, place, trained):
    fitted = trained("dfs")[0]
    with serving(ServerSettings(folder, database=place, watch=0.05)) as (client, service):
        first = service.holder.current.name
        expected = [row["probability"] for row in client.predict(ASKED)[1]["predictions"]]
        statuses: Counter[int] = Counter()
        models: Counter[str] = Counter()
        wrong: list[object] = []
        ending = threading.Event()

        def work() -> None:
            while not ending.wait(
                0.2
            ):  # clients that never pause would only keep the server from reading the new bundle
                status, found, _ = client.predict(ASKED)
                statuses[status] += 1
                if status != 200:
                    wrong.append(found)
                    continue
                models[found["model"]] += 1
                if [row["probability"] for row in found["predictions"]] != expected:
                    wrong.append(found)

        threads = [threading.Thread(target=work) for _ in range(50)]
        for thread in threads:
            thread.start()
        names = {first}
        for title in ("one", "two"):
            _renamed(fitted, title).save(folder)
            assert until(lambda: service.holder.current.name not in names), service.holder.reload
            names.add(service.holder.current.name)
        assert until(lambda: models[service.holder.current.name] > 20)
        ending.set()
        for thread in threads:
            thread.join(30)
        assert not wrong, wrong[:3]
        assert set(statuses) == {200}
        assert set(models) == names
        assert service.holder.loads == {"done": 2, "refused": 0}


def _renamed(fitted, title: str):
    """The same predictor under another description, so that its bundle is another one."""
    from copy import copy
    from dataclasses import replace

    other = copy(fitted)
    other.task = replace(fitted.task, description=title)
    return other


def test_a_broken_bundle_is_refused_and_the_former_one_stays(folder, place, trained):
    with serving(ServerSettings(folder, database=place, watch=0.05)) as (client, service):
        name = service.holder.current.name
        (folder / "manifest.json").write_text("{}")
        assert until(lambda: service.holder.reload.state == "refused")
        status, health, _ = client.ask("GET", "/health")
        assert (status, health["status"], health["model"], health["reload"]["state"]) == (200, "ok", name, "refused")
        assert str(folder) in health["reload"]["why"]
        assert client.predict(ASKED)[0] == 200
        assert "relselect_bundle_refused_total 1" in client.ask("GET", "/metrics")[1]
        _renamed(trained("dfs")[0], "mended").save(folder)
        assert until(lambda: service.holder.current.name != name)
        assert until(lambda: client.ask("GET", "/health")[1]["reload"]["state"] == "done")
        assert client.ask("GET", "/health")[1]["reload"]["why"] is None
        assert client.ask("GET", "/model")[1]["task"]["description"] == "mended"
        shutil.rmtree(folder)
        assert until(lambda: service.holder.reload.state == "refused")
        assert client.predict(ASKED)[0] == 200


def test_data_are_read_again_when_they_are_due(folder, place, tmp_path):
    with serving(ServerSettings(folder, database=place, watch=0.05, reread=0.2)) as (client, service):
        read = service.holder.current.loaded
        assert until(lambda: service.holder.current.loaded > read)
        assert client.predict(ASKED)[0] == 200

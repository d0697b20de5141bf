"""Requests that wait together share a prediction: each gets its own answer, and its own fault."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from relselect.serving.settings import ServerSettings
from tests.serving.conftest import AT, USER, serving

ASKED = [
    {"entities": [{"id": USER}], "at": AT},
    {"entities": [{"id": 10}, {"id": 17}], "at": AT},
    {"entities": [{"id": 17}], "at": "1970-09-01"},
    {"entities": [{"id": -1}], "at": AT},
    {"entities": [{"id": -1}, {"id": USER}], "at": AT},
    {"entities": [{"id": "nobody"}], "at": AT},
    {"entities": [], "at": AT},
    {"entities": [{"id": USER + 7 * each} for each in range(1, 8)], "at": AT},
]


@pytest.fixture
def held(saved, place, monkeypatch):
    """A server whose predictions wait for an event, what each asked for, and the event."""
    with serving(ServerSettings(saved, database=place, max_rows=10)) as (client, service):
        kind, go, sizes = type(service.holder.current), threading.Event(), []
        usual = kind.predict_all

        def waiting(self, requests):
            go.wait(30)
            sizes.append([each.rows.num_rows for each in requests])
            return usual(self, requests)

        monkeypatch.setattr(kind, "predict_all", waiting)
        yield client, service, go, sizes


def wait_for(service, count):
    """Wait until so many requests wait."""
    until = time.monotonic() + 20
    while service.health()["waiting"] < count:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_each_gets_what_it_would_get_alone(held):
    client, service, go, sizes = held
    go.set()
    alone = [client.predict(asked)[:2] for asked in ASKED]
    assert [status for status, _ in alone] == [200, 200, 200, 422, 200, 422, 422, 200]
    go.clear()
    sizes.clear()
    with ThreadPoolExecutor(len(ASKED) + 1) as pool:
        first = pool.submit(client.predict, ASKED[0])
        wait_for(service, 1)
        time.sleep(0.3)  # the first is being predicted; the others come to wait for the next prediction
        together = [pool.submit(client.predict, asked) for asked in ASKED]
        wait_for(service, 1 + len(ASKED))
        time.sleep(0.3)
        go.set()
        assert first.result()[0] == 200
        found = [each.result()[:2] for each in together]
    for (status, answer), (expected_status, expected) in zip(found, alone, strict=True):
        assert status == expected_status
        if status != 200:
            assert answer == expected
            continue
        assert answer["at"] == expected["at"]
        for row, other in zip(answer["predictions"], expected["predictions"], strict=True):
            assert row["known"] == other["known"]
            assert row["id"] == other["id"]
            assert row["probability"] == pytest.approx(other["probability"], abs=1e-5)
    assert sizes[0] == [1]
    assert max(sum(each) for each in sizes) <= 10


def test_many_clients_need_few_predictions(held):
    client, service, go, sizes = held
    with ThreadPoolExecutor(30) as pool:
        asked = [
            pool.submit(client.predict, {"entities": [{"id": USER + 7 * each}], "at": AT}) for each in range(1, 31)
        ]
        wait_for(service, 30)
        time.sleep(0.3)
        go.set()
        found = [each.result() for each in asked]
    assert {status for status, _, _ in found} == {200}
    assert [answer["predictions"][0]["id"] for _, answer, _ in found] == [USER + 7 * each for each in range(1, 31)]
    assert len(sizes) <= 5  # of ten rows at most, where one by one would be thirty
